use super::*;
use crate::args::Format;
use insta::assert_snapshot;
use provider_core::{AppVersionId, Cluster, ClusterId, Facts, Layer, RuntimeId, Task, Timestamp, Zone};
use serde_json::json;

fn spec(app: &str, conf: &Value, env: &Value) -> ClusterSpec {
    let node = |n: u32| json!({"role": "db", "replica": n > 1, "server_id": n, "group_id": 1});
    serde_json::from_value(json!({
        "name": "c", "app": app, "conf": conf,
        "roles": {"db": {
            "container": {"type": "process"}, "cpu": 1, "memory_mib": 64, "instance_size_gib": 1,
            "agent_installed": true, "env": env,
            "disks": [{"size_gib": 10, "mount_point": "/data", "filesystem": "ext4"}],
        }},
        "nodes": {"db-1": node(1), "db-2": node(2)},
    }))
    .unwrap()
}

fn service(service: ServiceName) -> Work {
    let cmd = service.as_str().to_owned();
    Work::Agent(AgentVerb::Service { service, cmd, timeout_s: 1, params: BTreeMap::new() })
}

fn view(action: Action, after: ClusterSpec, layers: &[(&[&str], Work)]) -> VersionView {
    let before = spec(
        "tiny@1.0.0",
        &json!({"env": {"word": "hello", "gone": 1, "password": null}}),
        &json!({"word": {"plain": "hello"}}),
    );
    let before = Cluster::new(ClusterId::new("cl-1"), RuntimeId::new("here"), Zone::new("z"), before);
    let layers = layers.iter().map(|(nodes, work)| Layer {
        name: "layer".to_owned(),
        tasks: nodes
            .iter()
            .map(|id| Task {
                work: work.clone(),
                node: Some(NodeId::new(*id)),
                failure_allowed: false,
                timeout_s: 1,
            })
            .collect(),
    });
    let plan = Plan::new(Facts::none(Zone::new("z"), Timestamp(0)), layers);
    VersionView::new(&Change { action, before, after }, &plan, None).unwrap()
}

fn upgraded() -> ClusterSpec {
    spec(
        "tiny@1.1.0",
        &json!({"env": {"word": "bye", "new": true, "password": null}}),
        &json!({"word": {"plain": "bye"}, "limit": {"plain": 5}}),
    )
}

#[test]
fn an_upgrade_says_who_is_away_when_and_what_happens_to_data() {
    fn check(backup: bool, rollback: Rollback, layers: &[(&[&str], Work)], expected: &str) {
        let action = Action::UpgradeCluster { to: AppVersionId::new("tiny@1.1.0"), backup };
        let after = ClusterSpec { rollback, ..upgraded() };
        assert_eq!(view(action, after, layers).summary("not told"), expected);
    }
    let configure = || Work::Agent(AgentVerb::Configure);
    let one_by_one: [(&[&str], Work); 5] = [
        (&["db-1"], service(ServiceName::Backup)),
        (&["db-2"], service(ServiceName::Stop)),
        (&["db-2"], configure()),
        (&["db-1"], service(ServiceName::Stop)),
        (&["db-1"], configure()),
    ];
    check(
        true,
        Rollback::Safe,
        &one_by_one,
        "~ 2 nodes 1.0.0 -> 1.1.0; one at a time, each away while it restarts, replicas first, db-1 last; \
         2 volumes kept, backed up first; rollback safe",
    );
    check(
        true,
        Rollback::NeedsRestore,
        &[(&["db-1", "db-2"], service(ServiceName::Stop)), (&["db-1", "db-2"], configure())],
        "~ 2 nodes 1.0.0 -> 1.1.0; up to 2 nodes away at once while they restart, db-2 last; \
         2 volumes kept, no backup service to run first; rollback needs a restored backup",
    );
    check(
        false,
        Rollback::Impossible,
        &[(&["db-1"], configure())],
        "~ 1 node 1.0.0 -> 1.1.0; no node goes down; 2 volumes kept; no way back",
    );
}

#[test]
fn keys_that_come_go_or_change_are_named_and_secrets_are_not_shown() {
    let view = view(Action::RollbackCluster { revision: None }, upgraded(), &[]);
    assert_snapshot!(view.keys(&Screen::plain(Format::Table)), @r"
    CONFIG                   BEFORE  AFTER
    - env.gone               1       -
    + env.new                -       true
    ~ env.word               hello   bye
    + parameter limit of db  -       5
    ");
}

#[test]
fn a_move_of_what_has_no_nodes_of_ours_tells_what_happens_to_objects() {
    let action = Action::UpgradeCluster { to: AppVersionId::new("tiny@1.1.0"), backup: false };
    let view = view(action, upgraded(), &[]);
    assert_eq!(view.summary("+ 1 object"), "1.0.0 -> 1.1.0; + 1 object; rollback safe");
    assert_eq!(view.summary(""), "1.0.0 -> 1.1.0; rollback safe");
    assert_eq!((view.downtime.as_str(), view.data.as_str()), ("", ""));
}

#[test]
fn defaults_that_a_provider_tells_of_take_the_place_of_answers_and_are_cut_to_fit() {
    let change = |key: &str, before: Option<&str>, after: Option<&str>, is_overridden| KeyChange {
        key: key.to_owned(),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
        is_overridden,
    };
    let shown = |config: Vec<KeyChange>| {
        let action = Action::RollbackCluster { revision: None };
        VersionView { config, ..view(action, upgraded(), &[]) }.keys(&Screen::plain(Format::Table))
    };
    let long = "one line\n".repeat(9);
    let some =
        vec![change("image.tag", Some("1.0"), Some("2.0"), true), change("script", None, Some(&long), false)];
    assert_snapshot!(shown(some), @r"
    CONFIG       BEFORE  AFTER
    ~ image.tag  1.0     2.0                                                    your own value stays
    + script     -       one line\none line\none line\none line\none line\non…
    ");
    let many = (0..43).map(|n| change(&format!("k{n}"), None, Some("x"), false)).collect();
    assert_snapshot!(shown(many).lines().skip(40).collect::<Vec<_>>().join("\n"), @r"
    + k38   -       x
    + k39   -       x
    and 3 more, see them all with `-o json`
    ");
    assert_eq!(shown(Vec::new()), "");
}
