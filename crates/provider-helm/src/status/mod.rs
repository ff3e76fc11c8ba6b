//! Whether an object has come to be what its manifest wants: the rules of kstatus, on one object at a time.

use crate::manifest::text;
use serde_json::Value;

/// How far an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It is what it should be.
    Ready,
    /// Not yet, and why.
    Waiting(String),
    /// It will not be without somebody doing something, and why.
    Failed(String),
}

use Readiness::{Failed, Ready, Waiting};

/// How far `object` is. A Job is ready when it has started, or, `to_completion`, when it has succeeded.
pub fn readiness(object: &Value, to_completion: bool) -> Readiness {
    let group = crate::api::group_of(text(object, "/apiVersion").unwrap_or_default());
    if object.pointer("/metadata/deletionTimestamp").is_some() {
        let ended = match (group, text(object, "/kind").unwrap_or_default()) {
            ("", "Pod") if to_completion => pod(object, true),
            ("batch", "Job") if to_completion => job(object, true),
            _ => Waiting(String::new()),
        };
        // Its end counts, also where its time to live is over with it.
        return if let Waiting(_) = ended { Waiting("it is being deleted".into()) } else { ended };
    }
    if let Some(observed) = object.pointer("/status/observedGeneration").and_then(Value::as_i64)
        && let Some(wanted) = object.pointer("/metadata/generation").and_then(Value::as_i64)
        && observed < wanted
    {
        return Waiting("its controller has not seen its latest version".into());
    }
    match (group, text(object, "/kind").unwrap_or_default()) {
        ("apps", "Deployment") => deployment(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps", "DaemonSet") => daemon_set(object),
        ("apps", "ReplicaSet") | ("", "ReplicationController") => replica_set(object),
        ("", "Pod") => pod(object, to_completion),
        ("", "PersistentVolumeClaim") => claim(object),
        ("", "Service") => service(object),
        ("batch", "Job") => job(object, to_completion),
        ("policy", "PodDisruptionBudget") | ("batch", "CronJob") => Ready,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        _ => by_conditions(object),
    }
}

/// Whether objects of this kind can be anything but ready once they are there. The rest need not be watched.
pub fn is_awaited(group: &str, kind: &str) -> bool {
    match group {
        "apps" | "batch" => kind != "CronJob" && kind != "ControllerRevision",
        "" => matches!(kind, "Pod" | "PersistentVolumeClaim" | "Service" | "ReplicationController"),
        "apiextensions.k8s.io" => kind == "CustomResourceDefinition",
        // Kubernetes' own other groups are configuration; their objects have no state of their own to wait for.
        _ => group.contains('.') && !group.ends_with(".k8s.io"),
    }
}

fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(|n| {
        n.as_i64().or_else(|| {
            #[allow(clippy::cast_possible_truncation, reason = "counts of pods")]
            n.as_f64().map(|n| n as i64)
        })
    })
}

struct Condition<'a> {
    is: &'a str,
    reason: &'a str,
    message: &'a str,
}

impl Condition<'_> {
    fn why(&self, fallback: &str) -> String {
        match (self.reason, self.message) {
            ("", "") => fallback.to_owned(),
            (reason, "") => reason.to_owned(),
            ("", message) => message.to_owned(),
            (reason, message) => format!("{reason}: {message}"),
        }
    }
}

fn condition<'a>(object: &'a Value, name: &str) -> Option<Condition<'a>> {
    let all = object.pointer("/status/conditions")?.as_array()?;
    let one = all.iter().find(|condition| condition.get("type").and_then(Value::as_str) == Some(name))?;
    let field = |name| one.get(name).and_then(Value::as_str).unwrap_or_default();
    Some(Condition { is: field("status"), reason: field("reason"), message: field("message") })
}

fn deployment(object: &Value) -> Readiness {
    if let Some(progress) = condition(object, "Progressing")
        && progress.reason == "ProgressDeadlineExceeded"
    {
        return Failed(progress.why("it makes no progress"));
    }
    if object.pointer("/spec/paused").and_then(Value::as_bool) == Some(true) {
        return Ready;
    }
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let status = |name: &str| number(object, &format!("/status/{name}")).unwrap_or(0);
    let (all, updated) = (status("replicas"), status("updatedReplicas"));
    let (ready, available) = (status("readyReplicas"), status("availableReplicas"));
    if updated < wanted {
        return Waiting(format!("{updated} of {wanted} replicas are up to date"));
    }
    if all > updated {
        return Waiting(format!("{} old replicas are still there", all - updated));
    }
    if available < wanted {
        return Waiting(format!("{available} of {wanted} replicas are available"));
    }
    if ready < wanted {
        return Waiting(format!("{ready} of {wanted} replicas are ready"));
    }
    match condition(object, "Available") {
        Some(available) if available.is != "True" => Waiting(available.why("it is not available")),
        _ if object.get("status").is_none() => Waiting("its controller has not seen it".into()),
        _ => Ready,
    }
}

fn stateful_set(object: &Value) -> Readiness {
    let strategy = text(object, "/spec/updateStrategy/type").unwrap_or_default();
    if strategy == "OnDelete" {
        return Ready;
    }
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let status = |name: &str| number(object, &format!("/status/{name}")).unwrap_or(0);
    if object.pointer("/status/observedGeneration").is_none() {
        return Waiting("its controller has not seen it".into());
    }
    let (all, ready, updated) = (status("replicas"), status("readyReplicas"), status("updatedReplicas"));
    if all < wanted {
        return Waiting(format!("{all} of {wanted} replicas are there"));
    }
    if ready < wanted {
        return Waiting(format!("{ready} of {wanted} replicas are ready"));
    }
    if all > wanted {
        return Waiting(format!("{} replicas are to go", all - wanted));
    }
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
    if partition > 0 {
        let wanted = (wanted - partition).max(0);
        return if updated < wanted {
            Waiting(format!("{updated} of {wanted} replicas above the partition are up to date"))
        } else {
            Ready
        };
    }
    let revision = |name: &str| text(object, &format!("/status/{name}")).unwrap_or_default();
    if revision("currentRevision") != revision("updateRevision") {
        return Waiting(format!("{updated} of {wanted} replicas are up to date"));
    }
    Ready
}

fn daemon_set(object: &Value) -> Readiness {
    if text(object, "/spec/updateStrategy/type") == Some("OnDelete") {
        return Ready;
    }
    if object.pointer("/status/observedGeneration").is_none() {
        return Waiting("its controller has not seen it".into());
    }
    let status = |name: &str| number(object, &format!("/status/{name}")).unwrap_or(0);
    let wanted = status("desiredNumberScheduled");
    for (name, what) in [
        ("currentNumberScheduled", "scheduled"),
        ("updatedNumberScheduled", "up to date"),
        ("numberAvailable", "available"),
        ("numberReady", "ready"),
    ] {
        let have = status(name);
        if have < wanted {
            return Waiting(format!("{have} of {wanted} pods are {what}"));
        }
    }
    Ready
}

fn replica_set(object: &Value) -> Readiness {
    if let Some(failure) = condition(object, "ReplicaFailure")
        && failure.is == "True"
    {
        return Waiting(failure.why("its pods can't be made"));
    }
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let status = |name: &str| number(object, &format!("/status/{name}")).unwrap_or(0);
    let (all, ready) = (status("replicas"), status("readyReplicas"));
    if ready < wanted {
        return Waiting(format!("{ready} of {wanted} replicas are ready"));
    }
    if all > wanted { Waiting(format!("{} replicas are to go", all - wanted)) } else { Ready }
}

fn pod(object: &Value, to_completion: bool) -> Readiness {
    match text(object, "/status/phase").unwrap_or_default() {
        "Succeeded" => Ready,
        "Failed" => {
            let field = |name: &str| text(object, &format!("/status/{name}")).unwrap_or_default();
            let own = Condition { is: "", reason: field("reason"), message: field("message") };
            Failed(own.why(&pod_problem(object).unwrap_or_else(|| "its containers failed".into())))
        }
        "Running" if !to_completion => match condition(object, "Ready") {
            Some(ready) if ready.is == "True" => Ready,
            _ => match pod_problem(object) {
                Some(problem) if problem.starts_with("container") && problem.contains("CrashLoopBackOff") => {
                    Failed(problem)
                }
                Some(problem) => Waiting(problem),
                None => Waiting("it is not ready".into()),
            },
        },
        "Running" => Waiting("it runs".into()),
        _ => match condition(object, "PodScheduled") {
            Some(scheduled) if scheduled.is == "False" => Waiting(scheduled.why("it is not scheduled")),
            _ => Waiting(pod_problem(object).unwrap_or_else(|| "it is pending".into())),
        },
    }
}

/// What is wrong with a pod, as far as its status tells: its conditions first, then its containers.
pub fn pod_problem(pod: &Value) -> Option<String> {
    if let Some(scheduled) = condition(pod, "PodScheduled")
        && scheduled.is == "False"
    {
        return Some(scheduled.why("it is not scheduled"));
    }
    for list in ["initContainerStatuses", "containerStatuses"] {
        for status in pod.pointer("/status")?.get(list).and_then(Value::as_array).into_iter().flatten() {
            let name = status.get("name").and_then(Value::as_str).unwrap_or_default();
            for state in ["waiting", "terminated"] {
                let Some(found) = status.pointer(&format!("/state/{state}")) else { continue };
                let field = |name: &str| found.get(name).and_then(Value::as_str).unwrap_or_default();
                let code = found.get("exitCode").and_then(Value::as_i64);
                let (reason, message) = (field("reason"), field("message"));
                let usual = matches!(reason, "ContainerCreating" | "PodInitializing" | "Completed" | "");
                if usual && code.unwrap_or(0) == 0 {
                    continue;
                }
                let code = code.filter(|code| *code != 0).map(|code| format!(" with code {code}"));
                let condition = Condition { is: "", reason, message };
                return Some(format!(
                    "container {name} {state}{}: {}",
                    code.unwrap_or_default(),
                    condition.why("no reason given")
                ));
            }
        }
    }
    for name in ["Ready", "ContainersReady"] {
        if let Some(ready) = condition(pod, name)
            && ready.is == "False"
            && !ready.message.is_empty()
        {
            return Some(ready.why("it is not ready"));
        }
    }
    None
}

fn claim(object: &Value) -> Readiness {
    match text(object, "/status/phase").unwrap_or_default() {
        "Bound" => Ready,
        "Lost" => Failed("its volume is lost".into()),
        _ => Waiting("it is not bound to a volume".into()),
    }
}

fn service(object: &Value) -> Readiness {
    if text(object, "/spec/type") != Some("LoadBalancer") {
        return Ready;
    }
    let has_external =
        object.pointer("/spec/externalIPs").and_then(Value::as_array).is_some_and(|ips| !ips.is_empty());
    let ingress = object.pointer("/status/loadBalancer/ingress").and_then(Value::as_array);
    if has_external || ingress.is_some_and(|ingress| !ingress.is_empty()) {
        Ready
    } else {
        Waiting("its load balancer has no address".into())
    }
}

fn job(object: &Value, to_completion: bool) -> Readiness {
    for name in ["Failed", "FailureTarget"] {
        if let Some(failed) = condition(object, name)
            && failed.is == "True"
        {
            return Failed(failed.why("it failed"));
        }
    }
    if condition(object, "Complete").is_some_and(|complete| complete.is == "True") {
        return Ready;
    }
    if object.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true) {
        return if to_completion { Waiting("it is suspended".into()) } else { Ready };
    }
    let started = text(object, "/status/startTime").is_some();
    let status = |name: &str| number(object, &format!("/status/{name}")).unwrap_or(0);
    match (started, to_completion) {
        (false, _) => Waiting("it has not started".into()),
        (true, false) => Ready,
        (true, true) => Waiting(format!(
            "it runs: {} active, {} succeeded, {} failed",
            status("active"),
            status("succeeded"),
            status("failed")
        )),
    }
}

fn definition(object: &Value) -> Readiness {
    if let Some(names) = condition(object, "NamesAccepted")
        && names.is == "False"
    {
        return Failed(names.why("its names are taken"));
    }
    match condition(object, "Established") {
        Some(established) if established.is == "True" => Ready,
        Some(established) if established.reason != "Installing" && !established.reason.is_empty() => {
            Failed(established.why("it was not established"))
        }
        _ => Waiting("it is not established".into()),
    }
}

fn by_conditions(object: &Value) -> Readiness {
    if let Some(stalled) = condition(object, "Stalled")
        && stalled.is == "True"
    {
        return Failed(stalled.why("it is stalled"));
    }
    if let Some(reconciling) = condition(object, "Reconciling")
        && reconciling.is == "True"
    {
        return Waiting(reconciling.why("it is being reconciled"));
    }
    match condition(object, "Ready") {
        Some(ready) if ready.is != "True" => Waiting(ready.why("it is not ready")),
        _ => Ready,
    }
}

#[cfg(test)]
mod tests;
