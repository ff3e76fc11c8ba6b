//! The actions to crash in.

use crate::kubernetes::{
    Piece, World,
    adopt::helm_install,
    chart,
    world::{act, create, delete, update, upgrade},
};
use engine::Request;
use provider_core::{Action, Archive};
use serde_json::json;

/// Something that happens.
pub(super) enum Deed {
    /// A job.
    Ask(Request),
    /// An upgrade that is rolled back when it fails.
    Undo(Request),
    /// The release that Helm has made is taken over.
    Adopt,
    /// Something that nobody tells us.
    Outside(fn(&World)),
}

/// One action to crash in.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// What has happened before.
    pub(super) before: fn() -> Vec<Deed>,
    /// What a process dies in.
    pub(super) deed: fn() -> Deed,
    pub(super) needs_helm: bool,
}

/// Every action. A new one is one line.
#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    case("create", Vec::new, || Deed::Ask(create("shop", "1.1.0", json!({})))),
    case("upgrade", || vec![first()], second),
    case("upgrade, undone", || vec![first()], || Deed::Undo(upgrade("shop", "3.0.0", json!({})))),
    case("update-env", || vec![first()], third),
    case("update-env, looked up", || vec![ahead()], || Deed::Ask(update("shop", json!({ "pitrix.io/lookup": true })))),
    case("rollback", || vec![first(), second()], || back(None)),
    case("rollback, to an older one", || vec![first(), second(), third()], || back(Some(1))),
    case("stop", || vec![first()], stop),
    case("start", || vec![first(), stop()], || ask(Action::StartClusters)),
    case("restart", || vec![first()], || ask(Action::RestartClusters)),
    case("recover, one deleted", || vec![first(), Deed::Outside(remove)], || ask(Action::RecoverClusters)),
    case("recover, one changed", || vec![first(), Deed::Outside(drift)], || ask(Action::RecoverClusters)),
    with_helm("adopt", || vec![Deed::Outside(by_helm)], || Deed::Adopt),
    with_helm("adopt, one left unfinished", || vec![Deed::Outside(by_an_old_helm)], || Deed::Adopt),
    case("delete", || vec![first()], || Deed::Ask(delete("shop", false))),
    case("delete, history kept", || vec![first(), second()], || Deed::Ask(delete("shop", true))),
    case("delete, some of it gone", || vec![first(), Deed::Outside(remove)], || Deed::Ask(delete("shop", false))),
    case("cease", || vec![first()], || ask(Action::CeaseClusters)),
    case("cease, what was deleted", || vec![first(), Deed::Ask(delete("shop", true))], || ask(Action::CeaseClusters)),
];

const fn case(name: &'static str, before: fn() -> Vec<Deed>, deed: fn() -> Deed) -> Case {
    Case { name, before, deed, needs_helm: false }
}

const fn with_helm(name: &'static str, before: fn() -> Vec<Deed>, deed: fn() -> Deed) -> Case {
    Case { name, before, deed, needs_helm: true }
}

/// The versions that are pushed to a world with this namespace.
pub(super) fn versions(namespace: &str) -> [(&'static str, Archive); 5] {
    let usual = [Piece::Hooks, Piece::Kept];
    let with = |version, piece| {
        let chart = chart(version, &[&usual[..], &[piece]].concat());
        // Definitions belong to the whole cluster, and each world has its own.
        let files = chart.files().map(|(name, bytes)| {
            let text = String::from_utf8_lossy(bytes).replace("provider-helm.example", &group(namespace));
            (name.to_owned(), text.into_bytes())
        });
        (version, Archive::from_files(files.collect::<Vec<_>>()).expect("it is small"))
    };
    [
        ("1.0.0", chart("1.0.0", &usual)),
        with("1.1.0", Piece::Custom),
        with("1.2.0", Piece::Looking),
        ("2.0.0", chart("2.0.0", &usual)),
        with("3.0.0", Piece::Refused),
    ]
}

fn group(namespace: &str) -> String {
    format!("{namespace}.example")
}

/// The definition that version 1.1.0 brings.
pub(super) fn definition(namespace: &str) -> String {
    format!("widgets.{}", group(namespace))
}

fn ask(action: Action) -> Deed {
    Deed::Ask(act("shop", action))
}

fn first() -> Deed {
    Deed::Ask(create("shop", "1.0.0", json!({})))
}

/// With a chart that would look something up if it might.
fn ahead() -> Deed {
    Deed::Ask(create("shop", "1.2.0", json!({})))
}

fn second() -> Deed {
    Deed::Ask(upgrade("shop", "2.0.0", json!({ "replicas": 2 })))
}

fn third() -> Deed {
    Deed::Ask(update("shop", json!({ "color": "blue" })))
}

fn back(revision: Option<u32>) -> Deed {
    ask(Action::RollbackCluster { revision })
}

fn stop() -> Deed {
    ask(Action::StopClusters)
}

fn remove(world: &World) {
    world.witness.kubectl(&["delete", "deploy,service", "shop"]).unwrap();
}

fn drift(world: &World) {
    let patch = r#"[{"op": "remove", "path": "/data/color"}]"#;
    world.witness.kubectl(&["patch", "configmap", "shop-1-0-0", "--type=json", "-p", patch]).unwrap();
    world.witness.kubectl(&["scale", "deploy", "shop", "--replicas=3"]).unwrap();
}

fn by_helm(world: &World) {
    helm_install(world, &chart("1.0.0", &[Piece::Hooks, Piece::Kept]), &[]);
}

fn by_an_old_helm(world: &World) {
    helm_install(world, &chart("1.0.0", &[Piece::Hooks, Piece::Kept]), &["--server-side=false"]);
    world.make_pending("shop", 1);
    world.witness.kubectl(&["delete", "service", "shop"]).unwrap();
}
