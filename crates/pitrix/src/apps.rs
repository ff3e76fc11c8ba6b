//! `app`: packages to deploy.

use crate::{
    args::{AppVerb, Format},
    exit::Outcome,
    inputs::{read_input, unreadable},
    print::{Column, Item, column, wide},
    screen::{Screen, Tone},
    shapes::moment,
    site::Site,
};
use engine::AppVersion;
use provider_core::{AppVersionId, Archive, Error, Records, Result};
use serde::Serialize;
use std::{fs, path::Path};
use vmbased::package::Package;

/// Carries out a verb.
pub(crate) async fn run(verb: AppVerb, site: &Site, screen: &Screen) -> Outcome {
    let store = site.store();
    match verb {
        AppVerb::Push { path } => push(site, screen, &path).await,
        AppVerb::List => {
            let views: Vec<_> = store.apps().await?.into_iter().map(AppView::new).collect();
            screen.list(&views, "there are no apps; `pitrix app push DIRECTORY` adds one")
        }
        AppVerb::Describe(app) => {
            let archive = store.package(&app.id).await?;
            let package = Package::load(&archive)?;
            let view =
                AppView { description: package.metadata().description.clone(), ..find(site, &app.id).await? };
            screen.one(&view, || view.sheet(screen, &archive))
        }
        AppVerb::Config(app) => {
            let package = Package::load(&*store.package(&app.id).await?)?;
            screen.data(&package.config().template())
        }
        AppVerb::Delete(app) => {
            store.delete_app(&app.id).await?;
            screen.say(Tone::Good, "deleted", &format!("app `{}`", app.id));
            Ok(())
        }
    }
}

async fn push(site: &Site, screen: &Screen, path: &Path) -> Outcome {
    let archive = if path.is_dir() { read_directory(path)? } else { Archive::read(&read_input(path)?)? };
    let package = Package::load(&archive).map_err(|e| e.during(format!("package `{}`", path.display())))?;
    let id = package.version_id();
    // Packed anew, so that the same files are the same bytes wherever they came from.
    let is_new = site.store().push_app(&id, &archive.to_bytes(&package.metadata().name)?).await?;
    let text = if is_new {
        format!("app `{id}`")
    } else {
        format!("app `{id}` was there already, with the same content")
    };
    screen.say(Tone::Good, "pushed", &text);
    match screen.format {
        Format::Table | Format::Wide => Ok(()),
        _ => {
            let view = find(site, &id).await?;
            screen.one(&view, String::new)
        }
    }
}

async fn find(site: &Site, id: &AppVersionId) -> Outcome<AppView> {
    let apps = site.store().apps().await?;
    let app = apps.into_iter().find(|app| app.id == *id);
    let app = app.ok_or_else(|| Error::not_found(format!("there is no app `{id}`")))?;
    Ok(AppView::new(app))
}

/// The files under `root`, as an archive holds them. Hidden ones are left out; a link would be refused.
fn read_directory(root: &Path) -> Result<Archive> {
    let mut files = Vec::new();
    let mut directories = vec![root.to_owned()];
    let mut bytes = 0;
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).map_err(|e| unreadable(&directory, &e))? {
            let entry = entry.map_err(|e| unreadable(&directory, &e))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(|e| unreadable(&path, &e))?;
            let name = path.strip_prefix(root).expect("it was found under the root").to_str();
            let name =
                name.ok_or_else(|| Error::invalid(format!("the name of `{}` is not UTF-8", path.display())))?;
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            if kind.is_dir() {
                directories.push(path);
            } else if kind.is_file() {
                bytes += entry.metadata().map_err(|e| unreadable(&path, &e))?.len();
                if bytes > Archive::MAX_UNPACKED || files.len() == Archive::MAX_ENTRIES {
                    return Err(Error::invalid(format!("`{}` is too large for a package", root.display()))
                        .hint(format!(
                            "a package has at most {} files and {} MiB",
                            Archive::MAX_ENTRIES,
                            Archive::MAX_UNPACKED >> 20
                        )));
                }
                files.push((name.to_owned(), fs::read(&path).map_err(|e| unreadable(&path, &e))?));
            } else {
                return Err(Error::invalid(format!(
                    "`{}` is neither a file nor a directory",
                    path.display()
                ))
                .hint("packages hold no links and no devices"));
            }
        }
    }
    Archive::from_files(files)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AppView {
    id: String,
    name: String,
    version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    digest: String,
    size_bytes: u64,
    pushed: String,
}

impl AppView {
    fn new(app: AppVersion) -> Self {
        let (name, version) = app.id.as_str().split_once('@').unwrap_or((app.id.as_str(), ""));
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            id: app.id.to_string(),
            description: String::new(),
            digest: app.digest,
            size_bytes: app.size,
            pushed: moment(app.pushed),
        }
    }

    fn sheet(&self, screen: &Screen, archive: &Archive) -> String {
        let files: Vec<_> = archive.files().map(|(path, _)| path).collect();
        screen.pairs(&[
            ("app", self.id.clone()),
            ("description", self.description.clone()),
            ("pushed", self.pushed.clone()),
            ("digest", self.digest.clone()),
            ("size", kib(self.size_bytes)),
            ("files", files.join(", ")),
        ])
    }
}

impl Item for AppView {
    const KIND: &'static str = "App";
    const COLUMNS: &'static [Column] = &[column("APP"), column("SIZE"), column("PUSHED"), wide("DIGEST")];

    fn name(&self) -> String {
        self.id.clone()
    }

    fn row(&self) -> Vec<String> {
        vec![self.id.clone(), kib(self.size_bytes), self.pushed.clone(), self.digest.clone()]
    }
}

fn kib(bytes: u64) -> String {
    format!("{:.1} KiB", bytes as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_directory_is_read_without_what_is_hidden_and_refused_with_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("templates/.git")).unwrap();
        fs::write(root.join("package.json"), "{}").unwrap();
        fs::write(root.join("templates/a.tera"), "x").unwrap();
        fs::write(root.join("templates/.git/config"), "x").unwrap();
        let paths = |archive: Archive| archive.files().map(|(path, _)| path.to_owned()).collect::<Vec<_>>();
        assert_eq!(read_directory(root).map(paths).unwrap(), ["package.json", "templates/a.tera"]);
        symlink("/etc/passwd", root.join("stolen")).unwrap();
        let error = read_directory(root).unwrap_err();
        assert!(error.to_string().ends_with("stolen` is neither a file nor a directory"), "{error}");
    }
}
