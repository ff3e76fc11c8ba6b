//! Which nodes a role has, and their ids.

use provider_core::{NodeSpec, RoleName};
use std::collections::{BTreeMap, BTreeSet};

/// How many nodes a role shall have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    /// Base nodes.
    pub(super) count: u32,
    /// Replicas of each of them.
    pub(super) replicas: u32,
}

/// The nodes of `role`, changed from `existing` as little as `size` demands: what stays keeps its ids, new
/// nodes get new ones, and of what is too much the newest go, whole groups first.
///
/// # Errors
/// A sentence when there are no server ids left below `upper_bound`.
pub(super) fn allocate<'a>(
    role: &RoleName,
    size: Size,
    upper_bound: Option<u32>,
    existing: impl IntoIterator<Item = &'a NodeSpec>,
) -> Result<Vec<NodeSpec>, String> {
    let mut groups: BTreeMap<u32, Vec<NodeSpec>> = BTreeMap::new();
    for node in existing {
        groups.entry(node.group_id).or_default().push(node.clone());
    }
    let group_ids: BTreeSet<_> = groups.keys().copied().collect();
    for id in group_ids.iter().skip(size.count as usize) {
        groups.remove(id);
    }
    for group in groups.values_mut() {
        group.sort_by_key(|node| (node.replica, node.server_id));
        let bases = group.iter().filter(|node| !node.replica).count();
        group.truncate(bases + size.replicas as usize);
    }
    let mut servers: BTreeSet<_> = groups.values().flatten().map(|node| node.server_id).collect();
    let mut add = |groups: &mut BTreeMap<u32, Vec<NodeSpec>>, group_id, replica| {
        let server_id = next_id(upper_bound, &servers).ok_or_else(|| {
            let bound = upper_bound.unwrap_or(u32::MAX);
            format!("allows server ids up to {bound}, and all of them are taken")
        })?;
        servers.insert(server_id);
        groups.entry(group_id).or_default().push(NodeSpec {
            role: role.clone(),
            replica,
            server_id,
            group_id,
        });
        Ok::<_, String>(())
    };
    let kept: Vec<_> = groups.keys().copied().collect();
    for group_id in kept {
        let group = &groups[&group_id];
        let has_base = group.iter().any(|node| !node.replica);
        let missing = size.replicas - group.iter().filter(|node| node.replica).count() as u32;
        if !has_base {
            add(&mut groups, group_id, false)?;
        }
        for _ in 0..missing {
            add(&mut groups, group_id, true)?;
        }
    }
    while groups.len() < size.count as usize {
        // A group id is never bounded: there are no more groups than servers.
        let group_id = groups.keys().next_back().map_or(1, |last| last + 1);
        add(&mut groups, group_id, false)?;
        for _ in 0..size.replicas {
            add(&mut groups, group_id, true)?;
        }
    }
    Ok(groups.into_values().flatten().collect())
}

/// One more than the largest, from 1; above the bound the largest that is free.
fn next_id(upper_bound: Option<u32>, used: &BTreeSet<u32>) -> Option<u32> {
    let next = used.last().map_or(Some(1), |last| last.checked_add(1));
    match (next, upper_bound) {
        (Some(next), Some(bound)) if next > bound => (1..=bound).rev().find(|id| !used.contains(id)),
        (None, bound) => (1..=bound.unwrap_or(u32::MAX)).rev().find(|id| !used.contains(id)),
        (next, _) => next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Nodes as text: `server:group`, with `r` for a replica.
    fn shown(nodes: &[NodeSpec]) -> String {
        let show = |node: &NodeSpec| {
            format!("{}:{}{}", node.server_id, node.group_id, if node.replica { "r" } else { "" })
        };
        nodes.iter().map(show).collect::<Vec<_>>().join(" ")
    }

    fn read(text: &str) -> Vec<NodeSpec> {
        let node = |word: &str| {
            let (server, group) = word.split_once(':').unwrap();
            NodeSpec {
                role: "db".into(),
                replica: group.ends_with('r'),
                server_id: server.parse().unwrap(),
                group_id: group.trim_end_matches('r').parse().unwrap(),
            }
        };
        text.split_whitespace().map(node).collect()
    }

    #[test]
    fn ids_continue_fill_holes_and_respect_the_bound() {
        let check = |existing: &str, (count, replicas): (u32, u32), bound: Option<u32>, want: &str| {
            let existing = read(existing);
            let got = allocate(&"db".into(), Size { count, replicas }, bound, &existing);
            assert_eq!(got.map_or_else(|e| e, |nodes| shown(&nodes)), want);
        };
        check("", (0, 0), None, "");
        check("", (3, 0), None, "1:1 2:2 3:3");
        check("", (2, 1), None, "1:1 2:1r 3:2 4:2r");
        check("1:1 2:2", (4, 0), None, "1:1 2:2 3:3 4:4");
        check("1:1 4:4", (3, 0), None, "1:1 4:4 5:5");
        check("1:1 4:4", (3, 0), Some(4), "1:1 4:4 3:5");
        check("1:1 4:4", (4, 0), Some(4), "1:1 4:4 3:5 2:6");
        check("2:1 4:4", (3, 0), Some(4), "2:1 4:4 3:5");
        check("2:1 3:2", (3, 0), Some(3), "2:1 3:2 1:3");
        check("1:1 2:2", (3, 0), Some(2), "allows server ids up to 2, and all of them are taken");
        check("", (2, 1), Some(3), "allows server ids up to 3, and all of them are taken");
        check("1:1 2:2", (2, 1), None, "1:1 3:1r 2:2 4:2r");
        check("1:1 2:1r 3:2 4:2r", (2, 2), None, "1:1 2:1r 5:1r 3:2 4:2r 6:2r");
        check("1:1 2:1r 3:2 4:2r", (3, 1), None, "1:1 2:1r 3:2 4:2r 5:3 6:3r");
        check("1:1 2:1r 3:1r 4:2 5:2r 6:2r", (2, 1), None, "1:1 2:1r 4:2 5:2r");
        check("1:1 2:2 3:3", (1, 0), None, "1:1");
        check("7:1", (2, 0), Some(4), "7:1 4:2");
        check("2:1r", (1, 1), None, "2:1r 3:1");
        check("4294967295:1", (2, 0), None, "4294967295:1 4294967294:2");
    }

    proptest! {
        #[test]
        fn growing_keeps_every_node(a in 0..6u32, b in 0..4u32, more in 0..6u32, replicas in 0..4u32, slack in 0..3u32) {
            let bound = Some((a + more) * (1 + b + replicas) + slack).filter(|bound| *bound > 0);
            let before = allocate(&"db".into(), Size { count: a, replicas: b }, bound, &[]).unwrap();
            let size = Size { count: a + more, replicas: b + replicas };
            let after = allocate(&"db".into(), size, bound, &before).unwrap();
            prop_assert!(before.iter().all(|node| after.contains(node)));
            prop_assert_eq!(after.len() as u32, size.count * (1 + size.replicas));
            let servers: BTreeSet<_> = after.iter().map(|node| node.server_id).collect();
            prop_assert_eq!(servers.len(), after.len());
            prop_assert!(servers.iter().all(|id| *id > 0 && bound.is_none_or(|bound| *id <= bound)));
        }
    }
}
