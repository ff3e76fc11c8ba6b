//! Every request that changes something, as data. All but the creation of a revision and of a hook may be repeated:
//! they say what shall be, so that what was sent and not answered is simply sent again.

mod hook;
mod object;
mod release;
mod running;

pub use hook::RunHook;
pub use object::{
    ApplyDefinition, ApplyObject, DeleteObject, Deleted, EnsureNamespace, TakeFields, apply_over,
};
pub use release::{Basis, ClaimRelease, PurgeRelease, UpdateRelease};
pub use running::{Change, ChangeRunning, can_stop};

pub(crate) use crate::session::side_by_side as each;

/// How many calls one batch takes.
const BATCH: usize = 100;
