//! One host for both kinds of templates.

use gotemplate::{Host, Timestamp};
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A host that several runtimes ask in turn.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<dyn Host>>);

impl Shared {
    pub(super) fn new(host: impl Host + 'static) -> Shared {
        Shared(Arc::new(Mutex::new(host)))
    }

    fn host(&self) -> MutexGuard<'_, dyn Host + 'static> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn resolve(&mut self, name: &str) -> String {
        self.host().resolve(name)
    }
}
