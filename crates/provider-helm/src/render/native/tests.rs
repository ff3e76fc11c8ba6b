use super::*;

#[test]
fn every_name_is_a_function_of_helm() {
    let functions = Functions::helm();
    for (name, go, _) in FILTERS.iter().chain(FUNCTIONS) {
        assert!(functions.get(go).is_some(), "{name}");
    }
}

/// A template with all that Tera has and charts may use.
const EVERYTHING: &str = r#"{#- a comment with {{ x }} and %} -#}
{%- component label(name: string, value="none", ...rest) {"doc": "a label"} -%}
{{ name }}: {{ value }}{% for k, v in rest %} {{ k }}={{ v }}{% endfor %}{{ body | default(value="") }}
{%- endcomponent label %}
{% component box(@list, inner=[1, 2]) %}[{{ list | join(sep="|") }}{{ inner | length }}]{{ body | default(value=1) }}{% endcomponent %}
{% set text = "a ~ b | c }} %} \"q\" 'r'" %}{% set_global n = 3 %}
{{ text }} {{ 'it}}' ~ `%}` ~ n ~ map.a ~ 1.5 }} {{- " trimmed " -}}
{% set block %}  {{ n }} {{ text | upper }} {% endset %}{{ block | trim | replace(from="A", to="aa") }}
{% set piped | trim | upper %} x {{ n }} {% endset %}{{ piped }}
{% filter upper | replace(from="X", to=text) %} x {{ n }} {% include "templates/_part.yaml" %}{% endfilter %}
{% raw %}{{ not read }} {% if %}{% endraw %}
{%- for item in list -%} {{ loop.index }}/{{ loop.length }}:{{ item }}{% if loop.last %}.{% else %},{% endif %}
{%- if item == 1 %}{% continue %}{% elif item is divisible_by(divisor=3) %}{% break %}{% endif %} {% endfor %}
{% for k, v in map %}{{ k }}{{ v }}{% else %}none{% endfor %}{% for x in [] %}{% else %}empty{% endfor %}
{% for c in "aé" %}{{ c }}-{% endfor %}{% for x in missing or list %}{{ x }}{% endfor %}
{{ n if n > 2 else 0 }} {{ "x" if not list else "y" if n else "z" }} {{ 1 + 2 * n - -n ** 2 // 2 % 5 }}
{{ missing?.a?.b is undefined }} {{ map is defined and map.a is not string }} {{ missing | default(value="d") }}
{{ 1 in list }} {{ 7 not in list }} {{ "a" in map }} {{ n == 3 and n != 4 or n <= 1 }} {{ not n }}
{{ list[0] }} {{ map["a"] }} {{ list[1:] }} {{ "abcdef"[1:4] }} {{ text[::-1] }} {{ (list)[0:2][1] }} {{ list | reverse[0] }}
{{ [...list, n, "s"] }} {{ {"k": n, ...map} }} {{ [x * 2 for x in list if x > 1] }} {{ [k ~ v for k, v in map] }}
{{ <label name="l" value={n ~ "v"} other="o" {...map} /> }} {{ <label name="m" /> | upper }} {{ <box /> }}
{% <box inner={[1]}> %}in {{ n }}{% </box> %}{% set made = <label name="s" /> %}{{ made }}
{{ range(end=3) | join(sep=text) }} {{ "a\nb\n\nc\n" | indent(width=2) }} {{ "x" | indent(first=true, indentation="-") }}
{{ "a\n\nb" | indent(blank=true, width=1) }} {{ [1, [2, "q"], {"a": "b"}] | join }} {{ "a,b,,c" | split(pat=",") }} {{ "aé" | split(pat="") }}
{{ [1, 1.0, "1", "1", [2], [2], {"a": 1}, {"a": 1}] | unique }} {{ "<a b='c'>&\"" | escape_html }} {{ "<a b='c'>&\"" | escape_xml }}
{{ people | sort(attribute="age") | first | str }} {{ people | group_by(attribute="name") }} {{ "" | replace(from="", to="x") }}
{%- include "templates/_part.yaml" -%} {% include "child" %}  end"#;

const BASE: &str = "<{% block a %} {{ n }} {% endblock %}|{% for x in list %}{% endfor %}{%- block b -%} x {%- endblock -%} >";
const CHILD: &str = "{% extends 'base' %}\n{% block a -%} child {{ super() }} {{ map.a }}{% endblock a %}";

#[test]
fn a_template_gives_the_same_metered_and_not() {
    let part = "  part {{ n }} {{- map.a }} ";
    let context = Context::from_serialize(&json!({
        "list": [1, 2, 3], "map": {"a": 1, "b": "x"}, "n": 2,
        "people": [{"name": "b", "age": 2}, {"name": "b", "age": 1}],
    }))
    .unwrap();
    let render = |rewrite: &dyn Fn(&str) -> String, prepare: &dyn Fn(&mut Tera)| {
        let mut tera = Tera::new();
        tera.autoescape_on(Vec::<String>::new());
        prepare(&mut tera);
        let templates = [("a", EVERYTHING), ("templates/_part.yaml", part), ("base", BASE), ("child", CHILD)];
        let templates = templates.map(|(name, text)| (name, rewrite(text)));
        tera.add_raw_templates(templates).map_err(|e| e.to_string())?;
        tera.render("a", &context).map_err(|e| e.to_string())
    };
    let plain = render(&str::to_owned, &|_| {}).unwrap_or_else(|e| panic!("{e}"));
    let runtime = Rc::new(Runtime::new(gotemplate::FixedHost::default(), gotemplate::Limits::default()));
    let ours = meter::metered(&runtime, || render(&|text| Metered::new(text).text, &register));
    assert_eq!(ours.unwrap_or_else(|e| panic!("{e}")), plain);
    assert!(plain.contains("TRIMMED") || plain.contains("trimmed"), "{plain}");
}

#[test]
fn reports_show_the_template_as_it_was_written() {
    let limits = gotemplate::Limits { steps: 10_000, value_bytes: 1000, ..gotemplate::Limits::default() };
    let report = |template: Metered, text: &dyn Fn(&Metered) -> String| {
        let templates = BTreeMap::from([("a".to_owned(), template)]);
        let mut tera = Tera::new();
        register(&mut tera);
        let runtime = Rc::new(Runtime::new(gotemplate::FixedHost::default(), limits));
        let error = tera
            .add_raw_template("a", &text(&templates["a"]))
            .and_then(|()| meter::metered(&runtime, || tera.render("a", &Context::new())))
            .unwrap_err();
        report::restored(&error, &templates)
    };
    let check = |text: &str, want: &str| {
        assert_eq!(report(Metered::new(text), &|template| template.text.clone()), want);
        if !want.contains("limit") {
            let plain = report(Metered::default(), &|_| text.to_owned());
            // Of what is subscripted, Tera leaves the bracket out.
            assert_eq!(plain == want, !want.contains("that is undefined"), "{plain}");
        }
    };
    check(
        "é: {{ 1 ~ 'x' }} {{ x }}",
        "error: Variable `x` is not defined.\n --> a:1:21\n  |\n1 | é: {{ 1 ~ 'x' }} {{ x }}\n  |                     ^",
    );
    check(
        "{{ [1] }}\n{%- set x = [1, 2] %}\n\t{{ x[0] ~ x[7] ~ x[1] + {} }} {# c #}",
        "error: `+` requires both operands to be numbers, found `string` and `map/struct`\n --> a:3:5\n  |\n3 | \t{{ x[0] ~ x[7] ~ x[1] + {} }} {# c #}\n  | \t   ^^^^^^^^^^^^^^^^^^^^^^^",
    );
    check(
        "{% set x = [1] %}{{ x[7] }}",
        "error: Tried to render a variable that is undefined\n --> a:1:21\n  |\n1 | {% set x = [1] %}{{ x[7] }}\n  |                     ^^^^",
    );
    check(
        "{% set x = 'y' %}{{ 'a' ~ x | nope }}",
        "error: Unknown filter `nope`\n --> a:1:31\n  |\n1 | {% set x = 'y' %}{{ 'a' ~ x | nope }}\n  |                               ^^^^",
    );
    check(
        "{% set x = range(end=9) %}{{ x ~ '' | upper }} {{ x x }}",
        "error: Found identifier but expected }}.\n --> a:1:53\n  |\n1 | {% set x = range(end=9) %}{{ x ~ '' | upper }} {{ x x }}\n  |                                                     ^",
    );
    check(
        "{% component c(x) %}{{ x }} {{ x.y }}{% endcomponent %}\n{{ 1 ~ <c x={2} /> }}",
        "error: Field `y` is not defined.\n --> a:1:34\n  |\n1 | {% component c(x) %}{{ x }} {{ x.y }}{% endcomponent %}\n  |                                  ^\n\nnote: called from a:2:8\n  |\n2 | {{ 1 ~ <c x={2} /> }}\n  |        ^^^^^^^^^^^",
    );
    check(
        "{% set x = '0123456789' %}{% for i in [1, 2, 3, 4] %}{% set_global x = x ~ x ~ x ~ x ~ x %}{% endfor %}",
        "error: a value of 1250 bytes is over the limit of 1000\n --> a:1:72\n  |\n1 | {% set x = '0123456789' %}{% for i in [1, 2, 3, 4] %}{% set_global x = x ~ x ~ x ~ x ~ x %}{% endfor %}\n  |                                                                        ^",
    );
}
