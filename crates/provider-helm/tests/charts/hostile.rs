//! Charts that nobody should have to trust: each is refused with a reason, in little time and memory.

use crate::bombs::{self, CHART, chart, packed, report};
use flate2::{Compression, write::GzEncoder};
use gotemplate::{FixedHost, Host, Limits, Timestamp};
use provider_helm::chart::Chart;
use provider_helm::render::{Capabilities, Options, Release, Renderer};
use provider_helm::values::Values;
use std::io::Write;
use std::sync::{Arc, Mutex};
use tar::EntryType;

/// A chart with one more file, by its whole name.
fn with(name: &str, content: &[u8]) -> Vec<u8> {
    packed(&[("top/Chart.yaml", EntryType::Regular, CHART), (name, EntryType::Regular, content)])
}

fn refusal(bytes: &[u8]) -> String {
    report(&Chart::read(bytes).expect_err("must be refused"))
}

#[test]
fn every_bomb_is_refused_with_its_reason() {
    // What the defaults allow takes a development build long.
    let limits = Limits { steps: 1_000_000, ..Limits::default() };
    for bomb in bombs::all() {
        let said = bombs::defuse(&bomb.archive, limits).expect_err(bomb.name);
        assert!(bomb.is_refused_with(&said), "{}: {said}", bomb.name);
    }
}

/// A host that counts the keys and hashes that are really made.
#[derive(Clone, Default)]
struct Counting {
    host: FixedHost,
    made: Arc<Mutex<usize>>,
}

impl Host for Counting {
    fn now(&mut self) -> Timestamp {
        self.host.now()
    }

    fn entropy(&mut self, buffer: &mut [u8]) {
        self.host.entropy(buffer);
    }

    fn wants_stand_in(&mut self) -> bool {
        *self.made.lock().unwrap() += 1;
        false
    }
}

#[test]
fn keys_and_hashes_are_made_only_where_all_of_them_may_be() {
    let render = |template: &str, draft| {
        let chart = Chart::read(&chart(&[("templates/a.yaml", template.as_bytes())])).unwrap();
        let release = Release { name: "r".into(), namespace: "n".into(), revision: 1, is_upgrade: false };
        let options =
            Options { release, capabilities: Capabilities::default(), limits: Limits::default(), draft };
        let host = Counting::default();
        let rendered = Renderer::new(chart).render(&Values::new(), &options, host.clone());
        let made = *host.made.lock().unwrap();
        (rendered.map(|rendered| rendered.manifest()).map_err(|error| report(&error)), made)
    };
    let chart = "a: {{ randAlpha 5 }}\nb: {{ bcrypt \"x\" }}\nc: {{ (genCA \"x\" 1).Key | len }}\n";
    let (draft, made) = render(chart, true);
    assert!(draft.clone().unwrap().contains("$2a$04$"));
    assert_eq!(made, 0, "a draft has only stand-ins");
    let (whole, made) = render(chart, false);
    let whole = whole.unwrap();
    assert!(whole.contains("$2a$10$"));
    assert_eq!(made, 2);
    let first = |text: &str| text.lines().find(|line| line.starts_with("a:")).map(str::to_owned);
    assert_eq!(first(&whole), first(&draft.unwrap()), "what is no key starts from the same random bytes");

    for endless in ["bcrypt \"x\"", "genCA \"x\" 1", "derivePassword 1 \"long\" \"a\" \"b\" \"c\""] {
        let (refused, made) =
            render(&format!("{{{{ range 1000000 }}}}{{{{ $_ := {endless} }}}}{{{{ end }}}}"), false);
        assert!(refused.unwrap_err().contains("more keys or password hashes"), "{endless}");
        assert_eq!(made, 0, "{endless}");
    }
}

#[test]
fn what_leads_out_of_an_archive_is_refused() {
    let check = |name: &str, want: &str| {
        let error = refusal(&with(name, b""));
        assert!(error.contains(want), "{name}: {error}");
    };
    check("other/Chart.yaml", "outside of the one top directory");
    check("top/Chart.yaml", "twice");
    check("top/Chart.yaml/x", "as a file and as a directory");
}

#[test]
fn archives_in_an_archive_are_read_up_to_the_cap_of_the_whole() {
    let zeros = vec![0; 5 << 20];
    let names: Vec<String> = (0..12).map(|n| format!("zeros/{n}")).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), zeros.as_slice())).collect();
    let inner = chart(&files);
    assert!(inner.len() < 1 << 20);
    assert!(Chart::read(&chart(&[("charts/a.tgz", &inner)])).is_ok(), "one alone fits");
    assert_eq!(
        refusal(&chart(&[("charts/a.tgz", &inner), ("charts/b.tgz", &inner)])),
        "can't read the chart `charts/b.tgz` inside `top`: the archive holds more than 100 MiB unpacked"
    );
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
    check("Chart.yaml", b"", "has no `name`");
    check("Chart.yaml", b"- a", "`Chart.yaml`: expected an object, found a list");
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
fn an_archive_that_was_cut_is_refused() {
    let whole = with("top/templates/a.yaml", &[b'x'; 3000]);
    let mut cut = GzEncoder::new(Vec::new(), Compression::fast());
    cut.write_all(b"no tar at all").unwrap();
    for bytes in [&whole[..whole.len() / 2], &cut.finish().unwrap(), b""] {
        assert_eq!(refusal(bytes).split(':').next(), Some("the archive is not a whole gzipped tar"));
    }
}
