//! Charts that want to take the machine down, each with what refuses it. For the tests, and for the bench, which says
//! how long it takes.

mod native;

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

fn template(text: &str) -> Vec<u8> {
    chart(&[("templates/a.yaml", text.as_bytes())])
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
    for (name, text, said) in TEMPLATES {
        all.push(Bomb { name, archive: template(text), said });
    }
    for (name, made, call) in CALLS {
        let again = "{{ range 8000 }}{{ range 1000 }}";
        let text = format!("{made}{again}{{{{ $_ := {call} }}}}{{{{ end }}}}{{{{ end }}}}");
        all.push(Bomb { name, archive: template(&text), said: STEPS });
    }
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

/// A name, a template, and what refuses it.
const TEMPLATES: &[(&str, &str, &str)] = &[
    ("include: itself", r#"{{ define "x" }}{{ include "x" . }}{{ end }}{{ include "x" . }}"#, NESTED),
    (
        "include: in a circle",
        r#"{{ define "x" }}{{ include "y" . }}{{ end }}{{ define "y" }}{{ include "x" . }}{{ end }}{{ include "x" . }}"#,
        NESTED,
    ),
    ("template: itself", r#"{{ define "x" }}{{ template "x" . }}{{ end }}{{ template "x" . }}"#, NESTED),
    (
        "include: itself, twice",
        r#"{{ define "x" }}{{ include "x" . }}{{ include "x" . }}{{ end }}{{ include "x" . }}"#,
        NESTED,
    ),
    (
        "include: 10^9 of them",
        r#"{{ define "x" }}{{ if lt . 9 }}{{ range 10 }}{{ include "x" (add1 $) }}{{ end }}{{ end }}{{ end }}{{ include "x" 0 }}"#,
        STEPS,
    ),
    ("tpl: itself", r#"{{ $_ := set .Values "t" "{{ tpl .Values.t . }}" }}{{ tpl .Values.t . }}"#, "nested"),
    (
        "tpl: a new one each time",
        r#"{{ range 500000 }}{{ tpl (printf "{{ %d }}{{ if .a }}{{ range until 3 }}{{ .b }}{{ end }}{{ end }}" .) $ }}{{ end }}"#,
        STEPS,
    ),
    ("range: until 10^9", "{{ range until 1000000000 }}x{{ end }}", STEPS),
    ("range: 10^9", "{{ range 1000000000 }}x{{ end }}", STEPS),
    ("range: in a range", "{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}", STEPS),
    ("range: writes", "{{ range 500000 }}{{ range 500000 }}- a\n{{ end }}{{ end }}", STEPS),
    ("range: writes much", "{{ $x := repeat 1000000 \"x\" }}{{ range 500000 }}{{ $x }}\n{{ end }}", STEPS),
    ("range: calls", "{{ range 500000 }}{{ add 1 2 | toString | quote }}{{ end }}", STEPS),
    ("output: many documents", "{{ repeat 500000 \"---\\nkind: a\\n\" }}", "at most 10000 objects"),
    (
        "output: a long list",
        "a:\n{{ $x := repeat 4000 \"- a\\n\" }}{{ range 1000 }}{{ $x }}{{ end }}",
        "at most 10485760 bytes",
    ),
    ("repeat: 10^9", r#"{{ repeat 1000000000 "x" }}"#, SIZE),
    ("indent: 10^9", r#"{{ indent 1000000000 "x" }}"#, SIZE),
    ("nindent: each line", r#"{{ nindent 1000000 (repeat 1000 "\n") }}"#, SIZE),
    ("printf: a wide number", r#"{{ range 500000 }}{{ $_ := printf "%999999d" 1 }}{{ end }}"#, STEPS),
    ("replace: that grows", r#"{{ replace "" (repeat 1000000 "x") (repeat 1000 "y") }}"#, SIZE),
    ("join: that grows", r#"{{ $x := "x" }}{{ range 100 }}{{ $x = join "" (list $x $x) }}{{ end }}"#, EITHER),
    ("list: that grows", r#"{{ $x := list 1 }}{{ range 100 }}{{ $x = concat $x $x }}{{ end }}"#, STEPS),
    ("dict: that has itself", r#"{{ $_ := set .Values "v" .Values }}{{ toYaml .Values }}"#, "nested"),
    (
        "dict: 2^40 through sharing",
        r#"{{ $x := dict "a" 1 }}{{ range 40 }}{{ $x = dict "a" $x "b" $x }}{{ end }}{{ toJson $x }}"#,
        EITHER,
    ),
    (
        "dict: 2^40, compared",
        r#"{{ $x := dict "a" 1 }}{{ $y := dict "a" 1 }}{{ range 40 }}{{ $x = dict "a" $x "b" $x }}{{ $y = dict "a" $y "b" $y }}{{ end }}{{ deepEqual $x $y }}"#,
        STEPS,
    ),
    (
        "dict: 2^40, printed",
        r#"{{ $x := dict "a" 1 }}{{ range 40 }}{{ $x = dict "a" $x "b" $x }}{{ end }}{{ $x }}"#,
        EITHER,
    ),
    (
        "dict: 2^40, merged",
        r#"{{ $x := dict "a" 1 }}{{ range 40 }}{{ $x = dict "a" $x "b" $x }}{{ end }}{{ $_ := mustMergeOverwrite (dict) $x }}{{ $_ = deepCopy $x }}"#,
        STEPS,
    ),
    ("uniq: of 10^5", "{{ range 100 }}{{ until 100000 | uniq | len }}{{ end }}", STEPS),
    ("has: in 10^5", "{{ $x := until 100000 }}{{ range 100000 }}{{ has -1 $x }}{{ end }}", STEPS),
    (
        "without: of 10^5",
        "{{ $x := until 100000 }}{{ range 100000 }}{{ $_ := without $x 7 8 9 }}{{ end }}",
        STEPS,
    ),
    (
        "sortAlpha: of 10^5",
        "{{ $x := until 100000 }}{{ range 100000 }}{{ $_ := sortAlpha $x }}{{ end }}",
        STEPS,
    ),
    ("first, rest", "{{ $x := until 100000 }}{{ range 100000 }}{{ $x = rest $x }}{{ end }}", STEPS),
    ("append", "{{ $x := list }}{{ range 500000 }}{{ $x = append $x 1 }}{{ end }}", STEPS),
    (
        "keys",
        "{{ $d := dict }}{{ range until 100000 }}{{ $_ := set $d (toString .) . }}{{ $_ := keys $d }}{{ end }}",
        STEPS,
    ),
    (
        "eq: of megabytes",
        r#"{{ $x := repeat 1000000 "x" }}{{ $y := print $x }}{{ range 500000 }}{{ $_ := eq $x $y }}{{ end }}"#,
        STEPS,
    ),
    (
        "contains: in a megabyte",
        r#"{{ $x := repeat 1000000 "x" }}{{ range 500000 }}{{ $_ := contains "xy" $x }}{{ end }}"#,
        STEPS,
    ),
    (
        "len, upper, trim",
        r#"{{ $x := repeat 1000000 "x" }}{{ range 500000 }}{{ $_ := upper $x | trim | len }}{{ end }}"#,
        STEPS,
    ),
    (
        "splitList: a megabyte",
        r#"{{ $x := repeat 1000000 "x" }}{{ range 500000 }}{{ $_ := splitList "" $x }}{{ end }}"#,
        STEPS,
    ),
    (
        "regex: nested quantifiers",
        r#"{{ range 500000 }}{{ $_ := regexMatch "(x+x+)+y" (repeat 10000 "x") }}{{ end }}"#,
        STEPS,
    ),
    ("regex: large repetition", r#"{{ mustRegexMatch "((x{1000}){1000}){1000}" "x" }}"#, "regex"),
    (
        "regex: a new one each time",
        r#"{{ range 500000 }}{{ $_ := regexMatch (printf "[[:alpha:]]%d\\w{50}" .) "x" }}{{ end }}"#,
        STEPS,
    ),
    (
        "regex: on a megabyte",
        r#"{{ $x := repeat 1000000 "xy" }}{{ range 500000 }}{{ $_ := regexMatch "(x|xy)*z" $x }}{{ end }}"#,
        STEPS,
    ),
    (
        "regex: find all",
        r#"{{ $x := repeat 1000000 "xy" }}{{ range 500000 }}{{ $_ := regexFindAll "" $x -1 }}{{ end }}"#,
        STEPS,
    ),
    (
        "fromYaml: alias bomb",
        r#"{{ $t := "a: &a [x, x]\nb: &b [*a, *a]\n" }}{{ range 500000 }}{{ $_ := fromYaml $t }}{{ end }}"#,
        STEPS,
    ),
    (
        "fromYaml: a megabyte",
        r#"{{ $x := repeat 200000 "- a\n" }}{{ range 500000 }}{{ $_ := fromYamlArray $x }}{{ end }}"#,
        STEPS,
    ),
    (
        "fromJson: a megabyte",
        r#"{{ $x := printf "[%s1]" (repeat 200000 "1, ") }}{{ range 500000 }}{{ $_ := fromJsonArray $x }}{{ end }}"#,
        STEPS,
    ),
    (
        "fromJson: 10^6 lists in lists",
        r#"{{ fromJsonArray (repeat 1000000 "[") }}{{ range 500000 }}{{ range 500000 }}{{ end }}{{ end }}"#,
        STEPS,
    ),
    (
        "toYaml: a megabyte",
        r#"{{ $x := repeat 1000000 "x\n" }}{{ range 500000 }}{{ $_ := toYaml $x }}{{ end }}"#,
        STEPS,
    ),
    (
        "sha256sum: a megabyte",
        r#"{{ $x := repeat 1000000 "x" }}{{ range 500000 }}{{ $_ := sha256sum $x }}{{ end }}"#,
        STEPS,
    ),
    (
        "adler32sum: a megabyte",
        r#"{{ $x := repeat 1000000 "x" }}{{ range 500000 }}{{ $_ := adler32sum $x }}{{ end }}"#,
        STEPS,
    ),
    (
        "b64enc: a megabyte",
        r#"{{ $x := repeat 1000000 "x" }}{{ range 500000 }}{{ $_ := b64enc $x }}{{ end }}"#,
        STEPS,
    ),
    ("bcrypt", "{{ range 500000 }}{{ $_ := bcrypt \"x\" }}{{ end }}", STEPS),
    ("htpasswd", "{{ range 500000 }}{{ $_ := htpasswd \"x\" \"y\" }}{{ end }}", STEPS),
    (
        "derivePassword",
        "{{ range 500000 }}{{ $_ := derivePassword 1 \"long\" \"a\" \"b\" \"c\" }}{{ end }}",
        STEPS,
    ),
    ("genPrivateKey: rsa", "{{ range 500000 }}{{ $_ := genPrivateKey \"rsa\" }}{{ end }}", STEPS),
    ("genPrivateKey: dsa", "{{ range 500000 }}{{ $_ := genPrivateKey \"dsa\" }}{{ end }}", STEPS),
    ("genPrivateKey: ecdsa", "{{ range 500000 }}{{ $_ := genPrivateKey \"ecdsa\" }}{{ end }}", STEPS),
    ("genPrivateKey: ed25519", "{{ range 500000 }}{{ $_ := genPrivateKey \"ed25519\" }}{{ end }}", STEPS),
    ("genCA", "{{ range 500000 }}{{ $_ := genCA \"x\" 1 }}{{ end }}", STEPS),
    (
        "genCAWithKey: rsa",
        r#"{{ $k := genPrivateKey "rsa" }}{{ range 500000 }}{{ $_ := genCAWithKey "x" 1 $k }}{{ end }}"#,
        STEPS,
    ),
    (
        "buildCustomCert",
        r#"{{ $c := genCA "x" 1 }}{{ range 500000 }}{{ $_ := buildCustomCert ($c.Cert | b64enc) ($c.Key | b64enc) }}{{ end }}"#,
        STEPS,
    ),
    (
        "genCAWithKey: ecdsa",
        r#"{{ $k := genPrivateKey "ecdsa" }}{{ range 500000 }}{{ $_ := genCAWithKey "x" 1 $k }}{{ end }}"#,
        STEPS,
    ),
    (
        "encryptAES",
        r#"{{ $x := repeat 1000000 "x" }}{{ range 500000 }}{{ $_ := encryptAES "k" $x }}{{ end }}"#,
        STEPS,
    ),
    ("randAlphaNum: 10^9", "{{ randAlphaNum 1000000000 }}", SIZE),
    ("randAlphaNum: often", "{{ range 500000 }}{{ $_ := randAlphaNum 10000 }}{{ end }}", STEPS),
    (
        "semver: a long condition",
        r#"{{ $x := repeat 20000 ">1.0.0 || " }}{{ range 500000 }}{{ $_ := semverCompare (print $x ">1.0.0") "0.1.0" }}{{ end }}"#,
        STEPS,
    ),
    (
        "date",
        "{{ range 500000 }}{{ $_ := dateInZone \"2006-01-02T15:04:05Z07:00\" 0 \"Europe/Berlin\" }}{{ end }}",
        STEPS,
    ),
    (
        "urlParse",
        r#"{{ $x := repeat 1000000 "x" }}{{ range 500000 }}{{ $_ := urlParse $x }}{{ end }}"#,
        STEPS,
    ),
    (
        "wrap, title, words",
        r#"{{ $x := repeat 100000 "xY z " }}{{ range 500000 }}{{ $_ := wrap 9 $x }}{{ $_ = title $x }}{{ $_ = snakecase $x }}{{ end }}"#,
        STEPS,
    ),
];

const TEXT: &str = r#"{{ $x := repeat 100000 "xY z " }}"#;
const KEYS: &str = "{{ $d := dict }}{{ range until 20000 }}{{ $_ := set $d (toString .) . }}{{ end }}";

/// A name, what is made once, and what is then called with it again and again.
const CALLS: &[(&str, &str, &str)] = &[
    ("trim: half a megabyte", TEXT, "trim $x"),
    ("quote: half a megabyte", TEXT, "quote $x"),
    ("eq: half a megabyte", TEXT, "eq $x $x"),
    ("initials: half a megabyte", TEXT, "initials $x"),
    ("snakecase: half a megabyte", TEXT, "snakecase $x"),
    ("replace: half a megabyte", TEXT, r#"replace "x" "y" $x"#),
    ("replace: with nothing", TEXT, r#"replace " " "" $x"#),
    ("regexReplaceAll: the empty match", TEXT, r#"regexReplaceAll "" $x "z""#),
    ("split: half a megabyte", TEXT, r#"split " " $x"#),
    ("splitList: into characters", TEXT, r#"splitList "" $x"#),
    ("trimAll: half a megabyte", TEXT, "trimAll $x $x"),
    ("printf: half a megabyte", TEXT, r#"printf "%x" $x"#),
    ("date: half a megabyte", TEXT, "date $x 0"),
    ("durationDays: half a megabyte", TEXT, "durationDays $x"),
    ("b64dec: half a megabyte", TEXT, r#"$x | replace " " "" | b64dec"#),
    (
        "decryptAES: half a megabyte",
        r#"{{ $x := encryptAES "k" (repeat 100000 "xY z ") }}"#,
        r#"decryptAES "k" $x"#,
    ),
    ("tpl: half a megabyte", TEXT, "tpl $x $"),
    ("tpl: half a megabyte with an action", TEXT, r#"tpl (print "{{ 1 }}" $x) $"#),
    ("urlJoin: half a megabyte", TEXT, r#"urlJoin (dict "path" $x)"#),
    ("dict: printed as a key", TEXT, r#"dict (dict "a" $x) 1"#),
    ("merge: 20,000 keys", KEYS, "merge (dict) $d"),
    ("pick: of 20,000 keys", KEYS, r#"pick $d "1""#),
    ("toYaml: 20,000 keys", KEYS, "toYaml $d"),
    ("toYamlPretty: 20,000 keys", KEYS, "toYamlPretty $d"),
    ("toToml: 20,000 keys", KEYS, "toToml $d"),
    ("chunk: 20,000 keys", KEYS, "chunk 1 (keys $d)"),
    ("list: of little", "", r#"list 1.5 "a" true"#),
    ("dict: of little", "", r#"dict "a" 1"#),
    ("quote: little", "", "quote 1.5"),
    ("print: a time", "", "print now"),
    ("printf: little", "", r#"printf "%e %v" 1.5 true"#),
    ("sha512sum: little", "", r#"sha512sum "a""#),
    ("fromJson: little", "", r#"fromJson "a""#),
    ("fromToml: little", "", r#"fromToml "a""#),
    ("divf: little", "", "divf 1.5 1.1"),
];

/// Charts that are too large in some other way.
fn large() -> Vec<Bomb> {
    let bomb = |name, files: &[(&str, &[u8])], said| Bomb { name, archive: chart(files), said };
    let path = "a".repeat(80);
    let glob = r#"{{ range 500000 }}{{ range $p, $_ := $.Files.Glob "**a**a**a**a**a**a**a**a**a**b" }}{{ end }}{{ end }}"#;
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
