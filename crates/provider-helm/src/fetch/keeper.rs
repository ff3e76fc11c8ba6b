//! Credential helpers: the programs `docker-credential-NAME` that keep the logins of registries for docker, and so for
//! helm.

use super::logins::Login;
use provider_core::{Error, Result};
use serde::Deserialize;
use std::{path::PathBuf, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
};

/// How long a helper may take. It may have to ask for a password itself.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of an answer, at most.
const MAX_ANSWER: u64 = 1 << 16;
/// What helpers say of a registry that they don't know.
const UNKNOWN: &str = "credentials not found";

/// A program that knows logins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Helper {
    name: String,
    /// Where programs are looked for.
    path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

impl Helper {
    /// The helper called `name`, looked for in the directories of `path`.
    pub(super) fn new(name: &str, path: &str) -> Self {
        Self { name: name.to_owned(), path: path.to_owned() }
    }

    /// What it knows for the registry at `host`. No error says what it answered.
    ///
    /// # Errors
    /// `NotFound` when there is no such program; `Unauthorized` when it fails, `Unavailable` when it does not answer.
    pub(super) async fn get(&self, host: &str, patience: Duration) -> Result<Option<Login>> {
        let program = format!("docker-credential-{}", self.name);
        let attempt = |error: Error| {
            error.during(format!("asking `{program}` for the login of `{host}`")).hint(format!(
                "see what `echo {host} | {program} get` says, or take the helper out of docker's `config.json`"
            ))
        };
        let file = self.find(&program).map_err(attempt)?;
        let asked = tokio::time::timeout(patience, ask(file, host)).await;
        let late = || Error::unavailable(format!("it did not answer in {} s", patience.as_secs()));
        let (answer, code) = asked.unwrap_or_else(|_| Err(late())).map_err(attempt)?;
        if code != Some(0) {
            return if String::from_utf8_lossy(&answer).contains(UNKNOWN) {
                Ok(None)
            } else {
                let code = code.map_or("a signal".to_owned(), |code| format!("exit code {code}"));
                Err(attempt(Error::unauthorized(format!("it ended with {code}"))))
            };
        }
        let answer: Answer = serde_json::from_slice(&answer)
            .map_err(|_| attempt(Error::invalid("its answer is not what helpers answer")))?;
        match answer.username.as_str() {
            "" => Ok(None),
            "<token>" => Err(attempt(Error::unsupported(
                "it has an identity token, and only user names with passwords are sent",
            ))),
            _ => Ok(Some(Login { user: answer.username, password: answer.secret })),
        }
    }

    fn find(&self, program: &str) -> Result<PathBuf> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if !self.name.chars().all(is_plain) {
            return Err(Error::invalid("this can't be the name of a helper"));
        }
        std::env::split_paths(&self.path)
            .map(|directory| directory.join(program))
            .find(|file| file.is_file())
            .ok_or_else(|| Error::not_found("there is no such program in the directories of PATH"))
    }
}

/// What it prints, and its exit code. Dropping the future ends it.
async fn ask(program: PathBuf, host: &str) -> Result<(Vec<u8>, Option<i32>)> {
    let failed = |e: std::io::Error| Error::unavailable("it can't be run").caused_by(&e);
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not listen may still answer.
        let _ = stdin.write_all(host.as_bytes()).await;
    }
    let mut answer = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(MAX_ANSWER).read_to_end(&mut answer).await.map_err(failed)?;
    }
    let status = child.wait().await.map_err(failed)?;
    Ok((answer, status.code()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(name: &str, host: &str, patience: Duration) -> Result<Option<Login>> {
        let path = concat!("/nonexistent:", env!("CARGO_MANIFEST_DIR"), "/tests/charts/fetch");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(Helper::new(name, path).get(host, patience))
    }

    #[test]
    fn a_helper_is_asked_and_no_error_tells_what_it_answered() {
        let check = |name: &str, host: &str, want: &str| {
            let got = match get(name, host, PATIENCE) {
                Ok(None) => "nothing".to_owned(),
                Ok(Some(login)) => login.header(),
                Err(error) => {
                    let all = format!("{error} {:?} {:?}", error.causes(), error.hint_text());
                    assert!(!all.contains("secret"), "{all}");
                    error.to_string()
                }
            };
            assert_eq!(got.strip_prefix("asking `docker-credential-").unwrap_or(&got), want);
        };
        check("sample", "known.example", "Basic YWRhOnNlY3JldA==");
        check("sample", "https://index.docker.io/v1/", "Basic YWRhOnNlY3JldA==");
        check("sample", "unknown.example", "nothing");
        check(
            "sample",
            "broken.example",
            "sample` for the login of `broken.example`: it ended with exit code 3",
        );
        check(
            "sample",
            "nonsense.example",
            "sample` for the login of `nonsense.example`: its answer is not what helpers answer",
        );
        check(
            "sample",
            "token.example",
            "sample` for the login of `token.example`: it has an identity token, and only user names with passwords are sent",
        );
        check("none", "a", "none` for the login of `a`: there is no such program in the directories of PATH");
        check("../sample", "a", "../sample` for the login of `a`: this can't be the name of a helper");
    }

    #[test]
    fn a_helper_that_does_not_answer_is_not_waited_for() {
        let error = get("sample", "slow.example", Duration::ZERO).map(|_| ()).unwrap_err();
        assert!(error.to_string().ends_with("it did not answer in 0 s"), "{error}");
    }
}
