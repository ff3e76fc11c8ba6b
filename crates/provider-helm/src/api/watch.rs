//! Shared watches: one for each kind and namespace, whoever waits for an object of it.

use super::{Api, Resource};
use futures_util::StreamExt;
use kube::{
    api::{ApiResource, DynamicObject},
    core::GroupVersionKind,
    runtime::{WatchStreamExt, watcher},
};
use provider_core::{Error, ErrorKind, Result, Timestamp};
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, task::JoinHandle};

/// How long a watch stays open that nobody looks at.
const IDLE: Duration = Duration::from_secs(60);
/// How many objects a watch remembers that are gone.
const REMOVED: usize = 64;

/// The open watches of one connection.
#[derive(Default)]
pub struct Watches {
    open: Mutex<HashMap<String, (Arc<Shelf>, Timestamp)>>,
}

impl Watches {
    /// The watch of all objects of `resource` in `namespace`; opened if need be. Those that nobody has looked at for
    /// a while are closed.
    pub fn shelf(
        &self,
        api: &Api,
        resource: &Resource,
        namespace: Option<&str>,
        now: Timestamp,
    ) -> Arc<Shelf> {
        let mut open = lock(&self.open);
        open.retain(|_, (_, used)| now.since(*used) < IDLE);
        let entry = open
            .entry(resource.path(namespace))
            .or_insert_with(|| (Shelf::open(api, resource, namespace), now));
        entry.1 = now;
        entry.0.clone()
    }
}

/// What one watch has seen.
pub struct Shelf {
    seen: Arc<Mutex<Known>>,
    changes: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Known {
    objects: HashMap<String, Arc<Value>>,
    removed: HashMap<String, Arc<Value>>,
    complete: bool,
    problem: Option<Error>,
}

impl Drop for Shelf {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shelf {
    fn open(api: &Api, resource: &Resource, namespace: Option<&str>) -> Arc<Self> {
        let gvk = match resource.api_version.split_once('/') {
            Some((group, version)) => GroupVersionKind::gvk(group, version, &resource.kind),
            None => GroupVersionKind::gvk("", &resource.api_version, &resource.kind),
        };
        let kind = ApiResource::from_gvk_with_plural(&gvk, &resource.plural);
        let objects: kube::Api<DynamicObject> = match namespace {
            Some(namespace) => kube::Api::namespaced_with(api.client().clone(), namespace, &kind),
            None => kube::Api::all_with(api.client().clone(), &kind),
        };
        let seen = Arc::new(Mutex::new(Known::default()));
        let (changed, changes) = watch::channel(0);
        let (shelf, path) = (seen.clone(), resource.path(namespace));
        let task = tokio::spawn(async move {
            let events = watcher(objects, watcher::Config::default().streaming_lists()).default_backoff();
            let mut events = std::pin::pin!(events);
            let mut fresh = HashMap::new();
            while let Some(event) = events.next().await {
                {
                    let mut seen = lock(&shelf);
                    take_in(&mut seen, &mut fresh, event, &path);
                }
                changed.send_modify(|n| *n += 1);
            }
        });
        Arc::new(Self { seen, changes, task })
    }

    /// The object of this name, once all that there are have been seen; an error when they can't be watched.
    ///
    /// # Errors
    /// `Unauthorized` when watching is not allowed; otherwise the last problem, until the watch is back.
    pub fn get(&self, name: &str) -> Result<Seen> {
        let seen = lock(&self.seen);
        match (&seen.problem, seen.complete) {
            (Some(problem), _) => Err(problem.clone()),
            (None, false) => Ok(Seen::Unknown),
            (None, true) => Ok(seen.objects.get(name).cloned().map_or(Seen::Absent, Seen::Found)),
        }
    }

    /// The object of this name as it was at last, where this watch saw it go. One that ends may be removed at once, and
    /// who waits for its end learns of both together.
    pub fn removed(&self, name: &str) -> Option<Arc<Value>> {
        lock(&self.seen).removed.get(name).cloned()
    }

    /// All objects that fit.
    pub fn select(&self, fits: impl Fn(&Value) -> bool) -> Vec<Arc<Value>> {
        lock(&self.seen).objects.values().filter(|object| fits(object)).cloned().collect()
    }

    /// Returns when something has changed since this call began. May be dropped at any point.
    pub fn changed(&self) -> impl Future<Output = ()> + use<> {
        let mut changes = self.changes.clone();
        changes.mark_unchanged();
        async move {
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits until everything that there is has been seen, or there is a problem.
    pub async fn complete(&self) {
        let mut changes = self.changes.clone();
        loop {
            {
                let seen = lock(&self.seen);
                if seen.complete || seen.problem.is_some() {
                    return;
                }
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

/// What a watch knows of an object.
#[derive(Clone, Debug)]
pub enum Seen {
    /// The first list has not come yet.
    Unknown,
    /// It is not there.
    Absent,
    /// As it was last seen.
    Found(Arc<Value>),
}

fn take_in(
    seen: &mut Known,
    fresh: &mut HashMap<String, Arc<Value>>,
    event: Result<watcher::Event<DynamicObject>, watcher::Error>,
    path: &str,
) {
    match event {
        Ok(watcher::Event::Init) => fresh.clear(),
        Ok(watcher::Event::InitApply(object)) => {
            put(fresh, object);
        }
        Ok(watcher::Event::InitDone) => {
            seen.objects = std::mem::take(fresh);
            seen.removed.retain(|name, _| !seen.objects.contains_key(name));
            seen.complete = true;
            seen.problem = None;
        }
        Ok(watcher::Event::Apply(object)) => {
            seen.problem = None;
            if let Some(name) = &object.metadata.name {
                seen.removed.remove(name);
            }
            put(&mut seen.objects, object);
        }
        Ok(watcher::Event::Delete(object)) => {
            if let Some(name) = &object.metadata.name {
                seen.objects.remove(name);
            }
            if seen.removed.len() >= REMOVED {
                seen.removed.clear();
            }
            put(&mut seen.removed, object);
        }
        Err(error) => seen.problem = problem(&error, path),
    }
}

fn put(objects: &mut HashMap<String, Arc<Value>>, mut object: DynamicObject) {
    // They are large, and nobody reads them here.
    object.metadata.managed_fields = None;
    if let (Some(name), Ok(value)) = (object.metadata.name.clone(), serde_json::to_value(&object)) {
        objects.insert(name, Arc::new(value));
    }
}

/// What keeps a watch from going on. One that only has to begin again is no problem: the list comes anew.
fn problem(error: &watcher::Error, path: &str) -> Option<Error> {
    let status = match error {
        watcher::Error::WatchError(status) if status.code == 410 => return None,
        watcher::Error::WatchError(status) => return Some(from_status(status, path)),
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status)) => status,
        other => {
            return Some(Error::new(ErrorKind::Unavailable, format!("watching {path}")).caused_by(other));
        }
    };
    Some(from_status(status, path))
}

fn from_status(status: &kube::core::Status, path: &str) -> Error {
    let error =
        super::error::classify(format!("watching {path}"), &kube::Error::Api(Box::new(status.clone())));
    match error.kind() {
        ErrorKind::Unauthorized => error,
        _ => error.into_kind(ErrorKind::Unavailable),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use watcher::Event;

    #[test]
    fn what_is_removed_is_remembered_until_it_is_there_again() {
        let (mut seen, mut fresh) = (Known::default(), HashMap::new());
        let object = |name: &str, phase: &str| {
            let of = json!({ "metadata": { "name": name }, "status": { "phase": phase } });
            serde_json::from_value::<DynamicObject>(of).unwrap()
        };
        let mut check = |event: Event<DynamicObject>, there: &[&str], removed: &[(&str, &str)]| {
            take_in(&mut seen, &mut fresh, Ok(event), "/jobs");
            let mut names: Vec<_> = seen.objects.keys().map(String::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, there);
            let phase = |of: &Value| of["status"]["phase"].as_str().unwrap().to_owned();
            let mut gone: Vec<_> = seen.removed.iter().map(|(name, of)| (name.clone(), phase(of))).collect();
            gone.sort_unstable();
            let want: Vec<_> = removed.iter().map(|(n, p)| ((*n).to_owned(), (*p).to_owned())).collect();
            assert_eq!(gone, want);
        };
        check(Event::Apply(object("a", "runs")), &["a"], &[]);
        check(Event::Apply(object("b", "runs")), &["a", "b"], &[]);
        check(Event::Delete(object("a", "ended")), &["b"], &[("a", "ended")]);
        check(Event::Delete(object("b", "ended")), &[], &[("a", "ended"), ("b", "ended")]);
        check(Event::Apply(object("a", "runs")), &["a"], &[("b", "ended")]);
        check(Event::Init, &["a"], &[("b", "ended")]);
        check(Event::InitApply(object("b", "runs")), &["a"], &[("b", "ended")]);
        check(Event::InitDone, &["b"], &[]);
        for n in 0..REMOVED {
            take_in(&mut seen, &mut fresh, Ok(Event::Delete(object(&n.to_string(), "ended"))), "/jobs");
        }
        assert_eq!(seen.removed.len(), REMOVED);
        take_in(&mut seen, &mut fresh, Ok(Event::Delete(object("last", "ended"))), "/jobs");
        assert_eq!(seen.removed.keys().collect::<Vec<_>>(), ["last"]);
    }
}
