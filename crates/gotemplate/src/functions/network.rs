//! The network, as far as the host allows it.

use super::args::Answer;
use crate::call::{Call, Entry};

pub(super) const ENTRIES: &[Entry] = &[Entry::exact("getHostByName", 1, get_host_by_name)];

fn get_host_by_name(call: &mut Call<'_>) -> Answer {
    let name = call.string(0)?;
    Ok(call.runtime().host(|host| host.resolve(&name)).into())
}
