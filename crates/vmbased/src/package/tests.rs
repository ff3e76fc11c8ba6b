//! Packages as a whole: files in, wanted cluster out.

use super::*;
use insta::assert_snapshot;
use provider_core::{Cluster, EnvValue, Instance, metadata};
use std::{
    fs,
    path::{Path, PathBuf},
};

mod render;
mod rules;

const KVGRID: [(&str, &str); 3] = [
    ("package.json", include_str!("../../tests/packages/kvgrid/package.json")),
    ("config.json", include_str!("../../tests/packages/kvgrid/config.json")),
    ("cluster.json.tmpl", include_str!("../../tests/packages/kvgrid/cluster.json.tmpl")),
];
const KVGRID_CONF: &str = include_str!("../../tests/packages/kvgrid.conf.json");

fn archive(files: &[(&str, &str)]) -> Archive {
    Archive::from_files(files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())))
        .unwrap()
}

fn parse_with(package: &Archive, conf: &Value, existing: Option<&Cluster>) -> Result<ParsedCluster> {
    parse(&ParseRequest {
        cluster: &"cl-1".into(),
        name: None,
        app: &"kvgrid@1.4.0".into(),
        package,
        conf,
        existing,
        secrets: &[],
        seed: &provider_core::Secret::new(""),
    })
}

fn error<T>(result: Result<T>) -> String {
    result.map(drop).expect_err("must be refused").to_string()
}

fn recorded(parsed: ParsedCluster) -> Cluster {
    Cluster::new("cl-1".into(), "rt-1".into(), "zone-1".into(), parsed.spec)
}

/// A config with `cluster.name`, `cluster.role.count` and what `env` may hold.
const CONFIG: &str = r#"{"type": "array", "properties": [
    {"key": "cluster", "type": "array", "properties": [
        {"key": "name", "type": "string", "default": "c1"},
        {"key": "db", "type": "array", "properties": [{"key": "count", "type": "integer", "default": 2}]}]},
    {"key": "env", "type": "array", "properties": [
        {"key": "text", "type": "string", "default": "a \"b\" <c>"},
        {"key": "large", "type": "integer", "default": 10737418240},
        {"key": "ratio", "type": "number", "default": 0.1},
        {"key": "on", "type": "boolean", "default": true},
        {"key": "secret", "type": "password"}]}]}"#;

fn package(kind: &str, document: &str) -> Archive {
    archive(&[
        ("package.json", r#"{"apiVersion": "v1", "name": "t", "version": "0.1.0"}"#),
        ("config.json", CONFIG),
        (kind, document),
    ])
}

fn tmpl(document: &str) -> Archive {
    package("cluster.json.tmpl", document)
}

/// A small valid document after `change`.
fn document(change: impl FnOnce(&mut Value)) -> Archive {
    let mut document = json!({"name": "{{.cluster.name}}", "nodes": [{
        "role": "db", "container": {"type": "kvm", "image": "img"}, "count": "{{.cluster.db.count}}",
        "cpu": 1, "memory": 512
    }]});
    change(&mut document);
    tmpl(&serde_json::to_string_pretty(&document).unwrap())
}

/// The document with the key at `path` of its node set to `value`.
fn node_with(path: &str, value: Value) -> Archive {
    document(|document| {
        let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
        let mut at = &mut document["nodes"][0];
        for key in parent.split('.').filter(|key| !key.is_empty()) {
            at = &mut at[key];
        }
        at[key] = value;
    })
}

fn env_of(parsed: &ParsedCluster) -> Value {
    serde_json::to_value(&parsed.spec.roles[&"db".into()].env).unwrap()
}

#[test]
fn the_sample_package_becomes_the_cluster_that_it_describes() {
    let conf = serde_json::from_str(KVGRID_CONF).unwrap();
    let parsed = parse_with(&archive(&KVGRID), &conf, None).unwrap();
    let nodes: Vec<_> = parsed.spec.nodes.keys().map(NodeId::as_str).collect();
    assert_eq!(nodes, ["router-1", "router-2", "shard-1", "shard-2", "shard-3"]);
    assert_eq!(parsed.secrets.len(), 1);
    assert_eq!(parsed.secrets[0].0.as_str(), "cluster/cl-1/env.shard.admin_password");
    assert_eq!(parsed.secrets[0].1.expose(), "s3cret");
    let text = serde_json::to_string(&parsed.spec).unwrap();
    assert!(!text.contains("s3cret"), "{text}");
    assert_eq!(serde_json::from_str::<ClusterSpec>(&text).unwrap(), parsed.spec);
    assert!(parsed.warnings.is_empty());
    let shard = serde_json::to_string_pretty(&parsed.spec.roles[&"shard".into()]).unwrap();
    let shard: Vec<_> = shard.lines().take_while(|line| !line.contains("services")).collect();
    insta::assert_snapshot!(shard.join("\n"), @r#"
    {
      "container": {
        "type": "docker",
        "image": "example/kvgrid-shard:7.2"
      },
      "cpu": 2,
      "memory_mib": 4096,
      "gpu": 0,
      "instance_size_gib": 20,
      "disks": [
        {
          "size_gib": 40,
          "mount_point": "/data",
          "filesystem": "xfs",
          "mount_options": "rw,noatime,inode64,allocsize=16m"
        }
      ],
      "env": {
        "admin_password": {
          "secret": "cluster/cl-1/env.shard.admin_password"
        },
        "max_memory_mb": {
          "plain": 3000
        }
      },
    "#);
    assert_eq!(
        parsed.spec.conf["env"],
        json!({"router": {"listen_port": 6500}, "shard": {"admin_password": null, "max_memory_mb": 3000}})
    );
}

#[test]
fn the_examples_are_good_packages() {
    let described = |dir: PathBuf| {
        let package = packed(&dir);
        let spec = parse_with(&package, &json!({}), None).unwrap().spec;
        let nodes: Vec<_> = spec.nodes.keys().map(NodeId::as_str).collect();
        let endpoints: Vec<_> = spec.endpoints.values().map(|endpoint| endpoint.port).collect();
        format!(
            "{}: {}; ports {endpoints:?}; links {:?}; from {:?}",
            Package::load(&package).unwrap().version_id(),
            nodes.join(" "),
            spec.links,
            spec.upgrade_policy
        )
    };
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut all: Vec<_> =
        fs::read_dir(examples).unwrap().map(|entry| described(entry.unwrap().path())).collect();
    all.sort();
    assert_snapshot!(all.join("\n"), @r#"
    guestbook@1.0.0: keeper-1 web-1; ports [8080]; links {"cache": "cache"}; from []
    redis@1.0.0: primary-1 replica-1 replica-2; ports [6379]; links {}; from []
    redis@1.1.0: primary-1 replica-1 replica-2; ports [6379]; links {}; from ["1.0.0"]
    "#);
}

#[test]
fn the_examples_render() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let [redis, guestbook] = ["redis-1.1.0", "guestbook"].map(|name| packed(&examples.join(name)));
    let cluster = |package| {
        let mut cluster = recorded(parse_with(package, &json!({}), None).unwrap());
        for (i, id) in (1..).zip(cluster.spec.nodes.keys()) {
            let ip = Some(format!("127.0.0.{i}"));
            let instance = Instance { id: "i".into(), private_ip: ip, public_ip: None, agent: None };
            cluster.nodes.entry(id.clone()).or_default().instance = Some(instance);
        }
        cluster
    };
    let rendered = |package, node: &str, linked: &[&str]| {
        let linked = linked.iter().map(|name| ((*name).to_owned(), cluster(&redis)));
        let facts = metadata::metadata(&cluster(package), &node.into(), &linked.collect(), false);
        let templates = metadata::templates(package, None).unwrap();
        let conf = templates.iter().find(|template| template.dest.ends_with(".conf")).unwrap();
        let text =
            Tera::one_off(&conf.source, &tera::Context::from_serialize(&facts).unwrap(), false).unwrap();
        let settings = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        settings.collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!(rendered(&guestbook, "web-1", &["cache"]), @"
    listen 127.0.0.2 8080
    redis 127.0.0.1 6379
    title Guestbook
    ");
    assert_snapshot!(rendered(&redis, "replica-2", &[]), @"
    bind 127.0.0.3
    port 6379
    protected-mode no
    repl-diskless-sync-delay 0
    replicaof 127.0.0.1 6379
    replica-announce-ip 127.0.0.3
    maxmemory 128mb
    maxmemory-policy noeviction
    appendonly yes
    appendfsync everysec
    tcp-keepalive 60
    ");
}

/// The files below a directory, as a package.
fn packed(dir: &Path) -> Archive {
    let (mut files, mut dirs) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                files.push((name, fs::read(path).unwrap()));
            }
        }
    }
    Archive::from_files(files).unwrap()
}

#[test]
fn the_sample_package_survives_packing() {
    let bytes = archive(&KVGRID).to_bytes("kvgrid").unwrap();
    let package = Package::load(&Archive::read(&bytes).unwrap()).unwrap();
    assert_eq!(package.version_id().as_str(), "kvgrid@1.4.0");
    assert_eq!(package.metadata().maintainers[0].email, "grid@example.org");
}

#[test]
fn a_package_that_lies_is_refused() {
    let good = [
        ("package.json", r#"{"api_version": "v1", "name": "t", "version": "0.1.0"}"#),
        ("config.json", CONFIG),
        (
            "cluster.json.tmpl",
            r#"{"name": "", "nodes": [{"container": {"type": "process"}, "count": 1, "cpu": 1, "memory": 1}]}"#,
        ),
    ];
    assert!(Package::load(&archive(&good)).is_ok());
    let check = |name: &str, text: Option<&str>, want: &str| {
        let others = good.iter().copied().filter(|(file, _)| *file != name);
        let files: Vec<_> = others.chain(text.map(|text| (name, text))).collect();
        assert_eq!(error(Package::load(&archive(&files))), want);
    };
    check("package.json", None, "the package has no package.json");
    check("config.json", None, "the package has no config.json");
    check("cluster.json.tmpl", None, "the package has neither cluster.json.tmpl nor cluster.json.tera");
    check("cluster.json.tera", Some("{}"), "the package has both cluster.json.tmpl and cluster.json.tera");
    let metadata = |text: &str, want: &str| check("package.json", Some(text), want);
    metadata(r#"{"api_version": "v1", "name": "t"}"#, "package.json:1: missing field `version`");
    metadata(
        "{\"api_version\": \"v1\", \"name\": \"t\",\n\"version\": \"one\"}",
        "package.json:2: unexpected character 'o' while parsing major version number in `version`",
    );
    metadata(
        r#"{"api_version": "v2", "name": "t", "version": "1.0.0"}"#,
        "package.json:1: `api_version` is `v2`, expected `v1`",
    );
    metadata(
        r#"{"api_version": "v1", "name": "../t", "version": "1.0.0"}"#,
        "package.json:1: `name` is \"../t\", expected lower case letters, digits and `-`, at most 63",
    );
    let deep = "[".repeat(100_000);
    check("config.json", Some(&deep), "config.json:1: not JSON: EOF while parsing a list");
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(1000), "]".repeat(1000));
    check(
        "cluster.json.tmpl",
        Some(&deep),
        "cluster.json.tmpl:1: `x[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0…` nests deeper than 64 levels",
    );
    check(
        "cluster.json.tmpl",
        Some("{\"name\": {{.cluster.name}}}"),
        "cluster.json.tmpl:1: not JSON: key must be a string",
    );
    check(
        "cluster.json.tmpl",
        Some("{\"name\": \"\",\n\"nodes\": []}"),
        "the package does not fit its own defaults: cluster.json.tmpl:2: `nodes` have a `count` of 0 each, but a cluster needs a node",
    );
    let node_template = |list: &str, want: &str| {
        let files = [
            good.as_slice(),
            &[
                ("templates.json", list),
                ("templates/a.tera", "{{ self.ip }"),
                ("templates/c.tera", "{{ self.ip }}"),
            ],
        ]
        .concat();
        assert_eq!(error(Package::load(&archive(&files))), want);
    };
    let a = r#"[{"src": "templates/a.tera", "dest": "/etc/a"}]"#;
    node_template(a, "the template for /etc/a:1: Found `}` but expected }}.");
    node_template(
        r#"[{"src": "templates/b.tera", "dest": "/etc/b"}]"#,
        "templates.json: the package has no file `templates/b.tera`",
    );
    node_template(
        r#"[{"src": "templates/c.tera", "dest": "/etc/c", "roles": ["", "web"]}]"#,
        "templates.json: `[0].roles` names the role `web`, which is not there",
    );
}

#[test]
fn names_of_clusters_stay() {
    let package = document(|_| {});
    let cluster = recorded(parse_with(&package, &json!({}), None).unwrap());
    let renamed = parse_with(&package, &json!({"cluster": {"name": "c2"}}), Some(&cluster));
    assert_eq!(error(renamed), "the cluster `c1` can't be renamed to `c2`");
    // An operator may have called it otherwise than its answers do, which may be given again.
    let mut called = cluster;
    called.spec.name = "mine".to_owned();
    for answers in [json!({}), json!({"cluster": {"name": "c1"}}), json!({"cluster": {"name": "mine"}})] {
        assert_eq!(parse_with(&package, &answers, Some(&called)).unwrap().spec.name, "mine");
    }
}

#[test]
fn an_existing_cluster_changes_as_little_as_the_answers_say() {
    let package = node_with("env", json!({"on": "{{.env.on}}", "secret": "{{.env.secret}}"}));
    let mut cluster = recorded(
        parse_with(&package, &json!({"cluster": {"db": {"count": 3}}, "env": {"secret": "s"}}), None)
            .unwrap(),
    );
    cluster.spec.nodes.remove(&NodeId::from("db-2"));
    let check = |conf: Value, nodes: &str, secrets: usize| {
        let parsed = parse_with(&package, &conf, Some(&cluster)).unwrap();
        let got: Vec<_> = parsed.spec.nodes.keys().map(NodeId::as_str).collect();
        assert_eq!(got.join(" "), nodes, "{conf}");
        assert_eq!(parsed.secrets.len(), secrets, "{conf}");
        let secret = &parsed.spec.roles[&"db".into()].env["secret"];
        assert_eq!(*secret, EnvValue::Secret(SecretRef::new("cluster/cl-1/env.secret")));
        assert_eq!(
            parsed.spec.conf["cluster"]["db"]["count"],
            conf["cluster"]["db"]["count"].as_u64().unwrap_or(3)
        );
    };
    check(json!({}), "db-1 db-3", 0);
    check(json!({"env": {"on": false}}), "db-1 db-3", 0);
    check(json!({"env": {"secret": "new"}}), "db-1 db-3", 1);
    check(json!({"cluster": {"db": {"count": 3}}}), "db-1 db-3 db-4", 0);
    check(json!({"cluster": {"db": {"count": 5}}}), "db-1 db-3 db-4 db-5 db-6", 0);
    check(json!({"cluster": {"db": {"count": 1}}}), "db-1", 0);
}

#[test]
fn a_new_role_of_an_existing_cluster_gets_its_nodes() {
    let one = document(|_| {});
    let cluster = recorded(parse_with(&one, &json!({}), None).unwrap());
    let two = document(|document| {
        let mut web = document["nodes"][0].clone();
        web["role"] = "web".into();
        web["replica"] = 1.into();
        document["nodes"].as_array_mut().unwrap().push(web);
    });
    let parsed = parse_with(&two, &json!({}), Some(&cluster)).unwrap();
    let nodes: Vec<_> = parsed.spec.nodes.keys().map(NodeId::as_str).collect();
    assert_eq!(nodes, ["db-1", "db-2", "web-1", "web-2", "web-3", "web-4"]);
    assert!(parsed.spec.nodes[&NodeId::from("web-2")].replica);
    let back = parse_with(&one, &json!({}), Some(&recorded(parsed)));
    assert_eq!(error(back), "the cluster has nodes of role `web`, which is no longer there");
}

#[test]
fn ids_end_at_the_upper_bound() {
    let package = node_with("server_id_upper_bound", json!(2));
    assert!(parse_with(&package, &json!({}), None).is_ok());
    let got = error(parse_with(&package, &json!({"cluster": {"db": {"count": 3}}}), None));
    assert_eq!(got, "role `db` allows server ids up to 2, and all of them are taken");
}
