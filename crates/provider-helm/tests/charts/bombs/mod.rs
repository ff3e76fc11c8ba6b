//! Charts that want to take the machine down, each with what refuses it. For the tests, and for the bench, which says
//! how long it takes.

mod native;
mod templates;

use flate2::{Compression, write::GzEncoder};
use gotemplate::{FixedHost, Limits};
use provider_core::Error;
use provider_helm::chart::Chart;
use provider_helm::render::{Capabilities, Options, Release, Renderer};
use provider_helm::values::Values;
use tar::EntryType;

/// A chart that nobody should render.
pub(crate) struct Bomb {
    pub(crate) name: &'static str,
    pub(crate) archive: Vec<u8>,
    /// What the refusal says; one of several, with `|` between them, where limits meet.
    pub(crate) said: &'static str,
}

impl Bomb {
    /// Whether this is what refuses it.
    pub(crate) fn is_refused_with(&self, said: &str) -> bool {
        self.said.split('|').any(|one| said.contains(one))
    }
}

pub(crate) const CHART: &[u8] = b"apiVersion: v2\nname: top\nversion: 1.0.0\n";

fn header(name: &str, kind: EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    // As it is: the builder would clean it.
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

/// An archive as it is written, whether it makes sense or not.
pub(crate) fn packed(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, kind, content) in entries {
        tar.append(&header(name, *kind, content.len() as u64), *content).expect("it is written to memory");
    }
    tar.into_inner().and_then(GzEncoder::finish).expect("it is written to memory")
}

/// A chart with these files.
pub(crate) fn chart(files: &[(&str, &[u8])]) -> Vec<u8> {
    let names: Vec<String> = files.iter().map(|(name, _)| format!("top/{name}")).collect();
    let mut entries = vec![("top/Chart.yaml", EntryType::Regular, CHART)];
    for (name, (_, content)) in names.iter().zip(files) {
        entries.push((name, EntryType::Regular, content));
    }
    packed(&entries)
}

/// A chart with one entry that is not what it should be.
fn entry(name: &str, kind: EntryType) -> Vec<u8> {
    packed(&[("top/Chart.yaml", EntryType::Regular, CHART), (name, kind, b"")])
}

/// Loads and renders a chart.
///
/// # Errors
/// The refusal, as a user sees it.
pub(crate) fn defuse(archive: &[u8], limits: Limits) -> Result<(), String> {
    let release = Release { name: "r".into(), namespace: "n".into(), revision: 1, is_upgrade: false };
    let options = Options { release, capabilities: Capabilities::default(), limits, draft: false };
    let rendered = Chart::read(archive)
        .and_then(|chart| Renderer::new(chart).render(&Values::new(), &options, FixedHost::default()));
    rendered.map(drop).map_err(|error| report(&error))
}

/// An error with its causes.
pub(crate) fn report(error: &Error) -> String {
    error.causes().iter().fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// All of them.
pub(crate) fn all() -> Vec<Bomb> {
    let mut all = archives();
    all.extend(documents());
    all.extend(templates::all());
    all.extend(large());
    all.extend(native::all());
    all
}

fn archives() -> Vec<Bomb> {
    let bomb = |name, archive, said| Bomb { name, archive, said };
    let zeros = vec![0; 5 << 20];
    let names: Vec<String> = (0..30).map(|n| format!("zeros/{n}")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), zeros.as_slice())).collect();
    let inner = chart(&files[..12]);
    let many: Vec<String> = (0..20_000).map(|n| format!("f/{n}")).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), b"".as_slice())).collect();
    let russian =
        (0..40).fold(chart(&[]), |inner, n| chart(&[(&format!("charts/c{n}.tgz"), inner.as_slice())]));
    vec![
        bomb("path: ..", entry("top/../../etc/passwd", EntryType::Regular), "leads out of the archive"),
        bomb("path: ..\\", entry("top/templates/..\\..\\x", EntryType::Regular), "leads out of the archive"),
        bomb("path: absolute", entry("/etc/passwd", EntryType::Regular), "absolute name"),
        bomb(
            "symbolic link",
            entry("top/templates/l.yaml", EntryType::Symlink),
            "neither a file nor a directory",
        ),
        bomb("hard link", entry("top/templates/l.yaml", EntryType::Link), "neither a file nor a directory"),
        bomb("device", entry("top/dev", EntryType::Char), "neither a file nor a directory"),
        bomb("archive: 150 MiB of zeros", chart(&files), "more than 100 MiB unpacked"),
        bomb("archive: a file of 40 MiB", chart(&[("x", &vec![0; 40 << 20])]), "at most 5 MiB"),
        bomb("archive: 20,000 files", chart(&many), "more than"),
        bomb(
            "archive: bombs in charts",
            chart(&[("charts/a.tgz", &inner), ("charts/b.tgz", &inner)]),
            "more than 100 MiB unpacked",
        ),
        bomb("archive: charts in charts", russian, "nested more than 16 deep"),
    ]
}

fn documents() -> Vec<Bomb> {
    let bomb =
        |name, file: &str, text: &str, said| Bomb { name, archive: chart(&[(file, text.as_bytes())]), said };
    let laughs = |width: usize| {
        (1..30).fold(format!("a0: &a0 [{}]\n", vec!["x"; width].join(", ")), |text, n| {
            let before = vec![format!("*a{}", n - 1); width].join(", ");
            format!("{text}a{n}: &a{n} [{before}]\n")
        })
    };
    let merges = (1..30).fold("a0: &a0 {x: y}\n".to_owned(), |text, n| {
        format!("{text}a{n}: &a{n} {{<<: *a{before}, b: *a{before}, c: *a{before}}}\n", before = n - 1)
    });
    let branches = (0..40).map(|n| {
        let next = format!(r##"{{"$ref": "#/$defs/a{}"}}"##, n + 1);
        format!(r#""a{n}": {{"allOf": [{next}, {next}]}}, "#)
    });
    let branches = format!(
        r##"{{"$ref": "#/$defs/a0", "$defs": {{ {} "a40": {{"type": "null"}} }} }}"##,
        branches.collect::<String>()
    );
    let pattern = |pattern: &str| {
        let schema = serde_json::json!({ "properties": { "a": { "pattern": pattern } } });
        chart(&[
            ("values.schema.json", schema.to_string().as_bytes()),
            ("values.yaml", format!("a: {}!", "a".repeat(50_000)).as_bytes()),
        ])
    };
    vec![
        bomb("values: alias bomb", "values.yaml", &laughs(2), "can't read `values.yaml`"),
        bomb("values: wide alias bomb", "values.yaml", &laughs(20), "can't read `values.yaml`"),
        bomb("values: merge bomb", "values.yaml", &merges, "can't read `values.yaml`"),
        bomb(
            "values: 100,000 lists in lists",
            "values.yaml",
            &"[".repeat(100_000),
            "can't read `values.yaml`",
        ),
        bomb(
            "values: 100,000 maps in maps",
            "values.yaml",
            &"{a: ".repeat(100_000),
            "can't read `values.yaml`",
        ),
        bomb("Chart.yaml: alias bomb", "Chart.lock", &laughs(10), "can't read `Chart.lock`"),
        bomb("output: alias bomb", "templates/a.yaml", &laughs(10), "does not give YAML"),
        bomb(
            "output: 100,000 lists in lists",
            "templates/a.yaml",
            &"[".repeat(100_000),
            "does not give YAML",
        ),
        bomb("schema: 2^40 branches", "values.schema.json", &branches, "one value against more than"),
        Bomb { name: "schema: nested quantifiers", archive: pattern("^(a+)+$"), said: "schema" },
        Bomb { name: "schema: back reference", archive: pattern(r"^(a*)*\1$"), said: "schema" },
        Bomb {
            name: "schema: large repetition",
            archive: pattern("^((a{1000}){1000}){1000}$"),
            said: "schema",
        },
    ]
}

const NESTED: &str = "unable to execute template";
const STEPS: &str = "more than";
const SIZE: &str = "over the limit";
const EITHER: &str = "over the limit|more than";

/// Charts that are too large in some other way.
fn large() -> Vec<Bomb> {
    let bomb = |name, files: &[(&str, &[u8])], said| Bomb { name, archive: chart(files), said };
    let path = "a".repeat(80);
    let glob = r#"{{ range 500000 }}{{ range $p, $_ := $.Files.Glob "**a**a**a**a**a**a**a**a**a**b" }}{{ end }}{{ end }}"#;
    let text = "xY z\n".repeat(900_000);
    let files = |call: &str| {
        chart(&[("big.txt", text.as_bytes()), ("templates/a.yaml", templates::again(call).as_bytes())])
    };
    let nested = format!("{{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000));
    let actions = "{{.Values.a}}".repeat(380_000);
    let names: Vec<String> = (0..19).map(|n| format!("templates/t{n}.yaml")).collect();
    let templates: Vec<(&str, &[u8])> =
        names.iter().map(|name| (name.as_str(), actions.as_bytes())).collect();
    let defines: String = (0..150_000).map(|n| format!("{{{{define \"t{n}\"}}}}x{{{{end}}}}")).collect();
    let dependencies: String =
        (0..60_000).map(|n| format!("- {{name: d{n}, version: 1.0.0, condition: a.b}}\n")).collect();
    let requirements = format!("dependencies:\n{dependencies}");
    vec![
        Bomb { name: "file: Get", archive: files("$.Files.Get \"big.txt\""), said: STEPS },
        Bomb { name: "file: Lines", archive: files("$.Files.Lines \"big.txt\""), said: STEPS },
        Bomb { name: "file: AsConfig", archive: files("$.Files.AsConfig"), said: STEPS },
        Bomb {
            name: "file: printed",
            archive: files("printf \"%d\" ($.Files.GetBytes \"big.txt\")"),
            said: STEPS,
        },
        bomb("glob: many stars", &[(&path, b""), ("templates/a.yaml", glob.as_bytes())], STEPS),
        bomb("template: 100,000 parentheses", &[("templates/a.yaml", nested.as_bytes())], "nested"),
        bomb(
            "template: 100,000 blocks",
            &[("templates/a.yaml", "{{if 1}}".repeat(100_000).as_bytes())],
            "nested",
        ),
        bomb(
            "template: 5 MB of actions",
            &[("templates/a.yaml", actions.as_bytes())],
            "more than 200000 calls",
        ),
        bomb("templates: 95 MB of actions", &templates, "more than 16777216 bytes"),
        bomb(
            "template: 150,000 definitions",
            &[("templates/a.yaml", defines.as_bytes())],
            "more than 20000 definitions",
        ),
        bomb("dependencies: 60,000", &[("requirements.yaml", requirements.as_bytes())], "dependencies"),
    ]
}
