//! Charts fetched from servers: small ones in this process, and a real registry where there is one.

mod kubernetes;
mod server;

use provider_core::{Archive, Result};
use provider_helm::chart::Chart;
use provider_helm::fetch::{ChartSource, Fetched, Fetcher, Logins};
use server::{Reply, Server};
use sha2::{Digest, Sha256};

fn chart(name: &str, version: &str, more: &str) -> Vec<u8> {
    let text = format!("apiVersion: v2\nname: {name}\nversion: {version}\n{more}");
    let archive = Archive::from_files([("Chart.yaml".to_owned(), text.into_bytes())]).unwrap();
    archive.to_bytes(name).unwrap()
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn fetch(logins: Logins, source: &ChartSource) -> Result<Fetched> {
    runtime().block_on(async { Fetcher::new(logins)?.fetch(source).await })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn repository(server: &Server, version: Option<&str>) -> ChartSource {
    ChartSource::Repository {
        url: format!("http://{}/charts/", server.address()),
        name: "web".to_owned(),
        version: version.map(str::to_owned),
    }
}

fn registry(server: &Server, rest: &str) -> ChartSource {
    ChartSource::parse_registry(&format!("oci://{}/team/web{rest}", server.address())).unwrap()
}

/// What helm keeps about a repository, in a home of its own.
fn logins_of(home: &std::path::Path) -> Logins {
    let home = home.display().to_string();
    Logins::of_helm(&|name| (name == "HOME").then(|| home.clone())).unwrap()
}

#[test]
fn a_repository_gives_the_version_that_fits() {
    let packed = chart("web", "1.1.0", "");
    let index = format!(
        "entries:\n  web:\n  - {{version: 1.0.0, urls: [web-1.0.0.tgz]}}\n  - {{version: 1.1.0, urls: [../files/web.tgz], digest: {}}}\n",
        &digest(&packed)[7..]
    );
    let archive = packed.clone();
    let server = Server::start(move |request| match request.path.as_str() {
        "/charts/index.yaml" => Reply::ok(index.clone()),
        "/files/web.tgz" => Reply::moved("/elsewhere?secret=1"),
        "/elsewhere?secret=1" => Reply::ok(archive.clone()),
        _ => Reply::status(404),
    });
    let fetched = fetch(Logins::default(), &repository(&server, Some("^1"))).unwrap();
    assert_eq!((&fetched.packed, &fetched.digest), (&packed, &digest(&packed)));
    assert_eq!(fetched.address, format!("http://{}/elsewhere", server.address()));
    let error = fetch(Logins::default(), &repository(&server, Some("1.0.0"))).unwrap_err().to_string();
    assert!(error.ends_with("the archive of version 1.0.0 is not there"), "{error}");
}

#[test]
fn a_repository_gets_the_password_that_helm_knows_for_it_and_other_hosts_do_not() {
    let files = Server::start(|_| Reply::ok(chart("web", "1.0.0", "")));
    let elsewhere = format!("http://{}/web.tgz", files.address());
    let server = Server::start(move |request| match request.authorization.as_deref() {
        Some("Basic YWRhOnNlY3JldA==") => {
            Reply::ok(format!("entries: {{web: [{{version: 1.0.0, urls: ['{elsewhere}']}}]}}"))
        }
        _ => Reply::status(401),
    });
    let error = fetch(Logins::default(), &repository(&server, None)).unwrap_err();
    assert_eq!(error.kind(), provider_core::ErrorKind::Unauthorized);
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.path().join(".config/helm")).unwrap();
    let repositories = format!(
        "repositories: [{{name: mine, url: 'http://{}/charts', username: ada, password: secret}}]",
        server.address()
    );
    std::fs::write(home.path().join(".config/helm/repositories.yaml"), repositories).unwrap();
    let mine = ChartSource::Repository { url: "@mine".to_owned(), name: "web".to_owned(), version: None };
    fetch(logins_of(home.path()), &mine).unwrap();
    assert_eq!(files.requests().iter().map(|r| r.authorization.clone()).collect::<Vec<_>>(), [None]);
}

/// A registry that wants a token, and keeps its blobs elsewhere.
fn guarded(packed: &[u8]) -> (Server, Server) {
    let bytes = packed.to_vec();
    let blobs = Server::start(move |_| Reply::ok(bytes.clone()));
    let blob = format!("http://{}/blob", blobs.address());
    let layer = digest(packed);
    let manifest = format!(
        r#"{{"layers": [{{"mediaType": "text/plain", "digest": "x"}}, {{"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "digest": "{layer}"}}]}}"#
    );
    let server = Server::start(move |request| {
        let path = request.path.as_str();
        if path.starts_with("/token?service=test&scope=repository%3Ateam%2Fweb%3Apull") {
            return match request.authorization.as_deref() {
                Some("Basic YWRhOnNlY3JldA==") => Reply::ok(r#"{"token": "let-me-in"}"#),
                _ => Reply::status(403),
            };
        }
        if request.authorization.as_deref() != Some("Bearer let-me-in") {
            let realm = format!(r#"Bearer realm="http://{}/token",service="test""#, request.host);
            return Reply::status(401).header("WWW-Authenticate", &realm);
        }
        match path {
            "/v2/team/web/tags/list" => Reply::ok(r#"{"tags": ["1.0.0", "latest"]}"#)
                .header("Link", r#"</v2/team/web/tags/list?last=1.0.0>; rel="next""#),
            "/v2/team/web/tags/list?last=1.0.0" => Reply::ok(r#"{"tags": ["1.2.0_a.1", "2.0.0-rc1"]}"#),
            "/v2/team/web/manifests/1.2.0_a.1" => Reply::ok(manifest.clone()),
            path if path == format!("/v2/team/web/blobs/{layer}") => Reply::moved(&blob),
            _ => Reply::status(404),
        }
    });
    (server, blobs)
}

fn registry_login(server: &Server) -> (tempfile::TempDir, Logins) {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.path().join(".config/helm/registry")).unwrap();
    let config = format!(r#"{{"auths": {{"{}": {{"auth": "YWRhOnNlY3JldA=="}}}}}}"#, server.address());
    std::fs::write(home.path().join(".config/helm/registry/config.json"), config).unwrap();
    let logins = logins_of(home.path());
    (home, logins)
}

#[test]
fn a_registry_gets_a_token_and_only_the_registry() {
    let packed = chart("web", "1.2.0+a.1", "");
    let (server, blobs) = guarded(&packed);
    let (_home, logins) = registry_login(&server);
    for wanted in ["", ":1.2.0+a.1", ":1.2.0_a.1"] {
        let fetched = fetch(logins.clone(), &registry(&server, wanted)).unwrap();
        assert_eq!(fetched.packed, packed, "{wanted}");
        assert_eq!(fetched.address, format!("oci://{}/team/web:1.2.0_a.1", server.address()));
    }
    assert!(blobs.requests().iter().all(|request| request.authorization.is_none()));
    let error = fetch(Logins::default(), &registry(&server, ":1.2.0+a.1")).unwrap_err();
    assert_eq!(error.kind(), provider_core::ErrorKind::Unauthorized);
    let error = fetch(logins, &registry(&server, ":3.0.0")).unwrap_err();
    assert_eq!(error.kind(), provider_core::ErrorKind::NotFound);
}

#[test]
fn what_a_server_sends_is_checked() {
    let check = |name: &str, reply: fn() -> Reply, want: &str| {
        let server = Server::start(move |request| match request.path.as_str() {
            "/charts/index.yaml" => Reply::ok(format!(
                "entries: {{web: [{{version: 1.0.0, urls: [x], digest: '{}'}}]}}",
                "0".repeat(64)
            )),
            _ => reply(),
        });
        let error = fetch(Logins::default(), &repository(&server, None)).unwrap_err();
        let text = format!("{error}: {}", error.causes().join(": "));
        assert!(text.contains(want), "{name}: {text}");
    };
    check("another archive", || Reply::ok("x"), "was expected");
    check("too much", || Reply::ok(vec![0; Archive::MAX_PACKED + 1]), "bytes are allowed");
    check("a circle", || Reply::moved("/charts/x"), "leads elsewhere more than 5 times");
    check("nonsense", || Reply::moved("file:///etc/passwd"), "is no address");
    check("trouble", || Reply::status(503), "503");
}

#[test]
fn dependencies_that_are_missing_are_fetched_as_the_lock_says() {
    let index = "entries: {db: [{version: 1.0.0, urls: [db-1.0.0.tgz]}, {version: 1.5.0, urls: [never]}]}";
    let server = Server::start(move |request| match request.path.as_str() {
        "/index.yaml" => Reply::ok(index),
        "/db-1.0.0.tgz" => Reply::ok(chart("db", "1.0.0", "")),
        _ => Reply::status(404),
    });
    let package = |lock: Option<&str>| {
        let dependency =
            format!("dependencies: [{{name: db, version: ^1, repository: 'http://{}'}}]", server.address());
        let chart = format!("apiVersion: v2\nname: web\nversion: 1.0.0\n{dependency}\n");
        let mut files = vec![("Chart.yaml".to_owned(), chart.into_bytes())];
        if let Some(version) = lock {
            let lock = format!("dependencies: [{{name: db, version: {version}, repository: x}}]\n");
            files.push(("Chart.lock".to_owned(), lock.into_bytes()));
        }
        Archive::from_files(files).unwrap()
    };
    let complete =
        |package| runtime().block_on(async { Fetcher::new(Logins::default())?.complete(package).await });
    let whole = complete(package(Some("1.0.0"))).unwrap();
    assert!(whole.file("charts/db-1.0.0.tgz").is_some());
    assert!(Chart::from_archive(&whole).unwrap().missing_dependencies().is_empty());
    assert_eq!(complete(whole.clone()).unwrap(), whole);
    let error = complete(package(Some("2.0.0"))).unwrap_err().to_string();
    assert!(error.contains("is out of date"), "{error}");
    let error = complete(package(None)).unwrap_err().to_string();
    assert!(error.contains("version 1.5.0 is not there"), "{error}");
}

#[test]
fn addresses_of_registries_are_read() {
    let check = |address: &str, want: Option<(&str, &str, Option<&str>)>| {
        let source = ChartSource::parse_registry(address).ok();
        let want = want.map(|(host, path, version)| ChartSource::Registry {
            host: host.to_owned(),
            path: path.to_owned(),
            version: version.map(str::to_owned),
        });
        assert_eq!(source, want, "{address}");
    };
    check("oci://r.example/a/b:1.0.0", Some(("r.example", "a/b", Some("1.0.0"))));
    check("oci://r.example:5000/a", Some(("r.example:5000", "a", None)));
    check("oci://r.example/a:1.0.0_x", Some(("r.example", "a", Some("1.0.0+x"))));
    check("oci://r.example/a@sha256:ab", Some(("r.example", "a", Some("sha256:ab"))));
    check("oci://r.example", None);
    check("oci:///a", None);
    check("oci://r.example/a:", None);
    check("oci://r.example/../a", None);
    check("oci://user@r.example/a", None);
    check("https://r.example/a", None);
}
