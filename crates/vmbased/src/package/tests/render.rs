//! Cluster documents filled with answers.

use super::*;

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
