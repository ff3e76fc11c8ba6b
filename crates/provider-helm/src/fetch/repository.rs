//! Chart repositories: a server with an `index.yaml` that names archives.

use super::http::{Client, resolve};
use super::logins::Logins;
use super::{Fetched, check_digest, choose, digest_of};
use crate::yaml;
use ::http::Uri;
use provider_core::{Archive, Error, Result};
use serde_json::Value;

/// Bytes of an index: those of large repositories have a dozen MiB.
const MAX_INDEX: usize = 64 << 20;

/// Fetches a chart. See [`super::Fetcher::fetch`].
pub(super) async fn fetch(
    client: &Client,
    logins: &Logins,
    url: &str,
    name: &str,
    version: Option<&str>,
) -> Result<Fetched> {
    let url = logins.repository_url(url)?;
    let index_address = format!("{url}/index.yaml");
    let authorization = |address: &str| logins.repository(&url, address).map(super::logins::Login::header);
    let answer =
        client.get(&index_address, "*/*", authorization(&index_address).as_deref(), MAX_INDEX).await?;
    let index = answer.success("the repository's `index.yaml`")?;
    let index =
        String::from_utf8(index).map_err(|_| Error::invalid("the repository's `index.yaml` is not UTF-8"))?;
    let entry = find(&index, name, version)?;
    // As seen from the repository, whatever the index was answered from.
    let base: Uri =
        index_address.parse().map_err(|e| Error::invalid(format!("`{url}` is no address")).caused_by(&e))?;
    let address = resolve(&base, &entry.url);
    let answer = client.get(&address, "*/*", authorization(&address).as_deref(), Archive::MAX_PACKED).await?;
    let address = answer.address.split('?').next().unwrap_or_default().to_owned();
    let packed = answer.success(&format!("the archive of version {}", entry.version))?;
    if let Some(digest) = entry.digest {
        check_digest("the chart's archive", &packed, &digest)?;
    }
    Ok(Fetched { digest: digest_of(&packed), packed, address })
}

#[derive(Debug, PartialEq)]
struct Entry {
    version: String,
    url: String,
    digest: Option<String>,
}

/// The version of the chart that fits best.
fn find(index: &str, name: &str, version: Option<&str>) -> Result<Entry> {
    let index = yaml::read_document("index.yaml", index)?;
    let Some(entries) = index["entries"][name].as_array() else {
        return Err(Error::not_found(format!("the repository has no chart `{name}`")));
    };
    let version_of = |entry: &Value| match &entry["version"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let versions: Vec<String> = entries.iter().map(version_of).collect();
    let known = || versions.iter().map(String::as_str);
    let Some(chosen) = choose(known(), version)? else {
        let latest = choose(known(), None)?.unwrap_or("none");
        return Err(Error::not_found(format!(
            "the repository has no version {} of `{name}`",
            version.unwrap_or("of any number")
        ))
        .hint(format!("it has {} versions; the latest: {latest}", versions.len())));
    };
    let entry = entries.iter().find(|entry| version_of(entry) == chosen).unwrap_or(&Value::Null);
    let Some(url) = entry["urls"][0].as_str() else {
        return Err(Error::invalid(format!(
            "the repository names no archive for version {chosen} of `{name}`"
        )));
    };
    let digest = entry["digest"].as_str().filter(|digest| !digest.is_empty()).map(str::to_owned);
    Ok(Entry { version: chosen.to_owned(), url: url.to_owned(), digest })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "
apiVersion: v1
entries:
  web:
  - {version: 1.9.0, urls: [web-1.9.0.tgz], digest: abc}
  - {version: 2.0.0-rc1, urls: [web-2.0.0-rc1.tgz]}
  - {version: 1.10.0, urls: ['https://files.example/web-1.10.0.tgz', other]}
  - {version: not a version, urls: [x]}
  - {version: 0.1, urls: []}
";

    #[test]
    fn the_latest_version_that_fits_is_taken() {
        let check = |version: Option<&str>, want: &str| {
            let found = find(INDEX, "web", version).map_or_else(|e| e.to_string(), |entry| entry.url);
            assert_eq!(found, want, "{version:?}");
        };
        check(None, "https://files.example/web-1.10.0.tgz");
        check(Some("~1.9"), "web-1.9.0.tgz");
        check(Some(">1.10-0"), "web-2.0.0-rc1.tgz");
        check(Some("2.0.0-rc1"), "web-2.0.0-rc1.tgz");
        check(Some("3"), "the repository has no version 3 of `web`");
        check(Some("<1"), "the repository names no archive for version 0.1 of `web`");
        check(Some("soon"), "`soon` is neither a version nor a range of versions");
        assert!(find(INDEX, "db", None).unwrap_err().to_string().contains("no chart `db`"));
    }
}
