//! Who asked the API server for what, counted from its audit log.

use crate::Result;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;

/// The requests of each user agent by verb.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Requests(BTreeMap<String, BTreeMap<String, usize>>);

/// Counts the requests in `log`; a cluster that was asked for nothing has none.
pub(super) fn count(log: &Path) -> Result<Requests> {
    match File::open(log) {
        Ok(file) => {
            let lines = BufReader::new(file).lines().map_while(std::result::Result::ok);
            Ok(of_lines(lines))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Requests::default()),
        Err(error) => Err(format!("cannot read `{}`: {error}", log.display())),
    }
}

/// A request that lasts has a line for its start and one for its end, with the same id. The last line may be half
/// written: what is no event is left out.
fn of_lines(lines: impl Iterator<Item = impl AsRef<str>>) -> Requests {
    let (mut requests, mut seen) = (Requests::default(), BTreeSet::new());
    for line in lines {
        let Ok(event) = serde_json::from_str::<Value>(line.as_ref()) else { continue };
        let text = |name: &str| event[name].as_str().unwrap_or("?").to_owned();
        if seen.insert(text("auditID")) {
            let agent = agent(&text("userAgent"));
            *requests.0.entry(agent).or_default().entry(text("verb")).or_default() += 1;
        }
    }
    requests
}

/// Program and version, and which of its controllers asks: `helm/v4.3.1`, `kube-controller-manager/v1.36.3 (…)
/// kubernetes/f02a/system:serviceaccount:kube-system:job-controller`.
fn agent(text: &str) -> String {
    let program = text.split(' ').next().unwrap_or_default();
    match text.rsplit_once(":kube-system:") {
        Some((_, controller)) => format!("{program} {controller}"),
        None => program.to_owned(),
    }
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut agents: Vec<_> =
            self.0.iter().map(|(agent, verbs)| (verbs.values().sum::<usize>(), agent, verbs)).collect();
        agents.sort_by_key(|(sum, agent, _)| (std::cmp::Reverse(*sum), *agent));
        for (sum, agent, verbs) in agents {
            let verbs: Vec<_> = verbs.iter().map(|(verb, count)| format!("{count} {verb}")).collect();
            writeln!(f, "{sum:>7}  {agent}: {}", verbs.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_once_for_its_agent() {
        let log = r#"{"auditID":"1","stage":"ResponseComplete","verb":"get","userAgent":"helm/v4.3.1"}
{"auditID":"2","stage":"ResponseStarted","verb":"watch","userAgent":"helm/v4.3.1"}
{"auditID":"2","stage":"ResponseComplete","verb":"watch","userAgent":"helm/v4.3.1"}
{"auditID":"3","verb":"get","userAgent":"helm/v4.3.1"}
{"auditID":"4","verb":"list","userAgent":"kcm/v1 (linux/amd64) kubernetes/f/system:serviceaccount:kube-system:job-controller"}
{"auditID":"5","verb":"list"}
{"auditID":"6","ve"#;
        let counted = of_lines(log.lines()).to_string();
        assert_eq!(
            counted,
            "      3  helm/v4.3.1: 2 get, 1 watch\n      1  ?: 1 list\n      1  kcm/v1 job-controller: 1 list\n"
        );
    }

    #[test]
    fn a_log_that_is_not_there_has_no_requests() {
        assert_eq!(count(Path::new("no/such/log")), Ok(Requests::default()));
    }
}
