//! One-line templates of every function with what the real Helm makes of them. `PITRIX_HELM=path/to/helm` compares the
//! table with it once more, `PITRIX_RECORD=1` beside it writes the table anew.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use gotemplate::{FixedHost, Functions, Limits, Templates, Timestamp};
use serde_json::{Value, json};

const TEMPLATE: &str = "row/templates/NOTES.txt";

/// Between the rows when many are rendered at once.
const SEPARATOR: &str = "\n@@@@@\n";

/// What of an error all can agree on: the message, without the place and the call.
fn message(error: &str) -> String {
    let error = error.split_once("Error: ").map_or(error, |(_, error)| error);
    // Helm writes long errors in several lines, each indented and all after a line that names the place.
    let error = error.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let error = error.rsplit_once(">: ").map_or(&*error, |(_, message)| message);
    format!("error: {}", error.split_once("error calling ").map_or(error, |(_, message)| message))
}

/// Renders a template as Helm renders a chart's notes.
fn render(template: &str) -> String {
    let compiled = match Templates::compile([(TEMPLATE, template)], &Functions::helm()) {
        Ok(compiled) => compiled,
        Err(error) => return message(error.message()),
    };
    let host = FixedHost { now: Timestamp { seconds: 1_700_000_000, nanoseconds: 0 }, seed: 1 };
    let rendered = compiled.session(host, Limits::default(), |session| {
        let data = session.value(&json!({"Values": {}}));
        session.render(TEMPLATE, &data)
    });
    match rendered.unwrap() {
        Ok(text) => text.replace("<no value>", ""),
        Err(error) => message(error.message()),
    }
}

/// What the real Helm makes of a template.
fn oracle(helm: &Path, template: &str) -> Result<String, String> {
    let dir = tempfile::tempdir().unwrap();
    let chart = dir.path().join("row");
    fs::create_dir_all(chart.join("templates")).unwrap();
    fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: row\nversion: 1.0.0\n").unwrap();
    fs::write(chart.join("templates/NOTES.txt"), template).unwrap();
    let run = Command::new(helm)
        .args(["install", "r", "row", "--dry-run=client", "-o", "json"])
        .current_dir(dir.path())
        .env("HOME", dir.path())
        .env("KUBECONFIG", "/dev/null")
        .env("HELM_NO_PLUGINS", "1")
        .env("TZ", "UTC")
        .output()
        .unwrap();
    if !run.status.success() {
        return Err(message(&String::from_utf8_lossy(&run.stderr)));
    }
    let release: Value = serde_json::from_slice(&run.stdout).unwrap();
    Ok(release["info"]["notes"].as_str().unwrap_or_default().to_owned())
}

/// What it makes of each of many, by halves: an error spoils all that is rendered with it.
fn oracle_of_all(helm: &Path, templates: &[String]) -> Vec<String> {
    match oracle(helm, &templates.join(SEPARATOR)) {
        Ok(text) if text.split(SEPARATOR).count() == templates.len() => {
            text.split(SEPARATOR).map(str::to_owned).collect()
        }
        Err(error) if templates.len() == 1 => vec![error],
        _ => {
            let (first, second) = templates.split_at(templates.len() / 2);
            [oracle_of_all(helm, first), oracle_of_all(helm, second)].concat()
        }
    }
}

struct Row {
    template: String,
    expected: String,
}

fn table_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/functions").join(name)
}

/// Pairs of lines: a template, in which `⏎` is a line feed, and what comes out as a JSON string. Other lines are
/// comments. A template without a second line has not been recorded yet.
fn read_table(text: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        match rows.last_mut() {
            Some(row) if line.starts_with('"') => row.expected = serde_json::from_str(line).unwrap(),
            _ => rows.push(Row { template: line.replace('⏎', "\n"), expected: String::new() }),
        }
    }
    rows
}

fn tables() -> Vec<(PathBuf, String)> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(table_path("")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// Writes the answers of the real Helm into a table, and leaves its comments where they are.
fn record(path: &Path, text: &str, answers: &[String]) {
    let mut out = String::new();
    let mut answers = answers.iter();
    for line in text.lines().filter(|line| !line.starts_with('"')) {
        out += line;
        out += "\n";
        if !line.is_empty() && !line.starts_with('#') {
            out += &serde_json::to_string(answers.next().unwrap()).unwrap();
            out += "\n";
        }
    }
    fs::write(path, out).unwrap();
}

#[test]
fn functions_come_to_what_helm_makes_of_them() {
    let helm = env::var_os("PITRIX_HELM");
    let only = env::var("PITRIX_ONLY").unwrap_or_default();
    let mut wrong = Vec::new();
    let mut count = 0;
    for (path, text) in tables() {
        if !path.to_string_lossy().contains(&only) {
            continue;
        }
        let mut rows = read_table(&text);
        count += rows.len();
        if let Some(helm) = &helm {
            let templates: Vec<String> = rows.iter().map(|row| row.template.clone()).collect();
            let answers = oracle_of_all(Path::new(helm), &templates);
            if env::var_os("PITRIX_RECORD").is_some() {
                record(&path, &text, &answers);
                rows = read_table(&fs::read_to_string(&path).unwrap());
            }
            for (row, answer) in rows.iter().zip(&answers).filter(|(row, answer)| row.expected != **answer) {
                wrong.push(format!(
                    "helm: {}\n  expected {}\n  it said  {answer}",
                    row.template, row.expected
                ));
            }
        }
        for row in rows {
            let rendered = render(&row.template);
            if rendered != row.expected {
                wrong.push(format!(
                    "{}\n  expected {:?}\n  rendered {rendered:?}",
                    row.template, row.expected
                ));
            }
        }
    }
    assert!(count > 0);
    assert!(wrong.is_empty(), "{} of {count} rows differ:\n{}", wrong.len(), wrong.join("\n"));
}
