//! The scripted provider passes the rules, and a provider that breaks one is found out.

use conformance::{
    Cloud, KEY, ScriptedProvider, VirtualClock, package,
    rules::{self, Harness, Level, RULES, Subject},
};
use provider_core::{Credential, Runtime, Secret, Zone};
use std::{collections::BTreeSet, sync::Arc};

fn subject(change: impl Fn(&Cloud)) -> Subject {
    let clock = Arc::new(VirtualClock::default());
    let cloud = Cloud::new(clock.clone());
    cloud.require_key(KEY);
    change(&cloud);
    let runtime = Runtime {
        id: "cloud".into(),
        description: String::new(),
        provider: "scripted".into(),
        endpoint: String::new(),
        zone: Zone::new(""),
        labels: Default::default(),
    };
    Subject {
        provider: ScriptedProvider::new(cloud, "d-1".into()).provider(),
        runtime,
        credential: Credential::new([("key".to_owned(), Secret::new(KEY))]),
        clock,
        package: package().expect("it is a good package"),
        conf: serde_json::json!({}),
        keep: Box::new(()),
    }
}

#[test]
fn ids_are_unique_and_every_rule_says_what_it_asks() {
    let ids: BTreeSet<_> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), RULES.len());
    assert!(RULES.iter().all(|rule| rule.text.ends_with('.') && !rule.title.ends_with('.')));
}

#[tokio::test]
async fn the_scripted_provider_passes_every_rule() {
    let report = rules::check(&Harness { subject: Box::new(|| subject(|_| {})), skip: &[] }).await;
    report.demand();
    let skipped = "REF-001 was skipped: it supports every action that was tried";
    assert_eq!(report.to_string(), format!("{skipped}\n{} passed, 1 skipped, 0 failed", RULES.len() - 1));
}

#[tokio::test]
async fn a_provider_that_breaks_a_rule_fails_with_it_and_one_without_rules_fails_too() {
    let broken = Harness { subject: Box::new(|| subject(|cloud| cloud.require_key(""))), skip: &[] };
    let report = rules::check(&broken).await;
    assert!(
        report.failed.iter().any(|(rule, _)| rule.id == "VM-001" && rule.level == Level::Must),
        "{report}"
    );
    assert!(std::panic::catch_unwind(|| report.demand()).is_err());
    assert!(std::panic::catch_unwind(|| rules::Report::default().demand()).is_err());
}
