//! `app`: packages to deploy.

use crate::{
    args::{AppVerb, Format},
    exit::Outcome,
    inputs::read_input,
    print::{Column, Item, column, wide},
    screen::{Screen, Tone},
    shapes::moment,
    site::Site,
};
use engine::AppVersion;
use provider_core::{AppVersionId, Archive, Error, PackageInfo, Records};
use serde::Serialize;
use std::path::Path;

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

async fn push(site: &Site, screen: &Screen, path: &Path) -> Outcome {
    let during = |e: Error| e.during(format!("package `{}`", path.display()));
    let archive = if path.is_dir() {
        let format = site.registry.format_with(|marker| path.join(marker).is_file()).map_err(during)?;
        format.read_directory(path)?
    } else {
        Archive::read(&read_input(path)?)?
    };
    let format = site.registry.format_of(&archive).map_err(during)?;
    let PackageInfo { id, .. } = format.inspect(&archive).map_err(during)?;
    // Packed anew, so that the same files are the same bytes wherever they came from.
    let is_new = site.store().push_app(&id, &archive.to_bytes(id.name())?).await?;
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
        Self {
            name: app.id.name().to_owned(),
            version: app.id.version().to_owned(),
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
