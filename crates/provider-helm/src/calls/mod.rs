//! Every request that changes something, as data. All but the creation of a revision and of a hook may be repeated:
//! they say what shall be, so that what was sent and not answered is simply sent again.

mod hook;
mod object;
mod release;
mod running;

pub use hook::RunHook;
pub use object::{ApplyDefinition, ApplyObject, DeleteObject, Deleted, TakeFields, apply_over};
pub use release::{Basis, ClaimRelease, PurgeRelease, UpdateRelease};
pub use running::{Change, ChangeRunning, can_stop};

use crate::session::side_by_side;
use futures_util::future::BoxFuture;
use provider_core::Result;

/// How many calls one batch takes.
const BATCH: usize = 100;

/// Sends each call of a batch by itself, some at a time; the results are in their order.
async fn each<'a, C, R>(calls: &'a [C], send: impl Fn(&'a C) -> BoxFuture<'a, Result<R>>) -> Vec<Result<R>> {
    side_by_side(calls.iter().map(send).collect()).await
}
