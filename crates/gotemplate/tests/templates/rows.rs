//! One-line templates with what the real Helm makes of them. `PITRIX_HELM=path/to/helm` compares the table with it
//! once more; `PITRIX_RECORD=1` beside it prints the rows that differ.

use gotemplate::{FixedHost, Functions, Limits, Templates};
use serde_json::{Value, json};
use std::{env, fs, path::Path, process::Command};

/// What `.Values` is in every row.
fn values() -> Value {
    json!({
        "text": "a <b> \"c\"", "empty": "", "yes": true, "no": false, "zero": 0.0, "one": 1.0, "big": 1_000_000.0,
        "pi": 3.25, "list": ["x", 2.0, null], "none": null,
        "map": {"b": 1.0, "a": {"deep": "down"}, "z": null},
        "numbers": [3.0, 1.0, 2.0],
    })
}

/// The place and the message of an error of Helm, which it writes in one line or in several.
fn plain(error: &str) -> String {
    let first = error.lines().next().unwrap_or_default();
    let message = error.lines().skip(2).map(str::trim).collect::<Vec<_>>().join(" ");
    let (place, message) = if let Some((place, rest)) = first.split_once("): ") {
        (place.rsplit('(').next().unwrap_or_default(), rest)
    } else if let Some((place, rest)) =
        first.strip_prefix("template: ").and_then(|rest| rest.split_once(": executing "))
    {
        (place, rest.split_once(">: ").map_or(rest, |(_, message)| message))
    } else {
        (first, message.trim())
    };
    let place = place.trim_start_matches("template: ").trim_start_matches("row/templates/NOTES.txt:");
    format!("error: {place}: {message}")
}

/// Renders a template as Helm renders a chart's notes.
fn render(template: &str) -> String {
    let compiled = match Templates::compile([("row/templates/NOTES.txt", template)], &Functions::helm()) {
        Ok(compiled) => compiled,
        Err(error) => {
            return format!("error: {}: {}", error.location().unwrap().line, error.message());
        }
    };
    let rendered = compiled.session(FixedHost::default(), Limits::default(), |session| {
        let data = session.value(&json!({"Values": values()}));
        session.render("row/templates/NOTES.txt", &data)
    });
    match rendered.unwrap() {
        Ok(text) => text.replace("<no value>", ""),
        Err(error) => {
            let place = &error.frames().last().unwrap().location;
            format!("error: {}:{}: {}", place.line, place.column - 1, error.message())
        }
    }
}

/// What the real Helm makes of it.
fn oracle(helm: &Path, template: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let chart = dir.path().join("row");
    fs::create_dir_all(chart.join("templates")).unwrap();
    fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: row\nversion: 1.0.0\n").unwrap();
    fs::write(chart.join("values.yaml"), "").unwrap();
    fs::write(dir.path().join("values.json"), values().to_string()).unwrap();
    fs::write(chart.join("templates/NOTES.txt"), template).unwrap();
    let run = Command::new(helm)
        .args(["install", "r", "row", "--dry-run=client", "-o", "json", "-f", "values.json"])
        .current_dir(dir.path())
        .env("HOME", dir.path())
        .env("KUBECONFIG", "/dev/null")
        .env("HELM_NO_PLUGINS", "1")
        .output()
        .unwrap();
    if !run.status.success() {
        let text = String::from_utf8_lossy(&run.stderr);
        let error = text.split_once("Error: ").map_or(&*text, |(_, error)| error);
        return plain(error.trim().trim_start_matches("INSTALLATION FAILED: "));
    }
    let release: Value = serde_json::from_slice(&run.stdout).unwrap();
    release["info"]["notes"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn templates_come_to_what_helm_makes_of_them() {
    let helm = env::var_os("PITRIX_HELM");
    let recording = env::var_os("PITRIX_RECORD").is_some();
    let table = include_str!("rows.txt");
    let mut wrong = Vec::new();
    let mut lines = table.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut count = 0;
    while let Some(template) = lines.next() {
        let expected: String = serde_json::from_str(lines.next().unwrap()).unwrap();
        let template: String = template.replace('⏎', "\n");
        count += 1;
        if let Some(helm) = &helm {
            let said = oracle(Path::new(helm), &template);
            if said != expected {
                wrong.push(format!("helm: {template}\n{}", serde_json::to_string(&said).unwrap()));
                if recording {
                    println!("{}\n{}", template.replace('\n', "⏎"), serde_json::to_string(&said).unwrap());
                    continue;
                }
            }
        }
        let rendered = render(&template);
        if rendered != expected {
            wrong.push(format!("{template}\n  expected {expected}\n  rendered {rendered}"));
        }
    }
    assert!(count > 0);
    assert!(wrong.is_empty(), "{} of {count} rows differ:\n{}", wrong.len(), wrong.join("\n"));
}
