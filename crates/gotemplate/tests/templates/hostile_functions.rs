//! Functions that are asked for too much, and texts that are none of what they read.

use gotemplate::{ErrorKind, FixedHost, Functions, Limits, Templates};
use proptest::prelude::*;
use serde_json::json;

fn render(template: &str, data: &serde_json::Value) -> Result<String, gotemplate::Error> {
    let compiled = Templates::compile([("t", template)], &Functions::helm())?;
    let limits = Limits { steps: 2_000_000, ..Limits::default() };
    let rendered =
        compiled.session(FixedHost::default(), limits, |session| session.render("t", &session.value(data)));
    rendered.and_then(|rendered| rendered)
}

#[test]
fn functions_that_make_much_are_ended_by_a_limit() {
    fn check(template: &str) {
        let error = render(template, &json!({})).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit, "{template}: {error}");
    }
    check(r#"{{ repeat 1000000000 "x" }}"#);
    check(r#"{{ repeat 9223372036854775807 "xy" }}"#);
    check("{{ until 1000000000 }}");
    check("{{ until -9223372036854775808 }}");
    check("{{ untilStep -9223372036854775807 9223372036854775807 1 }}");
    check("{{ seq 1000000000 }}");
    check("{{ seq 0 9223372036854775806 }}");
    check("{{ randBytes 1000000000 }}");
    check("{{ randAlphaNum 1000000000 }}");
    check(r#"{{ indent 1000000000 "a" }}"#);
    check(r#"{{ nindent 60000000 (repeat 1000 "\n") }}"#);
    check(r#"{{ replace "" (repeat 1000000 "x") (repeat 1000 "y") }}"#);
    check(r#"{{ regexReplaceAll "" (repeat 1000 "y") (repeat 1000000 "x") }}"#);
    check(
        r#"{{ regexReplaceAll "y" (repeat 1000 "y") (repeat 1000 "$0" | replace "$0" (repeat 100 "x")) }}"#,
    );
    check(r#"{{ wrapWith 1 (repeat 1000000 "x") (repeat 1000 "y") }}"#);
    check(r#"{{ join (repeat 10000000 "x") (until 1000) }}"#);
    check("{{ range 1000000 }}{{ genPrivateKey \"rsa\" }}{{ end }}");
    check("{{ range 1000000 }}{{ bcrypt \"x\" }}{{ end }}");
    check("{{ range 1000000 }}{{ derivePassword 1 \"long\" \"a\" \"b\" \"c\" }}{{ end }}");
    check("{{ $x := until 10000 }}{{ range until 10000 }}{{ $x = concat $x $x }}{{ end }}");
    check("{{ $x := dict }}{{ $_ := set $x \"a\" $x }}{{ toYaml $x }}");
    check("{{ $x := dict }}{{ $_ := set $x \"a\" $x }}{{ toYamlPretty $x }}");
    check("{{ $x := dict }}{{ $_ := set $x \"a\" $x }}{{ toJson $x }}");
    check("{{ $x := dict }}{{ $_ := set $x \"a\" $x }}{{ toToml $x }}");
    check("{{ $x := dict }}{{ $_ := set $x \"a\" $x }}{{ deepCopy $x }}");
    check(
        "{{ $x := dict }}{{ $_ := set $x \"a\" $x }}{{ $y := dict }}{{ $_ := set $y \"a\" $y }}{{ merge $x $y }}",
    );
    check(
        "{{ $x := dict }}{{ $_ := set $x \"a\" $x }}{{ $y := dict }}{{ $_ := set $y \"a\" $y }}{{ deepEqual $x $y }}",
    );
    check("{{ $x := dict }}{{ $_ := set $x \"a\" $x }}{{ quote $x }}");
}

#[test]
fn deep_values_are_walked_or_refused() {
    for depth in [100, 480, 900, 990, 100_000] {
        for text in [
            "[".repeat(depth) + &"]".repeat(depth),
            r#"{"a":"#.repeat(depth) + "1" + &"}".repeat(depth),
            "- ".repeat(depth) + "x",
            (0..depth.min(3000)).map(|level| " ".repeat(level) + "a:\n").collect(),
            "a = ".to_owned() + &"[".repeat(depth) + &"]".repeat(depth),
        ] {
            let template = "{{ fromYaml .t | toYaml | len }}{{ fromYamlArray .t | toYamlPretty | len }}\
                {{ fromJson .t | toJson | len }}{{ fromJsonArray .t | toToml | len }}{{ fromToml .t | toToml | len }}";
            if let Err(error) = render(template, &json!({"t": text})) {
                assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
            }
        }
    }
    let nested = "{{ $x := list }}{{ range 950 }}{{ $x = list $x }}{{ end }}";
    let all = "{{ toYaml $x | fromYamlArray | len }}{{ toYamlPretty $x | len }}{{ toPrettyJson $x | len }}\
        {{ toToml (dict \"a\" $x) | len }}{{ deepEqual $x (deepCopy $x) }}{{ print $x | len }}";
    render(&format!("{nested}{all}"), &json!({})).unwrap();
}

#[test]
fn aliases_do_not_multiply_without_end() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}, ", level - 1).repeat(10);
        text += &format!("a{level}: &a{level} [{before}]\n");
    }
    let out = render("{{ (fromYaml .t).Error }}", &json!({"t": text})).unwrap();
    assert_eq!(out, "error converting YAML to JSON: yaml: document contains excessive aliasing");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever the text is, every reader answers or refuses.
    #[test]
    fn no_text_makes_a_reader_panic(text in any::<String>(), odd in "[-?:,\\[\\]{}#&*!|>'\"%@` \n\t\\\\a1.~<=x0-9T+()^$]{0,40}") {
        for text in [text, odd] {
            let data = json!({"t": text});
            for call in [
                "fromYaml .t", "fromYamlArray .t", "fromJson .t", "fromJsonArray .t", "fromToml .t", "semver .t",
                "semverCompare .t \"1.2.3\"", "regexFindAll .t \"aab\" -1", "regexReplaceAll \"(a)\" \"aab\" .t",
                "mustToDate .t \"2020-01-02\"", "mustToDate \"2006-01-02 15:04:05 MST Z07:00\" .t", "date .t 0",
                "dateInZone \"2006\" 0 .t", "mustToDuration .t", "urlParse .t", "urlJoin (dict \"path\" .t \"userinfo\" .t)",
                "b64dec .t", "b32dec .t", "decryptAES \"k\" .t", "buildCustomCert (b64enc .t) .t",
                "genCAWithKey \"a\" 1 .t", "snakecase .t", "kebabcase .t", "camelcase .t", "swapcase .t", "title .t",
                "wrap 3 .t", "wrapWith 3 .t .t", "abbrev 5 .t", "abbrevboth 5 8 .t", "trunc -3 .t", "trunc 3 .t",
                "initials .t", "nospace .t", "toYaml .t", "toYamlPretty (dict .t .t)", "toToml (dict .t .t)", "quote .t",
                "clean .t", "dir .t", "base .t", "ext .t", "int .t", "float64 .t", "atoi .t", "toDecimal .t",
                "splitn .t 2 \"aabb\"", "split \"a\" .t", "replace .t \"x\" \"aabb\"", "trimAll .t .t", "durationRound .t",
            ] {
                let _ = render(&format!("{{{{ {call} }}}}"), &data);
            }
        }
    }

    /// What is written is read back the same.
    #[test]
    fn yaml_is_read_as_it_was_written(texts in proptest::collection::vec("[ -~\n\u{e9}\u{2028}]{0,100}", 1..5)) {
        // A line feed at the very end is cut off by the functions.
        let texts = [&texts[..], &["end".to_owned()]].concat();
        let template = "{{ toYaml .t | fromYamlArray | toJson }}|{{ toYamlPretty .t | fromYamlArray | toJson }}|{{ toJson .t }}";
        let out = render(template, &json!({"t": texts})).unwrap();
        let parts: Vec<&str> = out.split('|').collect();
        let third = parts.len() / 3;
        prop_assert_eq!(&parts[..third], &parts[2 * third..]);
        prop_assert_eq!(&parts[third..2 * third], &parts[2 * third..]);
    }
}
