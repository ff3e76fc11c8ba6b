//! What helm was told about registries and repositories: its files are read, never written.

use super::keeper::{Helper, PATIENCE};
use crate::yaml;
use base64::{Engine, engine::general_purpose::STANDARD};
use provider_core::{Error, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Passwords for registries and repositories, and the names of repositories.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Logins {
    /// What each file says of registries; the first that knows one wins.
    registries: Vec<Registries>,
    repositories: Vec<Repository>,
}

/// What one file says of registries.
#[derive(Clone, Default, PartialEq, Eq)]
struct Registries {
    /// Host to the program that knows the login.
    helpers: BTreeMap<String, Helper>,
    /// The program for all other hosts.
    store: Option<Helper>,
    /// Host to user and password.
    logins: BTreeMap<String, Login>,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

#[derive(Clone, PartialEq, Eq)]
struct Repository {
    name: String,
    url: String,
    login: Option<Login>,
    /// Whether other hosts than the repository's get the password too.
    everywhere: bool,
}

/// Without secrets.
impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let repositories: Vec<_> = self.repositories.iter().map(|repository| &repository.name).collect();
        let registries: Vec<_> =
            self.registries.iter().flat_map(|file| file.logins.keys().chain(file.helpers.keys())).collect();
        f.debug_struct("Logins")
            .field("registries", &registries)
            .field("repositories", &repositories)
            .finish()
    }
}

impl Login {
    /// The header `Authorization`.
    pub(super) fn header(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.user, self.password)))
    }
}

impl Logins {
    /// Reads helm's files: `registry/config.json` and `repositories.yaml`, from where `variable` of the environment says
    /// that they are (`HELM_REGISTRY_CONFIG`, `HELM_REPOSITORY_CONFIG`, `HELM_CONFIG_HOME`, `XDG_CONFIG_HOME`, `HOME`).
    /// Also that of `docker login`, as helm does. Files that are not there say nothing. The programs that either names
    /// are looked for in `PATH`, and not asked before their registry is.
    ///
    /// # Errors
    /// `Invalid` for a file that can't be read.
    pub fn of_helm(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = set("HOME").unwrap_or_default();
        let config = set("HELM_CONFIG_HOME")
            .or_else(|| set("XDG_CONFIG_HOME").map(|config| config.join("helm")))
            .unwrap_or_else(|| home.join(".config/helm"));
        let mut logins = Self::default();
        let docker = set("DOCKER_CONFIG").unwrap_or_else(|| home.join(".docker")).join("config.json");
        let registries = set("HELM_REGISTRY_CONFIG").unwrap_or_else(|| config.join("registry/config.json"));
        let programs = variable("PATH").unwrap_or_default();
        for path in [registries, docker] {
            if let Some(text) = read(&path)? {
                let file = Registries::read(&text, &programs)
                    .map_err(|e| e.during(format!("can't read `{}`", path.display())))?;
                logins.registries.push(file);
            }
        }
        let repositories = set("HELM_REPOSITORY_CONFIG").unwrap_or_else(|| config.join("repositories.yaml"));
        if let Some(text) = read(&repositories)? {
            logins.add_repositories(&repositories.display().to_string(), &text)?;
        }
        Ok(logins)
    }

    fn add_repositories(&mut self, name: &str, text: &str) -> Result<()> {
        let document = yaml::read_document(name, text)?;
        for entry in document["repositories"].as_array().into_iter().flatten() {
            let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            let login = Login { user: text("username"), password: text("password") };
            self.repositories.push(Repository {
                name: text("name"),
                url: text("url").trim_end_matches('/').to_owned(),
                login: Some(login).filter(|login| !login.user.is_empty()),
                everywhere: entry["pass_credentials_all"].as_bool().unwrap_or_default(),
            });
        }
        Ok(())
    }

    /// For the registry at `host`.
    ///
    /// # Errors
    /// As those of a [`Helper`].
    pub(super) async fn registry(&self, host: &str) -> Result<Option<Login>> {
        // As `docker login` calls its own.
        let is_docker = matches!(host, "registry-1.docker.io" | "docker.io" | "index.docker.io");
        let known_as = if is_docker { "index.docker.io" } else { host };
        for file in &self.registries {
            if let Some(helper) =
                file.helpers.get(host).or_else(|| file.helpers.get(known_as)).or(file.store.as_ref())
            {
                let asked_as = if is_docker { "https://index.docker.io/v1/" } else { host };
                if let Some(login) = helper.get(asked_as, PATIENCE).await? {
                    return Ok(Some(login));
                }
            }
            if let Some(login) = file.logins.get(host).or_else(|| file.logins.get(known_as)) {
                return Ok(Some(login.clone()));
            }
        }
        Ok(None)
    }

    /// The address of a repository: itself, or that of `@NAME`.
    ///
    /// # Errors
    /// `NotFound` when helm knows no repository of the name.
    pub(super) fn repository_url(&self, url: &str) -> Result<String> {
        let Some(name) = url.strip_prefix('@') else { return Ok(url.trim_end_matches('/').to_owned()) };
        let known = self.repositories.iter().find(|repository| repository.name == name);
        known.map(|repository| repository.url.clone()).ok_or_else(|| {
            Error::not_found(format!("helm knows no repository `{name}`")).hint("add it with `helm repo add`")
        })
    }

    /// For `address` when it is asked for on behalf of the repository at `url`.
    pub(super) fn repository(&self, url: &str, address: &str) -> Option<&Login> {
        let repository = self.repositories.iter().find(|repository| repository.url == url)?;
        let origin = |address: &str| {
            let (scheme, rest) = address.split_once("://")?;
            Some((scheme.to_owned(), rest.split('/').next().unwrap_or(rest).to_owned()))
        };
        let is_own = origin(address) == origin(url);
        repository.login.as_ref().filter(|_| is_own || repository.everywhere)
    }
}

impl Registries {
    /// Reads a file in the form of docker's `config.json`. Helpers are looked for in the directories of `programs`.
    ///
    /// # Errors
    /// `Invalid` for what is no JSON.
    fn read(text: &str, programs: &str) -> Result<Self> {
        let document: Value =
            serde_json::from_str(text).map_err(|e| Error::invalid("it is no JSON").because(e.to_string()))?;
        let helper = |name: &Value| {
            let name = name.as_str().filter(|name| !name.is_empty())?;
            Some(Helper::new(name, programs))
        };
        let mut registries = Self { store: helper(&document["credsStore"]), ..Self::default() };
        for (host, name) in document["credHelpers"].as_object().into_iter().flatten() {
            if let Some(helper) = helper(name) {
                registries.helpers.insert(host_of(host).to_owned(), helper);
            }
        }
        for (host, entry) in document["auths"].as_object().into_iter().flatten() {
            let decoded = entry["auth"].as_str().and_then(|auth| STANDARD.decode(auth.trim()).ok());
            let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
            let Some((user, password)) = decoded.as_deref().and_then(|text| text.split_once(':')) else {
                continue;
            };
            let login = Login { user: user.to_owned(), password: password.trim_end_matches('\0').to_owned() };
            registries.logins.insert(host_of(host).to_owned(), login);
        }
        Ok(registries)
    }
}

/// The host of what may be written as an address.
fn host_of(host: &str) -> &str {
    let host = host.trim_start_matches("https://").trim_start_matches("http://");
    host.split('/').next().unwrap_or(host)
}

fn read(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::invalid(format!("can't read `{}`", path.display())).caused_by(&e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_helm_are_read() {
        let home = tempfile::tempdir().unwrap();
        let config = home.path().join(".config/helm");
        std::fs::create_dir_all(config.join("registry")).unwrap();
        let auth = STANDARD.encode("ada:se:cret");
        let registries =
            format!(r#"{{"auths": {{"r.example:5000": {{"auth": "{auth}"}}, "empty.example": {{}}}}}}"#);
        std::fs::write(config.join("registry/config.json"), registries).unwrap();
        let repositories = "repositories:\n- {name: a, url: 'https://a.example/charts/', username: u, password: p}\n\
            - {name: b, url: 'https://b.example', username: u, password: p, pass_credentials_all: true}\n";
        std::fs::write(config.join("repositories.yaml"), repositories).unwrap();
        let top = home.path().display().to_string();
        let logins = Logins::of_helm(&|name| (name == "HOME").then(|| top.clone())).unwrap();
        assert_eq!(registry(&logins, "r.example:5000").unwrap(), format!("Basic {auth}"));
        assert_eq!((registry(&logins, "r.example"), registry(&logins, "empty.example")), (None, None));
        assert_eq!(logins.repository_url("@a").unwrap(), "https://a.example/charts");
        assert!(logins.repository_url("@c").is_err());
        let check = |url: &str, address: &str, want: bool| {
            assert_eq!(logins.repository(url, address).is_some(), want, "{url} {address}");
        };
        check("https://a.example/charts", "https://a.example/charts/x.tgz", true);
        check("https://a.example/charts", "https://files.example/x.tgz", false);
        check("https://a.example/charts", "http://a.example/charts/x.tgz", false);
        check("https://b.example", "https://files.example/x.tgz", true);
        check("https://c.example", "https://c.example/x.tgz", false);
        assert!(!format!("{logins:?}").contains("se:cret"));
    }

    fn registry(logins: &Logins, host: &str) -> Option<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(logins.registry(host)).unwrap().map(|login| login.header())
    }

    #[test]
    fn a_helper_knows_more_than_a_file_and_the_file_of_helm_comes_first() {
        let home = tempfile::tempdir().unwrap();
        let helm = home.path().join("config.json");
        let auth = |password: &str| STANDARD.encode(format!("ada:{password}"));
        let of_helm = format!(
            r#"{{"credHelpers": {{"known.example": "sample"}}, "auths": {{"known.example": {{"auth": "{}"}},
                "unknown.example": {{"auth": "{}"}}}}}}"#,
            auth("old"),
            auth("helm")
        );
        std::fs::write(&helm, of_helm).unwrap();
        std::fs::create_dir(home.path().join(".docker")).unwrap();
        let of_docker = format!(
            r#"{{"credsStore": "sample", "auths": {{"https://index.docker.io/v1/": {{}},
                "unknown.example": {{"auth": "{}"}}, "other.example": {{"auth": "{}"}}}}}}"#,
            auth("docker"),
            auth("docker")
        );
        std::fs::write(home.path().join(".docker/config.json"), of_docker).unwrap();
        let logins = Logins::of_helm(&|name| match name {
            "HOME" => Some(home.path().display().to_string()),
            "HELM_REGISTRY_CONFIG" => Some(helm.display().to_string()),
            "PATH" => Some(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/charts/fetch").to_owned()),
            _ => None,
        });
        let logins = logins.unwrap();
        let basic = |password: &str| Some(format!("Basic {}", auth(password)));
        assert_eq!(registry(&logins, "known.example"), basic("secret"), "the helper");
        assert_eq!(registry(&logins, "unknown.example"), basic("helm"));
        assert_eq!(registry(&logins, "other.example"), basic("docker"), "the helper does not know it");
        assert_eq!(registry(&logins, "docker.io"), basic("secret"), "by the name that docker has for it");
    }

    #[test]
    fn without_files_there_are_no_logins() {
        let dir = tempfile::tempdir().unwrap();
        let nothing = dir.path().join("nothing").display().to_string();
        assert_eq!(Logins::of_helm(&|_| Some(nothing.clone())).unwrap(), Logins::default());
    }
}
