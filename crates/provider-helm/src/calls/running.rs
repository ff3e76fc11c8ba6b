//! Calls about workloads that run.

use super::{BATCH, each};
use crate::{
    api::{OUR_MANAGER, ObjectRef},
    manifest::annotation,
    session::Session,
};
use async_trait::async_trait;
use futures_util::FutureExt;
use provider_core::{CloudCall, ErrorKind, Result, Token};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How many replicas a stopped workload had.
const REPLICAS: &str = "pitrix.io/replicas";

/// What is done to a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Scales it to zero, or suspends it.
    Stop,
    /// Scales it to what it had, or resumes it.
    Start,
    /// Makes its pods anew.
    Restart,
}

/// Stops, starts or restarts a workload. One that is gone is left gone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChangeRunning {
    /// The workload.
    pub object: ObjectRef,
    /// What to do with it.
    pub change: Change,
    /// How many replicas its manifest wants, for a start of one that was not stopped by us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u64>,
}

#[async_trait]
impl CloudCall for ChangeRunning {
    type Api = Session;
    type Reply = ();
    const NAME: &'static str = "ChangeRunning";
    const MAX: usize = BATCH;

    async fn send(session: &Session, token: &Token, items: &[Self]) -> Result<Vec<Result<()>>> {
        Ok(each(items, |item| {
            async move {
                let (api, path) = (session.api(), item.object.path());
                let Some(live) = api.get(&path).await? else { return Ok(()) };
                let Some(patch) = item.patch(&live, token) else { return Ok(()) };
                match api.merge(&path, OUR_MANAGER, &patch).await {
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                    other => other.map(|live| session.note_applied(&path, &live)),
                }
            }
            .boxed()
        })
        .await)
    }
}

impl ChangeRunning {
    /// What turns the live object into what it shall be; none when it is so.
    fn patch(&self, live: &Value, token: &Token) -> Option<Value> {
        if self.object.kind() == "CronJob" {
            let suspended = live.pointer("/spec/suspend").and_then(Value::as_bool).unwrap_or(false);
            return match self.change {
                Change::Stop if !suspended => Some(json!({
                    "metadata": { "annotations": { REPLICAS: "running" } },
                    "spec": { "suspend": true },
                })),
                Change::Start if annotation(live, REPLICAS).is_some() => Some(json!({
                    "metadata": { "annotations": { REPLICAS: null } },
                    "spec": { "suspend": false },
                })),
                _ => None,
            };
        }
        let now = live.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
        match self.change {
            Change::Stop if now > 0 => Some(json!({
                "metadata": { "annotations": { REPLICAS: now.to_string() } },
                "spec": { "replicas": 0 },
            })),
            Change::Start => {
                let before = annotation(live, REPLICAS).and_then(|n| n.parse::<u64>().ok());
                if now > 0 && before.is_none() {
                    return None;
                }
                let replicas = before.or(self.replicas).unwrap_or(1);
                Some(json!({
                    "metadata": { "annotations": { REPLICAS: null } },
                    "spec": { "replicas": replicas },
                }))
            }
            Change::Restart => Some(json!({ "spec": { "template": { "metadata": { "annotations": {
                "pitrix.io/restart": token.as_str(),
            } } } } })),
            Change::Stop => None,
        }
    }
}

/// Whether workloads of this kind can be stopped and started again.
pub fn can_stop(group: &str, kind: &str) -> bool {
    matches!(
        (group, kind),
        ("apps", "Deployment" | "StatefulSet" | "ReplicaSet")
            | ("", "ReplicationController")
            | ("batch", "CronJob")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Resource;

    #[test]
    fn a_stop_remembers_what_a_start_brings_back() {
        #[allow(clippy::needless_pass_by_value, reason = "rows of a table read better")]
        fn check(kind: &str, change: Change, live: Value, want: Option<Value>) {
            let resource = Resource {
                api_version: "apps/v1".into(),
                kind: kind.into(),
                plural: "x".into(),
                namespaced: true,
            };
            let object = ObjectRef { resource, namespace: Some("n".into()), name: "web".into() };
            let call = ChangeRunning { object, change, replicas: Some(2) };
            let patch = call.patch(&live, &Token::new("t"));
            assert_eq!(patch.as_ref().map(|p| &p["spec"]), want.as_ref(), "{change:?} {live}");
        }
        let stopped =
            |n: &str| json!({ "metadata": { "annotations": { REPLICAS: n } }, "spec": { "replicas": 0 } });
        check(
            "Deployment",
            Change::Stop,
            json!({ "spec": { "replicas": 3 } }),
            Some(json!({ "replicas": 0 })),
        );
        check("Deployment", Change::Stop, stopped("3"), None);
        check("Deployment", Change::Start, stopped("3"), Some(json!({ "replicas": 3 })));
        check(
            "Deployment",
            Change::Start,
            json!({ "spec": { "replicas": 0 } }),
            Some(json!({ "replicas": 2 })),
        );
        check("Deployment", Change::Start, json!({ "spec": { "replicas": 1 } }), None);
        check("CronJob", Change::Stop, json!({ "spec": {} }), Some(json!({ "suspend": true })));
        check("CronJob", Change::Start, json!({ "spec": { "suspend": true } }), None);
    }
}
