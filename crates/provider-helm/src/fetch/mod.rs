//! Charts from elsewhere: registries (`oci://HOST/PATH:VERSION`) and chart repositories.
//!
//! What helm was told with `helm registry login` and `helm repo add` is used here too; see [`Logins`].

mod http;
mod keeper;
mod logins;
mod registry;
mod repository;

pub use logins::Logins;

use crate::chart::{Chart, Dependency};
use gotemplate::semver::{Constraint, Version};
use http::Client;
use provider_core::{Archive, Error, Result};
use sha2::{Digest, Sha256};
use std::fmt;

/// Where a chart comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChartSource {
    /// A registry.
    Registry {
        /// The host, with a port where that is not the usual one.
        host: String,
        /// The path of the chart there.
        path: String,
        /// A version, a range of versions, or the digest `sha256:…` of a manifest; none: the latest version.
        version: Option<String>,
    },
    /// A chart repository: a server with an `index.yaml`.
    Repository {
        /// Its address, or `@NAME` of one that helm knows.
        url: String,
        /// The chart.
        name: String,
        /// A version or a range of versions; none: the latest version.
        version: Option<String>,
    },
}

impl ChartSource {
    /// The same chart in `version`, if one is given.
    ///
    /// # Errors
    /// `Invalid` when the address names another one already.
    pub fn or_version(mut self, given: Option<&str>) -> Result<Self> {
        let (Self::Registry { version, .. } | Self::Repository { version, .. }) = &mut self;
        if let Some(given) = given {
            if version.as_deref().is_some_and(|named| named != given) {
                return Err(Error::invalid(format!("`{self}` and the version `{given}` are not the same"))
                    .hint("name the version once"));
            }
            *version = Some(given.to_owned());
        }
        Ok(self)
    }

    /// Reads `oci://HOST/PATH`, with `:VERSION` or `@sha256:…` at its end or without.
    ///
    /// # Errors
    /// `Invalid` for what is no such address.
    pub fn parse_registry(address: &str) -> Result<Self> {
        let refuse = || {
            Error::invalid(format!("`{address}` is not the address of a chart in a registry"))
                .hint("it looks like `oci://HOST/PATH:VERSION`")
        };
        let rest = address.strip_prefix("oci://").ok_or_else(refuse)?;
        let (host, path) = rest.split_once('/').ok_or_else(refuse)?;
        let (path, version) = match path.split_once('@') {
            Some((path, digest)) => (path, Some(digest)),
            None => path.split_once(':').map_or((path, None), |(path, version)| (path, Some(version))),
        };
        let is_path = |path: &str| {
            path.split('/').all(|part| {
                !part.is_empty()
                    && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
                    && !matches!(part, "." | "..")
            })
        };
        let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        if host.is_empty() || !host.chars().all(is_host) || !is_path(path) || version == Some("") {
            return Err(refuse());
        }
        let version = version.map(|version| version.replace('_', "+"));
        Ok(Self::Registry { host: host.to_owned(), path: path.to_owned(), version })
    }

    fn of_dependency(dependency: &Dependency, version: &str) -> Result<Self> {
        let version = Some(version.to_owned()).filter(|version| !version.is_empty());
        let repository = dependency.repository.trim_end_matches('/');
        if repository.starts_with("oci://") {
            let Self::Registry { host, path, .. } = Self::parse_registry(repository)? else {
                return Err(Error::bug("an address of a registry is none"));
            };
            return Ok(Self::Registry { host, path: format!("{path}/{}", dependency.name), version });
        }
        let url = repository.strip_prefix("alias:").map_or(repository.to_owned(), |name| format!("@{name}"));
        if url.starts_with('@') || url.starts_with("https://") || url.starts_with("http://") {
            return Ok(Self::Repository { url, name: dependency.name.clone(), version });
        }
        Err(Error::invalid(format!(
            "the dependency `{}` comes from `{}`, which can't be fetched",
            dependency.name, dependency.repository
        ))
        .hint("put the chart itself into `charts/`"))
    }
}

impl fmt::Display for ChartSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, version) = match self {
            Self::Registry { host, path, version } => (format!("oci://{host}/{path}"), version),
            Self::Repository { url, name, version } => (format!("{name} of {url}"), version),
        };
        match version {
            None => f.write_str(&place),
            Some(digest) if digest.starts_with("sha256:") => write!(f, "{place}@{digest}"),
            Some(version) => write!(f, "{place}:{version}"),
        }
    }
}

/// A chart that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The chart as it is packed.
    pub packed: Vec<u8>,
    /// `sha256:` and the digest of the packed chart. Where the server names one, both agree.
    pub digest: String,
    /// The address that it came from in the end.
    pub address: String,
}

/// Fetches charts. Nothing is kept between two of them but connections.
#[derive(Debug)]
pub struct Fetcher {
    client: Client,
    logins: Logins,
}

impl Fetcher {
    /// A fetcher that gives servers the passwords in `logins`. TLS is verified with the certificates that the machine
    /// trusts; plain HTTP is spoken with registries on this machine, and with repositories whose address says so.
    ///
    /// # Errors
    /// `Unsupported` when the machine has no certificates to trust.
    pub fn new(logins: Logins) -> Result<Self> {
        Ok(Self { client: Client::new()?, logins })
    }

    /// Fetches one chart as it is packed. It may be repeated; when it is dropped, nothing stays behind.
    ///
    /// # Errors
    /// `NotFound` when there is no such chart or version, `Unauthorized`, `Unavailable` when the server can't be
    /// reached, `Invalid` when what it sends is damaged or too large.
    pub async fn fetch(&self, source: &ChartSource) -> Result<Fetched> {
        let fetched = match source {
            ChartSource::Registry { host, path, version } => {
                registry::fetch(&self.client, &self.logins, host, path, version.as_deref()).await
            }
            ChartSource::Repository { url, name, version } => {
                repository::fetch(&self.client, &self.logins, url, name, version.as_deref()).await
            }
        };
        fetched.map_err(|e| e.during(format!("can't fetch the chart {source}")))
    }

    /// Fetches the dependencies that the chart names and does not have in its `charts/`, in the versions of its lock
    /// where it has one.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch), and `Invalid` when the lock is out of date.
    pub async fn complete(&self, package: Archive) -> Result<Archive> {
        let chart = Chart::from_archive(&package)?;
        let missing = chart.missing_dependencies();
        if missing.is_empty() {
            return Ok(package);
        }
        let mut files: Vec<(String, Vec<u8>)> =
            package.files().map(|(path, content)| (path.to_owned(), content.to_vec())).collect();
        for dependency in missing {
            let version = locked_version(&chart, dependency)?;
            let source = ChartSource::of_dependency(dependency, &version)?;
            let fetched = self.fetch(&source).await?;
            let inner = Chart::read(&fetched.packed)?;
            if inner.name() != dependency.name {
                return Err(Error::invalid(format!(
                    "the chart {source} calls itself `{}`, and `{}` was expected",
                    inner.name(),
                    dependency.name
                )));
            }
            let name = format!("charts/{}-{}.tgz", inner.name(), inner.metadata.version);
            // Two aliases of one chart need it once.
            if !files.iter().any(|(path, _)| *path == name) {
                files.push((name, fetched.packed));
            }
        }
        Archive::from_files(files)
    }
}

/// The version in the lock, which has to be one that the chart asks for; without a lock what the chart asks for.
fn locked_version(chart: &Chart, dependency: &Dependency) -> Result<String> {
    let Some(lock) = &chart.lock else { return Ok(dependency.version.clone()) };
    let locked = lock.dependencies.iter().find(|locked| locked.name == dependency.name);
    let fits = |version: &str| gotemplate::semver::satisfies(&dependency.version, version).unwrap_or(false);
    match locked {
        Some(locked) if fits(&locked.version) || dependency.version.is_empty() => Ok(locked.version.clone()),
        _ => Err(Error::invalid(format!(
            "the lock of the chart `{}` is out of date: it has no version of `{}` that fits `{}`",
            chart.name(),
            dependency.name,
            dependency.version
        ))
        .hint("run `helm dependency update`")),
    }
}

/// The latest of `versions` that fits what is wanted. What leads to a release counts only where it is asked for.
fn choose<'a>(versions: impl Iterator<Item = &'a str>, wanted: Option<&str>) -> Result<Option<&'a str>> {
    let wanted = wanted.filter(|wanted| !wanted.is_empty()).unwrap_or("*");
    let constraint = Constraint::parse(wanted).map_err(|e| {
        Error::invalid(format!("`{wanted}` is neither a version nor a range of versions")).caused_by(&e)
    })?;
    let known = versions.filter_map(|text| Some((text, Version::parse(text).ok()?)));
    let known: Vec<_> = known.collect();
    // One that is named in full is meant, whatever a range would say.
    if let Some((text, _)) = known.iter().find(|(text, _)| *text == wanted) {
        return Ok(Some(text));
    }
    let fitting = known.into_iter().filter(|(_, version)| constraint.accepts(version));
    Ok(fitting.max_by(|(_, a), (_, b)| a.compare(b)).map(|(text, _)| text))
}

fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// Refuses bytes whose digest is not the one that was named.
fn check_digest(what: &str, bytes: &[u8], named: &str) -> Result<()> {
    let named = named.strip_prefix("sha256:").unwrap_or(named);
    let own = digest_of(bytes);
    if own.strip_prefix("sha256:") == Some(named.to_ascii_lowercase().as_str()) {
        return Ok(());
    }
    Err(Error::invalid(format!("{what} has the digest {own}, and sha256:{named} was expected")))
}
