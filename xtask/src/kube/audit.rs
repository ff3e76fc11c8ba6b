//! Who asked the API server for what, counted from its audit log.

use crate::Result;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

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

/// Counts the requests of one user from one moment to the next.
#[derive(Debug)]
pub(super) struct Meter {
    log: PathBuf,
    user: &'static str,
    /// How much of the log was read.
    position: u64,
    /// Requests that last: their ends are in the log as well.
    started: BTreeSet<String>,
}

impl Meter {
    pub(super) fn new(log: PathBuf, user: &'static str) -> Self {
        Self { log, user, position: 0, started: BTreeSet::new() }
    }

    /// How many requests have come since the last call. The server writes each before it answers.
    pub(super) fn read(&mut self) -> Result<usize> {
        let failed = |error| format!("cannot read the audit log: {error}");
        let mut file = File::open(&self.log).map_err(failed)?;
        file.seek(SeekFrom::Start(self.position)).map_err(failed)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed)?;
        // The last line may be half written.
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.position += whole as u64;
        let text = String::from_utf8_lossy(&text[..whole]);
        Ok(text.lines().filter(|line| self.is_new(line)).count())
    }

    fn is_new(&mut self, line: &str) -> bool {
        let Ok(event) = serde_json::from_str::<Value>(line) else { return false };
        let id = event["auditID"].as_str().unwrap_or_default();
        match event["stage"].as_str() {
            _ if event["user"]["username"] != self.user => false,
            Some("ResponseStarted") => self.started.insert(id.to_owned()),
            _ => !self.started.remove(id),
        }
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
    fn a_meter_counts_what_came_since() {
        let log = std::env::temp_dir().join(format!("pitrix-audit-{}", std::process::id()));
        let mut meter = Meter::new(log.clone(), "helm");
        let mut check = |more: &str, expected| {
            let mut file = File::options().create(true).append(true).open(&log).unwrap();
            std::io::Write::write_all(&mut file, more.as_bytes()).unwrap();
            assert_eq!(meter.read(), Ok(expected), "{more}");
        };
        let line = |id, stage, user| {
            format!("{{\"auditID\":\"{id}\",\"stage\":\"{stage}\",\"user\":{{\"username\":\"{user}\"}}}}\n")
        };
        check(&line(1, "ResponseComplete", "helm"), 1);
        check(&(line(2, "ResponseStarted", "helm") + &line(3, "ResponseComplete", "admin")), 1);
        check(&line(2, "ResponseComplete", "helm"), 0);
        let last = line(4, "ResponseComplete", "helm");
        check(&last[..9], 0);
        check(&last[9..], 1);
        std::fs::remove_file(log).unwrap();
    }

    #[test]
    fn a_log_that_is_not_there_has_no_requests() {
        assert_eq!(count(Path::new("no/such/log")), Ok(Requests::default()));
    }
}
