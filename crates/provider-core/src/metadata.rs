//! What a node knows of its cluster, made from the record when a task runs.
//!
//! ```json
//! { "self": {..}, "hosts": { "<role>": { "<node>": {..} } }, "cluster": {..}, "env": {..},
//!   "links": { "<name>": { "hosts": {..}, "endpoints": {..} } },
//!   "adding_hosts": { "<role>": { "<node>": {..} } }, "deleting_hosts": { "<node>": {..} } }
//! ```
//! While the cluster scales, `adding_hosts` and `deleting_hosts` hold the nodes that come and go.
//! A node sees the hosts of the whole cluster and the parameters of its own role only. Numbers keep their
//! exact digits; secrets are references, resolved inside a call's `send`.

use crate::{
    AgentApi, AgentCall, AgentVerb, Archive, Cluster, Command, Configuration, EnvValue, Error, NodeId,
    PackageFile, Result, RoleName, Secret, Secrets, Template, Transition,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLockReadGuard},
};

/// The key of an object that stands for a secret.
const SECRET: &str = "$secret";
/// Seconds that a node may take to become healthy.
pub const HEALTHY_S: u32 = 600;

/// The metadata that `node` may see, with references in the place of secrets. `linked` are the clusters
/// behind its links, by link name.
///
/// While the cluster scales, and unless it is `settled`, it names the nodes that come and go.
pub fn metadata(
    cluster: &Cluster,
    node: &NodeId,
    linked: &BTreeMap<String, Cluster>,
    settled: bool,
) -> Value {
    let env = cluster.spec.role_of(node).map(|role| {
        role.env
            .iter()
            .map(|(key, value)| {
                let value = match value {
                    EnvValue::Plain(value) => value.clone(),
                    EnvValue::Secret(reference) => json!({ SECRET: reference }),
                };
                (key.clone(), value)
            })
            .collect::<Map<_, _>>()
    });
    let links: Map<_, _> = linked
        .iter()
        .map(|(name, other)| {
            (name.clone(), json!({ "hosts": hosts(other), "endpoints": other.spec.endpoints }))
        })
        .collect();
    let scales = !settled && cluster.transition == Some(Transition::Scaling);
    json!({
        "self": host(cluster, node),
        "hosts": hosts(cluster),
        "cluster": {
            "id": cluster.id,
            "name": cluster.spec.name,
            "app": cluster.spec.app,
            "zone": cluster.zone,
            "subnet": cluster.spec.subnet,
            "global_uuid": cluster.spec.global_uuid,
            "endpoints": cluster.spec.endpoints,
        },
        "env": env.unwrap_or_default(),
        "links": links,
        "adding_hosts": hosts_where(cluster, |id| scales && cluster.joining.contains(id)),
        "deleting_hosts": if scales { leaving(cluster) } else { json!({}) },
    })
}

fn hosts(cluster: &Cluster) -> Value {
    hosts_where(cluster, |_| true)
}

fn hosts_where(cluster: &Cluster, is_meant: impl Fn(&NodeId) -> bool) -> Value {
    let mut hosts: BTreeMap<&RoleName, Map<String, Value>> = BTreeMap::new();
    for (id, spec) in &cluster.spec.nodes {
        // A node without an address can't be reached yet; nobody is told of it.
        let instance = cluster.nodes.get(id).and_then(|node| node.instance.as_ref());
        if is_meant(id) && instance.is_some_and(|instance| instance.private_ip.is_some()) {
            hosts.entry(&spec.role).or_default().insert(id.to_string(), host(cluster, id));
        }
    }
    json!(hosts)
}

/// The nodes that are no longer wanted and still have an address.
fn leaving(cluster: &Cluster) -> Value {
    let gone = cluster.nodes.iter().filter(|(id, _)| !cluster.spec.nodes.contains_key(id));
    let hosts = gone.filter_map(|(id, node)| {
        let instance = node.instance.as_ref()?;
        Some((
            id.to_string(),
            json!({ "node_id": id, "instance_id": instance.id, "ip": instance.private_ip.as_ref()? }),
        ))
    });
    json!(hosts.collect::<Map<_, _>>())
}

fn host(cluster: &Cluster, id: &NodeId) -> Value {
    let (Some(spec), Some(role)) = (cluster.spec.nodes.get(id), cluster.spec.role_of(id)) else {
        return Value::Null;
    };
    let node = cluster.nodes.get(id);
    let instance = node.and_then(|node| node.instance.as_ref());
    json!({
        "node_id": id,
        "role": spec.role,
        "replica": spec.replica,
        "server_id": spec.server_id,
        "group_id": spec.group_id,
        "instance_id": instance.map(|i| &i.id),
        "ip": instance.and_then(|i| i.private_ip.as_ref()),
        "public_ip": instance.and_then(|i| i.public_ip.as_ref()),
        "cpu": role.cpu,
        "gpu": role.gpu,
        "memory": role.memory_mib,
        "instance_size": role.instance_size_gib,
        "volume_size": role.disks.iter().map(|disk| disk.size_gib).sum::<u32>(),
        "public_key": node.and_then(|node| node.public_key.as_ref()),
        "token": node.and_then(|node| node.token.as_ref()),
    })
}

/// Replaces references by the secrets behind them.
async fn resolved(secrets: &dyn Secrets, mut value: Value) -> Result<Secret> {
    let mut todo = vec![&mut value];
    while let Some(next) = todo.pop() {
        if let Some(reference) = next.get(SECRET) {
            let reference = serde_json::from_value(reference.clone())
                .map_err(|e| Error::bug("a secret's reference is not a string").caused_by(&e))?;
            *next = Value::String(secrets.resolve(&reference).await?.expose().to_owned());
        } else if let Value::Object(fields) = next {
            todo.extend(fields.values_mut());
        } else if let Value::Array(items) = next {
            todo.extend(items.iter_mut());
        }
    }
    Ok(Secret::new(value.to_string()))
}

/// The command that a call stands for, made from the record of now. Holds secrets.
pub(crate) async fn command(api: &AgentApi, call: &AgentCall) -> Result<Command> {
    let gone = |what: &str| Error::not_found(format!("{what} of node `{}` is not on record", call.node));
    Ok(match &call.verb {
        AgentVerb::Configure => Command::Configure(Box::new(configuration(api, &call.node).await?)),
        AgentVerb::Metadata { settled } => Command::Metadata(snapshot(api, &call.node, *settled).await?),
        AgentVerb::Mount { disk } => {
            let cluster = cluster(api);
            let role = cluster.spec.role_of(&disk.node).ok_or_else(|| gone("the role"))?;
            let spec = role.disks.get(disk.index as usize).ok_or_else(|| gone("the disk"))?;
            let device = cluster.disk(disk).and_then(|disk| disk.device.clone());
            Command::Mount {
                device: device.ok_or_else(|| gone("the attached disk"))?,
                mount_point: spec.mount_point.clone(),
                filesystem: spec.filesystem.clone(),
                mount_options: spec.mount_options.clone(),
            }
        }
        AgentVerb::Unmount { mount_point, .. } => Command::Unmount { mount_point: mount_point.clone() },
        AgentVerb::AwaitHealthy => Command::AwaitHealthy { timeout_s: HEALTHY_S },
        AgentVerb::AttachKeys { keys } => Command::Keys { attach: keys.clone(), detach: Vec::new() },
        AgentVerb::DetachKeys { keys } => Command::Keys { attach: Vec::new(), detach: keys.clone() },
        AgentVerb::Service { service, cmd, timeout_s, params } => Command::Service {
            name: service.as_str().to_owned(),
            cmd: cmd.clone(),
            timeout_s: *timeout_s,
            params: params.clone(),
        },
    })
}

fn cluster(api: &AgentApi) -> RwLockReadGuard<'_, Cluster> {
    api.cluster.read().unwrap_or_else(PoisonError::into_inner)
}

/// The node's metadata of now. Settled, it names no nodes that come or go.
async fn snapshot(api: &AgentApi, node: &NodeId, settled: bool) -> Result<Secret> {
    let links = cluster(api).spec.links.clone();
    let mut linked = BTreeMap::new();
    for (link, name) in links {
        let other = api.records.cluster_named(&name).await?.ok_or_else(|| {
            Error::not_found(format!("link `{link}` names cluster `{name}`, which does not exist"))
        })?;
        linked.insert(link, other);
    }
    let metadata = metadata(&cluster(api), node, &linked, settled);
    resolved(&*api.secrets, metadata).await
}

async fn configuration(api: &AgentApi, node: &NodeId) -> Result<Configuration> {
    let metadata = snapshot(api, node, false).await?;
    let app = cluster(api).spec.app.clone();
    let package = api.records.package(&app).await?;
    let cluster = cluster(api);
    let role = cluster.spec.role_of(node);
    let name = cluster.spec.nodes.get(node).map(|node| &node.role);
    Ok(Configuration {
        cluster: cluster.id.clone(),
        node: node.clone(),
        files: files(&package),
        templates: templates(&package, name)?,
        metadata,
        passphraseless: role.and_then(|role| role.passphraseless.clone()),
        health_check: role.and_then(|role| role.health_check.clone()).filter(|check| check.enable),
        custom_metadata: role
            .and_then(|role| role.custom_metadata.as_ref())
            .map(|service| (service.cmd.clone(), service.timeout_s)),
    })
}

/// What a package has under `files/`: `files/bin/x` becomes `/bin/x`. All of it can be executed: archives
/// that come from elsewhere than a Unix system carry no permission bits.
fn files(package: &Archive) -> BTreeMap<String, PackageFile> {
    package
        .files()
        .filter_map(|(path, content)| Some((path.strip_prefix("files")?, content)))
        .filter(|(path, _)| path.starts_with('/'))
        .map(|(path, content)| (path.to_owned(), PackageFile { content: content.to_vec(), mode: 0o755 }))
        .collect()
}

/// One entry of a package's `templates.json`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateEntry {
    /// The template's path in the package.
    pub src: String,
    /// Where it is rendered to, an absolute path on the node.
    pub dest: String,
    /// Permission bits in octal; `0644` unless given.
    #[serde(default)]
    pub mode: Option<String>,
    /// Runs after the file has changed.
    #[serde(default)]
    pub reload: Option<String>,
    /// Only for nodes of these roles; all unless given.
    #[serde(default)]
    pub roles: Option<Vec<RoleName>>,
}

/// The templates that `templates.json` of a package lists for a role; none when it has no such file.
///
/// # Errors
/// `Invalid` when the list or an entry is not as it must be.
pub fn templates(package: &Archive, role: Option<&RoleName>) -> Result<Vec<Template>> {
    let Some(list) = package.file("templates.json") else {
        return Ok(Vec::new());
    };
    let bad = |why: String| Error::invalid(format!("templates.json: {why}"));
    let entries: Vec<TemplateEntry> = serde_json::from_slice(list).map_err(|e| bad(e.to_string()))?;
    let mut templates = Vec::new();
    for entry in entries {
        if entry.roles.as_ref().is_some_and(|roles| role.is_some_and(|role| !roles.contains(role))) {
            continue;
        }
        let source = package
            .file(&entry.src)
            .ok_or_else(|| bad(format!("the package has no file `{}`", entry.src)))
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())?;
        if !entry.dest.starts_with('/') || entry.dest.split('/').any(|part| part == "..") {
            return Err(bad(format!("`dest` must be an absolute path without `..`, not `{}`", entry.dest)));
        }
        let mode = entry.mode.as_deref().unwrap_or("0644");
        let mode = u32::from_str_radix(mode, 8)
            .ok()
            .filter(|mode| *mode <= 0o777)
            .ok_or_else(|| bad(format!("`mode` must be octal permission bits, not `{mode}`")))?;
        templates.push(Template { source, dest: entry.dest, mode, reload: entry.reload });
    }
    Ok(templates)
}
