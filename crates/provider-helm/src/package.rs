//! Charts as packages: what whoever pushes, describes and configures them has to know.

use crate::chart::{self, Chart};
use crate::fetch::{ChartSource, Fetcher, Logins};
use crate::lookup;
use crate::render::Renderer;
use crate::values;
use async_trait::async_trait;
use provider_core::{
    AppVersionId, Archive, FetchedPackage, Given, PackageFormat, PackageInfo, Remote, Result, RoleName,
};
use serde_json::Value;
use std::{env, path::Path};

/// The format of Helm charts, in either of the two chart formats.
#[derive(Clone, Copy, Debug, Default)]
pub struct Charts;

#[async_trait]
impl PackageFormat for Charts {
    fn name(&self) -> &'static str {
        "chart"
    }

    fn marker(&self) -> &'static str {
        "Chart.yaml"
    }

    fn read_directory(&self, top: &Path) -> Result<Archive> {
        chart::read_directory(top)
    }

    async fn fetch(&self, from: &Remote) -> Result<Option<FetchedPackage>> {
        let source = match &from.repository {
            Some(url) => ChartSource::Repository {
                url: url.clone(),
                name: from.name.clone(),
                version: from.version.clone(),
            },
            None if from.name.starts_with("oci://") => {
                ChartSource::parse_registry(&from.name)?.or_version(from.version.as_deref())?
            }
            None => return Ok(None),
        };
        let fetched = fetcher()?.fetch(&source).await?;
        let package = Archive::read(&fetched.packed)?;
        Ok(Some(FetchedPackage { package, digest: fetched.digest, address: fetched.address }))
    }

    async fn complete(&self, package: Archive) -> Result<Archive> {
        if Chart::from_archive(&package)?.missing_dependencies().is_empty() {
            return Ok(package);
        }
        fetcher()?.complete(package).await
    }

    fn inspect(&self, package: &Archive) -> Result<PackageInfo> {
        let chart = Chart::from_archive(package)?;
        chart.check_installable()?;
        let metadata = &chart.metadata;
        Ok(PackageInfo {
            id: AppVersionId::of(&metadata.name, &metadata.version),
            description: metadata.description.trim().to_owned(),
        })
    }

    /// The chart's `values.yaml` as it is written: its comments are its documentation.
    fn questions(&self, package: &Archive) -> Result<String> {
        Ok(Chart::from_archive(package)?.values_text.to_string())
    }

    /// The values that were given, merged. The schema of the chart is checked here only for a new release: over one
    /// that there is already, the provider checks them together with the values of that.
    fn answers(&self, package: &Archive, given: &Given<'_>, recorded: Option<&Value>) -> Result<Value> {
        let values = values::of_user(given)?;
        if recorded.is_none() {
            Renderer::new(Chart::from_archive(package)?).resolve(&values)?;
        }
        let mut answers = Value::Object(values);
        if let Some(lookup) = given.lookup {
            answers[lookup::ANSWER] = lookup.into();
        }
        Ok(answers)
    }

    /// Each chart has its own ways to say that, if any.
    fn count_key(&self, _: &RoleName) -> Option<String> {
        None
    }
}

/// With the logins that helm has.
fn fetcher() -> Result<Fetcher> {
    Fetcher::new(Logins::of_helm(&|name| env::var(name).ok())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use provider_core::{Setting, SettingKind};
    use serde_json::json;

    fn archive(files: &[(&str, &str)]) -> Archive {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
        Archive::from_files(files).unwrap()
    }

    fn web() -> Archive {
        archive(&[
            ("Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.2.0\ndescription: ' Serves pages '\n"),
            ("values.yaml", "# How many\nreplicas: 1\n"),
            ("values.schema.json", r#"{"properties": {"replicas": {"type": "integer", "maximum": 9}}}"#),
        ])
    }

    #[test]
    fn a_chart_says_what_it_is_and_what_it_can_be_told() {
        let info = Charts.inspect(&web()).unwrap();
        assert_eq!((info.id.as_str(), &*info.description), ("web@1.2.0", "Serves pages"));
        assert_eq!(Charts.questions(&web()).unwrap(), "# How many\nreplicas: 1\n");
        let library =
            archive(&[("Chart.yaml", "apiVersion: v2\nname: lib\nversion: 1.0.0\ntype: library\n")]);
        insta::assert_snapshot!(Charts.inspect(&library).unwrap_err(), @"the chart `lib` is a library");
    }

    #[test]
    fn answers_are_merged_and_checked() {
        let check = |settings: &[(SettingKind, &str)], recorded: Option<&Value>| {
            let settings = settings
                .iter()
                .map(|(kind, text)| Setting { kind: *kind, text: (*text).to_owned() })
                .collect();
            let given = Given {
                files: vec![("a.yaml".to_owned(), b"replicas: 3\nname: x".to_vec())],
                settings,
                lookup: None,
                read: &|name: &str| Ok(format!("content of {name}").into_bytes()),
            };
            Charts.answers(&web(), &given, recorded)
        };
        let answers =
            check(&[(SettingKind::File, "file=f"), (SettingKind::Plain, "name=null,replicas=2")], None);
        assert_eq!(answers.unwrap(), json!({"replicas": 2, "name": null, "file": "content of f"}));
        let settings = [(SettingKind::Plain, "replicas=12")];
        insta::assert_snapshot!(check(&settings, None).unwrap_err(), @r"
        the values don't meet the schema of the chart `web`:
        web: `/replicas`: 12 is greater than the maximum of 9
        ");
        assert!(check(&settings, Some(&json!({}))).is_ok());
    }
}
