//! The executor's own side: the hidden verb.

use super::{Hello, Post, summon::greet};
use crate::{
    exit::{Exit, Outcome},
    site::{MachineClock, Providers, Site},
};
use engine::{Executor, Settings};
use provider_core::{Clock, Error, ErrorKind, Result};
use std::{
    fs::{self, File},
    io,
    path::Path,
    process,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    select,
    signal::unix::{SignalKind, signal},
    sync::{Notify, watch},
    task::JoinSet,
};

/// How long an executor stays when it has nothing to do. Starting one costs more than keeping it so long.
const IDLE: Duration = Duration::from_secs(10);

/// How long after it has said that there is news an executor does not say so again.
const BREATH: Duration = Duration::from_millis(10);

/// How long to wait before looking again whether the executor before has gone.
const HANDOVER: Duration = Duration::from_millis(20);

/// Runs the jobs of the state directory until there are none, or until SIGTERM. Does nothing when another
/// executor is there to do it.
///
/// # Errors
/// `Store`; `Fenced` when another executor took over in spite of the lock.
pub(crate) async fn serve(dir: &Path, providers: Providers) -> Outcome {
    // Whoever started this has a terminal that will be closed. It fails only for the leader of a session.
    let _ = rustix::process::setsid();
    let post = Post::new(dir);
    let Some(lock) = take_post(&post).await? else {
        return Ok(());
    };
    let served = hold_post(dir, &post, providers).await;
    let _ = fs::remove_file(post.pid());
    drop(lock);
    match served {
        Ok(why) => log(&why),
        Err(error) => {
            let hint = error.hint_text().map(|hint| format!("; {hint}")).unwrap_or_default();
            log(&format!("executor stopped: {error}{}{hint}", causes(&error)));
            return Err(crate::exit::Failure::Said(Exit::of(error.kind())));
        }
    }
    Ok(())
}

/// Waits for the lock while it is held by one that no longer listens: that one is about to leave. None when
/// the holder listens.
async fn take_post(post: &Post) -> Result<Option<File>> {
    loop {
        if let Some(lock) = post.try_lock()? {
            return Ok(Some(lock));
        }
        if greet(post).await.is_ok() {
            return Ok(None);
        }
        MachineClock.sleep(HANDOVER).await;
    }
}

/// Says why it ended.
async fn hold_post(dir: &Path, post: &Post, providers: Providers) -> Result<String> {
    let pid = process::id();
    fs::write(post.pid(), format!("{pid}\n")).map_err(|e| broken(post, "writing the pid file", &e))?;
    let site = Site::open(dir, providers).await?;
    let settings = Settings { log: Arc::new(|line| log(&line)), ..Settings::default() };
    let executor = Executor::start(site.control.clone(), settings).await?;
    let epoch = executor.epoch();
    log(&format!("executor {epoch} started, process {pid}"));
    let hello = Hello { pid, epoch, version: env!("CARGO_PKG_VERSION").to_owned() };
    let mut terminate =
        signal(SignalKind::terminate()).map_err(|e| broken(post, "listening for signals", &e))?;
    loop {
        let wake = Notify::new();
        let listener = listen(post)?;
        let ended = select! {
            ended = executor.run(&wake, IDLE) => Some(ended),
            () = answer(&listener, &wake, &hello, site.store().news()) => None,
            _ = terminate.recv() => None,
        };
        // From here on nobody is told that this executor is there.
        drop(listener);
        if let Ok((_dir, path)) = post.socket() {
            let _ = fs::remove_file(path);
        }
        match ended {
            None => {
                select! {
                    () = executor.settle() => {}
                    // Asked twice.
                    _ = terminate.recv() => {}
                }
                return Ok(format!("executor {epoch} ends on request; jobs go on with the next"));
            }
            Some(Err(error)) if error.kind() == ErrorKind::Fenced => {
                return Err(error.hint("another executor took over; this one must not write any more"));
            }
            Some(ended) => ended?,
        }
        // A job that was accepted before its command line was greeted is on record by now.
        if !site.store().has_work().await? {
            if let Some(days) = site.store().kept_days().await? {
                let forgotten = site.store().forget_jobs(days).await?;
                log(&format!("{forgotten} jobs forgotten that ended {days} days ago or earlier"));
            }
            return Ok(format!("executor {epoch} ends: nothing to do"));
        }
    }
}

fn listen(post: &Post) -> Result<UnixListener> {
    let bind = || {
        let (_dir, path) = post.socket()?;
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        UnixListener::bind(&path)
    };
    bind().map_err(|e| broken(post, "listening on executor.sock", &e))
}

/// Greets whoever connects and says when there is news, until the other side ends the connection. Never returns.
async fn answer(listener: &UnixListener, wake: &Notify, hello: &Hello, news: watch::Receiver<()>) {
    let greeting = serde_json::to_string(hello).expect("plain data has a JSON form") + "\n";
    let mut connections = JoinSet::new();
    loop {
        select! {
            Ok((stream, _)) = listener.accept() => {
                let news = news.clone();
                wake.notify_one();
                connections.spawn(converse(stream, greeting.clone(), news));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Returns when the other side has gone.
async fn converse(mut stream: UnixStream, greeting: String, mut news: watch::Receiver<()>) {
    let mut byte = [0];
    let mut say = greeting.as_bytes();
    while stream.write_all(say).await.is_ok() {
        say = b"\n";
        select! {
            _ = stream.read(&mut byte) => return,
            changed = async {
                MachineClock.sleep(BREATH).await;
                news.changed().await
            } => if changed.is_err() { return },
        }
    }
}

fn broken(post: &Post, what: &str, cause: &io::Error) -> Error {
    Error::store(format!("{what} in `{}`", post.dir.display())).caused_by(cause)
}

fn causes(error: &Error) -> String {
    error.causes().iter().map(|cause| format!(": {cause}")).collect()
}

/// Writes a line to the log, which is where standard error goes.
fn log(line: &str) {
    eprintln!("{:.3} {}", jiff::Timestamp::now(), crate::screen::escaped(line));
}
