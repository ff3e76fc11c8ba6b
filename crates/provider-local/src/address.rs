//! The loopback address of an instance.

use provider_core::{ClusterId, DeploymentId, NodeId};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, TcpListener},
};

/// How many addresses are tried. With n instances, each try fails with a probability of n in 16 million.
const TRIES: u32 = 256;

/// The address of a node: the same one each time, unless it is `taken` or this machine does not let it be
/// bound. None when nothing can be bound.
pub(crate) fn choose(
    deployment: &DeploymentId,
    cluster: &ClusterId,
    node: &NodeId,
    taken: &BTreeSet<Ipv4Addr>,
) -> Option<Ipv4Addr> {
    (0..TRIES)
        .map(|attempt| candidate(deployment, cluster, node, attempt))
        .find(|address| !taken.contains(address) && TcpListener::bind((*address, 0)).is_ok())
}

/// An address in 127.1.0.0 to 127.254.255.255 whose last byte is neither 0 nor 255. 127.0 is left alone:
/// `localhost` and, on Debian, the host's own name are there.
fn candidate(deployment: &DeploymentId, cluster: &ClusterId, node: &NodeId, attempt: u32) -> Ipv4Addr {
    let digest = Sha256::digest(format!("{deployment}\n{cluster}\n{node}\n{attempt}"));
    Ipv4Addr::new(127, digest[0] % 254 + 1, digest[1], digest[2] % 254 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names() -> (DeploymentId, ClusterId, NodeId) {
        (DeploymentId::new("d"), ClusterId::new("cl-1"), NodeId::new("main-1"))
    }

    proptest! {
        #[test]
        fn every_candidate_is_a_usable_loopback_address(cluster: String, node: String, attempt: u32) {
            let address = candidate(&names().0, &cluster.as_str().into(), &node.as_str().into(), attempt);
            let [first, second, _, last] = address.octets();
            prop_assert_eq!(first, 127);
            prop_assert!((1..=254).contains(&second) && (1..=254).contains(&last));
        }
    }

    #[test]
    fn a_node_gets_the_same_address_again_unless_it_is_taken() {
        let (deployment, cluster, node) = names();
        let first = choose(&deployment, &cluster, &node, &BTreeSet::new()).unwrap();
        assert_eq!(first.to_string(), "127.229.92.96");
        assert_eq!(choose(&deployment, &cluster, &node, &BTreeSet::new()), Some(first));
        let second = choose(&deployment, &cluster, &node, &BTreeSet::from([first])).unwrap();
        assert_ne!(second, first);
    }

    #[test]
    fn equal_nodes_of_two_clusters_get_two_addresses() {
        let (deployment, cluster, node) = names();
        let none = BTreeSet::new();
        let other = ClusterId::new("cl-2");
        assert_ne!(choose(&deployment, &cluster, &node, &none), choose(&deployment, &other, &node, &none));
    }
}
