//! From a chart and values to a wanted cluster: a role and a node for each workload. Pure.

use super::findings::{lookups_ref, seed_ref, values_in, values_ref};
use crate::{
    chart::Chart,
    lookup::{self, Answers, Lookups},
    manifest::{self, Workload},
    release::Release,
    render::{self, Capabilities, KubeVersion},
    source::{self, Wanted},
    values::{Reuse, Values, for_upgrade},
};
use provider_core::{
    Cluster, ClusterSpec, Container, ContainerKind, EnvValue, Error, NodeId, NodeSpec, ParseRequest,
    ParsedCluster, Result, RoleName, RoleSpec, Rollback, ScalingPolicy, Secret, Timestamp,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What a chart and answers come to.
///
/// # Errors
/// `Invalid` when the chart can't be rendered with these values.
pub(super) fn parse(request: &ParseRequest<'_>) -> Result<ParsedCluster> {
    let (values_at, seed_at) = (values_ref(request.cluster), seed_ref(request.cluster));
    let recorded = |at| request.secrets.iter().find(|(known, _)| *known == at).map(|(_, secret)| secret);
    let seed = recorded(seed_at.clone()).unwrap_or(request.seed).clone();
    let before = recorded(values_at.clone()).map(values_in).transpose()?;
    let mut given = match request.conf {
        Value::Object(given) => given.clone(),
        Value::Null => Values::new(),
        _ => return Err(Error::invalid("the values of a chart must be an object")),
    };
    let looks_up = match given.remove(lookup::ANSWER) {
        None => request.existing.is_some_and(|cluster| super::findings::looks_up(&cluster.spec)),
        Some(Value::Bool(lookup)) => lookup,
        Some(_) => return Err(Error::invalid(format!("`{}` must be true or false", lookup::ANSWER))),
    };
    // What is there now is found out later; for the shape of the cluster what was found last will do.
    let lookups = match recorded(lookups_ref(request.cluster)).filter(|_| looks_up) {
        Some(kept) => Lookups::Recorded(Arc::new(Answers::from_secret(kept)?)),
        None => Lookups::Off,
    };
    let values = match &before {
        Some(before) => for_upgrade(Reuse::ResetThenReuse, given, before),
        None => given,
    };
    let chart = Chart::from_archive(request.package)?;
    let name = request.name.map_or_else(|| chart.name().to_owned(), str::to_owned);
    let render = |is_upgrade| {
        let (namespace, revision) = match request.existing {
            Some(cluster) => (cluster.zone.as_str(), 2),
            None => ("default", 1),
        };
        let release =
            render::Release { name: name.clone(), namespace: namespace.to_owned(), revision, is_upgrade };
        render_for_parsing(request, &chart, &release, &values, &seed, &lookups)
    };
    let made = match render(request.existing.is_some()) {
        // An upgrade may miss what nobody has looked up yet, and not say what the chart comes to without.
        Err(error) if looks_up && request.existing.is_some() => render(false).map_err(|_| error),
        made => made,
    }?;
    let mut spec = spec_of(&made, &name, request.app.clone())?;
    let values = Value::Object(values);
    spec.description.clone_from(&chart.metadata.description);
    spec.conf = json!({ "digest": source::digest_of_values(&values, &seed) });
    if looks_up {
        spec.conf["lookup"] = true.into();
    }
    Ok(ParsedCluster {
        spec,
        secrets: vec![(values_at, Secret::new(values.to_string())), (seed_at, seed)],
        warnings: Vec::new(),
    })
}

/// The chart as it would be rendered in the newest cluster. What the real one has is known only when it is asked.
fn render_for_parsing(
    request: &ParseRequest<'_>,
    chart: &Chart,
    release: &render::Release,
    values: &Values,
    seed: &Secret,
    lookups: &Lookups,
) -> Result<Release> {
    let mut capabilities = Capabilities::default();
    let make = |capabilities: &Capabilities| {
        let wanted = Wanted {
            package: Arc::new(request.package.clone()),
            release: release.clone(),
            capabilities: capabilities.clone(),
            values: values.clone(),
            seed: seed.clone(),
            at: Timestamp::default(),
            lookups: lookups.clone(),
            draft: true,
        };
        wanted.make().map(|made| made.release)
    };
    if chart.metadata.kube_version.is_empty() {
        return make(&capabilities);
    }
    // Whether the chart fits the cluster is found out there; here any version that it takes will do.
    let mut result = make(&capabilities);
    for minor in (16..=36).rev() {
        if result.is_ok() {
            break;
        }
        capabilities.kube_version = KubeVersion::parse(&format!("v1.{minor}.0"))?;
        match make(&capabilities) {
            Ok(made) => result = Ok(made),
            Err(error) if error.to_string().contains("needs Kubernetes") => {}
            Err(error) => return Err(error),
        }
    }
    result
}

/// The wanted cluster of a release.
///
/// # Errors
/// `Invalid` when its manifest can't be read.
pub(super) fn spec_of(
    release: &Release,
    name: &str,
    app: provider_core::AppVersionId,
) -> Result<ClusterSpec> {
    let objects = manifest::objects(&release.manifest)?;
    let workloads: Vec<_> = objects.iter().filter_map(Workload::of).collect();
    let mut taken = BTreeSet::new();
    let (mut roles, mut nodes) = (BTreeMap::new(), BTreeMap::new());
    for workload in &workloads {
        let mut role = workload.name.clone();
        if !taken.insert(role.clone()) {
            role = format!("{role}.{}", workload.kind.to_lowercase());
            taken.insert(role.clone());
        }
        let role = RoleName::new(role);
        let node = NodeSpec { role: role.clone(), replica: false, server_id: 1, group_id: 1 };
        nodes.insert(NodeId::of(&role, 1), node);
        roles.insert(role, role_of(workload)?);
    }
    Ok(ClusterSpec {
        name: name.to_owned(),
        description: String::new(),
        app,
        subnet: None,
        roles,
        nodes,
        links: BTreeMap::new(),
        endpoints: BTreeMap::new(),
        metadata_root_access: false,
        global_uuid: String::new(),
        advanced_actions: BTreeSet::new(),
        upgrade_policy: Vec::new(),
        rollback: Rollback::Safe,
        backup_policy: None,
        incremental_backup_supported: false,
        display_tabs: Value::Null,
        conf: Value::Null,
    })
}

fn role_of(workload: &Workload) -> Result<RoleSpec> {
    let plain = |value| EnvValue::Plain(value);
    let containers = serde_json::to_value(&workload.containers)
        .map_err(|e| Error::bug("containers can't be serialised").caused_by(&e))?;
    let mut env = BTreeMap::from([
        ("kind".to_owned(), plain(json!(workload.kind))),
        ("name".to_owned(), plain(json!(workload.name))),
        ("containers".to_owned(), plain(containers)),
    ]);
    if let Some(replicas) = workload.replicas {
        env.insert("replicas".to_owned(), plain(json!(replicas)));
    }
    let sum = |resource: &str| -> f64 {
        let running = workload.containers.iter().filter(|container| !container.init);
        running.filter_map(|container| super::access::quantity(container.requests.get(resource)?)).sum()
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts of floats saturate")]
    let (cpu, memory_mib) = (sum("cpu").ceil() as u32, (sum("memory") / (1024.0 * 1024.0)).ceil() as u64);
    let image =
        workload.containers.iter().find(|container| !container.init).map(|container| container.image.clone());
    Ok(RoleSpec {
        container: Container { kind: ContainerKind::Docker, image: image.unwrap_or_default(), zone: None },
        cpu,
        memory_mib,
        gpu: 0,
        instance_size_gib: 0,
        instance_type: None,
        disks: Vec::new(),
        env,
        services: BTreeMap::new(),
        vertical_scaling_policy: ScalingPolicy::default(),
        server_id_upper_bound: None,
        advanced_actions: BTreeSet::new(),
        passphraseless: None,
        user_access: false,
        agent_installed: false,
        custom_metadata: None,
        health_check: None,
        monitor: Value::Null,
        load_balancers: Vec::new(),
    })
}

/// Which node stands for a workload.
pub(super) struct NodeNames(BTreeMap<(String, String), NodeId>);

impl NodeNames {
    /// The nodes of what is wanted, and of what there is besides.
    pub(super) fn of(after: &ClusterSpec, before: &Cluster) -> Self {
        let mut names = BTreeMap::new();
        for spec in [after, &before.spec] {
            for (id, node) in &spec.nodes {
                let Some(role) = spec.roles.get(&node.role) else { continue };
                let text = |key: &str| match role.env.get(key) {
                    Some(EnvValue::Plain(Value::String(text))) => Some(text.clone()),
                    _ => None,
                };
                if let (Some(kind), Some(name)) = (text("kind"), text("name")) {
                    names.entry((kind, name)).or_insert_with(|| id.clone());
                }
            }
        }
        Self(names)
    }

    /// The node of a workload.
    pub(super) fn node(&self, workload: &Workload) -> Option<NodeId> {
        self.0.get(&(workload.kind.clone(), workload.name.clone())).cloned()
    }
}
