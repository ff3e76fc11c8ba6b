//! Charts that are written in Tera and want to take the machine down.

use super::{Bomb, CHART, EITHER, SIZE, STEPS, packed};
use tar::EntryType;

pub(super) fn all() -> Vec<Bomb> {
    let templates = TEMPLATES.iter();
    let all = templates.map(|(name, text, said)| Bomb {
        name,
        archive: chart(&[("templates/a.yaml", text)]),
        said,
    });
    all.chain(large()).collect()
}

/// A chart in Tera with these files, with a text of half a megabyte, and one of many lines.
fn chart(files: &[(&str, &str)]) -> Vec<u8> {
    let annotated = format!("{}annotations: {{pitrix.io/templates: tera}}\n", String::from_utf8_lossy(CHART));
    let (text, lines) = ("xY z ".repeat(100_000), "x\n".repeat(100_000));
    let own = [("Chart.yaml", annotated.as_str()), ("big.txt", &text), ("lines.txt", &lines)];
    let files = own.iter().chain(files).map(|(name, text)| (format!("top/{name}"), text.as_bytes()));
    let files: Vec<_> = files.collect();
    packed(&files.iter().map(|(name, text)| (name.as_str(), EntryType::Regular, *text)).collect::<Vec<_>>())
}

/// A name, a template, and what refuses it.
const TEMPLATES: &[(&str, &str, &str)] = &[
    (
        "tera: upper",
        r#"{% set x = files["big.txt"] %}{% for i in range(end=1000) %}{% set y = x | upper %}{% endfor %}"#,
        STEPS,
    ),
    (
        "tera: replace",
        r#"{% set x = files["big.txt"] %}{% for i in range(end=1000) %}{% set y = x | replace(from="x", to="yy") %}{% endfor %}"#,
        STEPS,
    ),
    (
        "tera: split",
        r#"{% set x = files["big.txt"] %}{% for i in range(end=1000) %}{% set y = x | split(pat="") %}{% endfor %}"#,
        STEPS,
    ),
    (
        "tera: sort",
        r#"{% set x = range(end=10000) %}{% for i in range(end=1000) %}{% set y = x | sort %}{% endfor %}"#,
        STEPS,
    ),
    (
        "tera: quote",
        r#"{% set x = files["big.txt"] %}{% for i in range(end=1000) %}{% set y = x | quote %}{% endfor %}"#,
        STEPS,
    ),
    ("tera: to_json", r#"{% for i in range(end=1000) %}{% set y = files | to_json %}{% endfor %}"#, STEPS),
    (
        "tera: ==",
        r#"{% set x = files["big.txt"] %}{% set y = x | trim_start %}{% for i in range(end=1000) %}{% if x == y %}{% endif %}{% endfor %}"#,
        STEPS,
    ),
    (
        "tera: in",
        r#"{% set x = files["big.txt"] %}{% for i in range(end=1000) %}{% if "zz" in x %}{% endif %}{% endfor %}"#,
        STEPS,
    ),
    (
        "tera: is",
        r#"{% set x = files["big.txt"] %}{% for i in range(end=1000) %}{% if x is containing(pat="zz") %}{% endif %}{% endfor %}"#,
        STEPS,
    ),
    (
        "tera: slice",
        r#"{% set x = files["big.txt"] %}{% for i in range(end=1000) %}{% set y = x[1:2] %}{% endfor %}"#,
        STEPS,
    ),
    (
        "tera: ~ that grows",
        r#"{% set x = files["big.txt"] %}{% for i in range(end=40) %}{% set_global x = x ~ x %}{% endfor %}"#,
        EITHER,
    ),
    (
        "tera: ~ again and again",
        r#"{% set x = files["big.txt"] %}{% for i in range(end=100) %}{% set y = x ~ x ~ x ~ x ~ x ~ x ~ x ~ x ~ x %}{% endfor %}"#,
        STEPS,
    ),
    ("tera: replace that grows", r#"{% set x = files["big.txt"] %}{{ x | replace(from="x", to=x) }}"#, SIZE),
    ("tera: join that grows", r#"{% set x = files["big.txt"] %}{{ range(end=10000) | join(sep=x) }}"#, SIZE),
    ("tera: indent that grows", r#"{% set x = files["lines.txt"] %}{{ x | indent(width=1000) }}"#, SIZE),
    (
        "tera: escapes that grow",
        r#"{% set x = files["big.txt"] | replace(from=" ", to="&") %}{% for i in range(end=100) %}{{ x | escape_html | escape_html | escape_html | escape_html | escape_html }}{% endfor %}"#,
        EITHER,
    ),
    (
        "tera: list: 2^40 through sharing",
        r#"{% set x = [1] %}{% for i in range(end=40) %}{% set_global x = [x, x] %}{% endfor %}{{ x }}"#,
        EITHER,
    ),
    (
        "tera: list: 2^40 with spreads",
        r#"{% set x = [1] %}{% for i in range(end=40) %}{% set_global x = [...x, ...x] %}{% endfor %}"#,
        EITHER,
    ),
    (
        "tera: list: 10^5 in each other",
        r#"{% set x = [1] %}{% for i in range(end=10000) %}{% set_global x = [x] %}{% endfor %}"#,
        "nested",
    ),
    ("tera: unique", r#"{{ range(end=100000) | unique }}"#, STEPS),
    (
        "tera: sort: a long attribute",
        r#"{% set x = files["big.txt"] %}{{ [[1], [1]] | sort(attribute=x) }}"#,
        "path of an attribute",
    ),
    (
        "tera: set: that grows",
        r#"{% set x = files["big.txt"] %}{% for i in range(end=40) %}{% set_global x %}{{ x }}{{ x }}{% endset %}{% endfor %}"#,
        EITHER,
    ),
    (
        "tera: set: much text",
        r#"{% set x %}{% for i in range(end=900000) %}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{% endfor %}{% endset %}"#,
        STEPS,
    ),
    (
        "tera: filter: much text",
        r#"{% for i in range(end=1000) %}{% filter upper %}{{ files["big.txt"] }}{% endfilter %}{% endfor %}"#,
        STEPS,
    ),
    (
        "tera: all variables",
        r#"{% for i in range(end=1000) %}{% set x %}{{ __tera_context }}{% endset %}{% endfor %}"#,
        STEPS,
    ),
    ("tera: write", r#"{% for i in range(end=1000) %}{{ files["big.txt"] }}{% endfor %}"#, STEPS),
    (
        "tera: for: in a for",
        r#"{% for i in range(end=1000) %}{% for j in range(end=10000) %}{% endfor %}{% endfor %}"#,
        STEPS,
    ),
    (
        "tera: for: over a text",
        r#"{% set x = files["big.txt"] %}{% for c in x %}{% for d in x %}{% endfor %}{% endfor %}"#,
        STEPS,
    ),
    (
        "tera: comprehension: in a comprehension",
        r#"{% set x = range(end=1000) %}{{ [1 for a in x if [1 for b in x if [1 for c in x]]] }}"#,
        STEPS,
    ),
    ("tera: range: 10^9", r#"{{ range(end=1000000000) }}"#, SIZE),
    (
        "tera: component: in itself",
        r#"{% component a() %}{{ <a /> }}{% endcomponent %}{{ <a /> }}"#,
        "recursion depth",
    ),
    (
        "tera: component: 2^19",
        r#"{% component a(n) %}{% if n < 19 %}{% set m = n + 1 %}{{ <a n={m} /> }}{{ <a n={m} /> }}{% endif %}{% endcomponent %}{{ <a n={1} /> }}"#,
        STEPS,
    ),
    ("tera: include: itself", r#"{% include "templates/a.yaml" %}"#, "or itself"),
    (
        "tera: blocks in blocks",
        "{% block a %}{% block b %}{% endblock %}{% endblock %}",
        "a block in a block",
    ),
    ("tera: extends itself", r#"{% extends "templates/a.yaml" %}"#, "templates more than 50 deep, or itself"),
];

/// Charts in Tera that are too large in some other way.
fn large() -> Vec<Bomb> {
    let bomb = |name, text: &str, said| Bomb { name, archive: chart(&[("templates/a.yaml", text)]), said };
    let included = |inside: &dyn Fn(usize) -> String, count: usize| {
        let names: Vec<String> = (0..count).map(|n| format!("templates/_{n}.yaml")).collect();
        let texts: Vec<String> = (0..count).map(inside).collect();
        let first = ("templates/a.yaml", r#"{% include "templates/_0.yaml" %}"#);
        let files = names.iter().map(String::as_str).zip(texts.iter().map(String::as_str));
        chart(&files.chain([first]).collect::<Vec<_>>())
    };
    let next = |n: usize| match n {
        39 => String::new(),
        n => format!(r#"{{% include "templates/_{}.yaml" %}}"#, n + 1),
    };
    vec![
        Bomb { name: "tera: include: 2^40", archive: included(&|n| next(n).repeat(2), 40), said: STEPS },
        Bomb {
            name: "tera: include: 900 in each other",
            archive: included(&|n| format!(r#"{{% include "templates/_{}.yaml" %}}"#, (n + 1) % 900), 900),
            said: "more than 50 deep",
        },
        bomb(
            "tera: 5,000 elif",
            &format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(5000)),
            "`elif`",
        ),
        bomb("tera: 300,000 tags", &"{{ values.a }}".repeat(300_000), "more than 200000"),
        bomb("tera: 10,000 unknown names", &"{{ x|a }}".repeat(10_000), "too much in its"),
        bomb(
            "tera: 400 parentheses",
            &format!("{{{{ {}1{} }}}}", "(".repeat(400), ")".repeat(400)),
            "too complex",
        ),
        bomb("tera: 400 blocks", &"{% if 1 %}".repeat(400), "too deep"),
    ]
}
