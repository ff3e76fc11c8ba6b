//! Constraints on versions, with what the helm binary answers.

use gotemplate::semver::satisfies;

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
