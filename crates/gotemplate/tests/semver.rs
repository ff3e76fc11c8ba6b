//! Constraints on versions, with what the helm binary answers.

use gotemplate::semver::{Version, satisfies};

#[test]
fn constraints_match_as_in_helm() {
    for row in include_str!("semver.txt").lines() {
        let [constraint, version, want] = row.splitn(3, " | ").collect::<Vec<_>>()[..] else {
            panic!("{row} has three columns")
        };
        let got = match satisfies(constraint, version) {
            Ok(answer) => answer.to_string(),
            Err(error) => format!("ERR {error}"),
        };
        assert_eq!(got, want, "{row}");
    }
}

#[test]
fn a_strict_version_has_three_numbers() {
    let check = |text: &str, want: bool| assert_eq!(Version::parse_strict(text).is_ok(), want, "{text}");
    check("1.2.3", true);
    check("0.0.0-rc.1+b", true);
    check("v1.2.3", false);
    check("1.2", false);
    check("1.02.3", false);
}
