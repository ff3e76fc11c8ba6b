//! Ports for the servers of a run.

use crate::Result;
use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;

/// Below the ports that the kernel hands out by itself, so that no connection takes one before its server does.
const FIRST: u16 = 12_000;
const COUNT: u16 = 16_000;

/// `N` ports on the loopback address that nobody listens on.
///
/// All of them are held until the last is found, and the search starts anywhere: two runs that start at the same time
/// do not meet.
pub(super) fn free<const N: usize>() -> Result<[u16; N]> {
    let start = RandomState::new().hash_one(std::process::id());
    let listeners: Vec<_> =
        candidates(start).filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok()).take(N).collect();
    let ports: Vec<_> =
        listeners.iter().filter_map(|listener| Some(listener.local_addr().ok()?.port())).collect();
    ports.try_into().map_err(|_| format!("there are no {N} free ports from {FIRST} on"))
}

/// Every port of ours once.
fn candidates(start: u64) -> impl Iterator<Item = u16> {
    let start = u16::try_from(start % u64::from(COUNT)).expect("a remainder of 16 bits");
    (0..COUNT).map(move |offset| FIRST + (start + offset) % COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn free_ports_are_different_and_free() {
        let ports = free::<4>().unwrap();
        assert_eq!(BTreeSet::from(ports).len(), 4);
        let held = TcpListener::bind(("127.0.0.1", ports[0])).unwrap();
        assert_ne!(free::<1>().unwrap(), [held.local_addr().unwrap().port()]);
    }

    #[test]
    fn the_search_reaches_every_port_from_anywhere() {
        for start in [0, 7, 15_999, u64::MAX] {
            let all: BTreeSet<_> = candidates(start).collect();
            assert_eq!((all.len(), all.first(), all.last()), (16_000, Some(&12_000), Some(&27_999)));
        }
    }
}
