//! What may stand in the way of applying objects: their names, rights, and quotas.

use super::{
    check::shortfall,
    findings::{Findings, Found},
};
use crate::{
    api::Resource,
    manifest::Workload,
    session::{Session, side_by_side},
};
use futures_util::FutureExt;
use provider_core::{Error, Result, Shortfall};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

type Wanted<'a> = [(&'a Found, &'a Value)];

/// Names that the API would refuse.
pub(super) fn names(wanted: &Wanted<'_>) -> Vec<Shortfall> {
    let bad = wanted.iter().filter_map(|(found, _)| {
        let (kind, name) = (found.object.kind(), found.object.name.as_str());
        let why = name_problem(found.object.resource.group(), kind, name)?;
        Some(shortfall(found.object.to_string(), why, None))
    });
    bad.collect()
}

fn name_problem(group: &str, kind: &str, name: &str) -> Option<String> {
    if group == "rbac.authorization.k8s.io" {
        let bad = name == "." || name == ".." || name.contains(['/', '%']);
        return bad.then(|| "its name has `/` or `%` in it".to_owned());
    }
    let (is_label, limit) = match (group, kind) {
        ("", "Service" | "Namespace") => (true, 63),
        _ => (false, 253),
    };
    if name.len() > limit {
        return Some(format!("its name has {} characters, and {limit} are allowed", name.len()));
    }
    let fits = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    let good = if is_label { fits(name) } else { name.split('.').all(fits) };
    // Custom kinds and a few built-in ones have rules of their own; only what no rule allows is refused here.
    let strict = matches!(group, "" | "apps" | "batch" | "networking.k8s.io" | "policy" | "autoscaling");
    (!good && strict).then(|| {
        let dots = if is_label { "" } else { ", `.`" };
        format!("its name may have lower-case letters, digits, `-`{dots}, and begin and end with a letter or digit")
    })
}

/// A right that applying needs: verb, group, resource, namespace.
type Right = (&'static str, String, String, Option<String>);

/// Rights that are missing: one review of all rules in the namespace, and single ones only for what that leaves open.
pub(super) async fn rights(
    session: &Session,
    findings: &Findings,
    wanted: &Wanted<'_>,
) -> Result<Vec<Shortfall>> {
    let needed = needed(findings, wanted);
    let body = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": { "namespace": findings.namespace },
    });
    let review = session.api().ask("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", &body).await?;
    let incomplete = review.pointer("/status/incomplete").and_then(Value::as_bool).unwrap_or(false);
    let rules =
        review.pointer("/status/resourceRules").and_then(Value::as_array).cloned().unwrap_or_default();
    let (mut missing, mut open) = (Vec::new(), Vec::new());
    for right in needed {
        let (verb, group, resource, namespace) = &right;
        let granted = rules.iter().any(|rule| grants(rule, verb, group, resource));
        // Rules of the namespace say nothing of other namespaces, and of what has none only that it may be granted.
        let settled = namespace.as_deref() == Some(findings.namespace.as_str());
        match (granted, settled) {
            (true, true) => {}
            (false, _) if !incomplete && (settled || namespace.is_none()) => missing.push(right),
            _ => open.push(right),
        }
    }
    // Only bindings for the whole cluster grant paths that are no resources: whoever has them all is its administrator.
    let all = ["nonResourceURLs", "verbs"];
    let is_all = |rule: &Value| {
        all.iter().all(|key| {
            rule.get(key).and_then(Value::as_array).is_some_and(|v| v.iter().any(|one| one == "*"))
        })
    };
    let paths = review.pointer("/status/nonResourceRules").and_then(Value::as_array);
    if paths.is_some_and(|rules| rules.iter().any(is_all))
        && rules.iter().any(|rule| grants(rule, "*", "*", "*"))
    {
        open.clear();
    }
    if open.len() > 1 && may(session, &("*", "*".into(), "*".into(), None)).await? {
        open.clear();
    }
    let asked = open
        .into_iter()
        .map(|right| async move { Ok::<_, Error>((may(session, &right).await?, right)) }.boxed());
    let answers = side_by_side(asked.collect()).await;
    for answer in answers {
        let (allowed, right) = answer?;
        if !allowed {
            missing.push(right);
        }
    }
    Ok(grouped(missing))
}

fn needed(findings: &Findings, wanted: &Wanted<'_>) -> BTreeSet<Right> {
    let mut needed = BTreeSet::new();
    let mut need = |verbs: &[&'static str], resource: &Resource, namespace: Option<&str>| {
        for verb in verbs {
            let namespace = namespace.map(str::to_owned);
            needed.insert((*verb, resource.group().to_owned(), resource.plural.clone(), namespace));
        }
    };
    for (found, _) in wanted {
        let verbs: &[&'static str] = if found.create { &["create", "patch"] } else { &["patch"] };
        need(verbs, &found.object.resource, found.object.namespace.as_deref());
    }
    for hook in &findings.hooks {
        need(&["create", "patch", "delete"], &hook.object.resource, hook.object.namespace.as_deref());
    }
    for found in &findings.gone {
        need(&["delete"], &found.object.resource, found.object.namespace.as_deref());
    }
    for definition in &findings.definitions {
        need(&["create", "patch"], &definition.resource, None);
    }
    let core = |kind: &str, plural: &str, namespaced| Resource {
        api_version: "v1".into(),
        kind: kind.into(),
        plural: plural.into(),
        namespaced,
    };
    if findings.new_namespace {
        need(&["create"], &core("Namespace", "namespaces", false), None);
    }
    if findings.basis.is_some() {
        let secrets = core("Secret", "secrets", true);
        need(&["create", "get", "list", "patch"], &secrets, Some(&findings.namespace));
    }
    needed
}

fn grants(rule: &Value, verb: &str, group: &str, resource: &str) -> bool {
    let lists = |key: &str, wanted: &str| {
        rule.get(key)
            .and_then(Value::as_array)
            .is_some_and(|all| all.iter().any(|one| one == "*" || one == wanted))
    };
    // A rule for named objects grants nothing about others.
    let named = rule.get("resourceNames").and_then(Value::as_array).is_some_and(|names| !names.is_empty());
    !named && lists("verbs", verb) && lists("apiGroups", group) && lists("resources", resource)
}

async fn may(session: &Session, (verb, group, resource, namespace): &Right) -> Result<bool> {
    let mut attributes = json!({ "verb": verb, "group": group, "resource": resource });
    if let Some(namespace) = namespace {
        attributes["namespace"] = json!(namespace);
    }
    let body = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": attributes },
    });
    let answer = session.api().ask("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &body).await?;
    Ok(answer.pointer("/status/allowed").and_then(Value::as_bool).unwrap_or(false))
}

fn grouped(missing: Vec<Right>) -> Vec<Shortfall> {
    let mut by_resource: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for (verb, group, resource, namespace) in missing {
        by_resource.entry((resource, group, namespace)).or_default().push(verb);
    }
    let hint = "ask for a role that allows it, or use a runtime with another credential";
    let one = |((resource, group, namespace), verbs): ((String, String, Option<String>), Vec<&str>)| {
        let group = if group.is_empty() { String::new() } else { format!(".{group}") };
        let place = namespace
            .map_or_else(|| " in the whole cluster".to_owned(), |n| format!(" in the namespace `{n}`"));
        let why = format!("the credential may not {} {resource}{group}{place}", verbs.join(" or "));
        shortfall("rights", why, Some(hint))
    };
    by_resource.into_iter().map(one).collect()
}

/// Quotas of the namespace that the new objects would exceed.
pub(super) async fn quotas(
    session: &Session,
    findings: &Findings,
    wanted: &Wanted<'_>,
) -> Result<Vec<Shortfall>> {
    let news: Vec<_> = wanted.iter().filter(|(found, _)| found.create).collect();
    if news.is_empty() || findings.new_namespace {
        return Ok(Vec::new());
    }
    let path = format!("/api/v1/namespaces/{}/resourcequotas", findings.namespace);
    let quotas = match session.api().list(&path, "", false).await {
        // Who may not read quotas is told by the server when one is exceeded.
        Err(error) if error.kind() == provider_core::ErrorKind::Unauthorized => return Ok(Vec::new()),
        quotas => quotas?,
    };
    if quotas.is_empty() {
        return Ok(Vec::new());
    }
    let mut needs: BTreeMap<String, f64> = BTreeMap::new();
    for (found, object) in news {
        if found.object.namespace.as_deref() == Some(&findings.namespace) {
            add_needs(&mut needs, found, object);
        }
    }
    let mut shortfalls = Vec::new();
    for quota in &quotas {
        let name = quota.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        // A quota with scopes counts only some pods; which, the server knows.
        if quota.pointer("/spec/scopes").is_some() || quota.pointer("/spec/scopeSelector").is_some() {
            continue;
        }
        let hard = quota.pointer("/status/hard").and_then(Value::as_object);
        for (resource, limit) in hard.into_iter().flatten() {
            let used = quota.pointer("/status/used").and_then(|used| used.get(resource));
            let amount =
                |value: Option<&Value>| value.and_then(Value::as_str).and_then(quantity).unwrap_or(0.0);
            let (limit_is, used_is) = (amount(Some(limit)), amount(used));
            let needed = needs.get(resource).copied().unwrap_or(0.0);
            if needed > 0.0 && used_is + needed > limit_is * (1.0 + 1e-9) {
                let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("0").to_owned();
                let why = format!(
                    "{resource}: {} is needed, {} of {} is used",
                    plain(needed),
                    text(used),
                    text(Some(limit))
                );
                shortfalls.push(shortfall(
                    format!("quota {name}"),
                    why,
                    Some("ask for less, free something, or have the quota raised"),
                ));
            }
        }
    }
    Ok(shortfalls)
}

fn add_needs(needs: &mut BTreeMap<String, f64>, found: &Found, object: &Value) {
    let mut add = |key: String, amount: f64| *needs.entry(key).or_default() += amount;
    add(format!("count/{}", found.object.resource.qualified()), 1.0);
    if found.object.resource.group().is_empty() && found.object.kind() != "Pod" {
        add(found.object.resource.plural.clone(), 1.0);
    }
    if found.object.kind() == "PersistentVolumeClaim" {
        let size =
            object.pointer("/spec/resources/requests/storage").and_then(Value::as_str).and_then(quantity);
        add("requests.storage".to_owned(), size.unwrap_or(0.0));
    }
    let Some(workload) = Workload::of(object) else { return };
    // Only pods that are made at once count; a schedule makes them later.
    let pods = if found.object.kind() == "CronJob" { 0 } else { workload.replicas.unwrap_or(1) };
    #[allow(clippy::cast_precision_loss, reason = "counts of pods")]
    let pods = pods as f64;
    add("pods".to_owned(), pods);
    add("count/pods".to_owned(), pods);
    for (list, prefix) in [(true, "requests"), (false, "limits")] {
        let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for container in &workload.containers {
            for (name, amount) in if list { &container.requests } else { &container.limits } {
                let amount = quantity(amount).unwrap_or(0.0);
                let sum = sums.entry(name).or_default();
                if container.init { sum.1 = sum.1.max(amount) } else { sum.0 += amount }
            }
        }
        for (name, (sum, init)) in sums {
            let amount = pods * sum.max(init);
            add(format!("{prefix}.{name}"), amount);
            if list {
                add(name.to_owned(), amount);
            }
        }
    }
}

/// A quantity of Kubernetes as a number: `250m`, `1Gi`, `2`, `1e3`.
pub(super) fn quantity(text: &str) -> Option<f64> {
    let text = text.trim();
    let end =
        text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    if let Ok(number) = text.parse::<f64>()
        && matches!(suffix.chars().next(), None | Some('e' | 'E'))
        && number.is_finite()
    {
        return Some(number);
    }
    let number: f64 = number.parse().ok()?;
    let factor = match suffix {
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        _ => return None,
    };
    Some(number * factor)
}

fn plain(amount: f64) -> String {
    let units = [(1024f64.powi(4), "Ti"), (1024f64.powi(3), "Gi"), (1024f64.powi(2), "Mi")];
    match units.into_iter().find(|(unit, _)| amount >= *unit && (amount / unit * 100.0).fract() < 1e-6) {
        Some((unit, name)) => format!("{}{name}", amount / unit),
        None => format!("{}", (amount * 1000.0).round() / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_writes_them() {
        for (text, want) in [
            ("250m", Some(0.25)),
            ("2", Some(2.0)),
            ("1.5", Some(1.5)),
            ("1e3", Some(1000.0)),
            ("1Ki", Some(1024.0)),
            ("1G", Some(1e9)),
            ("2E", Some(2e18)),
            ("x", None),
            ("1Zi", None),
        ] {
            assert_eq!(quantity(text), want, "{text}");
        }
    }

    #[test]
    fn names_that_the_api_refuses_are_found_before() {
        fn check(group: &str, kind: &str, name: &str, is_bad: bool) {
            assert_eq!(name_problem(group, kind, name).is_some(), is_bad, "{kind} {name}");
        }
        check("", "Service", "web", false);
        check("", "Service", "a.b", true);
        check("", "Service", &"a".repeat(64), true);
        check("", "ConfigMap", "kube-root-ca.crt", false);
        check("", "ConfigMap", "Web", true);
        check("apps", "Deployment", "web-", true);
        check("rbac.authorization.k8s.io", "ClusterRole", "system:x", false);
        check("rbac.authorization.k8s.io", "ClusterRole", "a/b", true);
        check("example.com", "Widget", "Web", false);
    }

    #[test]
    fn a_rule_grants_what_it_lists_and_nothing_by_name() {
        let rule = json!({ "verbs": ["get", "create"], "apiGroups": ["apps"], "resources": ["*"] });
        assert!(grants(&rule, "create", "apps", "deployments"));
        assert!(!grants(&rule, "patch", "apps", "deployments"));
        assert!(!grants(&rule, "get", "", "pods"));
        let named = json!({ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "resourceNames": ["x"] });
        assert!(!grants(&named, "get", "", "pods"));
    }
}
