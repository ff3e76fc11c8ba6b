use super::*;
use crate::package::Answers;
use proptest::prelude::*;
use serde_json::json;

fn load(text: &str) -> Result<Config> {
    Config::load(&Document::read("config.json", text.as_bytes())?)
}

/// A config with one item, `cluster.x`.
fn one(item: &str) -> Result<Config> {
    load(&format!(
        r#"{{"type": "array", "properties": [
            {{"key": "cluster", "type": "array", "properties": [
                {{"key": "x", {item}}}]}}]}}"#
    ))
}

fn sample() -> Config {
    load(include_str!("../../../tests/packages/kvgrid/config.json")).unwrap()
}

fn refusal(config: &Config, answers: &str, recorded: Option<&Value>) -> String {
    let answers = Document::read("answers.json", answers.as_bytes()).unwrap();
    config.complete(&answers, recorded).map(drop).unwrap_err().to_string()
}

#[test]
fn rules_hold_and_errors_say_what_is_allowed() {
    let check = |item: &str, value: Value, want: &str| {
        let answers = Document::from_value("answers", json!({"cluster": {"x": value}}));
        match one(item).unwrap().complete(&answers, None) {
            Ok(_) => assert_eq!(want, "", "{item}"),
            Err(e) => assert_eq!(e.to_string(), format!("answers: `cluster.x` {want}"), "{item}"),
        }
    };
    let count = r#""type": "integer", "min": 1, "max": 50"#;
    check(count, json!(1), "");
    check(count, json!(50), "");
    check(count, json!(51), "is 51, expected an integer from 1 to 50");
    check(count, json!(-3), "is -3, expected an integer from 1 to 50");
    check(count, json!("2"), "is \"2\", expected an integer from 1 to 50");
    check(count, json!(2.0), "is 2.0, expected an integer from 1 to 50");
    check(count, json!({"a": 1}), "is {\"a\":1}, expected an integer from 1 to 50");
    check(count, Value::Null, "");
    let large = r#""type": "integer", "default": 9007199254740993, "min": 9007199254740993"#;
    check(
        large,
        json!(9007199254740992u64),
        "is 9007199254740992, expected an integer of at least 9007199254740993",
    );
    check(large, json!(18446744073709551615u64), "");
    check(
        r#""type": "integer", "step": 10, "max": 100"#,
        json!(15),
        "is 15, expected an integer of at most 100 in steps of 10",
    );
    check(r#""type": "integer", "range": [2, 4, 8]"#, json!(3), "is 3, expected one of 2, 4, 8");
    let ratio = r#""type": "number", "min": 0.5, "max": 1"#;
    check(ratio, json!(1), "");
    check(ratio, json!(0.4), "is 0.4, expected a number from 0.5 to 1");
    check(ratio, json!(true), "is true, expected a number from 0.5 to 1");
    let name = r#""type": "string", "pattern": "^[a-z]+$""#;
    check(name, json!("abc"), "");
    check(name, json!(""), "");
    check(name, json!("Abc"), "is \"Abc\", expected a string that matches `^[a-z]+$`");
    check(name, json!("a\u{1b}[2J"), "has the character U+001B, which is not allowed");
    check(r#""type": "string", "range": ["a", "b"]"#, json!("c"), "is \"c\", expected one of \"a\", \"b\"");
    let several = r#""type": "string", "range": ["a", "b"], "multichoice": true, "separator": ";""#;
    check(several, json!("b; a"), "");
    check(several, json!("b;c"), "is \"b;c\", expected any of \"a\", \"b\", separated by `;`");
    check(r#""type": "boolean""#, json!(true), "");
    check(r#""type": "boolean""#, json!("true"), "is \"true\", expected true or false");
    check(r#""type": "string", "required": true"#, json!(""), "is empty, expected a string");
    check(r#""type": "string", "required": true"#, Value::Null, "is required; give a string");
    check(r#""type": "integer", "required": true"#, Value::Null, "is required; give an integer");
    check(r#""type": "integer", "required": true, "default": 1"#, Value::Null, "");
    check(
        r#""type": "password", "pattern": "^.{8,}$""#,
        json!("s3cret"),
        "is not allowed as it is, expected a string that matches `^.{8,}$`",
    );
    check(r#""type": "password""#, json!(12345), "is not allowed as it is, expected a string");
}

#[test]
fn everything_wrong_is_named_at_once_with_its_line() {
    let answers = r#"{
        "cluster": {
            "name": "grid",
            "shard": {
                "cuont": 3,
                "cpu": 3,
                "memory": "4096"
            },
            "router": 2
        },
        "listen_port": 1
    }"#;
    insta::assert_snapshot!(refusal(&sample(), answers, None), @r#"
    5 things are wrong
      answers.json:11: `listen_port` is not a key of this package, did you mean `env.router.listen_port`?; known here: cluster, env
      answers.json:5: `cluster.shard.cuont` is not a key of this package, did you mean `count`?; known here: cpu, memory, count, volume_size
      answers.json:6: `cluster.shard.cpu` is 3, expected one of 2, 4, 8
      answers.json:7: `cluster.shard.memory` is "4096", expected one of 4096, 8192, 16384
      answers.json:9: `cluster.router` is 2, expected an object with the keys cpu, memory, count
    "#);
    let many: serde_json::Map<_, _> = (0..30).map(|i| (format!("k{i}"), json!(1))).collect();
    let error = refusal(&sample(), &Value::Object(many).to_string(), None);
    assert!(error.starts_with("30 things are wrong") && error.ends_with("and 10 more"), "{error}");
}

#[test]
fn answers_are_merged_into_the_defaults() {
    let answers = Document::from_value("answers", json!({"cluster": {"shard": {"count": 5}}, "env": null}));
    let Answers { values, passwords } = sample().complete(&answers, None).unwrap();
    assert_eq!(values["cluster"]["shard"], json!({"count": 5, "cpu": 2, "memory": 4096, "volume_size": 20}));
    assert_eq!(values["env"]["router"]["listen_port"], 6500);
    assert_eq!(values["env"]["shard"]["admin_password"], "");
    assert!(passwords.is_empty(), "an empty password is no secret");
}

#[test]
fn answers_are_merged_over_those_of_an_existing_cluster() {
    let config = sample();
    let answers = json!({"cluster": {"shard": {"count": 5}}, "env": {"shard": {"admin_password": "s3cret"}}});
    let first = config.complete(&Document::from_value("answers", answers), None).unwrap();
    assert_eq!(first.passwords["env.shard.admin_password"].as_ref().unwrap().expose(), "s3cret");

    let answers = Document::from_value("answers", json!({"env": {"shard": {"max_memory_mb": 512}}}));
    let second = config.complete(&answers, Some(&first.values)).unwrap();
    assert_eq!(second.values["cluster"]["shard"]["count"], 5);
    assert!(second.passwords["env.shard.admin_password"].is_none(), "it is kept where it is stored");
    let again = Document::read("answers", config.template().as_bytes()).unwrap();
    let third = config.complete(&again, Some(&first.values)).unwrap();
    assert!(third.passwords["env.shard.admin_password"].is_none(), "an empty one does not clear it");

    let change = r#"{"env": {"shard": {"admin_password": "other"}}}"#;
    insta::assert_snapshot!(refusal(&config, change, Some(&first.values)), @"answers.json:1: `env.shard.admin_password` can't be changed after creation; leave it out");
    let config = one(r#""type": "integer", "changeable": false, "default": 3"#).unwrap();
    let recorded = json!({"cluster": {"x": 3}});
    assert!(config.complete(&Document::from_value("a", recorded.clone()), Some(&recorded)).is_ok());
    insta::assert_snapshot!(refusal(&config, r#"{"cluster": {"x": 4}}"#, Some(&recorded)), @"answers.json:1: `cluster.x` can't be changed after creation; it is 3");
}

#[test]
fn a_config_whose_rules_make_no_sense_is_refused() {
    let check = |item: &str, want: &str| {
        let error = one(item).map(drop).unwrap_err().to_string();
        assert!(error.contains(want), "{item}: {error}");
    };
    check(r#""type": "int""#, "config.json:3: unknown variant `int`");
    check(r#""type": "string", "color": "red""#, "unknown field `color`");
    check(r#""type": "array""#, "must be there for type `array`");
    check(r#""type": "string", "properties": [{"type": "string", "key": "y"}]"#, "and for no other");
    check(r#""type": "string", "min": 1"#, "has no order");
    check(r#""type": "integer", "min": 0.5"#, "is `integer`, but `min` or `max` is not");
    check(r#""type": "number", "step": 2"#, "is for integers only");
    check(r#""type": "integer", "step": 0"#, "expected a nonzero u64");
    check(r#""type": "integer", "pattern": "1""#, "is for texts only");
    check(r#""type": "string", "pattern": "(""#, "not a regular expression");
    check(r#""type": "string", "multichoice": true"#, "needs a string with a `range`");
    check(r#""type": "integer", "range": ["1"]"#, "holds values of another type");
    check(r#""type": "integer", "min": 3, "default": 2"#, "is 2, expected an integer of at least 3");
    check(r#""type": "integer", "default": "2""#, "is \"2\", expected an integer");
    check(r#""type": "string", "pattern": "^a$", "default": "b""#, "expected a string that matches");
    let twice = r#"{"type": "array", "properties": [{"key": "a", "type": "string"}, {"key": "a", "type": "string"}]}"#;
    insta::assert_snapshot!(load(twice).unwrap_err(), @"config.json:1: `properties[1].key` is `a`, which is there twice");
    insta::assert_snapshot!(load(r#"{"type": "array", "properties": [{"key": "a.b", "type": "string"}]}"#).unwrap_err(), @r#"config.json:1: `properties[0].key` is "a.b", expected letters, digits, `_` and `-`"#);
    insta::assert_snapshot!(one(r#""type": "integer", "max": 3, "default": 4"#).unwrap_err(), @"config.json:3: `properties[0].properties[0].default`, the item of `cluster.x`, is 4, expected an integer of at most 3");
}

#[test]
fn the_template_is_commented_and_reads_back_as_the_defaults() {
    let config = sample();
    let text = config.template();
    assert_eq!(Document::read("t", text.as_bytes()).unwrap().value(), &config.defaults());
    insta::assert_snapshot!(text.lines().take(21).collect::<Vec<_>>().join("\n"), @r#"
    {
      // Cluster settings
      "cluster": {
        // Name
        // a string
        "name": "kvgrid",
        // Description
        // a string
        "description": "",
        // Subnet
        // a string
        "subnet": "",
        // Shards
        "shard": {
          // one of 2, 4, 8; required
          "cpu": 2,
          // one of 4096, 8192, 16384; required
          "memory": 4096,
          // an integer from 1 to 50; required
          "count": 3,
          // an integer from 10 to 1000 in steps of 10; required
    "#);
}

#[test]
fn set_takes_the_type_from_the_item() {
    let config = sample();
    let mut answers = json!({});
    let mut check = |path: &str, text: &str, want: &str| {
        let got =
            config.set(&mut answers, path, text).map_or_else(|e| e.to_string(), |()| answers.to_string());
        assert_eq!(got, want);
    };
    check("cluster.shard.count", "5", r#"{"cluster":{"shard":{"count":5}}}"#);
    check("cluster.name", "5", r#"{"cluster":{"name":"5","shard":{"count":5}}}"#);
    check(
        "cluster.shard.count",
        "five",
        "`cluster.shard.count` is \"five\", expected an integer from 1 to 50",
    );
    check("cluster.shard.count", "51", "`cluster.shard.count` is 51, expected an integer from 1 to 50");
    check(
        "cluster.shard.coun",
        "5",
        "`cluster.shard.coun` is not a key of this package, did you mean `count`?; known here: cpu, memory, count, volume_size",
    );
    check(
        "shard.count",
        "5",
        "`shard` is not a key of this package, did you mean `cluster.shard`?; known here: cluster, env",
    );
    check(
        "cluster.shard",
        "5",
        "`cluster.shard` is \"5\", expected an object with the keys cpu, memory, count, volume_size",
    );
    check("cluster.name.x", "5", "`cluster.name.x` is not a key of this package: it has no keys below it");
}

/// An item of any kind whose default keeps its rules.
fn item() -> impl Strategy<Value = Value> {
    prop_oneof![
        (any::<i64>(), 0..1000i64, any::<bool>()).prop_map(|(min, more, required)| {
            let max = min.saturating_add(more);
            json!({"type": "integer", "min": min, "max": max, "default": max, "required": required})
        }),
        (any::<u64>()).prop_map(|n| json!({"type": "integer", "range": [n, 1], "default": n})),
        "[a-z]{0,5}".prop_map(|text| json!({"type": "string", "pattern": "^[a-z]*$", "default": text})),
        (1..100u64, any::<bool>())
            .prop_map(|(n, b)| json!({"type": "integer", "min": n, "required": b, "default": n})),
        (1..100u64).prop_map(|n| json!({"type": "integer", "min": n})),
        Just(json!({"type": "boolean"})),
        Just(json!({"type": "password"})),
    ]
}

proptest! {
    #[test]
    fn defaults_are_valid_answers_and_survive_their_template(items in proptest::collection::vec(item(), 1..6)) {
        let items: Vec<_> = items.into_iter().enumerate().map(|(i, mut item)| {
            item["key"] = format!("k{i}").into();
            item
        }).collect();
        let config = load(&json!({"type": "array", "properties": items}).to_string()).unwrap();
        let template = Document::read("template", config.template().as_bytes()).unwrap();
        prop_assert_eq!(template.value(), &config.defaults());
        let answers = config.complete(&template, None).unwrap();
        let again = config.complete(&Document::from_value("none", json!({})), Some(&answers.values)).unwrap();
        prop_assert_eq!(again.values, answers.values);
    }
}
