//! `app`: packages to deploy.

use crate::{
    args::{AppVerb, Format},
    exit::{Failure, Outcome},
    inputs::read_input,
    print::{Column, Item, column, wide},
    screen::{Screen, Tone},
    shapes::moment,
    site::Site,
};
use engine::{AppVersion, Origin};
use provider_core::{AppVersionId, Archive, Error, FetchedPackage, PackageInfo, Records, Remote, Result};
use serde::Serialize;
use std::path::Path;

/// Carries out a verb.
pub(crate) async fn run(verb: AppVerb, site: &Site, screen: &Screen) -> Outcome {
    let store = site.store();
    match verb {
        AppVerb::Push { package, repo, version } => {
            push(site, screen, Remote { name: package, repository: repo, version }).await
        }
        AppVerb::List => {
            let views: Vec<_> = store.apps().await?.into_iter().map(AppView::new).collect();
            screen.list(&views, "there are no apps; `pitrix app push DIRECTORY` adds one")
        }
        AppVerb::Describe(app) => {
            let archive = store.package(&app.id).await?;
            let PackageInfo { description, .. } = site.registry.format_of(&archive)?.inspect(&archive)?;
            let view = AppView { description, ..find(site, &app.id).await? };
            screen.one(&view, || view.sheet(screen, &archive))
        }
        AppVerb::Config(app) => {
            let archive = store.package(&app.id).await?;
            screen.data(&site.registry.format_of(&archive)?.questions(&archive)?)
        }
        AppVerb::Delete(app) => {
            store.delete_app(&app.id).await?;
            screen.say(Tone::Good, "deleted", &format!("app `{}`", app.id));
            Ok(())
        }
    }
}

async fn push(site: &Site, screen: &Screen, from: Remote) -> Outcome {
    let during = |e: Error| e.during(format!("package `{}`", from.name));
    let is_elsewhere = from.repository.is_some() || from.name.contains("://");
    let (archive, origin) = if is_elsewhere {
        let FetchedPackage { package, digest, address } = fetch(site, screen, &from).await?;
        (package, Some(Origin { address, digest }))
    } else if from.version.is_some() {
        return Err(Failure::Usage(Error::invalid("`--version` is for packages from elsewhere")));
    } else {
        (read(site, Path::new(&from.name))?, None)
    };
    let format = site.registry.format_of(&archive).map_err(during)?;
    let archive = format.complete(archive).await.map_err(during)?;
    let PackageInfo { id, .. } = format.inspect(&archive).map_err(during)?;
    // Packed anew, so that the same files are the same bytes wherever they came from.
    let is_new = site.store().push_app_from(&id, &archive.to_bytes(id.name())?, origin).await?;
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

/// The files of a directory or an archive on this machine.
fn read(site: &Site, path: &Path) -> Result<Archive> {
    if path.is_dir() {
        let format = site.registry.format_with(|marker| path.join(marker).is_file());
        let format = format.map_err(|e| e.during(format!("package `{}`", path.display())))?;
        return format.read_directory(path);
    }
    Archive::read(&read_input(path)?)
}

async fn fetch(site: &Site, screen: &Screen, from: &Remote) -> Outcome<FetchedPackage> {
    for format in site.registry.formats() {
        if let Some(fetched) = format.fetch(from).await? {
            screen.say(Tone::Plain, "fetched", &format!("{} ({})", fetched.address, fetched.digest));
            return Ok(fetched);
        }
    }
    Err(Error::unsupported(format!("no provider of this binary fetches `{}`", from.name))
        .hint("charts are fetched by a binary with `--features kubernetes`: `oci://HOST/PATH:VERSION`, or `NAME --repo URL`")
        .into())
}

async fn find(site: &Site, id: &AppVersionId) -> Outcome<AppView> {
    let apps = site.store().apps().await?;
    let app = apps.into_iter().find(|app| app.id == *id);
    let app = app.ok_or_else(|| Error::not_found(format!("there is no app `{id}`")))?;
    Ok(AppView::new(app))
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
    /// Where it was fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<OriginView>,
}

#[derive(Serialize)]
struct OriginView {
    address: String,
    /// Of what came from there, before it was packed anew.
    digest: String,
}

impl OriginView {
    fn shown(&self) -> String {
        format!("{} ({})", self.address, self.digest)
    }
}

impl AppView {
    fn new(app: AppVersion) -> Self {
        Self {
            name: app.id.name().to_owned(),
            version: app.id.version().to_owned(),
            id: app.id.to_string(),
            description: String::new(),
            digest: app.digest,
            size_bytes: app.size,
            pushed: moment(app.pushed),
            origin: app.origin.map(|Origin { address, digest }| OriginView { address, digest }),
        }
    }

    fn sheet(&self, screen: &Screen, archive: &Archive) -> String {
        let files: Vec<_> = archive.files().map(|(path, _)| path).collect();
        screen.pairs(&[
            ("app", self.id.clone()),
            ("description", self.description.clone()),
            ("pushed", self.pushed.clone()),
            ("digest", self.digest.clone()),
            ("fetched", self.origin.as_ref().map(OriginView::shown).unwrap_or_default()),
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
