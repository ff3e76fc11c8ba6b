//! What values of arguments look like.

use provider_core::{AppVersionId, JobId, NodeId, Policy, ProviderId, RoleName, RuntimeId, Zone};

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected a key, `=` and a value".to_owned()),
    }
}

pub(super) fn setting(text: &str) -> Result<String, String> {
    pair(text).map(|_| text.to_owned())
}

pub(super) fn app_version(text: &str) -> Result<AppVersionId, String> {
    match text.split_once('@') {
        Some((name, version)) if !name.is_empty() && !version.is_empty() => Ok(AppVersionId::new(text)),
        _ => Err("expected NAME@VERSION, for example redis@1.0.0; see `pitrix app list`".to_owned()),
    }
}

pub(super) fn policy(text: &str) -> Result<Policy, String> {
    match text.split_once('=') {
        None if text == "stop" => Ok(Policy::All),
        None if text == "go-on" => Ok(Policy::KeepGoing),
        Some(("at-least", nodes)) => match nodes.parse() {
            Ok(nodes) if nodes > 0 => Ok(Policy::AtLeast(nodes)),
            _ => Err("expected a number of nodes, at least 1, after `at-least=`".to_owned()),
        },
        _ => Err("expected `stop`, `go-on` or `at-least=N`".to_owned()),
    }
}

/// Runtimes are named by operators, and their names go into paths, tags and tables.
pub(super) fn runtime_id(text: &str) -> Result<RuntimeId, String> {
    name(text).map(RuntimeId::new)
}

pub(super) fn provider_id(text: &str) -> Result<ProviderId, String> {
    name(text).map(ProviderId::new)
}

pub(super) fn job_id(text: &str) -> Result<JobId, String> {
    name(text).map(JobId::new)
}

pub(super) fn version(text: &str) -> Result<String, String> {
    if text.contains('@') {
        app_version(text).map(|id| id.to_string())
    } else {
        name(text).map(str::to_owned)
    }
}

pub(super) fn node_id(text: &str) -> Result<NodeId, String> {
    name(text).map(NodeId::new)
}

/// A package may have one role without a name.
pub(super) fn role_name(text: &str) -> Result<RoleName, String> {
    if text.is_empty() { Ok(RoleName::new("")) } else { name(text).map(RoleName::new) }
}

pub(super) fn zone(text: &str) -> Result<Zone, String> {
    Ok(Zone::new(text))
}

pub(super) fn name(text: &str) -> Result<&str, String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    if (1..=63).contains(&text.len()) && text.chars().all(fits) && !text.starts_with(['-', '.']) {
        Ok(text)
    } else {
        Err("expected 1 to 63 lower-case letters, digits, `-`, `_` and `.`".to_owned())
    }
}
