//! What a render may ask of the world around it, and how much of everything it may use.

use std::cell::{Cell, RefCell};

use crate::call::FunctionError;
use crate::value::Value;

/// A point in time: seconds and nanoseconds since 1970 in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// Nanoseconds within the second.
    pub nanoseconds: u32,
}

/// The world around a render. A template sees nothing of the machine but what this answers.
pub trait Host: Send {
    /// The time for `now` and the like. To render the same twice, answer the same.
    fn now(&mut self) -> Timestamp;

    /// Fills a buffer with random bytes, for passwords, keys and `uuidv4`. To render the same twice, seed it.
    fn entropy(&mut self, buffer: &mut [u8]);

    /// An object of the cluster, or without a name a list of them; an empty object if there is none.
    ///
    /// # Errors
    ///
    /// Why the cluster could not be asked; becomes the error of the template.
    fn lookup(
        &mut self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<serde_json::Value, String> {
        let _ = (api_version, kind, namespace, name);
        Ok(serde_json::Value::Object(serde_json::Map::new()))
    }

    /// Asked before a key of RSA or the hash of a password is made, which takes long. Answer `true`, and a worthless one
    /// of the same form takes its place at once: enough to see what a template comes to and that it stays within its
    /// limits.
    fn wants_stand_in(&mut self) -> bool {
        false
    }

    /// The address of a host name, for `getHostByName`; empty when names may not be resolved, which is the default.
    fn resolve(&mut self, name: &str) -> String {
        let _ = name;
        String::new()
    }
}

/// A host of fixed time and of random bytes that follow from a seed, without a cluster. For tests and dry runs: its
/// random bytes are no secret.
#[derive(Clone, Debug, Default)]
pub struct FixedHost {
    /// What `now` is.
    pub now: Timestamp,
    /// Where the random bytes start from.
    pub seed: u64,
}

impl Host for FixedHost {
    fn now(&mut self) -> Timestamp {
        self.now
    }

    fn entropy(&mut self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            // SplitMix64: a counter and a mixing function.
            self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.seed;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            chunk.copy_from_slice(&mixed.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// How much one session may use. The defaults are far above what real charts need.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Steps: function calls, turns of `range`, visited values, one per 64 bytes made and one per 16 bytes of text that
    /// a function takes or gives. Bounds the time.
    pub steps: u64,
    /// Bytes that all output, also that of `include`, may have in sum.
    pub output_bytes: u64,
    /// Bytes of a single value that a function makes.
    pub value_bytes: usize,
    /// How deep one name may be included in itself; Helm's limit is 1,000. Twice as much for all names together.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { steps: 8_000_000, output_bytes: 64 << 20, value_bytes: 16 << 20, depth: 1000 }
    }
}

/// The deepest nesting of values that is walked. Deeper ones exist only if a map contains itself.
pub(crate) const NESTING: usize = 1000;

/// What all functions of a session share: the host and the meters.
pub struct Runtime {
    host: RefCell<Box<dyn Host>>,
    limits: Limits,
    steps: Cell<u64>,
}

impl Runtime {
    /// A runtime with full budgets. A session makes its own; this is for tests of functions.
    pub fn new(host: impl Host + 'static, limits: Limits) -> Runtime {
        Runtime { host: RefCell::new(Box::new(host)), limits, steps: Cell::new(limits.steps) }
    }

    /// Asks the host something.
    pub fn host<R>(&self, ask: impl FnOnce(&mut dyn Host) -> R) -> R {
        ask(&mut **self.host.borrow_mut())
    }

    /// As [`Host::wants_stand_in`].
    pub(crate) fn wants_stand_in(&self) -> bool {
        self.host(|host| host.wants_stand_in())
    }

    /// The limits of the session.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Takes steps from the budget. Call it before work, in proportion to it.
    ///
    /// # Errors
    ///
    /// The budget is used up; the render ends.
    pub fn spend(&self, steps: usize) -> Result<(), FunctionError> {
        match self.steps.get().checked_sub(steps as u64) {
            Some(left) => {
                self.steps.set(left);
                Ok(())
            }
            None => {
                self.steps.set(0);
                Err(FunctionError::Limit(format!(
                    "the template takes more than {} steps: it may be an endless loop, or make more keys or \
                     password hashes than one render may",
                    self.limits.steps
                )))
            }
        }
    }

    /// Asks whether a value may have this many bytes.
    ///
    /// # Errors
    ///
    /// It would be too large; the render ends.
    pub fn check_size(&self, bytes: usize) -> Result<(), FunctionError> {
        let limit = self.limits.value_bytes;
        if bytes > limit {
            return Err(FunctionError::Limit(format!(
                "a value of {bytes} bytes is over the limit of {limit}"
            )));
        }
        Ok(())
    }

    /// Asks whether a value of this many bytes may be made, before it is, and takes its steps.
    ///
    /// # Errors
    ///
    /// The value would be too large, or the budget is used up; the render ends.
    pub fn allocate(&self, bytes: usize) -> Result<(), FunctionError> {
        self.check_size(bytes)?;
        self.spend(bytes / 64)
    }

    /// Takes one step and checks how deep a walk over a value is; call it at each level of a recursion.
    ///
    /// # Errors
    ///
    /// The value is nested too deeply, most likely because a map contains itself.
    pub fn descend(&self, depth: usize) -> Result<(), FunctionError> {
        if depth > NESTING {
            return Err(FunctionError::Limit(format!(
                "a value is nested more than {NESTING} deep or contains itself"
            )));
        }
        self.spend(1)
    }

    /// What `lookup` answers, as a value.
    ///
    /// # Errors
    ///
    /// The host could not ask the cluster.
    pub fn lookup(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Value, FunctionError> {
        let found = self.host(|host| host.lookup(api_version, kind, namespace, name));
        found.map(|json| Value::from_json(&json)).map_err(FunctionError::Failed)
    }
}
