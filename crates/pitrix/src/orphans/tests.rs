use super::*;
use provider_core::{ClusterId, ClusterSpec, Node, NodeId, ResourceId, Transition, Zone};
use serde_json::json;

/// A cluster with the node `a-1`, which has the instance `i-ID` and the volume `v-ID`.
fn cluster(id: &str, status: ClusterStatus) -> Cluster {
    let spec = json!({"name": id.to_uppercase(), "app": "a@1", "roles": {}, "nodes": {}});
    let spec: ClusterSpec = serde_json::from_value(spec).unwrap();
    let mut cluster = Cluster::new(ClusterId::new(id), RuntimeId::new("r"), Zone::new("z"), spec);
    let node = json!({
        "status": "active", "instance": {"id": format!("i-{id}")}, "disks": {"0": {"volume": format!("v-{id}")}},
    });
    let node: Node = serde_json::from_value(node).unwrap();
    cluster.nodes.insert(NodeId::new("a-1"), node);
    cluster.status = status;
    cluster
}

#[test]
fn a_resource_without_an_owner_says_why() {
    let mut busy = cluster("busy", ClusterStatus::Pending);
    busy.transition = Some(Transition::Creating);
    let clusters = [cluster("live", ClusterStatus::Active), cluster("gone", ClusterStatus::Deleted), busy];
    let owners = Owners::of(&clusters);
    let check_kind = |kind: &str, id: &str, tag: &str, expected: Option<&str>| {
        let resource = TaggedResource {
            kind: kind.to_owned(),
            id: ResourceId::new(id),
            cluster: tag.to_owned(),
            name: String::new(),
            created: None,
        };
        assert_eq!(owners.why_orphan(&resource).as_deref(), expected, "{id} of {tag}");
    };
    let check = |id: &str, tag: &str, expected: Option<&str>| check_kind("volume", id, tag, expected);
    check("i-live", "live", None);
    check("v-live", "live", None);
    check("v-new", "busy", None);
    check("v-lost", "live", Some("cluster LIVE does not know it"));
    check("v-gone", "gone", Some("cluster GONE was deleted without it"));
    check("v-old", "never", Some("its cluster is not on record"));
    // No record has a list of these.
    check_kind("release", "live.v1", "live", None);
    check_kind("release", "busy.v1", "busy", None);
    check_kind("release", "gone.v1", "gone", Some("cluster GONE was deleted without it"));
    check_kind("release", "old.v1", "never", Some("its cluster is not on record"));
}
