//! One-line templates of every function with what the real Helm makes of them. `PITRIX_HELM=path/to/helm` compares the
//! table with it once more, `PITRIX_RECORD=1` beside it writes the table anew.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use gotemplate::{FixedHost, Functions, Limits, Templates, Timestamp};
use serde_json::{Value, json};

const TEMPLATE: &str = "row/templates/NOTES.txt";

/// Every function that Helm 4.3 gives to templates: those of `text/template`, of sprig and its own.
const NAMES: &str = "
abbrev abbrevboth add add1 add1f addf adler32sum ago all and any append atoi b32dec b32enc b64dec b64enc base
bcrypt biggest buildCustomCert call camelcase cat ceil chunk clean coalesce compact concat contains date
dateInZone dateModify date_in_zone date_modify decryptAES deepCopy deepEqual default derivePassword dict dig
dir div divf duration durationDays durationHours durationMicroseconds durationMilliseconds durationMinutes
durationNanoseconds durationRound durationRoundTo durationSeconds durationTruncateTo durationWeeks empty
encryptAES eq ext fail first float64 floor fromJson fromJsonArray fromToml fromYaml fromYamlArray ge genCA
genCAWithKey genPrivateKey genSelfSignedCert genSelfSignedCertWithKey genSignedCert genSignedCertWithKey get
getHostByName gt has hasKey hasPrefix hasSuffix hello html htmlDate htmlDateInZone htpasswd include indent
index initial initials int int64 isAbs join js kebabcase keys kindIs kindOf last le len list lookup lower lt
max maxf merge mergeOverwrite min minf mod mul mulf mustAppend mustChunk mustCompact mustDateModify
mustDeepCopy mustFirst mustFromJson mustHas mustInitial mustLast mustMerge mustMergeOverwrite mustPrepend
mustPush mustRegexFind mustRegexFindAll mustRegexMatch mustRegexReplaceAll mustRegexReplaceAllLiteral
mustRegexSplit mustRest mustReverse mustSlice mustToDate mustToDuration mustToJson mustToPrettyJson
mustToRawJson mustToToml mustToYaml mustUniq mustWithout must_date_modify ne nindent nospace not now omit or
osBase osClean osDir osExt osIsAbs pick pluck plural prepend print printf println push quote randAlpha
randAlphaNum randAscii randBytes randInt randNumeric regexFind regexFindAll regexMatch regexQuoteMeta
regexReplaceAll regexReplaceAllLiteral regexSplit repeat replace required rest reverse round semver
semverCompare seq set sha1sum sha256sum sha512sum shuffle slice snakecase sortAlpha split splitList splitn
squote sub subf substr swapcase ternary title toDate toDecimal toJson toPrettyJson toRawJson toString
toStrings toToml toYaml toYamlPretty tpl trim trimAll trimPrefix trimSuffix trimall trunc tuple typeIs
typeIsLike typeOf uniq unixEpoch unset until untilStep untitle upper urlJoin urlParse urlquery uuidv4 values
without wrap wrapWith
";

/// Between the rows when many are rendered at once.
const SEPARATOR: &str = "\n@@@@@\n";

/// What of an error all can agree on: the message, without the place and the call.
fn message(error: &str) -> String {
    let error = error.split_once("Error: ").map_or(error, |(_, error)| error);
    // Helm writes long errors in several lines, each indented and all after a line that names the place.
    let error = error.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let error = match error.split_once("execution error at (") {
        Some((_, refused)) => refused.split_once("): ").map_or(refused, |(_, message)| message).to_owned(),
        None => error,
    };
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
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/templates/functions").join(name)
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

/// Whether a template has a name as a word, not as a text.
fn uses(template: &str, name: &str) -> bool {
    let is_part = |next: char| next.is_alphanumeric() || matches!(next, '_' | '.' | '"');
    template.match_indices(name).any(|(index, _)| {
        let (before, after) = (&template[..index], &template[index + name.len()..]);
        !before.ends_with(is_part) && !after.starts_with(is_part)
    })
}

#[test]
fn every_function_of_helm_is_there_and_has_a_row() {
    let rows: Vec<Row> = tables().iter().flat_map(|(_, text)| read_table(text)).collect();
    let functions = Functions::helm();
    for name in NAMES.split_whitespace() {
        assert!(functions.get(name).is_some(), "{name} is missing");
        assert!(rows.iter().any(|row| uses(&row.template, name)), "{name} has no row");
    }
    for entry in functions.iter() {
        assert!(NAMES.split_whitespace().any(|name| name == entry.name), "Helm has no {}", entry.name);
    }
}

#[test]
fn the_same_seed_makes_the_same_passwords_and_keys() {
    let template = r#"{{ randAlphaNum 20 }}{{ uuidv4 }}{{ genPrivateKey "ed25519" }}{{ (genCA "a" 1).Cert }}{{ htpasswd "a" "b" }}"#;
    assert_eq!(render(template), render(template));
}
