//! Packages as a whole: files in, wanted cluster out.

use super::*;
use provider_core::{Cluster, EnvValue, ServiceName};

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
    parse(&ParseRequest { cluster: &"cl-1".into(), app: &"kvgrid@1.4.0".into(), package, conf, existing })
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
fn placeholders_become_typed_values_or_text() {
    let check = |written: &str, want: Value| {
        let package = node_with("env", json!({ "x": written }));
        let parsed = parse_with(&package, &json!({"env": {"secret": "s3cret"}}), None).unwrap();
        assert_eq!(env_of(&parsed)["x"], want, "{written}");
    };
    let plain = |value: Value| json!({ "plain": value });
    check("{{.env.large}}", plain(json!(10737418240u64)));
    check("{{ .env.ratio }}", plain(json!(0.1)));
    check("{{.env.on}}", plain(json!(true)));
    check("{{.env.text}}", plain(json!("a \"b\" <c>")));
    check("max={{.env.large}}, on={{ .env.on }}.", plain(json!("max=10737418240, on=true.")));
    check("{{.env.large}}{{.env.large}}", plain(json!("1073741824010737418240")));
    check("{{.cluster.db}}", plain(json!({"count": 2})));
    check("no { placeholder }}", plain(json!("no { placeholder }}")));
    check("{{.env.secret}}", json!({"secret": "cluster/cl-1/env.secret"}));
}

#[test]
fn a_placeholder_that_can_not_be_filled_is_named_with_its_place() {
    let check = |written: &str, want: &str| {
        let got = error(Package::load(&node_with("env", json!({ "x": written }))));
        assert_eq!(
            got,
            format!(
                "the package does not fit its own defaults: cluster.json.tmpl:12: `nodes[0].env.x` {want}"
            )
        );
    };
    check("{{.env.larg}}", "has `{{.env.larg}}`, but config.json has no `env.larg`");
    check("{{.env.large.x}}", "has `{{.env.large.x}}`, but config.json has no `env.large.x`");
    check(
        "{{env.large}}",
        "has `{{env.large}}`, but a placeholder is a path, `{{.cluster.name}}`; for logic, use cluster.json.tera",
    );
    check(
        "{{if .env.on}}",
        "has `{{if .env.on}}`, but a placeholder is a path, `{{.cluster.name}}`; for logic, use cluster.json.tera",
    );
    check("{{.env.large", "has `{{` without `}}`");
    check("a {{.env}}", "has `{{.env}}`, a group of answers, inside of a text");
}

#[test]
fn a_tera_document_is_the_same_as_a_structural_one() {
    let node = r#"{"role": "db", "container": {"type": "kvm", "image": "img"}, "cpu": 1, "memory": 512,"#;
    let structural = format!(
        r#"{{"name": "{{{{.cluster.name}}}}", "nodes": [{node} "count": "{{{{.cluster.db.count}}}}", "env":
            {{"text": "{{{{.env.text}}}}", "large": "{{{{.env.large}}}}", "secret": "{{{{.env.secret}}}}"}}}}]}}"#
    );
    let tera = format!(
        r#"{{# a comment #}}{{"name": "{{{{ cluster.name }}}}", "nodes": [
        {{% for role in ["db"] %}}{node} "count": {{{{ cluster.db.count }}}}, "env": {{
            "text": "{{{{ env.text }}}}", "large": {{{{ env.large | json }}}},
            {{% if env.secret %}}"secret": {{{{ env.secret | json }}}},{{% endif %}} }} }},
        {{% endfor %}}]}}"#
    );
    let conf = json!({"env": {"text": "\\ \"quoted\"\n<&>", "secret": "s3cret"}});
    let structural = parse_with(&tmpl(&structural), &conf, None).unwrap();
    let tera = parse_with(&package("cluster.json.tera", &tera), &conf, None).unwrap();
    assert_eq!(tera.spec, structural.spec);
    assert_eq!(env_of(&tera)["text"], json!({"plain": "\\ \"quoted\"\n<&>"}));
    assert_eq!(env_of(&tera)["large"], json!({"plain": 10737418240u64}));
    assert_eq!(env_of(&tera)["secret"], json!({"secret": "cluster/cl-1/env.secret"}));
}

#[test]
fn a_tera_document_that_goes_wrong_is_refused() {
    let check = |text: &str, want: &str| {
        let got = error(Package::load(&package("cluster.json.tera", text)));
        assert!(got.contains(want), "{text}: {got}");
    };
    check("{\n{{ cluster.nam }}", "cluster.json.tera:2: ");
    check("{% for x in y %}", "cluster.json.tera:1: ");
    check("{% include \"cluster.json.tera\" %}", "cluster.json.tera: Circular include");
    check("{{ cluster.name }}", "the output of cluster.json.tera:1: not JSON");
    check("{\"name\": \"x\"}", "the output of cluster.json.tera:1: missing field `nodes`");
    check(
        "{% for a in range(end=100000) %}{% for b in range(end=100000) %}0123456789{% endfor %}{% endfor %}",
        "larger than 4 MiB",
    );
}

#[test]
fn passwords_are_whole_env_values_or_nothing() {
    let conf = json!({"env": {"secret": "s3cret"}});
    let check = |package: Archive, want: &str| {
        let got = error(parse_with(&package, &conf, None));
        assert_eq!(got, format!("the package does not fit its own defaults: {want}"));
    };
    check(
        node_with("env", json!({"url": "redis://:{{.env.secret}}@h"})),
        "cluster.json.tmpl:12: `nodes[0].env.url` has the password \"redis://:`env.secret`@h\", which is only allowed as a whole value of `env`",
    );
    check(
        node_with("env", json!({"all": "{{.env}}"})),
        "cluster.json.tmpl:12: `nodes[0].env.all.secret` has the password \"`env.secret`\", which is only allowed as a whole value of `env`",
    );
    check(
        node_with("services", json!({"start": {"cmd": "run {{.env.secret}}"}})),
        "cluster.json.tmpl:15: `nodes[0].services.start.cmd` has the password \"run `env.secret`\", which is only allowed as a whole value of `env`",
    );
    check(
        document(|document| document["description"] = "{{.env.secret}}".into()),
        "cluster.json.tmpl:2: `description` has the password \"`env.secret`\", which is only allowed as a whole value of `env`",
    );
    let tera = |env: &str| {
        let node = r#"{"container": {"type": "process"}, "cpu": 1, "memory": 1, "count": 1, "env": "#;
        package("cluster.json.tera", &format!(r#"{{"name": "c", "nodes": [{node} {env} }}]}}"#))
    };
    let check = |env: &str| {
        let got = error(parse_with(&tera(env), &conf, None));
        assert!(got.contains("only allowed as a whole value of `env`") && !got.contains("s3cret"), "{got}");
    };
    check(r#"{"x": "{{ env.secret | truncate(length=3) }}"}"#);
    check(r#"{"x": "{{ env.secret | upper }}"}"#);
    check(r#"{"x": "{{ env.secret }}{{ env.secret }}"}"#);
    check(r#"{"{{ env.secret }}": 1}"#);
    check(r#"{"x": ["{{ env.secret }}"]}"#);
    let whole = r#"{{ env | json }}"#;
    let parsed = parse_with(&tera(whole), &conf, None).unwrap();
    let env = &parsed.spec.roles[&"".into()].env;
    assert_eq!(env["secret"], EnvValue::Secret(SecretRef::new("cluster/cl-1/env.secret")));
    assert_eq!(env["large"], EnvValue::Plain(json!(10737418240u64)));
}

#[test]
fn nobody_can_forge_the_mark_of_a_password() {
    let conf = json!({"env": {"text": "\u{e000}env.secret\u{e001}"}});
    let got = error(parse_with(&node_with("env", json!({"x": "{{.env.text}}"})), &conf, None));
    assert_eq!(got, "the answers: `env.text` has the character U+E000, which is not allowed");
    let got = error(Package::load(&node_with("env", json!({"x": {"$secret": "cluster/cl-2/env.secret"}}))));
    assert!(got.ends_with("`nodes[0].env.x` has a key that begins with `$`"), "{got}");
}

#[test]
fn a_node_block_keeps_its_rules() {
    let check = |path: &str, value: Value, want: &str| {
        let result = Package::load(&node_with(path, value));
        let got = result.map_or_else(|e| e.to_string(), |_| String::new());
        let start = "the package does not fit its own defaults: cluster.json.tmpl:";
        let got = got.strip_prefix(start).map_or(got.as_str(), |rest| rest.split_once(": ").unwrap().1);
        let got = got.replace(&format!("nodes[0].{path}"), "IT").replace("nodes[0]", "NODE");
        assert_eq!(got, want, "{path}");
    };
    let s = |cmd: &str, timeout: i64| json!({"start": {"cmd": cmd, "timeout": timeout}});
    check("count", json!(200), "");
    check("count", json!(201), "`IT` is 201, expected 0 to 200");
    check("count", json!(0), "`nodes` have a `count` of 0 each, but a cluster needs a node");
    check("count", json!(-1), "invalid value: integer `-1`, expected u32 in `IT`");
    check("count", json!("2"), "invalid type: string \"2\", expected u32 in `IT`");
    check("replica", json!(21), "`IT` is 21, expected 0 to 20");
    check("cpu", json!(0), "`IT` is 0; a node needs it, unless `instance_type` says its size");
    check("instance_type", json!("m5.large"), "");
    check(
        "hostname",
        json!("x"),
        "unknown field `hostname`, expected one of `role`, `container`, `count`, `replica`, `cpu`, `memory`, `gpu`, `instance_type`, `volume`, `services`, `env`, `vertical_scaling_policy`, `server_id_upper_bound`, `loadbalancer`, `advanced_actions`, `passphraseless`, `user_access`, `agent_installed`, `custom_metadata`, `health_check`, `monitor` in `IT`",
    );
    check("server_id_upper_bound", json!(0), "`IT` is 0, expected at least 1");
    check(
        "container.type",
        json!("vm"),
        "unknown variant `vm`, expected one of `docker`, `kvm`, `lxc`, `bm`, `process` in `IT`",
    );
    check("container.image", json!(""), "`IT` is empty, expected an image");
    check("container.image", json!("a b"), "`IT` is no image: it has more than 2048 characters, or blanks");
    check(
        "vertical_scaling_policy",
        json!("random"),
        "unknown variant `random`, expected `parallel` or `sequential` in `IT`",
    );
    check("role", json!("hbase-master"), "");
    check("role", json!(""), "");
    check("role", json!("node"), "");
    check(
        "role",
        json!("Db"),
        "`IT` is `Db`, expected lower case letters, digits, `_` and `-`, a letter first, at most 50",
    );
    check(
        "role",
        json!("db-replica"),
        "`IT` is `db-replica`; a role's replicas are its `replica`, no role of their own",
    );
    check("passphraseless", json!("ssh-rsa"), "");
    check("passphraseless", json!("ssh-ed25519"), "");
    check(
        "passphraseless",
        json!("ssh-dsa"),
        "`IT` is `ssh-dsa`, which OpenSSH no longer accepts; expected `ssh-ed25519` or `ssh-rsa`",
    );
    check("services", s("run", 86400), "");
    check("services", s(" ", 1), "`IT.start.cmd` is empty, expected a command");
    check("services", s(&"x".repeat(1001), 1), "`IT.start.cmd` is longer than 1000 characters");
    check("services", s("run", 86401), "`IT.start.timeout` is 86401, expected 1 to 86400");
    check("services", s("run", 0), "`IT.start.timeout` is 0, expected 1 to 86400");
    check("services", json!({"backup": {}}), "");
    check("services", json!({"init": {"cmd": "a", "post_start_service": true}}), "");
    check(
        "services",
        json!({"stop": {"cmd": "a", "post_start_service": true}}),
        "`IT.stop.post_start_service` has no meaning for the service `stop`",
    );
    check(
        "services",
        json!({"start": {"cmd": "a", "pre_check": "b"}}),
        "`IT.start.pre_check` has no meaning for the service `start`",
    );
    check(
        "services",
        json!({"start": {"cmd": "a", "type": "custom"}}),
        "`IT.start.type` has no meaning for the service `start`",
    );
    check(
        "services",
        json!({"flush": {"cmd": "a", "type": "other"}}),
        "unknown variant `other`, expected `custom` in `IT.flush.type`",
    );
    check("services", json!({"flush": {"cmd": "a", "type": "custom", "service_params": {"x": 1}}}), "");
    check(
        "services",
        json!({"Flush it": {"cmd": "a"}}),
        "`IT.Flush it` is no name of a service: lower case letters, digits, `_` and `-`, at most 50",
    );
    check(
        "services",
        json!({"start": "run"}),
        "invalid type: string \"run\", expected an object in `IT.start`",
    );
    check("agent_installed", json!(false), "");
    check("custom_metadata", json!({"cmd": "token.sh", "timeout": 60}), "");
    check("custom_metadata", json!({"cmd": ""}), "`IT.cmd` is empty, expected a command");
    check("loadbalancer", json!([{"listener": "lbl-1", "port": 80, "policy": "p"}]), "");
    check(
        "loadbalancer",
        json!([{"listener": "lbl-1", "port": 0}]),
        "`IT[0]` needs a `listener` and a `port` from 1 to 65535",
    );
    check(
        "health_check",
        json!({"check_cmd": "ok.sh", "healthy_threshold": 0}),
        "`IT.healthy_threshold` is 0, expected 1 to 100",
    );
    check(
        "monitor",
        json!({"cmd": "m.sh", "items": {"a": {"unit": "s", "kind": 1}}}),
        "unknown field `kind`, expected one of `unit`, `value_type`, `statistics_type`, `scale_factor_when_display`, `enums` in `IT.items.a.kind`",
    );
    check("volume", json!({"size": 10, "instance_size": 0}), "`IT.instance_size` is 0, expected 1 to 65536");
    check(
        "volume",
        json!({"size": 10, "mount_point": "data"}),
        "`IT.mount_point` is \"data\"; expected an absolute path of letters, digits and `_.-`, without `..` and a last `/`, or a drive `d:`",
    );
    check(
        "volume",
        json!({"size": 10, "mount_point": 7}),
        "expected a path or a list of paths in `IT.mount_point`",
    );
    check(
        "volume",
        json!({"size": 10, "filesystem": "zfs"}),
        "unknown variant `zfs`, expected one of `ext4`, `xfs`, `ntfs` in `IT.filesystem`",
    );
    check(
        "volume",
        json!({"size": 10, "mount_options": "defaults;reboot"}),
        "`IT.mount_options` can't be mount options; expected at most 100 letters, digits and `_=,.:/%+-`",
    );
    check(
        "volume",
        json!({"size": 10, "mount_point": "d:"}),
        "`IT.mount_point` is the drive `d:`, which needs the `filesystem` `ntfs`",
    );
    check("volume", json!({"size": 10, "mount_point": "d:", "filesystem": "ntfs"}), "");
    check(
        "volume",
        json!({"size": 10, "mount_point": ["/a", "/a"]}),
        "`IT.mount_point` has `/a` in `/a`, expected paths beside each other",
    );
    check(
        "volume",
        json!({"size": 10, "mount_point": ["/a/b", "/a"]}),
        "`IT.mount_point` has `/a/b` in `/a`, expected paths beside each other",
    );
    check(
        "volume",
        json!({"size": 10, "mount_point": ["/a", "/ab", "/c"]}),
        "`IT.size` is 10 for 3 mount points; it is the size of all, expected a multiple of 3",
    );
    check(
        "volume",
        json!({"size": 0, "mount_point": ["/a", "/b"]}),
        "`IT.size` is 0 for 2 mount points; it is the size of all, expected a multiple of 2",
    );
    for path in ["/", "/a/../b", "/a/", "/a b", "/$(reboot)", "c:", "//a"] {
        assert!(
            Package::load(&node_with("volume", json!({"size": 1, "mount_point": path}))).is_err(),
            "{path}"
        );
    }
}

#[test]
fn what_needs_the_agent_is_refused_without_one() {
    let package = document(|document| {
        let node = &mut document["nodes"][0];
        node["agent_installed"] = false.into();
        node["services"] = json!({"start": {"cmd": "run"}});
        node["passphraseless"] = "ssh-rsa".into();
    });
    insta::assert_snapshot!(error(Package::load(&package)), @"
    the package does not fit its own defaults: 2 things are wrong
      cluster.json.tmpl:15: `nodes[0].services` needs the agent, which `agent_installed` says is not there
      cluster.json.tmpl:13: `nodes[0].passphraseless` needs the agent, which `agent_installed` says is not there
    ");
}

#[test]
fn volumes_become_one_disk_for_each_mount_point() {
    let check = |volume: Value, want: &str| {
        let parsed = parse_with(&node_with("volume", volume), &json!({}), None).unwrap();
        let disks = parsed.spec.roles[&"db".into()].disks.iter();
        let shown =
            disks.map(|d| format!("{} {} {} {}", d.mount_point, d.size_gib, d.filesystem, d.mount_options));
        assert_eq!(shown.collect::<Vec<_>>().join("; "), want);
    };
    check(json!({}), "");
    check(json!({"size": 0, "mount_point": "/x"}), "");
    check(json!({"size": 9}), "/data 9 ext4 defaults,noatime");
    check(json!({"size": 9, "mount_point": ""}), "/data 9 ext4 defaults,noatime");
    check(json!({"size": 9, "filesystem": "xfs"}), "/data 9 xfs rw,noatime,inode64,allocsize=16m");
    check(json!({"size": 9, "mount_point": "d:", "filesystem": "ntfs"}), "d: 9 ntfs ");
    check(json!({"size": 9, "mount_options": "ro"}), "/data 9 ext4 ro");
    check(
        json!({"size": 20, "mount_point": ["/b", "/a"]}),
        "/b 10 ext4 defaults,noatime; /a 10 ext4 defaults,noatime",
    );
}

#[test]
fn roles_are_there_once_and_never_shadow_the_unnamed_one() {
    let check = |roles: [&str; 2], want: &str| {
        let package = document(|document| {
            let mut second = document["nodes"][0].clone();
            second["role"] = roles[1].into();
            document["nodes"][0]["role"] = roles[0].into();
            document["nodes"].as_array_mut().unwrap().push(second);
        });
        let got = Package::load(&package).map_or_else(|e| e.to_string(), |_| String::new());
        assert!(if want.is_empty() { got.is_empty() } else { got.ends_with(want) }, "{got}");
    };
    check(["db", "web"], "");
    check(["db", "db"], "`nodes[1].role` is `db`, which is there twice");
    check(["", "node"], "`nodes[1].role` is `node`, which the nodes of the role without a name are called");
}

#[test]
fn too_many_blocks_are_refused() {
    let package = document(|document| {
        let node = document["nodes"][0].clone();
        let blocks = (0..101).map(|i| {
            let mut node = node.clone();
            node["role"] = format!("r{i}").into();
            node
        });
        document["nodes"] = blocks.collect();
    });
    assert!(error(Package::load(&package)).ends_with("`nodes` has more than 100 entries"));
}

#[test]
fn fields_that_the_original_refused_take_effect() {
    let package = document(|document| {
        document["links"] = json!({"zk": "zk-1"});
        document["env"] = json!({"port": 2181});
        document["endpoints"] = json!({"client": {
            "port": "env.port", "protocol": "tcp", "connect": "cli -h {host} -p {port}"}});
        document["metadata_root_access"] = true.into();
        document["global_uuid"] = "u-1".into();
        document["advanced_actions"] = json!(["add_nodes", "associate_eip"]);
        document["upgrade_policy"] = json!(["1.0.0"]);
        document["backup_policy"] = "device".into();
        document["incremental_backup_supported"] = true.into();
        document["display_tabs"] =
            json!({"t": {"cmd": "t.sh", "roles_to_execute_on": ["db"], "timeout": 10}});
        document["health_check"] = json!({"check_cmd": "ok.sh"});
        let node = &mut document["nodes"][0];
        node["monitor"] =
            json!({"cmd": "m.sh", "items": {"a": {"unit": "s", "enums": ["x"]}}, "groups": {"g": ["a"]}});
        node["passphraseless"] = "ssh-ed25519".into();
        node["custom_metadata"] = json!({"cmd": "token.sh"});
        node["user_access"] = true.into();
        node["services"] =
            json!({"flush": {"cmd": "flush.sh", "type": "custom"}, "drain": {"cmd": "drain.sh"}});
    });
    let parsed = parse_with(&package, &json!({}), None).unwrap();
    insta::assert_snapshot!(parsed.warnings.join("\n"), @"
    `monitor` of role `db` is kept and has no effect yet
    the custom service `drain` of role `db` is kept and has no effect yet
    the custom service `flush` of role `db` is kept and has no effect yet
    `health_check` of role `db` is kept and has no effect yet
    ");
    let role = &parsed.spec.roles[&"db".into()];
    assert_eq!(role.services[&ServiceName::Custom("flush".into())].cmd, "flush.sh");
    assert_eq!(role.services[&ServiceName::Custom("drain".into())].timeout_s, 600);
    assert_eq!(role.custom_metadata.as_ref().unwrap().cmd, "token.sh");
    assert!(role.user_access && role.passphraseless.as_deref() == Some("ssh-ed25519"));
    let spec = serde_json::to_value(&parsed.spec).unwrap();
    assert_eq!(serde_json::from_value::<ClusterSpec>(spec.clone()).unwrap(), parsed.spec);
    let top = [
        "links",
        "endpoints",
        "global_uuid",
        "advanced_actions",
        "upgrade_policy",
        "backup_policy",
        "display_tabs",
    ];
    let top: BTreeMap<_, _> = top.iter().map(|key| (key, &spec[key])).collect();
    insta::assert_snapshot!(serde_json::to_string_pretty(&top).unwrap(), @r#"
    {
      "advanced_actions": [
        "add_nodes",
        "associate_eip"
      ],
      "backup_policy": "device",
      "display_tabs": {
        "t": {
          "cmd": "t.sh",
          "description": "",
          "roles_to_execute_on": [
            "db"
          ],
          "timeout": 10
        }
      },
      "endpoints": {
        "client": {
          "connect": "cli -h {host} -p {port}",
          "port": 2181,
          "protocol": "tcp",
          "role": "db"
        }
      },
      "global_uuid": "u-1",
      "links": {
        "zk": "zk-1"
      },
      "upgrade_policy": [
        "1.0.0"
      ]
    }
    "#);
}

#[test]
fn endpoint_ports_may_be_parameters() {
    let check = |endpoint: Value, want: &str| {
        let package = document(|document| {
            let mut web = document["nodes"][0].clone();
            web["role"] = "web".into();
            web["env"] = json!({"port": 80, "a.b": 81, "same": 7, "text": "x", "secret": "{{.env.secret}}"});
            document["nodes"][0]["env"] = json!({"port": 5432, "same": 7, "zero": 0});
            document["nodes"].as_array_mut().unwrap().push(web);
            document["endpoints"] = json!({ "e": endpoint });
        });
        let got = match parse_with(&package, &json!({"env": {"secret": "s"}}), None) {
            Ok(parsed) => {
                let endpoint = &parsed.spec.endpoints["e"];
                format!("{} {}", endpoint.role.as_ref().unwrap(), endpoint.port)
            }
            Err(e) => e.to_string().split_once("`endpoints.e.").unwrap().1.to_owned(),
        };
        assert_eq!(got, want);
    };
    let port = |port: Value| json!({"port": port, "protocol": "tcp"});
    let of = |port: &str, role: &str| json!({"port": port, "protocol": "tcp", "role": role});
    check(port(json!(6379)), "db 6379");
    check(port(json!("db.env.port")), "db 5432");
    check(port(json!("web.env.a.b")), "web 81");
    check(port(json!("env.same")), "db 7");
    check(port(json!("env.a.b")), "web 81");
    check(of("env.port", "web"), "web 80");
    check(of("db.env.port", "web"), "web 5432");
    check(
        port(json!("env.port")),
        "port` is `env.port`, but roles have different values of it; say `ROLE.env.port`",
    );
    check(port(json!("env.none")), "port` is `env.none`, but no role has a parameter `none`");
    check(port(json!("web.env.none")), "port` is `web.env.none`, but role `web` has no parameter `none`");
    check(port(json!("web.env.text")), "port` refers to `text`, which is \"x\" and no port");
    check(port(json!("env.zero")), "port` refers to `zero`, which is 0 and no port");
    check(port(json!("web.env.secret")), "port` refers to `secret`, which is a password");
    check(port(json!("6379")), "port` is `6379`, expected a port, `env.PARAM` or `ROLE.env.PARAM`");
    check(port(json!(0)), "port` is 0, expected 1 to 65535");
    check(port(json!(65536)), "port`");
    check(of("env.port", "none"), "role` is `none`, which is not there");
    check(
        json!({"port": 1, "protocol": "tcp", "connect": "x {ip}"}),
        "connect` has other braces than `{host}` and `{port}`",
    );
}

#[test]
fn a_node_s_parameters_replace_those_of_the_cluster() {
    let check = |own: Value, want: Value| {
        let package = document(|document| {
            document["env"] = json!({"a": 1, "secret": "{{.env.secret}}"});
            document["nodes"][0]["env"] = own;
        });
        let parsed = parse_with(&package, &json!({"env": {"secret": "s"}}), None).unwrap();
        assert_eq!(env_of(&parsed), want);
    };
    check(json!({}), json!({"a": {"plain": 1}, "secret": {"secret": "cluster/cl-1/env.secret"}}));
    check(json!({"b": 2}), json!({"b": {"plain": 2}}));
}

#[test]
fn names_of_clusters_are_plain_and_stay() {
    let package = document(|_| {});
    let check = |name: &str, ok: bool| {
        let result = parse_with(&package, &json!({"cluster": {"name": name}}), None);
        assert_eq!(result.is_ok(), ok, "{name}");
    };
    check("grid-a_1.x", true);
    check("", false);
    check("-a", false);
    check("a b", false);
    check("a/b", false);
    check("аdmin", false);
    check(&"a".repeat(64), false);
    let cluster = recorded(parse_with(&package, &json!({}), None).unwrap());
    let renamed = parse_with(&package, &json!({"cluster": {"name": "c2"}}), Some(&cluster));
    assert_eq!(error(renamed), "the cluster `c1` can't be renamed to `c2`");
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
