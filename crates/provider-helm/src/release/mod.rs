//! Releases in Helm's own format: what `helm list`, `history`, `rollback` and `uninstall` work from.

mod codec;
mod model;
mod record;

pub use codec::{LIMIT, contributors, decode, encode};
pub use model::{DeletePolicy, Hook, Info, LastRun, Release, ReleaseStatus};
pub use record::{HISTORY, Revision, secret, secret_name, stale, status_patch};

#[cfg(test)]
mod tests;
