//! Follows a job to its end, and sees that somebody works on it meanwhile.

use crate::{
    events::since,
    executor::{Line, summon},
    exit::{Exit, Failure, Outcome},
    progress::Progress,
    screen::{Screen, Tone},
    site::Site,
};
use engine::{EventFilter, EventKind};
use provider_core::{Error, JobId, Timestamp};
use std::{io, time::Duration};
use tokio::{select, signal::ctrl_c};

/// How often to look for events, and to draw, when the executor says nothing.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How many events to read at a time.
const EVENTS: u32 = 500;

/// How often executors may die in a row without anything happening.
const DEATHS: u32 = 3;

/// Follows `job` from the event after `after` until it has ended. Ctrl-C leaves it to itself.
///
/// # Errors
/// [`Exit::Detached`] after Ctrl-C; `Unavailable` when no executor can be started. How long its run took is in the
/// result; what it came to is on record.
pub(crate) async fn follow(site: &Site, screen: &Screen, job: &JobId, after: u64) -> Outcome<Duration> {
    let plan = site.store().job_work(job).await?.plan;
    let mut view = View { screen, progress: Progress::new(&plan), drawn: 0, at: Timestamp::default() };
    let left = {
        let followed = to_the_end(site, &mut view, job, after);
        select! {
            followed = followed => Some(followed),
            _ = ctrl_c() => None,
        }
    };
    view.erase();
    match left {
        Some(Ok(())) => Ok(view.progress.took()),
        Some(Err(error)) => Err(error.into()),
        None => {
            screen.say(
                Tone::Plain,
                "detached",
                &format!("the job goes on; `pitrix job watch {job}` follows it"),
            );
            Err(Failure::Said(Exit::Detached))
        }
    }
}

async fn to_the_end(site: &Site, view: &mut View<'_>, job: &JobId, mut after: u64) -> Result<(), Error> {
    let filter = EventFilter { job: Some(job.clone()), cluster: None };
    let mut line = None;
    let mut deaths = 0;
    loop {
        loop {
            let events = site.store().events(after, &filter, EVENTS).await?;
            for event in &events {
                after = event.seq;
                deaths = 0;
                view.take(event);
            }
            if events.len() < EVENTS as usize {
                break;
            }
        }
        if view.progress.has_ended() {
            return Ok(());
        }
        view.draw(site);
        if line.is_none() {
            if deaths == DEATHS {
                return Err(Error::unavailable("executors die as soon as they start")
                    .hint(format!("see `executor.log` in `{}`", site.dir.display())));
            }
            line = Some(summon(&site.dir).await?);
        }
        select! {
            is_there = heard(&mut line) => deaths += u32::from(!is_there),
            () = site.control.clock.sleep(LOOK_AGAIN) => {}
        }
    }
}

/// Waits for news from the executor: whether it is there. One that has gone leaves no line.
async fn heard(line: &mut Option<Line>) -> bool {
    let is_there = match line {
        Some(line) => line.hear().await,
        None => std::future::pending().await,
    };
    if !is_there {
        *line = None;
    }
    is_there
}

/// Waits until what is to follow `job` has become jobs or was given up, and gives the events that say so, from the
/// one after `after`. Ctrl-C leaves it to the executor.
///
/// # Errors
/// As [`follow`].
pub(crate) async fn until_followed(
    site: &Site,
    screen: &Screen,
    job: &JobId,
    after: u64,
) -> Outcome<Vec<EventKind>> {
    let settled = async {
        let mut line = None;
        while !site.store().follow_ups(Some(job)).await?.is_empty() {
            if line.is_none() {
                line = Some(summon(&site.dir).await?);
            }
            select! {
                _ = heard(&mut line) => {}
                () = site.control.clock.sleep(LOOK_AGAIN) => {}
            }
        }
        Ok::<_, Error>(())
    };
    select! {
        settled = settled => settled?,
        _ = ctrl_c() => {
            let text = format!("what follows goes on; `pitrix job watch {job}` shows it");
            screen.say(Tone::Plain, "detached", &text);
            return Err(Failure::Said(Exit::Detached));
        }
    }
    let filter = EventFilter { job: Some(job.clone()), cluster: None };
    let events = since(site, after, &filter).await?.into_iter().map(|event| event.kind);
    // What followed an earlier run is over.
    let mut latest: Vec<_> = Vec::new();
    for kind in events {
        match kind {
            EventKind::Ended { .. } => latest.clear(),
            EventKind::Followed { .. } | EventKind::NotFollowed { .. } => latest.push(kind),
            _ => {}
        }
    }
    Ok(latest)
}

/// A live tree on a terminal; elsewhere a line for whatever happens.
struct View<'a> {
    screen: &'a Screen,
    progress: Progress,
    /// How many lines of the tree are on the terminal.
    drawn: usize,
    /// When they were drawn.
    at: Timestamp,
}

impl View<'_> {
    fn take(&mut self, event: &engine::Event) {
        let Some(news) = self.progress.take(event) else { return };
        if !self.screen.is_live {
            self.screen.say(news.tone, news.label, &news.text);
        }
    }

    fn draw(&mut self, site: &Site) {
        let now = site.now();
        // News may come faster than anybody can read.
        if !self.screen.is_live || now.since(self.at) < LOOK_AGAIN {
            return;
        }
        self.at = now;
        let size = rustix::termios::tcgetwinsize(io::stderr());
        let (width, height) = match size {
            Ok(size) if size.ws_col > 0 => (size.ws_col.into(), size.ws_row.into()),
            _ => (80, 24),
        };
        let tree = self.progress.tree(self.screen, now, width - 1, usize::max(height, 4) - 2);
        self.screen.talk(&format!("{}{tree}", self.to_top()));
        self.drawn = tree.lines().count();
    }

    fn erase(&mut self) {
        self.screen.talk(&self.to_top());
        self.drawn = 0;
    }

    /// What moves to the tree's first line and clears from there.
    fn to_top(&self) -> String {
        if self.drawn == 0 { String::new() } else { format!("\x1b[{}F\x1b[J", self.drawn) }
    }
}
