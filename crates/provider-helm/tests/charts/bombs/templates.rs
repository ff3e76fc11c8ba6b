//! Templates that want to take the machine down: each is one file of a chart.

use super::{Bomb, EITHER, NESTED, SIZE, STEPS, chart};

pub(super) fn all() -> Vec<Bomb> {
    let template = |text: &str| chart(&[("templates/a.yaml", text.as_bytes())]);
    let templates = TEMPLATES.iter();
    let templates = templates.map(|(name, text, said)| Bomb { name, archive: template(text), said });
    let calls = CALLS.iter();
    let calls = calls.map(|(name, made, call)| Bomb {
        name,
        archive: template(&format!("{made}{}", again(call))),
        said: STEPS,
    });
    templates.chain(calls).collect()
}

/// A call for more turns than there are steps. An outer loop of as many would be refused before its first one.
pub(super) fn again(call: &str) -> String {
    format!("{{{{ range 8000 }}}}{{{{ range 1000 }}}}{{{{ $_ := {call} }}}}{{{{ end }}}}{{{{ end }}}}")
}

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
    ("YAML: of the dot", "", "$.YAML"),
    ("AsMap: 20,000 keys", KEYS, "$.Values.AsMap"),
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
