//! What SQLite's errors mean to people.

use provider_core::Error;
use std::fmt;

/// Says what was being attempted, and what to do about what went wrong.
pub(super) fn failed(attempt: impl fmt::Display) -> impl FnOnce(sqlx::Error) -> Error {
    move |cause| {
        let (what, hint) = match code(&cause) {
            Some(5 | 6) => (
                "another process keeps the store busy",
                "find out which process has the state directory open",
            ),
            Some(8) => (
                "the store may not be written",
                "make the state directory and its files writable for this user",
            ),
            Some(10) => ("the disk reports an error", "check the disk; nothing was half done"),
            Some(11) => ("the store is damaged", "restore the state directory from a backup"),
            Some(13) => ("the disk is full", "free some space; nothing was half done"),
            Some(14) => {
                ("the store can't be opened", "make the state directory readable and writable for this user")
            }
            Some(19) => {
                return Error::bug(format!("{attempt}: a rule of the store is broken")).caused_by(&cause);
            }
            Some(26) => ("it is not a store of Pitrix", "choose another state directory"),
            _ => return Error::store(format!("{attempt}: the store gave an error")).caused_by(&cause),
        };
        Error::store(format!("{attempt}: {what}")).hint(hint).caused_by(&cause)
    }
}

/// Whether a statement was refused for what it said, so that other statements may still succeed.
pub(super) fn is_refusal(error: &sqlx::Error) -> bool {
    code(error) == Some(19)
}

/// The primary result code.
fn code(error: &sqlx::Error) -> Option<u32> {
    let code: u32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}
