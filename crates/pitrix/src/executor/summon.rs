//! The command line's side: sees that there is an executor.

use super::{Hello, Post};
use crate::site::{MachineClock, THIS_PROGRAM};
use provider_core::{Clock, Error, Result};
use std::{
    fs::{self, File},
    io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::UnixStream,
    select,
};

/// How long to wait between two looks for a new executor's socket.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// How often to look: for about half a minute.
const LOOKS: u32 = 3000;

/// How long a greeting may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// A log larger than this is put aside when an executor starts.
const LOG_BYTES: u64 = 1 << 20;

/// An open line to an executor that has heard of every job accepted before.
pub(crate) struct Line {
    pub(crate) hello: Hello,
    stream: BufReader<UnixStream>,
}

impl Line {
    /// Waits until the executor has written something down, or has gone: whether it is there. May be dropped at any
    /// point.
    pub(crate) async fn hear(&mut self) -> bool {
        let mut bytes = [0; 64];
        matches!(self.stream.read(&mut bytes).await, Ok(1..))
    }
}

/// Wakes the executor, and starts one if there is none. It outlives this process and its terminal.
///
/// # Errors
/// `Unavailable` when none comes up, with the end of its log. What was accepted stays accepted.
pub(crate) async fn summon(dir: &Path) -> Result<Line> {
    let post = Post::new(dir);
    if let Ok(line) = greet(&post).await {
        return Ok(line);
    }
    let mut child = start(&post)?;
    let mut started_again = false;
    for _ in 0..LOOKS {
        if let Ok(line) = greet(&post).await {
            return Ok(line);
        }
        match child.try_wait() {
            Ok(None) => {}
            // Somebody else's was there, and may have left since.
            Ok(Some(status)) if status.success() && !started_again => {
                started_again = true;
                child = start(&post)?;
            }
            Ok(Some(status)) => return Err(no_executor(&post).because(format!("it ended: {status}"))),
            Err(e) => return Err(no_executor(&post).caused_by(&e)),
        }
        MachineClock.sleep(LOOK_AGAIN).await;
    }
    Err(no_executor(&post).because("it does not answer"))
}

/// Connects to the executor and waits for its greeting.
///
/// # Errors
/// When there is none, or it does not answer.
pub(crate) async fn greet(post: &Post) -> io::Result<Line> {
    select! {
        line = connect(post) => line,
        () = MachineClock.sleep(PATIENCE) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn connect(post: &Post) -> io::Result<Line> {
    let (_dir, path) = post.socket()?;
    let mut stream = BufReader::new(UnixStream::connect(&path).await?);
    let mut greeting = String::new();
    stream.read_line(&mut greeting).await?;
    Ok(Line { hello: serde_json::from_str(&greeting)?, stream })
}

fn start(post: &Post) -> Result<std::process::Child> {
    let path = post.log();
    if fs::metadata(&path).is_ok_and(|log| log.len() > LOG_BYTES) {
        // Should it fail the log goes on growing, which is better than no executor.
        let _ = fs::rename(&path, path.with_extension("log.1"));
    }
    let log = File::options().create(true).append(true).open(&path);
    let log = log.map_err(|e| no_executor(post).because(format!("opening `{}`: {e}", path.display())))?;
    let errors = log.try_clone().map_err(|e| no_executor(post).caused_by(&e))?;
    Command::new(THIS_PROGRAM)
        .arg0("pitrix")
        .arg("__executor")
        .arg("--state")
        .arg(&post.dir)
        .current_dir(&post.dir)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .map_err(|e| no_executor(post).caused_by(&e))
}

fn no_executor(post: &Post) -> Error {
    let error = Error::unavailable(format!("starting the executor of `{}`", post.dir.display()))
        .hint("jobs that were accepted stay so; once this is solved, `pitrix job watch JOB` starts them");
    match last_words(post) {
        Some(words) => error.because(words),
        None => error,
    }
}

/// The last line of the log.
fn last_words(post: &Post) -> Option<String> {
    let log = fs::read_to_string(post.log()).ok()?;
    let line = log.lines().next_back()?;
    Some(format!("its log ends with: {line}"))
}
