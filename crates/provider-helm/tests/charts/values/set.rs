//! `--set` and its relatives: each row has the arguments and the values that helm makes of them.

use provider_core::{Error, Given, Result, Setting, SettingKind};
use provider_helm::chart::Chart;
use provider_helm::render::Renderer;
use provider_helm::values;
use serde_json::{Value, json};

fn kind(option: &str) -> SettingKind {
    let kinds = [SettingKind::Json, SettingKind::Plain, SettingKind::Text, SettingKind::File];
    kinds.into_iter().find(|kind| kind.option() == option).unwrap()
}

fn values_of(arguments: &[String]) -> Result<Value> {
    let setting = |pair: &[String]| Setting { kind: kind(&pair[0]), text: pair[1].clone() };
    let read = |name: &str| match name {
        "FILE" => Ok(b"file\ncontent".to_vec()),
        name => Err(Error::not_found(format!("there is no `{name}`"))),
    };
    let given = Given {
        files: Vec::new(),
        settings: arguments.chunks(2).map(setting).collect(),
        lookup: None,
        read: &read,
    };
    let mut chart = Chart::default();
    chart.metadata.name = "st".to_owned();
    Ok(Value::Object(Renderer::new(chart).resolve(&values::of_user(&given)?)?.values))
}

/// JSON does not tell 1 from 1.0.
fn as_floats(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.iter().map(as_floats).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), as_floats(value))).collect(),
        other => other.clone(),
    }
}

#[test]
fn arguments_become_the_values_that_helm_makes_of_them() {
    let mut wrong = Vec::new();
    for row in include_str!("set.txt").lines() {
        let (arguments, want) = row.split_once(" => ").unwrap();
        let got = values_of(&serde_json::from_str::<Vec<String>>(arguments).unwrap());
        let is_right = match &got {
            Ok(got) => want != "ERR" && as_floats(got) == as_floats(&serde_json::from_str(want).unwrap()),
            Err(_) => want == "ERR",
        };
        if !is_right {
            let got = got.map_or_else(|e| e.to_string(), |value| value.to_string());
            wrong.push(format!("{arguments}\n  helm {want}\n  ours {got}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_error_names_the_argument() {
    let error =
        |option: &str, text: &str| values_of(&[option.to_owned(), text.to_owned()]).unwrap_err().to_string();
    insta::assert_snapshot!(error("--set", "a.b[x]=1"), @"can't read `--set a.b[x]=1`: `x` is no index of a list");
    // Helm drops this one silently.
    insta::assert_snapshot!(error("--set", "a[0=1"), @"can't read `--set a[0=1`: an index has to end with `]`");
    insta::assert_snapshot!(error("--set", "a={b"), @"can't read `--set a={b`: a list has to end with `}`");
    insta::assert_snapshot!(error("--set-json", "a=[1"), @"can't read `--set-json a=[1`: the value is not JSON: EOF while parsing a list at line 1 column 2");
    insta::assert_snapshot!(error("--set-file", "a=none"), @"can't read `--set-file a=none`: there is no `none`");
}
