//! The Kubernetes API, as far as releases need it: objects as JSON, one request for each function.

mod connection;
mod discovery;
mod error;
mod object;
mod watch;

pub use discovery::Discovery;
pub use object::{ObjectRef, Resource, group_of};
pub use watch::{Seen, Shelf, Watches};

use error::{classify, reading};
use http::{Method, Request};
use kube::Client;
use provider_core::{Error, ErrorKind, Look, Result};
use serde_json::{Value, json};

/// The field manager of everything that belongs to a release: Helm's own, so that both tools own the same fields.
pub const MANAGER: &str = "helm";
/// The field manager of what is done to running objects: stopping, starting, restarting.
pub const OUR_MANAGER: &str = "pitrix";

/// A connection to one cluster. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    client: Client,
    namespace: String,
}

/// How an object is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ApplyOptions {
    /// Fails with `Conflict` if the object is there already.
    pub create_only: bool,
    /// Takes fields from other managers.
    pub force: bool,
    /// Changes nothing and answers what would be.
    pub dry_run: bool,
}

impl Api {
    /// Connects with the credential of a runtime. The endpoint names a context of its kubeconfig; the zone is the
    /// namespace.
    ///
    /// # Errors
    /// `Unauthorized` or `Invalid` when the kubeconfig can't be used.
    pub async fn connect(cx: &Look) -> Result<Self> {
        let (client, namespace) = connection::open(cx).await?;
        Ok(Self { client, namespace })
    }

    /// The namespace of the runtime.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The client below.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What is at `path`; none when there is nothing.
    ///
    /// # Errors
    /// What the server answered. Reading is never in doubt.
    pub async fn get(&self, path: &str) -> Result<Option<Value>> {
        match self.request(Method::GET, path, "application/json", None).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(reading(classify(format!("reading {path}"), &error))),
        }
    }

    /// All objects at `path`, paged to the end. `query` is joined with `&`.
    ///
    /// # Errors
    /// As [`get`](Self::get); a path that is not served is an empty list.
    pub async fn list(&self, path: &str, query: &str, metadata_only: bool) -> Result<Vec<Value>> {
        let accept = if metadata_only {
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
        } else {
            "application/json"
        };
        let (mut items, mut next) = (Vec::new(), String::new());
        loop {
            let token = if next.is_empty() { String::new() } else { format!("&continue={next}") };
            let page = format!("{path}?limit=500{}{query}{token}", if query.is_empty() { "" } else { "&" });
            let mut list = match self.request(Method::GET, &page, accept, None).await {
                Ok(list) => list,
                Err(error) if is_not_found(&error) => return Ok(items),
                Err(error) => return Err(reading(classify(format!("listing {path}"), &error))),
            };
            if let Some(Value::Array(found)) = list.get_mut("items").map(Value::take) {
                items.extend(found);
            }
            match list.pointer("/metadata/continue").and_then(Value::as_str) {
                Some(more) if !more.is_empty() => next = more.to_owned(),
                _ => return Ok(items),
            }
        }
    }

    /// What is at `path`, as text: a log. `attempt` says so in errors.
    ///
    /// # Errors
    /// What the server answered. Reading is never in doubt.
    pub async fn text(&self, path: &str, attempt: &str) -> Result<String> {
        let request = Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError);
        let answer = match request {
            Ok(request) => self.client.request_text(request).await,
            Err(error) => Err(error),
        };
        answer.map_err(|e| reading(classify(attempt, &e)))
    }

    /// Applies `body` on the server's side.
    ///
    /// # Errors
    /// What the server answered, or `InDoubt` when it did not.
    pub async fn apply(&self, at: &ObjectRef, body: &Value, how: ApplyOptions) -> Result<Value> {
        let mut body = body.clone();
        if how.create_only {
            // No object has this version: the server takes it for a conflict if there is one, and ignores it if not.
            body["metadata"]["resourceVersion"] = json!("1");
        }
        let path = format!(
            "{}?fieldManager={MANAGER}&fieldValidation=Strict{}{}",
            at.path(),
            if how.force { "&force=true" } else { "" },
            if how.dry_run { "&dryRun=All" } else { "" }
        );
        let sent = self.request(Method::PATCH, &path, "application/json", Some((APPLY, &body))).await;
        sent.map_err(|e| classify(format!("applying {at}"), &e))
    }

    /// Changes some fields of an object, with a merge patch.
    ///
    /// # Errors
    /// What the server answered, or `InDoubt` when it did not.
    pub async fn merge(&self, path: &str, manager: &str, patch: &Value) -> Result<Value> {
        let full = format!("{path}?fieldManager={manager}");
        let sent = self.request(Method::PATCH, &full, "application/json", Some((MERGE, patch))).await;
        sent.map_err(|e| classify(format!("changing {}", last_part(path)), &e))
    }

    /// Changes an object by a JSON patch.
    ///
    /// # Errors
    /// What the server answered, or `InDoubt` when it did not.
    pub async fn json_patch(&self, path: &str, patch: &Value) -> Result<Value> {
        let sent = self.request(Method::PATCH, path, "application/json", Some((JSON_PATCH, patch))).await;
        sent.map_err(|e| classify(format!("changing {}", last_part(path)), &e))
    }

    /// Creates what `body` says in the collection at `path`.
    ///
    /// # Errors
    /// What the server answered, or `InDoubt` when it did not; `Conflict` when it is there already.
    pub async fn create(&self, path: &str, body: &Value) -> Result<Value> {
        let full = format!("{path}?fieldManager={MANAGER}");
        let sent =
            self.request(Method::POST, &full, "application/json", Some(("application/json", body))).await;
        sent.map_err(|e| {
            let name = body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            classify(format!("creating {} {name}", last_part(path)), &e)
        })
    }

    /// Asks a question that is put as an object, such as an access review.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn ask(&self, path: &str, body: &Value) -> Result<Value> {
        let sent =
            self.request(Method::POST, path, "application/json", Some(("application/json", body))).await;
        sent.map_err(|e| reading(classify(format!("asking {}", last_part(path)), &e)))
    }

    /// Deletes what is at `path`, and in the background what depends on it. Nothing there is fine; gives whether it
    /// is gone already. With `uid`, only the object that has it.
    ///
    /// # Errors
    /// What the server answered, or `InDoubt` when it did not.
    pub async fn delete(&self, path: &str, uid: Option<&str>) -> Result<bool> {
        let mut body = json!({ "propagationPolicy": "Background" });
        if let Some(uid) = uid {
            body["preconditions"] = json!({ "uid": uid });
        }
        let sent =
            self.request(Method::DELETE, path, "application/json", Some(("application/json", &body))).await;
        match sent {
            // What still has to be finished comes back as it is.
            Ok(answer) => Ok(is_gone(&answer)),
            Err(error) if is_not_found(&error) => Ok(true),
            Err(error) => Err(classify(format!("deleting {}", last_part(path)), &error)),
        }
    }

    /// The version of the server, for example `v1.36.3`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn version(&self) -> Result<String> {
        let info = self.get("/version").await?.unwrap_or_default();
        let version = info.get("gitVersion").and_then(Value::as_str);
        version
            .map(str::to_owned)
            .ok_or_else(|| Error::new(ErrorKind::Unavailable, "the server does not say which version it has"))
    }

    pub(crate) async fn request(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        body: Option<(&str, &Value)>,
    ) -> Result<Value, kube::Error> {
        let mut request = Request::builder().method(method).uri(path).header(http::header::ACCEPT, accept);
        let mut bytes = Vec::new();
        if let Some((kind, body)) = body {
            request = request.header(http::header::CONTENT_TYPE, kind);
            bytes = serde_json::to_vec(body).map_err(kube::Error::SerdeError)?;
        }
        let request = request.body(bytes).map_err(kube::Error::HttpError)?;
        self.client.request::<Value>(request).await
    }
}

const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";

/// Whether nothing is left of what was deleted. Some kinds answer with the object that was.
fn is_gone(answer: &Value) -> bool {
    let metadata = answer.get("metadata");
    let has = |key| metadata.and_then(|metadata| metadata.get(key)).is_some_and(|value| !value.is_null());
    answer.get("kind").is_some_and(|kind| kind == "Status")
        || !(has("finalizers") || has("deletionTimestamp"))
}

fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
