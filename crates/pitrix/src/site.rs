//! One installation: its state directory, and what planning and carrying out work with. All wiring is here.

use agent::UnixPilot;
use async_trait::async_trait;
use engine::{Control, Options, Store};
use provider_core::{
    Clock, DeploymentId, Error, Host, Look, Provider, ProviderId, Registry, Result, Runtime, RuntimeId,
    Timestamp,
};
use std::{
    collections::HashMap,
    env,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// The time of this machine.
pub(crate) struct MachineClock;

#[async_trait]
impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        Timestamp(jiff::Timestamp::now().as_millisecond())
    }

    #[allow(clippy::disallowed_methods, reason = "this is the clock that everybody else is to use")]
    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// Makes the registry of the providers that a binary has.
pub(crate) type Providers = fn() -> Result<Registry>;

/// An open installation.
pub(crate) struct Site {
    /// Its directory, absolute.
    pub(crate) dir: PathBuf,
    /// The plugins of this binary.
    pub(crate) registry: Registry,
    /// What plans and submits.
    pub(crate) control: Control,
}

impl Site {
    /// Opens the installation in `dir`, and sets it up the first time.
    ///
    /// # Errors
    /// `Store`; `Bug` when the binary was put together wrongly.
    pub(crate) async fn open(dir: &Path, providers: Providers) -> Result<Self> {
        let registry = providers()?;
        let clock: Arc<dyn Clock> = Arc::new(MachineClock);
        let store = Store::open(Options::new(dir, clock.clone())).await?;
        if registry.descriptors().any(|descriptor| descriptor.id == "local") {
            store.ensure_local_runtime().await?;
        }
        let workshop = Workshop {
            registry: registry.clone(),
            dir: dir.to_owned(),
            deployment: store.deployment().clone(),
            clock: clock.clone(),
            built: Mutex::default(),
        };
        let control = Control {
            store,
            providers: Arc::new(move |id| workshop.provider(id)),
            pilot: Arc::new(UnixPilot),
            clock,
        };
        Ok(Self { dir: dir.to_owned(), registry, control })
    }

    /// What is on record.
    pub(crate) fn store(&self) -> &Store {
        &self.control.store
    }

    /// The present moment.
    pub(crate) fn now(&self) -> Timestamp {
        self.control.clock.now()
    }

    /// A runtime on record, its provider and a view of it.
    ///
    /// # Errors
    /// `NotFound`; `Store` when its credential can't be opened.
    pub(crate) async fn visit(&self, id: &RuntimeId) -> Result<(Runtime, Provider, Look)> {
        let runtime = self.store().runtime(id).await?;
        let provider = (self.control.providers)(&runtime.provider)?;
        let look = self.control.look(runtime.clone()).await?;
        Ok((runtime, provider, look))
    }
}

/// Builds each provider once, so that all jobs share its loaders and limits.
struct Workshop {
    registry: Registry,
    dir: PathBuf,
    deployment: DeploymentId,
    clock: Arc<dyn Clock>,
    built: Mutex<HashMap<ProviderId, Provider>>,
}

impl Workshop {
    fn provider(&self, id: &ProviderId) -> Result<Provider> {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(provider) = built.get(id) {
            return Ok(provider.clone());
        }
        let host = Host {
            deployment: self.deployment.clone(),
            data: self.dir.join(id.as_str()),
            agent: vec![THIS_PROGRAM.to_owned(), "__drone".to_owned()],
            clock: self.clock.clone(),
        };
        let provider = self.registry.build(id, &host)?;
        built.insert(id.clone(), provider.clone());
        Ok(provider)
    }
}

/// This program, to start it again. Not by its path: when its file was replaced or removed while it runs, the
/// kernel still has what was started, and that is what fits.
pub(crate) const THIS_PROGRAM: &str = "/proc/self/exe";

/// The state directory, absolute: the one given, else PITRIX_STATE, else `pitrix` in the user's own.
///
/// # Errors
/// `Invalid` when none is given and the user has none.
pub(crate) fn state_dir(given: Option<&Path>) -> Result<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let dir = choose_dir(
        given.map(Path::to_owned).or_else(|| set("PITRIX_STATE")),
        set("XDG_STATE_HOME"),
        set("HOME"),
    )?;
    std::path::absolute(&dir).map_err(|e| {
        Error::invalid(format!("`{}` can't be the state directory", dir.display())).caused_by(&e)
    })
}

fn choose_dir(given: Option<PathBuf>, state: Option<PathBuf>, home: Option<PathBuf>) -> Result<PathBuf> {
    // A relative XDG directory is to be ignored, says its specification.
    let state = state.filter(|dir| dir.is_absolute()).or_else(|| home.map(|home| home.join(".local/state")));
    given.or_else(|| state.map(|dir| dir.join("pitrix"))).ok_or_else(|| {
        Error::invalid("there is no state directory: neither HOME nor XDG_STATE_HOME is set")
            .hint("name one with `--state DIR` or PITRIX_STATE")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_directory_is_the_one_given_or_the_users_own() {
        fn check(given: &str, state: &str, home: &str, expected: &str) {
            let path = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
            let dir = choose_dir(path(given), path(state), path(home));
            assert_eq!(dir.map_or_else(|e| e.to_string(), |dir| dir.display().to_string()), expected);
        }
        check("here", "/state", "/h", "here");
        check("", "/state", "/h", "/state/pitrix");
        check("", "", "/h", "/h/.local/state/pitrix");
        check("", "relative", "/h", "/h/.local/state/pitrix");
        check("", "", "", "there is no state directory: neither HOME nor XDG_STATE_HOME is set");
    }
}
