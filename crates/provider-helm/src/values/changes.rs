//! What a newer version of a chart changes in its defaults.

use super::{Values, coalesce, from_json, resolve, to_json};
use crate::chart::Chart;
use provider_core::{KeyChange, Result};
use serde_json::Value;
use std::collections::BTreeMap;

/// What is shown of a value that looks like a secret.
const SECRET: &str = "a secret";

/// The defaults, those of the charts inside included, that come, go or change from `before` to `after` for who has
/// given these values, by the path that `--set` takes.
///
/// # Errors
/// `Invalid` when something that is no object was given for a chart inside.
pub(crate) fn changed_defaults(before: Chart, after: Chart, given: &Values) -> Result<Vec<KeyChange>> {
    let (before, after) = (defaults(before, given)?, defaults(after, given)?);
    let mut keys: Vec<_> =
        before.keys().chain(after.keys().filter(|key| !before.contains_key(*key))).collect();
    keys.sort();
    let changes = keys.into_iter().filter(|key| before.get(*key) != after.get(*key)).map(|path| KeyChange {
        key: path.iter().map(|key| key.replace('.', "\\.")).collect::<Vec<_>>().join("."),
        before: before.get(path).map(|value| shown(path, value)),
        after: after.get(path).map(|value| shown(path, value)),
        is_overridden: is_given(path, given),
    });
    Ok(changes.collect())
}

type Leaves = BTreeMap<Vec<String>, Value>;

/// Of the charts inside, those count that these values switch on.
fn defaults(mut chart: Chart, given: &Values) -> Result<Leaves> {
    resolve(&mut chart, &from_json(given))?;
    let values = to_json(&coalesce(&chart, &from_json(&Values::new()))?);
    let mut leaves = Leaves::new();
    collect(Some(&chart), &mut Vec::new(), &values, &mut leaves);
    Ok(leaves)
}

fn collect(chart: Option<&Chart>, path: &mut Vec<String>, values: &Values, into: &mut Leaves) {
    for (key, value) in values {
        // Each chart inside has the globals of the outermost once more.
        if chart.is_some() && !path.is_empty() && key == "global" {
            continue;
        }
        path.push(key.clone());
        match value {
            Value::Object(inside) if !inside.is_empty() => {
                let inner = chart.and_then(|chart| chart.dependencies.iter().find(|one| one.name() == key));
                collect(inner, path, inside, into);
            }
            _ => drop(into.insert(path.clone(), value.clone())),
        }
        path.pop();
    }
}

/// Whether a value was given at the path, or at a table on the way to it.
fn is_given(path: &[String], given: &Values) -> bool {
    let Some((key, rest)) = path.split_first() else { return true };
    match given.get(key) {
        None => false,
        Some(Value::Object(inside)) if !rest.is_empty() => is_given(rest, inside),
        Some(_) => true,
    }
}

fn shown(path: &[String], value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(_) | Value::Array(_) if looks_secret(path) && !is_empty(value) => SECRET.to_owned(),
        Value::String(text) => text.clone(),
        other => plain(other).to_string(),
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}

/// Whether a key on the way is called as secrets are. What only names one, or where it is, may be seen.
fn looks_secret(path: &[String]) -> bool {
    const WORDS: [&str; 9] = [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "credential",
        "privatekey",
        "apikey",
        "accesskey",
    ];
    let is_secret = |key: &String| {
        let key: String = key.chars().filter(char::is_ascii_alphanumeric).collect();
        let key = key.to_lowercase();
        let only_names = key.starts_with("existing")
            || ["name", "ref", "path", "namespace"].iter().any(|end| key.ends_with(end));
        WORDS.iter().any(|word| key.contains(word)) && !only_names
    };
    path.iter().any(is_secret)
}

/// Whole numbers without the `.0` that all numbers of charts have.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            #[allow(clippy::cast_possible_truncation, reason = "it is whole, and small enough")]
            Some(float) if float.fract() == 0.0 && float.abs() < 1e15 => (float as i64).into(),
            _ => value.clone(),
        },
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), plain(value))).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;
    use provider_core::Archive;

    fn chart(values: &str, inner: &str) -> Chart {
        let files = [
            (
                "Chart.yaml",
                "apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies:\n- {name: db, version: 1.0.0, condition: db.enabled}\n",
            ),
            ("values.yaml", values),
            ("charts/db/Chart.yaml", "apiVersion: v2\nname: db\nversion: 1.0.0\n"),
            ("charts/db/values.yaml", inner),
        ];
        let files = files.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
        Chart::from_archive(&Archive::from_files(files).unwrap()).unwrap()
    }

    fn changes(before: (&str, &str), after: (&str, &str), given: &str) -> String {
        let Value::Object(given) = yaml::read_document("given", given).unwrap() else { panic!("{given}") };
        let changes = changed_defaults(chart(before.0, before.1), chart(after.0, after.1), &given).unwrap();
        let lines = changes.into_iter().map(|change| {
            let side = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
            let own = if change.is_overridden { " (overridden)" } else { "" };
            format!("{}: {} -> {}{own}\n", change.key, side(change.before), side(change.after))
        });
        lines.collect()
    }

    #[test]
    fn defaults_that_come_go_or_change_are_told_and_those_without_effect_marked() {
        let before = "replicas: 1\ngone: x\nimage: {tag: '1.0', pullSecrets: []}\nannotations: {a.b/c: x}\nsame: [1]\n";
        let after = "replicas: 2\nnew: {}\nimage: {tag: '2.0', pullSecrets: []}\nannotations: {a.b/c: z}\nsame: [1]\nenv: [{name: 1.5}]\n";
        let shown =
            changes((before, "size: 1"), (after, "size: 2"), "{replicas: 5, image: null, db: {other: 1}}");
        insta::assert_snapshot!(shown, @r#"
        annotations.a\.b/c: x -> z
        db.size: 1 -> 2
        env: - -> [{"name":1.5}]
        gone: x -> -
        image.tag: 1.0 -> 2.0 (overridden)
        new: - -> {}
        replicas: 1 -> 2 (overridden)
        "#);
    }

    #[test]
    fn charts_inside_count_while_they_are_switched_on_and_globals_count_once() {
        let (before, after) = ("db: {port: 1}\nglobal: {a: 1}\n", "db: {port: 2}\nglobal: {a: 2}\n");
        insta::assert_snapshot!(changes((before, "size: 1"), (after, "size: 2"), "{}"), @r"
        db.port: 1 -> 2
        db.size: 1 -> 2
        global.a: 1 -> 2
        ");
        insta::assert_snapshot!(changes((before, "size: 1"), (after, "size: 2"), "db: {enabled: false}"), @r"
        db.port: 1 -> 2
        global.a: 1 -> 2
        ");
    }

    #[test]
    fn what_looks_like_a_secret_is_not_shown() {
        let before = "auth: {password: old, rootPassword: '', existingSecret: a, secretName: a}\ntokens: [a]\nsecrets: {x: a}\nenablePassword: true\n";
        let after = "auth: {password: new, rootPassword: r, existingSecret: b, secretName: b}\ntokens: [b]\nsecrets: {x: b}\nenablePassword: false\n";
        insta::assert_snapshot!(changes((before, ""), (after, ""), "{}"), @r#"
        auth.existingSecret: a -> b
        auth.password: a secret -> a secret
        auth.rootPassword: "" -> a secret
        auth.secretName: a -> b
        enablePassword: true -> false
        secrets.x: a secret -> a secret
        tokens: a secret -> a secret
        "#);
    }
}
