//! The key pair by which the nodes of a cluster reach each other. It is made on the node; only its public half
//! ever leaves.

use crate::drone::{
    instance::{Instance, private_directory},
    root::Root,
};
use provider_core::{Error, Result};
use std::{
    fs, io,
    process::{Command, Stdio},
};

/// The public half of the node's key pair, in `/.ssh` on the node; a new pair unless there is one of this kind.
pub(super) fn ensure(root: &Root<'_>, instance: &Instance, kind: &str) -> Result<String> {
    let (kind, bits) = match kind {
        "ed25519" | "ssh-ed25519" => ("ed25519", "256"),
        "rsa" | "ssh-rsa" => ("rsa", "4096"),
        other => {
            return Err(Error::invalid(format!("key pairs of kind `{other}` are not made"))
                .hint("`passphraseless` is one of: ssh-ed25519, ssh-rsa"));
        }
    };
    let path = format!("/.ssh/id_{kind}");
    let public_path = format!("{path}.pub");
    // The public half is written last.
    let public = match root.read(&public_path)? {
        Some(public) => public,
        None => {
            let [private, public] = generate(instance, kind, bits)?;
            root.write(&path, &private, 0o600)?;
            root.write(&public_path, &public, 0o644)?;
            public
        }
    };
    Ok(String::from_utf8_lossy(&public).trim().to_owned())
}

fn generate(instance: &Instance, kind: &str, bits: &str) -> Result<[Vec<u8>; 2]> {
    let failed = |e: io::Error| Error::store("making a key pair").caused_by(&e);
    let directory = instance.drone().join("key");
    let clear = || match fs::remove_dir_all(&directory) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed(e)),
        _ => Ok(()),
    };
    clear()?;
    private_directory(&directory)?;
    let [private, public] = ["key", "key.pub"].map(|name| directory.join(name));
    let made = Command::new("ssh-keygen")
        .args(["-q", "-N", "", "-t", kind, "-b", bits, "-C", instance.node(), "-f"])
        .arg(&private)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => {
                Error::unsupported("making a key pair needs `ssh-keygen`, which is not here")
                    .hint("install the OpenSSH client (openssh-client, openssh-clients)")
            }
            _ => failed(e),
        })?;
    if !made.status.success() {
        let why = String::from_utf8_lossy(&made.stderr);
        return Err(Error::failed(format!("making a key pair with ssh-keygen: {}", why.trim())));
    }
    let pair = [fs::read(private).map_err(failed)?, fs::read(public).map_err(failed)?];
    clear()?;
    Ok(pair)
}
