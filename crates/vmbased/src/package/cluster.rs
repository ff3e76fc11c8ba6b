//! From a cluster document to the wanted cluster, with every rule that its types can't hold.

use super::{
    answers::Answers,
    document::{Document, join},
    nodes::Size,
    problems::Problems,
    render::{has_mark, marked_path, misplaced},
    role::read_role,
    schema::{ClusterBlock, EndpointBlock, Port},
};
use provider_core::{
    AppVersionId, ClusterId, ClusterSpec, Endpoint, EnvValue, Result, RoleName, RoleSpec, SecretRef, SubnetId,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
};

/// Node blocks of one document.
const MAX_BLOCKS: usize = 100;

/// What a document says: a cluster without its nodes, and how many each role shall have.
pub(super) struct Wanted {
    pub(super) spec: ClusterSpec,
    pub(super) sizes: BTreeMap<RoleName, Size>,
    pub(super) warnings: Vec<String>,
}

/// A document while it is checked.
pub(super) struct Reading<'a> {
    document: &'a Document,
    cluster: &'a ClusterId,
    /// Their key paths.
    passwords: BTreeSet<&'a str>,
    problems: Problems,
    pub(super) warnings: Vec<String>,
}

/// Reads `document`, which was filled with `answers`, as the cluster `cluster` of the version `app`. Whether its
/// name is a good one is not checked: a package need not have one.
///
/// # Errors
/// `Invalid` with everything that is wrong, each with line and key path.
pub(super) fn read_cluster(
    document: &Document,
    answers: &Answers,
    cluster: &ClusterId,
    app: &AppVersionId,
) -> Result<Wanted> {
    let passwords = answers.passwords.keys().map(String::as_str).collect();
    let mut reading =
        Reading { document, cluster, passwords, problems: Problems::default(), warnings: Vec::new() };
    reading.check_marks();
    std::mem::take(&mut reading.problems).into_result()?;
    let block: ClusterBlock = document.decode()?;
    let mut roles = BTreeMap::new();
    let mut sizes = BTreeMap::new();
    if block.nodes.len() > MAX_BLOCKS {
        reading.wrong("nodes", format_args!("has more than {MAX_BLOCKS} entries"));
    }
    let cluster_env = reading.env("env", &block.env);
    let names: BTreeSet<_> = block.nodes.iter().map(|node| node.role.as_str()).collect();
    for (i, node) in block.nodes.iter().enumerate() {
        let at = format!("nodes[{i}]");
        reading.check_role_name(&at, &node.role, &names);
        let (mut role, size) = read_role(&mut reading, &at, node, &block);
        if role.env.is_empty() {
            role.env.clone_from(&cluster_env);
        }
        let name = RoleName::new(node.role.as_str());
        if roles.insert(name.clone(), role).is_some() {
            reading.wrong(&join(&at, "role"), format_args!("is `{}`, which is there twice", node.role));
        }
        sizes.insert(name, size);
    }
    if sizes.values().all(|size| size.count == 0) {
        reading.wrong("nodes", "have a `count` of 0 each, but a cluster needs a node");
    }
    let first = block.nodes.first().map(|node| node.role.as_str()).unwrap_or_default();
    let mut endpoints = BTreeMap::new();
    for (name, endpoint) in &block.endpoints {
        let at = join("endpoints", name);
        match reading.endpoint(endpoint, &roles, first) {
            Ok(endpoint) => drop(endpoints.insert(name.clone(), endpoint)),
            Err((field, problem)) => reading.wrong(&join(&at, field), problem),
        }
    }
    reading.check_links(&block);
    for (name, tab) in &block.display_tabs {
        let at = join("display_tabs", name);
        reading.command(&join(&at, "cmd"), &tab.cmd);
        reading.timeout(&join(&at, "timeout"), tab.timeout);
        for role in tab.roles_to_execute_on.iter().filter(|role| !names.contains(role.as_str())) {
            reading.wrong(
                &join(&at, "roles_to_execute_on"),
                format_args!("names the role `{role}`, which is not there"),
            );
        }
    }
    reading.problems.into_result()?;
    let spec = ClusterSpec {
        name: block.name,
        description: block.description,
        app: app.clone(),
        subnet: Some(block.subnet).filter(|subnet| !subnet.is_empty()).map(SubnetId::new),
        roles,
        nodes: BTreeMap::new(),
        links: block.links,
        endpoints,
        metadata_root_access: block.metadata_root_access,
        global_uuid: block.global_uuid,
        advanced_actions: block.advanced_actions,
        upgrade_policy: block.upgrade_policy,
        rollback: block.rollback,
        backup_policy: block.backup_policy,
        incremental_backup_supported: block.incremental_backup_supported,
        display_tabs: as_value(&block.display_tabs, block.display_tabs.is_empty()),
        conf: Value::Null,
    };
    Ok(Wanted { spec, sizes, warnings: reading.warnings })
}

impl Reading<'_> {
    pub(super) fn wrong(&mut self, at: &str, problem: impl Display) {
        self.problems.add(self.document.problem(at, problem));
    }

    /// A shell command line that is needed.
    pub(super) fn command(&mut self, at: &str, cmd: &str) {
        if cmd.trim().is_empty() {
            self.wrong(at, "is empty, expected a command");
        }
        self.optional_command(at, cmd);
    }

    pub(super) fn optional_command(&mut self, at: &str, cmd: &str) {
        if cmd.chars().count() > 1000 || cmd.contains('\0') {
            self.wrong(at, "is longer than 1000 characters");
        }
    }

    pub(super) fn timeout(&mut self, at: &str, seconds: u32) {
        self.between(at, seconds, 1, 86400);
    }

    pub(super) fn between(&mut self, at: &str, n: u32, min: u32, max: u32) {
        if !(min..=max).contains(&n) {
            self.wrong(at, format_args!("is {n}, expected {min} to {max}"));
        }
    }

    /// The parameters in `env`, passwords by reference.
    pub(super) fn env(&mut self, at: &str, env: &BTreeMap<String, Value>) -> BTreeMap<String, EnvValue> {
        let mut values = BTreeMap::new();
        for (key, value) in env {
            // In metadata such keys stand for something else, for example for a secret.
            if key.starts_with('$') || has_dollar_key(value) {
                self.wrong(&join(at, key), "has a key that begins with `$`");
            }
            let value = match value.as_str().and_then(marked_path) {
                Some(path) => EnvValue::Secret(SecretRef::new(format!("cluster/{}/{path}", self.cluster))),
                None => EnvValue::Plain(value.clone()),
            };
            values.insert(key.clone(), value);
        }
        values
    }

    /// Refuses the marks of passwords where they are not a whole value of an `env`.
    fn check_marks(&mut self) {
        let Some(block) = self.document.value().as_object() else {
            return;
        };
        for (key, value) in block {
            match (key.as_str(), value) {
                ("env", Value::Object(env)) => self.check_env_marks("env", env),
                ("nodes", Value::Array(nodes)) => {
                    for (i, node) in nodes.iter().enumerate() {
                        let at = format!("nodes[{i}]");
                        for (key, value) in node.as_object().into_iter().flatten() {
                            match (key.as_str(), value) {
                                ("env", Value::Object(env)) => self.check_env_marks(&join(&at, "env"), env),
                                _ => self.check_no_marks(&join(&at, key), value),
                            }
                        }
                    }
                }
                _ => self.check_no_marks(key, value),
            }
        }
    }

    fn check_env_marks(&mut self, at: &str, env: &serde_json::Map<String, Value>) {
        for (key, value) in env {
            if has_mark(key) {
                self.wrong(at, misplaced(&key.as_str().into()));
            }
            let password = value.as_str().and_then(marked_path);
            if password.is_none_or(|path| !self.passwords.contains(path)) {
                self.check_no_marks(&join(at, key), value);
            }
        }
    }

    fn check_no_marks(&mut self, at: &str, value: &Value) {
        match value {
            Value::String(text) if has_mark(text) => self.wrong(at, misplaced(value)),
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.check_no_marks(&format!("{at}[{i}]"), item);
                }
            }
            Value::Object(entries) => {
                for (key, value) in entries {
                    if has_mark(key) {
                        self.wrong(at, misplaced(&key.as_str().into()));
                    }
                    self.check_no_marks(&join(at, key), value);
                }
            }
            _ => {}
        }
    }

    fn check_role_name(&mut self, at: &str, role: &str, all: &BTreeSet<&str>) {
        let at = join(at, "role");
        let is_plain = role.is_empty()
            || (role.starts_with(|c: char| c.is_ascii_lowercase())
                && role.len() <= 50
                && role.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c)));
        if !is_plain {
            let shown: String = role.chars().take(60).collect();
            self.wrong(&at, format_args!("is `{shown}`, expected lower case letters, digits, `_` and `-`, a letter first, at most 50"));
        }
        if role.ends_with("-replica") {
            self.wrong(
                &at,
                format_args!("is `{role}`; a role's replicas are its `replica`, no role of their own"),
            );
        }
        if role == "node" && all.contains("") {
            self.wrong(&at, "is `node`, which the nodes of the role without a name are called");
        }
    }

    fn check_links(&mut self, block: &ClusterBlock) {
        for (name, cluster) in &block.links {
            if name.is_empty() || cluster.trim().is_empty() {
                self.wrong(&join("links", name), "names no cluster");
            }
        }
    }

    fn endpoint(
        &self,
        block: &EndpointBlock,
        roles: &BTreeMap<RoleName, RoleSpec>,
        first: &str,
    ) -> Result<Endpoint, (&'static str, String)> {
        if let Some(role) = block.role.as_deref().filter(|role| !roles.contains_key(&RoleName::from(*role))) {
            return Err(("role", format!("is `{role}`, which is not there")));
        }
        if block.protocol.trim().is_empty() {
            return Err(("protocol", "is empty, expected for example `tcp`".to_owned()));
        }
        if let Some(connect) = &block.connect
            && connect.replace("{host}", "").replace("{port}", "").contains(['{', '}', '\n'])
        {
            return Err(("connect", "has other braces than `{host}` and `{port}`".to_owned()));
        }
        let (port, owner) = match &block.port {
            Port::Number(port) => (*port, None),
            Port::Reference(text) => {
                resolve(text, block.role.as_deref(), roles).map_err(|problem| ("port", problem))?
            }
        };
        if port == 0 {
            return Err(("port", "is 0, expected 1 to 65535".to_owned()));
        }
        let role =
            block.role.as_deref().map(RoleName::from).or(owner).unwrap_or_else(|| RoleName::from(first));
        Ok(Endpoint {
            port,
            protocol: block.protocol.clone(),
            role: Some(role),
            connect: block.connect.clone(),
        })
    }
}

/// The port that `text`, `env.PARAM` or `ROLE.env.PARAM`, refers to, and the role whose parameter it is. Without
/// a role, `of` has the parameter, else any role: all that have it must then agree.
fn resolve(
    text: &str,
    of: Option<&str>,
    roles: &BTreeMap<RoleName, RoleSpec>,
) -> Result<(u16, Option<RoleName>), String> {
    let (role, param) = match (text.strip_prefix("env."), text.split_once(".env.")) {
        (Some(param), _) => (of, param),
        (None, Some((role, param))) => (Some(role), param),
        (None, None) => {
            return Err(format!("is `{text}`, expected a port, `env.PARAM` or `ROLE.env.PARAM`"));
        }
    };
    let mut found = None;
    for (name, spec) in roles.iter().filter(|(name, _)| role.is_none_or(|role| name.as_str() == role)) {
        let Some(value) = spec.env.get(param) else { continue };
        let EnvValue::Plain(value) = value else {
            return Err(format!("refers to `{param}`, which is a password"));
        };
        let port = value.as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
        let port = port.ok_or_else(|| format!("refers to `{param}`, which is {value} and no port"))?;
        match found {
            None => found = Some((port, Some(name.clone()))),
            Some((other, _)) if other != port => {
                return Err(format!(
                    "is `{text}`, but roles have different values of it; say `ROLE.env.{param}`"
                ));
            }
            Some(_) => {}
        }
    }
    found.ok_or_else(|| match role {
        Some(role) => format!("is `{text}`, but role `{role}` has no parameter `{param}`"),
        None => format!("is `{text}`, but no role has a parameter `{param}`"),
    })
}

fn has_dollar_key(value: &Value) -> bool {
    match value {
        Value::Object(entries) => {
            entries.iter().any(|(key, value)| key.starts_with('$') || has_dollar_key(value))
        }
        Value::Array(items) => items.iter().any(has_dollar_key),
        _ => false,
    }
}

/// `block` as JSON, or null when there is nothing in it.
pub(super) fn as_value(block: &impl serde::Serialize, is_empty: bool) -> Value {
    if is_empty { Value::Null } else { serde_json::to_value(block).expect("it was JSON") }
}
