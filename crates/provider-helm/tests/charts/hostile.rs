//! Charts that nobody should have to trust: each is refused with a reason, in little time and memory.

use flate2::{Compression, write::GzEncoder};
use gotemplate::{FixedHost, Limits};
use provider_core::Error;
use provider_helm::chart::Chart;
use provider_helm::render::{Capabilities, Options, Release, Renderer};
use provider_helm::values::Values;
use std::io::Write;
use tar::EntryType;

const CHART: &[u8] = b"apiVersion: v2\nname: top\nversion: 1.0.0\n";

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

fn packed(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, kind, content) in entries {
        tar.append(&header(name, *kind, content.len() as u64), *content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// A chart with one more file.
fn with(name: &str, content: &[u8]) -> Vec<u8> {
    packed(&[("top/Chart.yaml", EntryType::Regular, CHART), (name, EntryType::Regular, content)])
}

fn report(error: &Error) -> String {
    error.causes().iter().fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn refusal(bytes: &[u8]) -> String {
    report(&Chart::read(bytes).expect_err("must be refused"))
}

#[test]
fn what_leads_out_of_an_archive_is_refused() {
    let check = |name: &str, kind: EntryType, want: &str| {
        let error = refusal(&packed(&[("top/Chart.yaml", EntryType::Regular, CHART), (name, kind, b"")]));
        assert!(error.contains(want), "{name}: {error}");
    };
    check("top/../../etc/passwd", EntryType::Regular, "leads out of the archive");
    check("top/templates/..\\..\\x", EntryType::Regular, "leads out of the archive");
    check("/etc/passwd", EntryType::Regular, "absolute name");
    check("top/templates/link.yaml", EntryType::Symlink, "neither a file nor a directory");
    check("top/templates/link.yaml", EntryType::Link, "neither a file nor a directory");
    check("top/dev", EntryType::Char, "neither a file nor a directory");
    check("other/Chart.yaml", EntryType::Regular, "outside of the one top directory");
    check("top/Chart.yaml", EntryType::Regular, "twice");
    check("top/Chart.yaml/x", EntryType::Regular, "as a file and as a directory");
}

#[test]
fn a_bomb_inside_an_inner_chart_is_refused_at_the_cap_of_the_whole() {
    let zeros = vec![0; 5 << 20];
    let names: Vec<String> = (0..12).map(|n| format!("inner/{n}")).collect();
    let inner: Vec<_> =
        names.iter().map(|name| (name.as_str(), EntryType::Regular, zeros.as_slice())).collect();
    let inner = packed(&inner);
    assert!(inner.len() < 1 << 20);
    // Each would fit for itself.
    let error = refusal(&packed(&[
        ("top/Chart.yaml", EntryType::Regular, CHART),
        ("top/charts/a.tgz", EntryType::Regular, &with("inner", &[])[..0]),
    ]));
    assert!(error.contains("not a whole gzipped tar"), "{error}");
    let chart =
        ("inner/Chart.yaml", EntryType::Regular, b"apiVersion: v2\nname: inner\nversion: 1.0.0\n".as_slice());
    let whole: Vec<_> = std::iter::once(chart)
        .chain(names.iter().map(|name| (name.as_str(), EntryType::Regular, zeros.as_slice())))
        .collect();
    let whole = packed(&whole);
    assert!(Chart::read(&whole).is_ok(), "one alone fits");
    let error = refusal(&packed(&[
        ("top/Chart.yaml", EntryType::Regular, CHART),
        ("top/charts/a.tgz", EntryType::Regular, &whole),
        ("top/charts/b.tgz", EntryType::Regular, &whole),
    ]));
    assert_eq!(
        error,
        "can't read the chart `charts/b.tgz` inside `top`: the archive holds more than 100 MiB unpacked"
    );
}

#[test]
fn charts_in_charts_in_charts_end_somewhere() {
    let chart = (0..40).fold(with("top/x", b""), |inner, _| with("top/charts/top.tgz", &inner));
    assert!(refusal(&chart).ends_with("charts are nested more than 16 deep"));
}

#[test]
fn files_that_make_no_chart_are_refused_with_their_name() {
    let check = |name: &str, content: &[u8], want: &str| {
        let error = match name {
            "Chart.yaml" => refusal(&packed(&[("top/Chart.yaml", EntryType::Regular, content)])),
            name => refusal(&with(&format!("top/{name}"), content)),
        };
        assert!(error.contains(want), "{name}: {error}");
    };
    check("Chart.yaml", b"", "`Chart.yaml`: expected an object, found nothing");
    check("Chart.yaml", b"\xff", "`Chart.yaml` is not UTF-8");
    check("Chart.yaml", b"name: x", "has no `version`");
    check("Chart.yaml", b"version: 1.0.0", "has no `name`");
    check("Chart.yaml", b"name: ../x\nversion: 1.0.0", "which is not the name of a chart");
    check("Chart.yaml", b"name: x\nversion: one", "which is not a semantic version");
    check("Chart.yaml", b"name: [x]\nversion: 1.0.0", "`name` in `Chart.yaml`: expected text, found a list");
    check("Chart.yaml", b"name: x\nversion: 1.0.0\ntype: other", "expected application or library");
    check(
        "Chart.yaml",
        b"name: x\nversion: 1.0.0\ndependencies: [{name: a}, {name: b, alias: a}]",
        "more than one dependency with name or alias `a`",
    );
    check(
        "Chart.yaml",
        b"name: x\nversion: 1.0.0\ndependencies: [{name: a, alias: a/../b}]",
        "letters, digits, `_` and `-` are allowed",
    );
    check("values.yaml", b"- a", "can't read `values.yaml` as values: expected an object, found a list");
    check("values.yaml", b"a: b: c", "can't read `values.yaml`: line 1, column 5");
    check(
        "charts/x/values.yaml",
        b"",
        "can't read the chart `charts/x` inside `top`: the chart has no `Chart.yaml`",
    );
    check("charts/x.tgz/y", b"", "a directory with the name of an archive");
    check("charts/x.tgz", b"no archive", "not a whole gzipped tar");
    let billions = (1..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
        format!("{text}a{n}: &a{n} [*a{before}, *a{before}]\n", before = n - 1)
    });
    check("values.yaml", billions.as_bytes(), "can't read `values.yaml`");
    check("values.yaml", "[".repeat(100_000).as_bytes(), "can't read `values.yaml`");
}

#[test]
fn a_directory_with_a_link_is_refused() {
    let top = tempfile::tempdir().unwrap();
    std::fs::write(top.path().join("Chart.yaml"), CHART).unwrap();
    assert!(Chart::load(top.path()).is_ok());
    std::os::unix::fs::symlink("/etc/passwd", top.path().join("secrets")).unwrap();
    let error = Chart::load(top.path()).unwrap_err();
    assert!(error.to_string().ends_with("secrets` is neither a file nor a directory"), "{error}");
    // Unless it does not belong to the chart.
    std::fs::write(top.path().join(".helmignore"), "secrets\n").unwrap();
    assert!(Chart::load(top.path()).is_ok());
}

#[test]
fn templates_that_never_end_are_ended() {
    let check = |template: &str, want: &str| {
        let chart = Chart::read(&with("top/templates/a.yaml", template.as_bytes())).unwrap();
        let release = Release { name: "r".into(), namespace: "n".into(), revision: 1, is_upgrade: false };
        let limits = Limits { steps: 1_000_000, ..Limits::default() };
        let options = Options { release, capabilities: Capabilities::default(), limits };
        let error = Renderer::new(chart).render(&Values::new(), &options, FixedHost::default()).unwrap_err();
        assert!(report(&error).contains(want), "{template}: {}", report(&error));
    };
    check(r#"{{ define "x" }}{{ include "x" . }}{{ end }}{{ include "x" . }}"#, "nested");
    check("{{ range until 1000000 }}{{ range until 1000000 }}x{{ end }}{{ end }}", "more than 1000000 steps");
    check(r#"{{ repeat 1000000000 "x" }}"#, "over the limit");
    check(r#"{{ $_ := set .Values "v" .Values }}{{ toYaml .Values }}"#, "nested");
}

#[test]
fn an_archive_that_was_cut_is_refused() {
    let whole = with("top/templates/a.yaml", &[b'x'; 3000]);
    let mut cut = GzEncoder::new(Vec::new(), Compression::fast());
    cut.write_all(b"no tar at all").unwrap();
    for bytes in [&whole[..whole.len() / 2], &cut.finish().unwrap(), b""] {
        assert_eq!(refusal(bytes).split(':').next(), Some("the archive is not a whole gzipped tar"));
    }
}
