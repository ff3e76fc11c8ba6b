//! Starting other programs, never silently: each command is printed before it runs.

use crate::Result;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// A command that is printed as a line that can be pasted into a shell, and then run.
pub(crate) struct Cmd {
    command: Command,
    line: String,
}

impl Cmd {
    /// `program` with `args`.
    pub(crate) fn new(program: impl AsRef<OsStr>, args: &[&str]) -> Self {
        let program = program.as_ref();
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null());
        let name = Path::new(program).file_name().unwrap_or(program).to_string_lossy();
        let line = args.iter().fold(name.into_owned(), |line, arg| format!("{line} {}", quoted(arg)));
        Self { command, line }
    }

    /// With more arguments.
    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self.line = args.iter().fold(self.line, |line, arg| format!("{line} {}", quoted(arg)));
        self
    }

    /// The cargo that started us, with `args`.
    pub(crate) fn cargo(args: &[&str]) -> Self {
        let mut cmd = Self::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), args);
        // Of a package that `cargo run` started; a build script that reads them would run again in every build.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CARGO_PKG_") {
                cmd.command.env_remove(name);
            }
        }
        cmd
    }

    /// Sets a variable in the environment of the command, and shows it.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self.line = format!("{name}={} {}", quoted(value), self.line);
        self
    }

    /// Sets a variable without showing it: for what every command of a verb has in common.
    pub(crate) fn quiet_env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it without a variable of ours.
    pub(crate) fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Breaks it off after `time`, as `90s`.
    pub(crate) fn within(mut self, time: &str) -> Self {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5s", time]).arg(self.command.get_program()).args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(dir) = self.command.get_current_dir() {
            command.current_dir(dir);
        }
        command.stdin(Stdio::null());
        self.command = command;
        self
    }

    /// Runs in `dir`.
    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Runs it with our own output.
    pub(crate) fn run(mut self) -> Result<()> {
        self.show();
        let status = self.command.status().map_err(|error| self.not_started(&error))?;
        if status.success() { Ok(()) } else { Err(format!("`{}` ended with {status}", self.line)) }
    }

    /// Runs it and returns its standard output; standard error is ours.
    pub(crate) fn output(mut self) -> Result<String> {
        self.show();
        self.quiet_output()
    }

    /// As [`Cmd::output`] without showing the command: for questions, which change nothing.
    pub(crate) fn quiet_output(&mut self) -> Result<String> {
        let output =
            self.command.stderr(Stdio::inherit()).output().map_err(|error| self.not_started(&error))?;
        if !output.status.success() {
            return Err(format!("`{}` ended with {}", self.line, output.status));
        }
        String::from_utf8(output.stdout)
            .map_err(|_| format!("`{}` printed something that is not UTF-8", self.line))
    }

    /// Runs it without showing it and returns its standard output; a failure is told with what it says on standard
    /// error. For what is asked often, or may well fail.
    pub(crate) fn answer(self) -> Result<String> {
        let line = self.line.clone();
        match self.attempt()? {
            Ok(output) => Ok(output),
            Err(said) => Err(format!("`{line}` failed: {said}")),
        }
    }

    /// As [`Cmd::answer`] for what may fail by itself: then what it said on standard error is the answer.
    pub(crate) fn attempt(mut self) -> Result<Result<String>> {
        let output = self.command.output().map_err(|error| self.not_started(&error))?;
        if output.status.success() {
            return Ok(Ok(String::from_utf8_lossy(&output.stdout).into_owned()));
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Ok(Err(if said.trim().is_empty() { output.status.to_string() } else { said.trim().to_owned() }))
    }

    /// Runs it, passes each line of its standard output on and to `look`, and says whether it succeeded.
    pub(crate) fn watch(mut self, mut look: impl FnMut(&str)) -> Result<bool> {
        self.show();
        let mut child =
            self.command.stdout(Stdio::piped()).spawn().map_err(|error| self.not_started(&error))?;
        let stdout = child.stdout.take().expect("standard output was piped");
        for line in BufReader::new(stdout).lines() {
            let line = line.map_err(|error| format!("cannot read what `{}` prints: {error}", self.line))?;
            println!("{line}");
            look(&line);
        }
        let status = child.wait().map_err(|error| format!("cannot wait for `{}`: {error}", self.line))?;
        Ok(status.success())
    }

    /// On standard error, because standard output belongs to the command.
    fn show(&self) {
        eprintln!("$ {}", self.line);
    }

    fn not_started(&self, error: &std::io::Error) -> String {
        format!("cannot start `{}`: {error}", self.line)
    }
}

/// `text` as a shell takes it.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Whether a program of this name is on the path.
pub(crate) fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// Whether we may install packages: root on a machine with Debian's tools.
pub(crate) fn is_debian_root() -> bool {
    let is_root = std::fs::read_to_string("/proc/self/status")
        .is_ok_and(|status| status.lines().any(|line| line.starts_with("Uid:\t0\t")));
    is_root && is_on_path("apt-get") && is_on_path("dpkg-deb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_command_can_be_pasted() {
        let check = |args: &[&str], line: &str| assert_eq!(Cmd::new("/usr/bin/x", args).line, line);
        check(&["--set", "a.b=2"], "x --set a.b=2");
        check(&["two words", ""], "x 'two words' ''");
        check(&["it's"], r"x 'it'\''s'");
    }

    #[test]
    fn a_command_that_fails_is_named() {
        let error = Cmd::new("sh", &["-c", "exit 7"]).run().unwrap_err();
        assert_eq!(error, "`sh -c 'exit 7'` ended with exit status: 7");
    }
}
