//! Registries: the distribution protocol, as far as it takes to fetch a chart.

use super::http::{Answer, Client, resolve};
use super::logins::Logins;
use super::{Fetched, check_digest, choose, digest_of};
use ::http::{StatusCode, Uri};
use provider_core::{Archive, Error, Result};
use serde_json::Value;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CHART_LAYERS: [&str; 2] =
    ["application/vnd.cncf.helm.chart.content.v1.tar+gzip", "application/tar+gzip"];
/// Bytes of a manifest, a token or a page of tags.
const MAX_DOCUMENT: usize = 4 << 20;
/// Pages of tags, at most.
const MAX_PAGES: usize = 50;

/// Fetches the chart at `path`. See [`super::Fetcher::fetch`].
pub(super) async fn fetch(
    client: &Client,
    logins: &Logins,
    host: &str,
    path: &str,
    version: Option<&str>,
) -> Result<Fetched> {
    let mut registry = Registry { client, logins, host, path, authorization: None };
    let reference = match version {
        Some(digest) if digest.starts_with("sha256:") => digest.to_owned(),
        version => registry.tag(version).await?,
    };
    let what = format!("the manifest of `{reference}`");
    let manifest =
        registry.get(&format!("manifests/{reference}"), MANIFEST, MAX_DOCUMENT).await?.success(&what)?;
    if reference.starts_with("sha256:") {
        check_digest(&what, &manifest, &reference)?;
    }
    let manifest: Value = serde_json::from_slice(&manifest)
        .map_err(|e| Error::invalid(format!("{what} is no JSON")).because(e.to_string()))?;
    let layers = manifest["layers"].as_array().into_iter().flatten();
    let layer = layers.into_iter().find(|layer| {
        layer["mediaType"].as_str().is_some_and(|media_type| CHART_LAYERS.contains(&media_type))
    });
    let Some(digest) = layer.and_then(|layer| layer["digest"].as_str()) else {
        return Err(Error::invalid(format!("{what} has no chart; it is of some other kind of artifact")));
    };
    let answer = registry.get(&format!("blobs/{digest}"), "*/*", Archive::MAX_PACKED).await?;
    let joint = if reference.starts_with("sha256:") { '@' } else { ':' };
    let address = format!("oci://{host}/{path}{joint}{reference}");
    let packed = answer.success("the chart's archive")?;
    check_digest("the chart's archive", &packed, digest)?;
    Ok(Fetched { digest: digest_of(&packed), packed, address })
}

struct Registry<'a> {
    client: &'a Client,
    logins: &'a Logins,
    host: &'a str,
    path: &'a str,
    /// What the registry accepted last.
    authorization: Option<String>,
}

impl Registry<'_> {
    /// On this machine registries speak plain HTTP; helm wants a flag for that, docker does not.
    fn scheme(&self) -> &'static str {
        let name = self.host.rsplit_once(':').map_or(self.host, |(name, _)| name);
        if matches!(name, "localhost" | "127.0.0.1" | "[::1]") { "http" } else { "https" }
    }

    /// Docker's own registry has another name than its images have.
    fn server(&self) -> &str {
        if self.host == "docker.io" { "registry-1.docker.io" } else { self.host }
    }

    /// Asks for something of the chart; logs in when the registry wants that.
    async fn get(&mut self, what: &str, accept: &str, max: usize) -> Result<Answer> {
        let address = format!("{}://{}/v2/{}/{what}", self.scheme(), self.server(), self.path);
        let answer = self.client.get(&address, accept, self.authorization.as_deref(), max).await?;
        if answer.status != StatusCode::UNAUTHORIZED || self.authorization.is_some() {
            return Ok(answer);
        }
        let Some(authorization) = self.log_in(&answer.challenges).await? else { return Ok(answer) };
        let again = self.client.get(&address, accept, Some(&authorization), max).await?;
        self.authorization = Some(authorization);
        Ok(again)
    }

    /// What to send in `Authorization`, if there is a way.
    async fn log_in(&self, challenges: &[String]) -> Result<Option<String>> {
        let login = self.logins.registry(self.host).await?;
        let challenges = challenges.iter().filter_map(|text| Challenge::parse(text));
        for challenge in challenges {
            if challenge.scheme.eq_ignore_ascii_case("basic") {
                if let Some(login) = &login {
                    return Ok(Some(login.header()));
                }
                continue;
            }
            let (true, Some(realm)) =
                (challenge.scheme.eq_ignore_ascii_case("bearer"), challenge.get("realm"))
            else {
                continue;
            };
            if self.scheme() == "https" && !realm.starts_with("https://") {
                return Err(Error::invalid(format!(
                    "the registry wants the password over plain HTTP, at `{realm}`"
                )));
            }
            let scope = format!("repository:{}:pull", self.path);
            let scope = challenge.get("scope").unwrap_or(&scope);
            let service = challenge.get("service").unwrap_or_default();
            let joint = if realm.contains('?') { '&' } else { '?' };
            let address = format!("{realm}{joint}service={}&scope={}", escape(service), escape(scope));
            let header = login.as_ref().map(super::logins::Login::header);
            let answer =
                self.client.get(&address, "application/json", header.as_deref(), MAX_DOCUMENT).await?;
            let token: Value = serde_json::from_slice(&answer.success("a token of the registry")?)
                .map_err(|e| Error::invalid("the registry's token is no JSON").because(e.to_string()))?;
            let token = token["token"].as_str().or(token["access_token"].as_str());
            return Ok(token.map(|token| format!("Bearer {token}")));
        }
        Ok(None)
    }

    /// The tag of the version that fits. One that is named in full is not looked up.
    async fn tag(&mut self, version: Option<&str>) -> Result<String> {
        if let Some(version) = version
            && is_full(version)
        {
            return Ok(version.replace('+', "_"));
        }
        let mut tags: Vec<String> = Vec::new();
        let mut page = "tags/list".to_owned();
        for _ in 0..MAX_PAGES {
            let answer = self.get(&page, "application/json", MAX_DOCUMENT).await?;
            let next = answer.link.as_deref().and_then(next_page);
            let address: Option<Uri> = answer.address.parse().ok();
            let list: Value = serde_json::from_slice(&answer.success("the list of versions")?)
                .map_err(|e| Error::invalid("the list of versions is no JSON").because(e.to_string()))?;
            let names = list["tags"].as_array().into_iter().flatten().filter_map(Value::as_str);
            // A tag can't hold the `+` of a version.
            tags.extend(names.map(|name| name.replace('_', "+")));
            let next = next.zip(address).map(|(next, base)| resolve(&base, &next));
            let Some(next) =
                next.and_then(|next| next.split_once("/tags/").map(|(_, rest)| format!("tags/{rest}")))
            else {
                break;
            };
            page = next;
        }
        let wanted = version.unwrap_or("of any number");
        let found = choose(tags.iter().map(String::as_str), version)?;
        found.map(|tag| tag.replace('+', "_")).ok_or_else(|| {
            Error::not_found(format!("there is no version {wanted}")).hint(format!(
                "there are {} versions; the latest: {}",
                tags.len(),
                latest(&tags)
            ))
        })
    }
}

/// Whether a version has all its three numbers, so that it can't be a range.
fn is_full(version: &str) -> bool {
    let numbers = version.split(['-', '+']).next().unwrap_or(version);
    numbers.split('.').count() == 3 && gotemplate::semver::Version::parse(version).is_ok()
}

fn latest(tags: &[String]) -> &str {
    choose(tags.iter().map(String::as_str), Some("*")).ok().flatten().unwrap_or("none")
}

/// The address in `<ADDRESS>; rel="next"`.
fn next_page(link: &str) -> Option<String> {
    let (address, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    rest.contains("next").then(|| address.to_owned())
}

/// Everything that is not plain in a query as `%XX`.
fn escape(text: &str) -> String {
    let escaped = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    escaped.collect()
}

/// `SCHEME name="value",name=value` of the header `WWW-Authenticate`.
struct Challenge<'a> {
    scheme: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Challenge<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (scheme, mut rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let mut parameters = Vec::new();
        while let Some((name, after)) = rest.split_once('=') {
            let name = name.trim_matches([',', ' ']);
            let (value, after) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => after.split_once(',').unwrap_or((after, "")),
            };
            parameters.push((name, value));
            rest = after;
        }
        Some(Self { scheme, parameters })
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.parameters.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let check = |text: &str, scheme: &str, want: &[(&str, &str)]| {
            let challenge = Challenge::parse(text).unwrap();
            assert_eq!((challenge.scheme, &*challenge.parameters), (scheme, want), "{text}");
        };
        check("Basic", "Basic", &[]);
        check("Basic realm=x", "Basic", &[("realm", "x")]);
        check(
            r#"Bearer realm="https://a.example/token",service="r", scope="repository:a/b:pull,push""#,
            "Bearer",
            &[("realm", "https://a.example/token"), ("service", "r"), ("scope", "repository:a/b:pull,push")],
        );
        assert!(Challenge::parse(r#"Bearer realm="never ends"#).is_none());
    }

    #[test]
    fn pages_are_followed() {
        assert_eq!(
            next_page(r#"</v2/a/tags/list?last=x&n=2>; rel="next""#).as_deref(),
            Some("/v2/a/tags/list?last=x&n=2")
        );
        assert_eq!(next_page(r#"</v2/a>; rel="prev""#), None);
        assert_eq!(escape("repository:a/b:pull"), "repository%3Aa%2Fb%3Apull");
    }
}
