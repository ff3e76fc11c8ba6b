//! Requests over HTTP: GET only, with a cap on what is read and on how often a server may send us elsewhere.

use ::http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client as Hyper, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use provider_core::{Error, Result};
use std::time::Duration;

/// How often a server may send us elsewhere.
const MAX_REDIRECTS: usize = 5;
/// For one request, from the first byte sent to the last received.
const TIMEOUT: Duration = Duration::from_secs(60);
const USER_AGENT: &str = concat!("pitrix/", env!("CARGO_PKG_VERSION"));

pub(super) struct Client(Hyper<HttpsConnector<HttpConnector>, Empty<&'static [u8]>>);

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

/// An answer, whatever its status.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
    /// `WWW-Authenticate`, one for each way.
    pub(super) challenges: Vec<String>,
    /// `Link`, for lists in pages.
    pub(super) link: Option<String>,
    /// Where it came from in the end.
    pub(super) address: String,
}

impl Client {
    pub(super) fn new() -> Result<Self> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        // Else the first request of each connection waits for the server's word on the handshake.
        http.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()
            .map_err(|e| Error::unsupported("the machine has no certificates to trust").caused_by(&e))?
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        Ok(Self(Hyper::builder(TokioExecutor::new()).build(connector)))
    }

    /// Asks for `address`, and for where that leads to. `authorization` goes to the first host only.
    pub(super) async fn get(
        &self,
        address: &str,
        accept: &str,
        authorization: Option<&str>,
        max: usize,
    ) -> Result<Answer> {
        let attempt = self.follow(address, accept, authorization, max);
        match tokio::time::timeout(TIMEOUT, attempt).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::unavailable(format!(
                "`{}` did not answer in {} s",
                shown(address),
                TIMEOUT.as_secs()
            ))),
        }
    }

    async fn follow(
        &self,
        address: &str,
        accept: &str,
        authorization: Option<&str>,
        max: usize,
    ) -> Result<Answer> {
        let mut uri = parse(address)?;
        let first = uri.clone();
        for _ in 0..=MAX_REDIRECTS {
            let is_first = uri.authority() == first.authority() && uri.scheme() == first.scheme();
            let mut request =
                Request::get(&uri).header(header::USER_AGENT, USER_AGENT).header(header::ACCEPT, accept);
            if let Some(authorization) = authorization.filter(|_| is_first) {
                request = request.header(header::AUTHORIZATION, authorization);
            }
            let request = request
                .body(Empty::new())
                .map_err(|e| Error::invalid(format!("can't ask for `{}`", shown(address))).caused_by(&e))?;
            let answer = self.0.request(request).await.map_err(|e| {
                Error::unavailable(format!("can't reach `{}`", uri.authority().map_or("", |a| a.as_str())))
                    .caused_by(&e)
            })?;
            let text = |name| {
                let value =
                    answer.headers().get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
                value.map(str::to_owned)
            };
            if let Some(location) = text(header::LOCATION).filter(|_| answer.status().is_redirection()) {
                uri = parse(&resolve(&uri, &location))?;
                if first.scheme_str() == Some("https") && uri.scheme_str() != Some("https") {
                    return Err(Error::invalid(format!(
                        "`{}` leads from HTTPS to plain HTTP",
                        shown(address)
                    )));
                }
                continue;
            }
            let challenges = answer.headers().get_all(header::WWW_AUTHENTICATE).iter();
            let challenges = challenges.filter_map(|value| value.to_str().ok().map(str::to_owned)).collect();
            let (status, link) = (answer.status(), text(header::LINK));
            let body = Limited::new(answer.into_body(), max).collect().await.map_err(|e| {
                Error::invalid(format!(
                    "can't read what `{}` sends, of which {max} bytes are allowed",
                    shown(address)
                ))
                .because(e.to_string())
            })?;
            return Ok(Answer {
                status,
                body: body.to_bytes().to_vec(),
                challenges,
                link,
                address: uri.to_string(),
            });
        }
        Err(Error::invalid(format!("`{}` leads elsewhere more than {MAX_REDIRECTS} times", shown(address))))
    }
}

impl Answer {
    /// The body of an answer that is a success.
    ///
    /// # Errors
    /// Of the kind that the status says.
    pub(super) fn success(self, what: &str) -> Result<Vec<u8>> {
        let status = self.status;
        let message = format!("{what}: the server answers {status}");
        match status.as_u16() {
            200 => Ok(self.body),
            404 | 410 => Err(Error::not_found(format!("{what} is not there"))),
            401 | 403 => Err(Error::unauthorized(message).hint(
                "log in with `helm registry login` or `helm repo add --username`; the same files are read",
            )),
            429 | 500.. => Err(Error::unavailable(message)),
            _ => Err(Error::invalid(message)),
        }
    }
}

fn parse(address: &str) -> Result<Uri> {
    let uri: Uri = address
        .parse()
        .map_err(|e| Error::invalid(format!("`{}` is no address", shown(address))).caused_by(&e))?;
    match uri.scheme_str() {
        Some("https" | "http") if uri.authority().is_some() => Ok(uri),
        _ => Err(Error::invalid(format!("`{}` is no address of a web server", shown(address)))),
    }
}

/// `reference` as seen from `base`.
pub(super) fn resolve(base: &Uri, reference: &str) -> String {
    // A scheme of its own; one that is not the web's is refused when it is asked for.
    if reference
        .split_once("://")
        .is_some_and(|(scheme, _)| scheme.chars().all(|c| c.is_ascii_alphanumeric()))
    {
        return reference.to_owned();
    }
    let scheme = base.scheme_str().unwrap_or("https");
    let authority = base.authority().map_or("", |authority| authority.as_str());
    if let Some(rest) = reference.strip_prefix("//") {
        return format!("{scheme}://{rest}");
    }
    let directory = base.path().rsplit_once('/').map_or("", |(directory, _)| directory);
    let path =
        if reference.starts_with('/') { reference.to_owned() } else { format!("{directory}/{reference}") };
    let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').skip(1) {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("{scheme}://{authority}/{}{query}", parts.join("/"))
}

/// An address for messages: what may be secret in it stays out.
fn shown(address: &str) -> String {
    let address = address.split(['?', '#']).next().unwrap_or(address);
    match address.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = authority.rsplit('@').next().unwrap_or(authority);
            format!("{scheme}://{host}/{path}")
        }
        None => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_resolved_against_where_they_stand() {
        let base: Uri = "https://a.example:8443/charts/index.yaml".parse().unwrap();
        let check = |reference: &str, want: &str| assert_eq!(resolve(&base, reference), want);
        check("x-1.0.0.tgz", "https://a.example:8443/charts/x-1.0.0.tgz");
        check("../files/./x.tgz?a=../b", "https://a.example:8443/files/x.tgz?a=../b");
        check("../../../x", "https://a.example:8443/x");
        check("file:///etc/passwd", "file:///etc/passwd");
        check("/x.tgz?y", "https://a.example:8443/x.tgz?y");
        check("//b.example/x", "https://b.example/x");
        check("http://c.example/x", "http://c.example/x");
    }

    #[test]
    fn messages_show_no_secrets_of_addresses() {
        assert_eq!(shown("https://user:secret@a.example/x?token=y"), "https://a.example/x");
    }
}
