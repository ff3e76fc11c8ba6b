//! Which providers this binary has. Plugins register themselves; nothing here names one.

use crate::{
    ActionKind, AppVersionId, Archive, Clock, ContainerKind, DeploymentId, Error, Live, PackageFormat,
    ProviderId, ProviderInterface, Result, Sweeper,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

#[doc(hidden)]
pub use inventory as __inventory;

/// What a provider is and can do, as data.
#[derive(Clone, Debug)]
pub struct Descriptor {
    /// Its id, equal to its feature's name.
    pub id: &'static str,
    /// What it is, in a line.
    pub title: &'static str,
    /// The packages that it runs.
    pub format: &'static dyn PackageFormat,
    /// The actions that it takes part in. Any other is refused before a job exists.
    pub actions: &'static [ActionKind],
    /// The kinds of container that it runs.
    pub containers: &'static [ContainerKind],
    /// Credential fields that a runtime needs; empty when it needs none.
    pub credential: &'static [&'static str],
    /// How far each of its abilities goes.
    pub abilities: &'static [(&'static str, Support)],
}

/// How far an ability goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It works.
    Full,
    /// It is accepted and has no force; why.
    Unenforced(&'static str),
    /// It is refused; why.
    Refused(&'static str),
}

impl Descriptor {
    /// Checks that the provider takes `package`, which is called `app`.
    ///
    /// # Errors
    /// `Unsupported`, naming the format that it takes.
    pub fn check_package(&self, app: &AppVersionId, package: &Archive) -> Result<()> {
        let (name, marker) = (self.format.name(), self.format.marker());
        if package.file(marker).is_some() {
            return Ok(());
        }
        Err(Error::unsupported(format!("provider `{}` does not run `{app}`", self.id))
            .hint(format!("it takes a {name}, which has `{marker}` at the top; choose another runtime")))
    }

    /// Checks that the provider takes part in `action`.
    ///
    /// # Errors
    /// `Unsupported`, naming the action, the provider and what it can do.
    pub fn check_action(&self, action: ActionKind) -> Result<()> {
        if self.actions.contains(&action) {
            return Ok(());
        }
        let verbs: Vec<_> = self.actions.iter().map(|action| action.verb()).collect();
        Err(Error::unsupported(format!("provider `{}` does not support `{}`", self.id, action.verb()))
            .hint(format!("it supports: {}", verbs.join(", "))))
    }
}

/// What a plugin is built with.
#[derive(Clone)]
pub struct Host {
    /// This installation, for tags and tokens.
    pub deployment: DeploymentId,
    /// A directory of the provider's own, for those that keep something on this machine.
    pub data: PathBuf,
    /// The command that starts an agent; arguments follow.
    pub agent: Vec<String>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// A provider, ready to work.
#[derive(Clone)]
pub struct Provider {
    /// What it is and can do.
    pub descriptor: &'static Descriptor,
    /// What does it.
    pub interface: Arc<dyn ProviderInterface>,
    /// What finds left-over resources.
    pub sweeper: Arc<dyn Sweeper>,
    /// What tells of applications as they are, where the cloud can.
    pub live: Option<Arc<dyn Live>>,
}

/// What a plugin submits with [`register_provider!`](crate::register_provider).
pub struct Registration {
    /// What it is.
    pub descriptor: &'static Descriptor,
    /// Makes it. Must not do I/O that can fail for reasons of the moment.
    pub build: fn(&Host) -> Built,
}

/// What a plugin's build function makes.
#[derive(Clone)]
pub struct Built {
    /// What does the work.
    pub interface: Arc<dyn ProviderInterface>,
    /// What finds left-over resources.
    pub sweeper: Arc<dyn Sweeper>,
    /// What tells of applications as they are, where the cloud can.
    pub live: Option<Arc<dyn Live>>,
}

inventory::collect!(Registration);

/// Registers a provider plugin: its descriptor, and the function that builds it from a [`Host`].
#[macro_export]
macro_rules! register_provider {
    ($descriptor:expr, $build:expr) => {
        $crate::__inventory::submit! { $crate::Registration { descriptor: $descriptor, build: $build } }
    };
}

/// Every provider of this binary, by id.
#[derive(Clone)]
pub struct Registry {
    registered: BTreeMap<&'static str, &'static Registration>,
    known: BTreeSet<&'static str>,
}

impl Registry {
    /// Collects what has registered itself. `compiled_in` are the plugins that the facade was built with, and
    /// `known` all those that it could be built with; both are features of the facade.
    ///
    /// # Errors
    /// `Bug` when two plugins share an id, or one is compiled in and not linked or the other way round.
    pub fn discover(compiled_in: &[&'static str], known: &[&'static str]) -> Result<Self> {
        let mut registered = BTreeMap::new();
        for registration in inventory::iter::<Registration> {
            let id = registration.descriptor.id;
            if registered.insert(id, registration).is_some() {
                return Err(Error::bug(format!("two provider plugins are called `{id}`")));
            }
        }
        for id in compiled_in {
            if !registered.contains_key(id) {
                return Err(Error::bug(format!(
                    "provider `{id}` is compiled in but did not register itself"
                ))
                .hint("its crate must call `register_provider!`"));
            }
        }
        if let Some(id) = registered.keys().find(|id| !compiled_in.contains(id)) {
            return Err(Error::bug(format!(
                "provider `{id}` registered itself but is not in the facade's list"
            )));
        }
        Ok(Self { registered, known: known.iter().copied().collect() })
    }

    /// The formats of packages that the providers take, each once.
    pub fn formats(&self) -> Vec<&'static dyn PackageFormat> {
        let formats = self.descriptors().map(|descriptor| (descriptor.format.marker(), descriptor.format));
        formats.collect::<BTreeMap<_, _>>().into_values().collect()
    }

    /// The format of `package`.
    ///
    /// # Errors
    /// `Invalid`, naming the formats that there are.
    pub fn format_of(&self, package: &Archive) -> Result<&'static dyn PackageFormat> {
        self.format_with(|marker| package.file(marker).is_some())
    }

    /// The format whose marker is there.
    ///
    /// # Errors
    /// As [`format_of`](Self::format_of).
    pub fn format_with(&self, has: impl Fn(&str) -> bool) -> Result<&'static dyn PackageFormat> {
        let formats = self.formats();
        formats.iter().copied().find(|format| has(format.marker())).ok_or_else(|| {
            let known = formats.iter().map(|format| format!("a {} has `{}`", format.name(), format.marker()));
            Error::invalid("this is no package of a format that this binary knows")
                .hint(format!("at the top {}", known.collect::<Vec<_>>().join(", ")))
        })
    }

    /// All descriptors, by id.
    pub fn descriptors(&self) -> impl Iterator<Item = &'static Descriptor> {
        self.registered.values().map(|registration| registration.descriptor)
    }

    /// Builds the provider called `id`.
    ///
    /// # Errors
    /// `NotFound`, listing what is compiled in and, if that would help, the feature that adds it.
    pub fn build(&self, id: &ProviderId, host: &Host) -> Result<Provider> {
        let registration = self.find(id)?;
        let Built { interface, sweeper, live } = (registration.build)(host);
        Ok(Provider { descriptor: registration.descriptor, interface, sweeper, live })
    }

    /// What the provider called `id` is and can do.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn descriptor(&self, id: &ProviderId) -> Result<&'static Descriptor> {
        Ok(self.find(id)?.descriptor)
    }

    fn find(&self, id: &ProviderId) -> Result<&'static Registration> {
        if let Some(registration) = self.registered.get(id.as_str()) {
            return Ok(registration);
        }
        let have = match self.registered.keys().copied().collect::<Vec<_>>() {
            ids if ids.is_empty() => "none".to_owned(),
            ids => ids.join(", "),
        };
        Err(if self.known.contains(id.as_str()) {
            Error::not_found(format!("provider `{id}` is not compiled into this binary"))
                .hint(format!("rebuild with `--features {id}`; compiled in: {have}"))
        } else {
            Error::not_found(format!("there is no provider `{id}`")).hint(format!("compiled in: {have}"))
        })
    }
}
