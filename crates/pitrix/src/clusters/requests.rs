//! What the verbs on clusters ask for.

use super::answers::{Standing, read_answers};
use crate::{
    args::{Answers, Create, Deed, Delete, DeleteNodes, Keys, Resize, RunService, Scale, Upgrade},
    exit::Outcome,
    inputs::read_input,
    site::Site,
};
use clap::Args;
use engine::{Aim, Request};
use provider_core::{Action, AppVersionId, Error, Records, Result, RoleName, ServiceName, Size};
use serde_json::json;
use std::path::Path;

impl<W: Args, Y: Args> Deed<W, Y> {
    /// Whether it is to be undone if it fails.
    pub(crate) fn undoes(&self) -> bool {
        matches!(self, Self::Upgrade { upgrade: Upgrade { rollback_on_failure: true, .. }, .. })
    }

    /// What it asks for.
    ///
    /// # Errors
    /// What is wrong with files and answers; `NotFound` for a cluster or an app that is not there.
    pub(crate) async fn request(&self, site: &Site) -> Outcome<Request> {
        Ok(match self {
            Self::Create { create, .. } => return create_request(create, site).await,
            Self::Scale { scale, .. } => return scale_request(scale, site).await,
            Self::UpdateEnv { cluster, answers, .. } => {
                return reconfigure(site, &cluster.name, answers, Aim::Env).await;
            }
            Self::Start { cluster, .. } => act(&cluster.name, Action::StartClusters),
            Self::Stop { cluster, .. } => act(&cluster.name, Action::StopClusters),
            Self::Restart { cluster, .. } => act(&cluster.name, Action::RestartClusters),
            Self::Rollback { cluster, revision, .. } => {
                act(&cluster.name, Action::RollbackCluster { revision: *revision })
            }
            Self::Recover { cluster, .. } => act(&cluster.name, Action::RecoverClusters),
            Self::DeleteNodes { nodes: DeleteNodes { cluster, nodes }, .. } => {
                act(&cluster.name, Action::DeleteClusterNodes { nodes: nodes.iter().cloned().collect() })
            }
            Self::Resize { resize: Resize { cluster, role, size }, .. } => {
                let size = Size { cpu: size.cpu, memory_mib: size.memory, disk_gib: size.disk };
                act(&cluster.name, Action::ResizeCluster { roles: [(role.clone(), size)].into() })
            }
            Self::Upgrade { upgrade, .. } => return upgrade_request(upgrade, site).await,
            Self::Run { run: RunService { cluster, service, param }, .. } => {
                let (service, params) = (ServiceName::from(service.clone()), param.iter().cloned().collect());
                act(&cluster.name, Action::RunService { service, params })
            }
            Self::AttachKey { keys, .. } => {
                act(&keys.cluster.name, Action::AttachKeyPairs { keys: read_keys(keys)? })
            }
            Self::DetachKey { keys, .. } => {
                act(&keys.cluster.name, Action::DetachKeyPairs { keys: read_keys(keys)? })
            }
            Self::Delete { delete: Delete { cluster, purge: true, .. }, .. } => {
                act(&cluster.name, Action::CeaseClusters)
            }
            Self::Delete { delete: Delete { cluster, keep_volumes, keep_history, force, .. }, .. } => {
                let (keep_volumes, keep_history, force) = (*keep_volumes, *keep_history, *force);
                act(&cluster.name, Action::DeleteClusters { keep_volumes, force, keep_history })
            }
        })
    }
}

fn act(cluster: &str, action: Action) -> Request {
    Request::Act { cluster: cluster.to_owned(), action, conf: json!({}) }
}

async fn create_request(create: &Create, site: &Site) -> Outcome<Request> {
    let standing = Standing { app: &create.app, conf: None };
    Ok(Request::Create {
        name: Some(create.name.clone()),
        app: create.app.clone(),
        runtime: create.runtime.clone(),
        conf: read_answers(site, standing, &create.answers).await?,
        volumes_of: create.volumes_of.clone(),
    })
}

async fn scale_request(scale: &Scale, site: &Site) -> Outcome<Request> {
    let spec = site.control.cluster(&scale.cluster.name).await?.spec;
    let mut answers = scale.answers.clone();
    let format = site.registry.format_of(&*site.store().package(&spec.app).await?)?;
    for (role, n) in &scale.roles {
        if !spec.roles.contains_key(&RoleName::new(role.as_str())) {
            let roles: Vec<_> = spec.roles.keys().map(RoleName::as_str).collect();
            return Err(Error::not_found(format!("cluster `{}` has no role `{role}`", spec.name))
                .hint(format!("its roles are: {}", roles.join(", ")))
                .into());
        }
        let key = format.count_key(&RoleName::new(role.as_str())).ok_or_else(|| {
            let attempt = format!("scaling role `{role}` of cluster `{}`", spec.name);
            Error::unsupported(format!("{attempt}: in a {} that is an answer like others", format.name()))
                .hint(format!(
                    "find it with `pitrix app config {}` and use `pitrix cluster update-env {} --set KEY={n}`",
                    spec.app, spec.name
                ))
        })?;
        answers.set.push(format!("{key}={n}"));
    }
    reconfigure(site, &scale.cluster.name, &answers, Aim::Scale).await
}

async fn upgrade_request(upgrade: &Upgrade, site: &Site) -> Outcome<Request> {
    let Upgrade { cluster, to, no_backup, answers, .. } = upgrade;
    let spec = site.control.cluster(&cluster.name).await?.spec;
    let to = match to.contains('@') {
        true => AppVersionId::new(to.as_str()),
        // One may leave the application's name out.
        false => AppVersionId::of(spec.app.name(), to),
    };
    let conf = read_answers(site, Standing { app: &to, conf: Some(&spec.conf) }, answers).await?;
    let action = Action::UpgradeCluster { to, backup: !no_backup };
    Ok(Request::Act { cluster: cluster.name.clone(), action, conf })
}

async fn reconfigure(site: &Site, cluster: &str, answers: &Answers, aim: Aim) -> Outcome<Request> {
    let spec = site.control.cluster(cluster).await?.spec;
    let conf = read_answers(site, Standing { app: &spec.app, conf: Some(&spec.conf) }, answers).await?;
    Ok(Request::Reconfigure { cluster: cluster.to_owned(), conf, aim })
}

fn read_keys(keys: &Keys) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for path in &keys.key_file {
        all.extend(public_keys(path, &read_input(path)?)?);
    }
    Ok(all)
}

/// The keys in a file. No error says what is in it: it may be a private key by mistake.
fn public_keys(path: &Path, content: &[u8]) -> Result<Vec<String>> {
    let wrong = |what: &str| {
        Error::invalid(format!("`{}` {what}", path.display())).hint(
            "a public key is one line, for example in `~/.ssh/id_ed25519.pub`: `ssh-ed25519 AAAA... name`",
        )
    };
    let text = str::from_utf8(content).map_err(|_| wrong("is not a file of public keys"))?;
    if text.contains("PRIVATE KEY") {
        return Err(wrong("holds a private key, which belongs to nobody else"));
    }
    let mut keys = Vec::new();
    for (line, number) in text.lines().map(str::trim).zip(1..) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.split_whitespace();
        let is_kind = |word: &str| ["ssh-", "ecdsa-", "sk-"].iter().any(|start| word.starts_with(start));
        let is_key =
            words.next().is_some_and(is_kind) && words.next().is_some_and(|key| key.starts_with("AAAA"));
        if !is_key || line.chars().any(char::is_control) {
            return Err(wrong(&format!("has something else than a public key in line {number}")));
        }
        keys.push(line.to_owned());
    }
    if keys.is_empty() { Err(wrong("holds no public key")) } else { Ok(keys) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_files_hold_public_keys() {
        fn check(content: &str, expected: &str) {
            let said = match public_keys(Path::new("k"), content.as_bytes()) {
                Ok(keys) => keys.join("|"),
                Err(error) => error.to_string(),
            };
            assert_eq!(said, expected);
        }
        check("# mine\n\nssh-ed25519 AAAAC3 me@here\n", "ssh-ed25519 AAAAC3 me@here");
        check(
            "ssh-rsa AAAAB3\necdsa-sha2-nistp256 AAAAE2 x\n",
            "ssh-rsa AAAAB3|ecdsa-sha2-nistp256 AAAAE2 x",
        );
        check("", "`k` holds no public key");
        check("ssh-rsa AAAAB3\ns3cret", "`k` has something else than a public key in line 2");
        check("ssh-rsa AAAA\x1b[2J", "`k` has something else than a public key in line 1");
        check("-----BEGIN OPENSSH PRIVATE KEY-----", "`k` holds a private key, which belongs to nobody else");
    }
}
