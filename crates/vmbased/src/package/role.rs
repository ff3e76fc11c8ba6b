//! One node block of a cluster document: the role that its nodes have in common.

use super::{
    cluster::{Reading, as_value},
    document::join,
    nodes::Size,
    schema::{ClusterBlock, Filesystem, HealthBlock, MountPoints, NodeBlock, ServiceBlock, VolumeBlock},
};
use provider_core::{
    Container, ContainerKind, DiskSpec, HealthCheck, LoadBalancer, RoleSpec, Service, ServiceName,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// Services of one role.
const MAX_SERVICES: usize = 21;
/// Key types that nodes may log in to each other with.
const KEY_TYPES: [&str; 2] = ["ssh-ed25519", "ssh-rsa"];

/// The role in `block`, which is at `at` of the document `of`. What is wrong with it is left in `reading`.
pub(super) fn read_role(
    reading: &mut Reading<'_>,
    at: &str,
    block: &NodeBlock,
    of: &ClusterBlock,
) -> (RoleSpec, Size) {
    reading.between(&join(at, "count"), block.count, 0, 200);
    reading.between(&join(at, "replica"), block.replica, 0, 20);
    if block.server_id_upper_bound == Some(0) {
        reading.wrong(&join(at, "server_id_upper_bound"), "is 0, expected at least 1");
    }
    if block.instance_type.is_none() {
        for (key, is_missing) in [("cpu", block.cpu == 0), ("memory", block.memory == 0)] {
            if is_missing && block.count > 0 {
                reading.wrong(&join(at, key), "is 0; a node needs it, unless `instance_type` says its size");
            }
        }
    }
    check_key_type(reading, at, &block.passphraseless);
    check_agent(reading, at, block);
    let mut load_balancers = Vec::new();
    for (i, balancer) in block.loadbalancer.iter().enumerate() {
        let at = format!("{}[{i}]", join(at, "loadbalancer"));
        if balancer.listener.trim().is_empty() || balancer.port == 0 {
            reading.wrong(&at, "needs a `listener` and a `port` from 1 to 65535");
        }
        load_balancers.push(LoadBalancer {
            listener: balancer.listener.clone(),
            port: balancer.port,
            policy: balancer.policy.clone(),
        });
    }
    let monitor = block.monitor.as_ref().or(of.monitor.as_ref());
    if monitor.is_some() {
        let of = if block.role.is_empty() { String::new() } else { format!(" of role `{}`", block.role) };
        reading.warnings.push(format!("`monitor`{of} is kept and has no effect yet"));
    }
    let volume = block.volume.as_ref().unwrap_or(&VolumeBlock::DEFAULT);
    reading.between(&join(at, "volume.instance_size"), volume.instance_size, 1, 65536);
    let role = RoleSpec {
        container: container(reading, at, block),
        cpu: block.cpu,
        memory_mib: block.memory,
        gpu: block.gpu,
        instance_size_gib: volume.instance_size,
        instance_type: block.instance_type.clone(),
        disks: disks(reading, &join(at, "volume"), volume),
        env: reading.env(&join(at, "env"), &block.env),
        services: services(reading, at, block),
        vertical_scaling_policy: block.vertical_scaling_policy,
        server_id_upper_bound: block.server_id_upper_bound,
        advanced_actions: block.advanced_actions.clone(),
        passphraseless: Some(block.passphraseless.clone()).filter(|kind| !kind.is_empty()),
        user_access: block.user_access,
        agent_installed: block.agent_installed,
        custom_metadata: custom_metadata(reading, at, block),
        health_check: health_check(reading, at, block, of),
        monitor: as_value(&monitor, monitor.is_none()),
        load_balancers,
    };
    (role, Size { count: block.count, replicas: block.replica })
}

fn container(reading: &mut Reading<'_>, at: &str, block: &NodeBlock) -> Container {
    let at = join(at, "container.image");
    let image = &block.container.image;
    if image.is_empty() && block.container.kind != ContainerKind::Process {
        reading.wrong(&at, "is empty, expected an image");
    }
    if image.len() > 2048 || image.contains(|c: char| c.is_whitespace() || c.is_control()) {
        reading.wrong(&at, "is no image: it has more than 2048 characters, or blanks");
    }
    Container { kind: block.container.kind, image: image.clone(), zone: block.container.zone.clone() }
}

fn check_key_type(reading: &mut Reading<'_>, at: &str, kind: &str) {
    if !kind.is_empty() && !KEY_TYPES.contains(&kind) {
        let why = if kind == "ssh-dsa" { ", which OpenSSH no longer accepts" } else { "" };
        let problem =
            format!("is `{kind}`{why}; expected {}", KEY_TYPES.map(|t| format!("`{t}`")).join(" or "));
        reading.wrong(&join(at, "passphraseless"), problem);
    }
}

/// Without an agent nothing that an agent does would take effect.
fn check_agent(reading: &mut Reading<'_>, at: &str, block: &NodeBlock) {
    let needs_agent = [
        ("services", !block.services.is_empty()),
        ("passphraseless", !block.passphraseless.is_empty()),
        ("custom_metadata", block.custom_metadata.is_some()),
        ("health_check", block.health_check.is_some()),
        ("monitor", block.monitor.is_some()),
    ];
    for (key, is_there) in needs_agent {
        if is_there && !block.agent_installed {
            reading.wrong(&join(at, key), "needs the agent, which `agent_installed` says is not there");
        }
    }
}

fn disks(reading: &mut Reading<'_>, at: &str, volume: &VolumeBlock) -> Vec<DiskSpec> {
    let mount_points = match &volume.mount_point {
        None => Vec::new(),
        Some(MountPoints::One(path)) if path.is_empty() => Vec::new(),
        Some(MountPoints::One(path)) => vec![path.as_str()],
        Some(MountPoints::Many(paths)) => paths.iter().map(String::as_str).collect(),
    };
    let mount_points = if mount_points.is_empty() { vec!["/data"] } else { mount_points };
    let filesystem = volume.filesystem.unwrap_or(Filesystem::Ext4);
    let (name, default_options) = match filesystem {
        Filesystem::Ext4 => ("ext4", "defaults,noatime"),
        Filesystem::Xfs => ("xfs", "rw,noatime,inode64,allocsize=16m"),
        Filesystem::Ntfs => ("ntfs", ""),
    };
    let options = volume.mount_options.as_deref().filter(|text| !text.is_empty()).unwrap_or(default_options);
    if options.len() > 100 || !options.chars().all(|c| c.is_ascii_alphanumeric() || "_=,.:/%+-".contains(c)) {
        let allowed = "expected at most 100 letters, digits and `_=,.:/%+-`";
        reading.wrong(&join(at, "mount_options"), format_args!("can't be mount options; {allowed}"));
    }
    check_mount_points(reading, &join(at, "mount_point"), &mount_points, filesystem);
    let count = u32::try_from(mount_points.len()).unwrap_or(u32::MAX);
    if count > 1 && (volume.size == 0 || !volume.size.is_multiple_of(count)) {
        let size = volume.size;
        reading.wrong(
            &join(at, "size"),
            format_args!(
                "is {size} for {count} mount points; it is the size of all, expected a multiple of {count}"
            ),
        );
    }
    if volume.size == 0 {
        return Vec::new();
    }
    let disk = |path: &str| DiskSpec {
        size_gib: volume.size / count,
        mount_point: path.to_owned(),
        filesystem: name.to_owned(),
        mount_options: options.to_owned(),
    };
    mount_points.into_iter().map(disk).collect()
}

fn check_mount_points(reading: &mut Reading<'_>, at: &str, paths: &[&str], filesystem: Filesystem) {
    for path in paths {
        let is_drive = matches!(path.as_bytes(), [b'd'..=b'z' | b'D'..=b'Z', b':']);
        let is_path = path.strip_prefix('/').is_some_and(|path| {
            path.len() < 256
                && path.chars().all(|c| c.is_ascii_alphanumeric() || "_./-".contains(c))
                && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
        });
        if is_drive && filesystem != Filesystem::Ntfs {
            reading.wrong(at, format_args!("is the drive `{path}`, which needs the `filesystem` `ntfs`"));
        } else if !is_drive && !is_path {
            let shown: String = path.chars().take(80).collect();
            let plain = "expected an absolute path of letters, digits and `_.-`, without `..` and a last `/`, or a drive `d:`";
            reading.wrong(at, format_args!("is {}; {plain}", Value::from(shown)));
        }
    }
    for (i, path) in paths.iter().enumerate() {
        let others = paths[..i].iter().chain(&paths[i + 1..]);
        let inside = |other: &str| {
            path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if let Some(other) = others.into_iter().find(|other| inside(other)) {
            reading.wrong(at, format_args!("has `{path}` in `{other}`, expected paths beside each other"));
            return;
        }
    }
}

fn services(reading: &mut Reading<'_>, at: &str, block: &NodeBlock) -> BTreeMap<ServiceName, Service> {
    let at = join(at, "services");
    if block.services.len() > MAX_SERVICES {
        reading.wrong(&at, format_args!("has more than {MAX_SERVICES} entries"));
    }
    let mut services = BTreeMap::new();
    for (key, service) in &block.services {
        let at = join(&at, key);
        let name = ServiceName::from(key.clone());
        if let ServiceName::Custom(custom) = &name {
            let is_plain = custom.starts_with(|c: char| c.is_ascii_lowercase())
                && custom.len() <= 50
                && custom.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c));
            if !is_plain {
                reading.wrong(
                    &at,
                    "is no name of a service: lower case letters, digits, `_` and `-`, at most 50",
                );
            }
        }
        check_service(reading, &at, &name, service);
        services.insert(
            name,
            Service {
                cmd: service.cmd.clone(),
                order: service.order,
                nodes_to_execute_on: service.nodes_to_execute_on,
                timeout_s: service.timeout,
                post_start_service: service.post_start_service.unwrap_or_default(),
                post_stop_service: service.post_stop_service.unwrap_or_default(),
                allow_force: service.allow_force.unwrap_or_default(),
                pre_check: service.pre_check.clone().filter(|cmd| !cmd.is_empty()),
                service_params: service.service_params.clone().unwrap_or_default(),
            },
        );
    }
    services
}

fn check_service(reading: &mut Reading<'_>, at: &str, name: &ServiceName, service: &ServiceBlock) {
    use ServiceName as N;
    if matches!(name, N::Backup | N::Restore | N::DeleteSnapshot) {
        reading.optional_command(&join(at, "cmd"), &service.cmd);
    } else {
        reading.command(&join(at, "cmd"), &service.cmd);
    }
    if let Some(cmd) = &service.pre_check {
        reading.optional_command(&join(at, "pre_check"), cmd);
    }
    reading.timeout(&join(at, "timeout"), service.timeout);
    let is_custom = matches!(name, N::Custom(_));
    let extras = [
        ("type", service.kind.is_some(), is_custom),
        ("post_start_service", service.post_start_service.is_some(), matches!(name, N::Init | N::Upgrade)),
        ("post_stop_service", service.post_stop_service.is_some(), matches!(name, N::Destroy)),
        ("allow_force", service.allow_force.is_some(), matches!(name, N::Destroy)),
        ("pre_check", service.pre_check.is_some(), matches!(name, N::ScaleOut | N::ScaleIn)),
        (
            "service_params",
            service.service_params.is_some(),
            is_custom || matches!(name, N::Upgrade | N::Backup | N::Restore),
        ),
    ];
    for (key, is_there, is_known) in extras {
        if is_there && !is_known {
            reading.wrong(&join(at, key), format_args!("has no meaning for the service `{}`", name.as_str()));
        }
    }
}

fn custom_metadata(reading: &mut Reading<'_>, at: &str, block: &NodeBlock) -> Option<Service> {
    let at = join(at, "custom_metadata");
    let command = block.custom_metadata.as_ref()?;
    reading.command(&join(&at, "cmd"), &command.cmd);
    reading.timeout(&join(&at, "timeout"), command.timeout);
    Some(Service {
        cmd: command.cmd.clone(),
        order: 0,
        nodes_to_execute_on: None,
        timeout_s: command.timeout,
        post_start_service: false,
        post_stop_service: false,
        allow_force: false,
        pre_check: None,
        service_params: Value::Null,
    })
}

fn health_check(
    reading: &mut Reading<'_>,
    at: &str,
    block: &NodeBlock,
    of: &ClusterBlock,
) -> Option<HealthCheck> {
    let own = block.health_check.as_ref().map(|health| (join(at, "health_check"), health));
    let (at, health) = own.or(of.health_check.as_ref().map(|health| ("health_check".to_owned(), health)))?;
    reading.command(&join(&at, "check_cmd"), &health.check_cmd);
    reading.optional_command(&join(&at, "action_cmd"), &health.action_cmd);
    let HealthBlock { interval_sec, timeout_sec, action_timeout_sec, .. } = *health;
    reading.timeout(&join(&at, "interval_sec"), interval_sec);
    reading.timeout(&join(&at, "timeout_sec"), timeout_sec);
    reading.timeout(&join(&at, "action_timeout_sec"), action_timeout_sec);
    reading.between(&join(&at, "healthy_threshold"), health.healthy_threshold, 1, 100);
    reading.between(&join(&at, "unhealthy_threshold"), health.unhealthy_threshold, 1, 100);
    Some(HealthCheck {
        enable: health.enable,
        interval_s: interval_sec,
        timeout_s: timeout_sec,
        action_timeout_s: action_timeout_sec,
        healthy_threshold: health.healthy_threshold,
        unhealthy_threshold: health.unhealthy_threshold,
        check_cmd: health.check_cmd.clone(),
        action_cmd: health.action_cmd.clone(),
    })
}
