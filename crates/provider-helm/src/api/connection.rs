//! A connection: from a kubeconfig to a client.

use super::error::classify;
use hyper_timeout::TimeoutConnector;
use hyper_util::{
    client::legacy::{Client as Hyper, connect::HttpConnector},
    rt::TokioExecutor,
};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder, ConfigExt, retry::RetryPolicy},
    config::{KubeConfigOptions, Kubeconfig},
};
use provider_core::{Error, Look, Result};
use tower::{BoxError, ServiceBuilder, retry::RetryLayer};

/// A client with the credential of a runtime, and its namespace; see [`Api::connect`](super::Api::connect).
pub(super) async fn open(cx: &Look) -> Result<(Client, String)> {
    let text = cx.credential.field("kubeconfig")?;
    let kubeconfig = Kubeconfig::from_yaml(text.expose())
        .map_err(|e| Error::invalid("reading the kubeconfig").because(first_line(&e.to_string())))?;
    check_verification(&kubeconfig)?;
    let context = Some(cx.runtime.endpoint.clone()).filter(|context| !context.is_empty());
    check_login(&kubeconfig, context.as_deref())?;
    let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|e| {
        Error::invalid("using the kubeconfig")
            .caused_by(&e)
            .hint("files that it names must be there; `kubectl config view --flatten` puts them into it")
    })?;
    // Watches are open for minutes without a word.
    config.read_timeout = None;
    let agent = concat!("pitrix/", env!("CARGO_PKG_VERSION"));
    config.headers.push((http::header::USER_AGENT, http::HeaderValue::from_static(agent)));
    let namespace = match cx.runtime.zone.as_str() {
        "" => config.default_namespace.clone(),
        zone => zone.to_owned(),
    };
    // A program that the kubeconfig names for logging in runs here, and takes its time.
    let client = tokio::task::spawn_blocking(move || client(config)).await;
    let client = client
        .map_err(|e| Error::bug("connecting to the cluster").caused_by(&e))?
        .map_err(|e| classify("connecting to the cluster", &e))?;
    Ok((client, namespace))
}

/// What [`Client::try_from`] makes, but it sends what there is to send at once. Without that the first request of each
/// connection waits for the server's word on the handshake, which a server has no reason to give for 40 ms.
fn client(config: Config) -> Result<Client, kube::Error> {
    if config.proxy_url.is_some() {
        return Client::try_from(config);
    }
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(http)?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_write_timeout(config.write_timeout);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.default_retry.then(|| RetryLayer::new(RetryPolicy::server_retry())))
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(Hyper::builder(TokioExecutor::new()).build::<_, Body>(connector));
    Ok(ClientBuilder::new(service, config.default_namespace).build())
}

/// Errors of a YAML reader quote the text, and this one holds secrets: only their first line is shown.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// Of the ways to log in that Kubernetes itself has given up, those are refused that need something of a cloud. A token
/// that the kubeconfig has already is taken.
fn check_login(kubeconfig: &Kubeconfig, context: Option<&str>) -> Result<()> {
    let context = context.or(kubeconfig.current_context.as_deref());
    let context = kubeconfig.contexts.iter().find(|named| Some(named.name.as_str()) == context);
    let user = context.and_then(|named| named.context.as_ref()?.user.as_deref());
    let user = kubeconfig.auth_infos.iter().find(|named| Some(named.name.as_str()) == user);
    let Some((user, provider)) =
        user.and_then(|named| Some((&named.name, named.auth_info.as_ref()?.auth_provider.as_ref()?)))
    else {
        return Ok(());
    };
    let has = |key: &str| provider.config.contains_key(key);
    let hint = match provider.name.as_str() {
        "oidc" => return Ok(()),
        "gcp" if has("id-token") || has("cmd-path") => return Ok(()),
        "gcp" => {
            "`gcloud container clusters get-credentials` writes one that logs in with a program (`exec`)"
        }
        "azure" => "`kubelogin convert-kubeconfig` makes it one that logs in with a program (`exec`)",
        _ => "have one written that logs in with a program (`exec`), a token or a certificate",
    };
    let way = format!("the auth provider `{}`, which Kubernetes itself has given up", provider.name);
    Err(Error::unsupported(format!("the kubeconfig's user `{user}` logs in with {way}")).hint(hint))
}

/// A kubeconfig that turns off the verification of certificates is refused.
fn check_verification(kubeconfig: &Kubeconfig) -> Result<()> {
    let insecure = kubeconfig.clusters.iter().find(|named| {
        named.cluster.as_ref().is_some_and(|cluster| cluster.insecure_skip_tls_verify == Some(true))
    });
    match insecure {
        None => Ok(()),
        Some(named) => Err(Error::invalid(format!(
            "the kubeconfig turns the verification of certificates off for cluster `{}`",
            named.name
        ))
        .hint("remove `insecure-skip-tls-verify` and give `certificate-authority-data`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_log_in_that_nobody_has_any_more_are_refused_with_the_way_out() {
        let check = |user: &str, want: &str| {
            let text = format!(
                "current-context: a\ncontexts:\n- {{name: a, context: {{cluster: c, user: u}}}}\n- {{name: b, context: {{cluster: c, user: v}}}}\nusers:\n- {{name: u, user: {user}}}\n- {{name: v, user: {{auth-provider: {{name: own}}}}}}\n"
            );
            let kubeconfig = Kubeconfig::from_yaml(&text).unwrap();
            let found = match check_login(&kubeconfig, None) {
                Ok(()) => "taken".to_owned(),
                Err(error) => error.to_string(),
            };
            assert_eq!(found.replace(", which Kubernetes itself has given up", ""), want, "{user}");
            assert!(check_login(&kubeconfig, Some("b")).is_err(), "the context decides");
        };
        check("{token: t}", "taken");
        check("{exec: {command: aws}}", "taken");
        check("{auth-provider: {name: oidc, config: {id-token: t}}}", "taken");
        check("{auth-provider: {name: gcp, config: {cmd-path: gcloud}}}", "taken");
        check(
            "{auth-provider: {name: gcp}}",
            "the kubeconfig's user `u` logs in with the auth provider `gcp`",
        );
        check(
            "{auth-provider: {name: azure}}",
            "the kubeconfig's user `u` logs in with the auth provider `azure`",
        );
    }
}
