//! Formats of packages: how files become an app version, and what an operator says becomes a configuration.

use crate::{AppVersionId, Archive, Result, RoleName};
use async_trait::async_trait;
use serde_json::Value;
use std::{fmt, path::Path};

/// A format of packages. Each provider takes one, which its [`Descriptor`](crate::Descriptor) names: whoever pushes
/// a package has not said yet where it will run.
#[async_trait]
pub trait PackageFormat: Send + Sync + 'static {
    /// What a package of this format is called, for example `chart`.
    fn name(&self) -> &'static str;

    /// The file at the top of every package of this format, and of none of another.
    fn marker(&self) -> &'static str;

    /// Reads the files of a package that is not packed, without what the format leaves out.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for what can't be read, a link, or more than an [`Archive`] may hold.
    fn read_directory(&self, top: &Path) -> Result<Archive>;

    /// Fetches a package that is elsewhere; none for what is no address of this format. May be repeated.
    ///
    /// # Errors
    /// `NotFound`, `Unauthorized` or `Unavailable`; `Invalid` when what comes is damaged or too large.
    async fn fetch(&self, from: &Remote) -> Result<Option<FetchedPackage>> {
        let _ = from;
        Ok(None)
    }

    /// The same package with what it names and leaves to be fetched.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    async fn complete(&self, package: Archive) -> Result<Archive> {
        Ok(package)
    }

    /// Checks a package and says what it is.
    ///
    /// # Errors
    /// `Invalid` with everything that is wrong, by file, line and key path.
    fn inspect(&self, package: &Archive) -> Result<PackageInfo>;

    /// What the package can be told, with its defaults, as a file to edit and give back.
    ///
    /// # Errors
    /// As [`inspect`](Self::inspect).
    fn questions(&self, package: &Archive) -> Result<String>;

    /// Makes one value of the answers that were given, checked as far as that goes without a provider. `recorded`
    /// are those that the cluster has; none for a new one.
    ///
    /// # Errors
    /// `Invalid` with file, line and key path; what `given` fails with when it reads.
    fn answers(&self, package: &Archive, given: &Given<'_>, recorded: Option<&Value>) -> Result<Value>;

    /// The answer that says how many nodes a role has; none where a package has its own ways.
    fn count_key(&self, role: &RoleName) -> Option<String>;
}

impl fmt::Debug for dyn PackageFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a package is that is not on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// An address, or its name in `repository`.
    pub name: String,
    /// The repository that has it.
    pub repository: Option<String>,
    /// Its version; none is the newest.
    pub version: Option<String>,
}

/// A package that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedPackage {
    /// Its files.
    pub package: Archive,
    /// Algorithm and digest of what came.
    pub digest: String,
    /// Where it came from in the end.
    pub address: String,
}

/// What a package is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageInfo {
    /// Its name and version.
    pub id: AppVersionId,
    /// One line about it, or nothing.
    pub description: String,
}

/// What an operator answers. Files come first, then each setting in turn; what comes later wins.
pub struct Given<'a> {
    /// Files of answers: name and content.
    pub files: Vec<(String, Vec<u8>)>,
    /// Single answers.
    pub settings: Vec<Setting>,
    /// Whether templates of the package may look up what is in the cloud; none leaves it as it is on record.
    pub lookup: Option<bool>,
    /// Reads the file that a setting names.
    pub read: &'a dyn Fn(&str) -> Result<Vec<u8>>,
}

impl Given<'_> {
    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.settings.is_empty() && self.lookup.is_none()
    }
}

/// A single answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// How its value is written.
    pub kind: SettingKind,
    /// `KEY=VALUE`; a format may take several at once, separated by commas.
    pub text: String,
}

/// How the value of a [`Setting`] is written. In the order in which they are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SettingKind {
    /// As JSON.
    Json,
    /// As itself, of the type that it looks like or that the package asks for.
    Plain,
    /// As a text, whatever it looks like.
    Text,
    /// As the name of a file that holds it.
    File,
}

impl SettingKind {
    /// The option of the command line.
    pub fn option(self) -> &'static str {
        match self {
            Self::Json => "--set-json",
            Self::Plain => "--set",
            Self::Text => "--set-string",
            Self::File => "--set-file",
        }
    }
}
