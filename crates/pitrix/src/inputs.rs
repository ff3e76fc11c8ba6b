//! What the user hands over in files or on standard input.

use provider_core::{Error, Result};
use std::{
    fs,
    io::{self, Read},
    path::Path,
};

/// The content of the file at `path`; `-` means standard input.
///
/// # Errors
/// `NotFound`, or `Invalid` when it can't be read.
pub(crate) fn read_input(path: &Path) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().read_to_end(&mut content).map(drop)
    } else {
        fs::read(path).map(|bytes| content = bytes)
    };
    read.map_err(|e| unreadable(path, &e))?;
    Ok(content)
}

/// The error about a file or directory that can't be read.
fn unreadable(path: &Path, cause: &io::Error) -> Error {
    let message = format!("reading `{}`", path.display());
    match cause.kind() {
        io::ErrorKind::NotFound => Error::not_found(message),
        _ => Error::invalid(message),
    }
    .caused_by(cause)
}
