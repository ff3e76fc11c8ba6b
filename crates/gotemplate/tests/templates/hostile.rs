//! Templates that want to take the machine down, and texts that are none.

use gotemplate::{ErrorKind, FixedHost, Functions, Limits, Templates};
use proptest::prelude::*;
use serde_json::json;

fn render(template: &str) -> Result<String, gotemplate::Error> {
    let compiled = Templates::compile([("t", template)], &Functions::helm())?;
    let limits = Limits { steps: 2_000_000, output_bytes: 16 << 20, ..Limits::default() };
    let rendered = compiled.session(FixedHost::default(), limits, |session| {
        session.render("t", &session.value(&json!({"self": "{{ tpl .self . }}", "list": [1, 2, 3]})))
    });
    rendered.and_then(|rendered| rendered)
}

#[test]
fn what_has_no_end_is_ended_by_a_limit() {
    fn check(template: &str, said: &str) {
        let error = render(template).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit, "{template}: {error}");
        assert!(error.message().contains(said), "{template}: {error}");
    }
    let nested = "unable to execute template";
    check(r#"{{ define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}"#, nested);
    check(r#"{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}"#, nested);
    check(
        r#"{{ define "a" }}{{ include "b" . }}{{ end }}{{ define "b" }}{{ include "a" . }}{{ end }}{{ include "a" . }}"#,
        nested,
    );
    check("{{ tpl .self . }}", "tpl is nested more than 1000 deep");
    check("{{ range 1000000000 }}{{ end }}", "more than 2000000 steps");
    check(
        "{{ range 1000 }}{{ range 1000 }}{{ range 1000 }}x{{ end }}{{ end }}{{ end }}",
        "more than 2000000 steps",
    );
    check(
        "{{ printf \"%999999d\" 1 | printf \"%999999s%999999s%999999s%999999s\" 1 2 3 | print | len }}{{ range 100000 }}{{ printf \"%999999d\" 1 }}{{ end }}",
        "more than",
    );
    let long = "x".repeat(1 << 20);
    check(&format!("{{{{ range 100 }}}}{long}{{{{ end }}}}"), "write more than 16777216 bytes");
    check(
        r#"{{ define "a" }}{{ range 10 }}{{ include "b" . }}{{ end }}{{ end }}{{ define "b" }}{{ range 1000000 }}y{{ end }}{{ end }}{{ include "a" . }}"#,
        "more than 2000000 steps",
    );
}

#[test]
fn what_is_nested_too_deep_is_no_template() {
    fn check(template: &str, said: &str) {
        let error = render(template).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Parse, "{error}");
        assert!(error.message().contains(said), "{error}");
    }
    check(
        &format!("{{{{ {}1{} }}}}", "(".repeat(200), ")".repeat(200)),
        "parentheses are nested more than 100 deep",
    );
    check(&"{{ if true }}".repeat(100_000), "blocks are nested more than 36 deep");
    check(&"{{ with 1 }}".repeat(50), "blocks are nested more than 36 deep");
}

#[test]
fn what_is_just_large_is_rendered() {
    let chain: String = (0..300).map(|n| format!("{{{{ else if eq 1 {n} }}}}{n}")).collect();
    assert_eq!(render(&format!("{{{{ if false }}}}a{chain}{{{{ end }}}}")).unwrap(), "1");
    let conditions: String =
        (0..100).map(|n| format!("{{{{ else if or (and false 1) (eq 99 {n}) }}}}{n}")).collect();
    assert_eq!(render(&format!("{{{{ if false }}}}a{conditions}{{{{ end }}}}")).unwrap(), "99");
    let pipeline = "{{ 1".to_owned() + &" | print".repeat(500) + " }}";
    assert_eq!(render(&pipeline).unwrap(), "1");
    let nested = format!("{{{{ {}1{} }}}}", "print (".repeat(90), ")".repeat(90));
    assert_eq!(render(&nested).unwrap(), "1");
    let arguments = format!("{{{{ print{} }}}}", " \"a\" .list".repeat(200));
    assert!(render(&arguments).unwrap().starts_with("a[1 2 3]a"));
    let blocks = "{{ if true }}".repeat(36) + "x" + &"{{ end }}".repeat(36);
    assert_eq!(render(&blocks).unwrap(), "x");
    let ranges = "{{ range .list }}".repeat(8) + "x" + &"{{ end }}".repeat(8);
    assert!(render(&ranges.replace(".list", "$.list")).unwrap().len() == 6561);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_makes_the_compiler_panic(text in "\\PC{0,40}(\\{\\{-? ?[a-z$.\"`'()|:=0-9+ -]{0,30} ?-?\\}\\}\\PC{0,5}){0,4}") {
        let _ = render(&text);
    }

    #[test]
    fn no_row_of_tokens_makes_the_compiler_panic(tokens in proptest::collection::vec(
        prop::sample::select(vec!["{{", "}}", "{{-", "-}}", " ", "if", "else", "end", "range", "with", "define", "block",
            "template", "break", "continue", "\"t\"", "$x", ":=", "=", "|", "(", ")", ".a", ".", "print", "and", "or",
            "nil", "true", "1", ",", "x\u{1}%", "/*", "*/", "`", "'"]), 0..40)) {
        let _ = render(&tokens.concat());
    }
}
