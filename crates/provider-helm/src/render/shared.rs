//! One host for both kinds of templates.

use gotemplate::{Host, Timestamp};
use serde_json::Value;
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// A host that several runtimes ask in turn.
#[derive(Clone)]
pub(super) struct Shared {
    host: Arc<Mutex<dyn Host>>,
    /// Whether keys and hashes are worthless, and when they are, whether there is one.
    stand_ins: Option<Arc<AtomicBool>>,
}

impl Shared {
    pub(super) fn new(host: impl Host + 'static) -> Shared {
        Shared { host: Arc::new(Mutex::new(host)), stand_ins: None }
    }

    /// A host for a render that only tries whether all goes well.
    pub(super) fn for_draft(host: impl Host + 'static) -> Shared {
        Shared { stand_ins: Some(Arc::default()), ..Shared::new(host) }
    }

    /// Whether something of what was rendered is worthless.
    pub(super) fn made_stand_ins(&self) -> bool {
        self.stand_ins.as_ref().is_some_and(|made| made.load(Ordering::Relaxed))
    }

    fn host(&self) -> MutexGuard<'_, dyn Host + 'static> {
        self.host.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host for Shared {
    fn now(&mut self) -> Timestamp {
        self.host().now()
    }

    fn entropy(&mut self, buffer: &mut [u8]) {
        self.host().entropy(buffer);
    }

    fn lookup(
        &mut self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Value, String> {
        self.host().lookup(api_version, kind, namespace, name)
    }

    fn wants_stand_in(&mut self) -> bool {
        match &self.stand_ins {
            Some(made) => {
                made.store(true, Ordering::Relaxed);
                true
            }
            None => self.host().wants_stand_in(),
        }
    }

    fn resolve(&mut self, name: &str) -> String {
        self.host().resolve(name)
    }
}
