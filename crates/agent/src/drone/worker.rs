//! The process that talks to the control side and runs commands.

use crate::{
    drone::{
        checks::Checks,
        execute::execute,
        instance::Instance,
        journal::Journal,
        log,
        output::{last_lines, trim_all},
        processes,
        state::State,
    },
    protocol::{Hello, Reply, Request, receive, send},
};
use provider_core::{AgentStatus, CommandState, Error, Report, Result, Token};
use rustix::process::{Pid, Signal, chdir, geteuid, getppid, set_parent_process_death_signal};
use std::{fs, io, path::Path, sync::Arc, time::Duration};
use tokio::{
    io::AsyncReadExt,
    net::{UnixListener, UnixStream},
    select,
    task::{JoinSet, spawn_blocking},
    time::{interval, timeout},
};

/// More connections than this are closed at once.
const MOST_CONNECTIONS: usize = 256;
/// How long the other side may take to say what it wants, and to take the answer.
const PROMPT: Duration = Duration::from_secs(10);
const TRIM_EVERY: Duration = Duration::from_secs(30);

/// What the requests are answered from.
struct Drone {
    instance: Instance,
    keeper: Pid,
    journal: Journal,
    checks: Checks,
}

/// Works until the keeper ends it. Every error is one to start again after: what the disk has is whole.
pub(super) fn work(directory: &Path, keeper: &str) -> Result<()> {
    let failed = |e: io::Error| Error::unavailable("starting the worker").caused_by(&e);
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|e| failed(e.into()))?;
    let keeper = keeper.parse().ok().and_then(Pid::from_raw);
    let Some(keeper) = keeper.filter(|keeper| getppid() == Some(*keeper)) else {
        // It died before the signal was asked for.
        return Err(Error::cancelled("the worker's keeper is gone"));
    };
    let instance = Instance::open(directory)?;
    chdir(&instance.directory).map_err(|e| failed(e.into()))?;
    let (journal, interrupted) = Journal::open(&instance)?;
    for (number, id) in interrupted {
        end_interrupted(&instance, &journal, number, &id)?;
    }
    let checks = Checks::open(&instance, keeper)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let drone = Arc::new(Drone { instance, keeper, journal, checks });
    let ended = runtime.block_on(async {
        let commands = spawn_blocking({
            let drone = drone.clone();
            move || drone.run_commands()
        });
        let checks = spawn_blocking({
            let drone = drone.clone();
            move || match drone.checks.run() {}
        });
        select! {
            ended = checks => ended.unwrap_or_else(|_| Err(Error::bug("the worker panicked over health checks"))),
            ended = commands => ended.unwrap_or_else(|_| Err(Error::bug("the worker panicked"))),
            ended = drone.serve() => ended.map_err(|e| Error::unavailable("serving the agent's socket").caused_by(&e)),
        }
    });
    // A command that is running is not waited for.
    runtime.shutdown_background();
    ended
}

/// What the last worker was at when it died can't be taken up: it is ended, and may be run again.
fn end_interrupted(instance: &Instance, journal: &Journal, number: u64, id: &Token) -> Result<()> {
    let mark = instance.command_mark(id, None);
    processes::end(|| mark.find(), Duration::ZERO)
        .map_err(|e| Error::unavailable(format!("ending command `{}`", id.as_str())).caused_by(&e))?;
    let error = Error::lost("the agent died while this command ran; what the command had started was ended");
    log(format_args!("command {number} was interrupted"));
    journal.end(number, id, Report { error: Some(error), ..Report::default() })
}

impl Drone {
    /// Runs commands, one at a time in the order of their acceptance.
    fn run_commands(&self) -> Result<()> {
        loop {
            let accepted = self.journal.start()?;
            let (number, id) = (accepted.number, accepted.id.clone());
            let report = execute(&self.instance, self.keeper, &self.checks, accepted);
            self.journal.end(number, &id, report)?;
        }
    }

    async fn serve(self: &Arc<Self>) -> io::Result<()> {
        // A name without a directory: a whole path may be longer than a socket's address.
        let name = "drone.sock";
        match fs::remove_file(name) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let listener = UnixListener::bind(name)?;
        let mut connections = JoinSet::new();
        let mut trim = interval(TRIM_EVERY);
        loop {
            select! {
                accepted = listener.accept() => {
                    let (peer, _) = accepted?;
                    let Ok(user) = peer.peer_cred().map(|peer| peer.uid()) else { continue };
                    if user != 0 && user != geteuid().as_raw() {
                        log(format_args!("user {user} was turned away"));
                    } else if connections.len() < MOST_CONNECTIONS {
                        let drone = self.clone();
                        connections.spawn(async move { drone.converse(peer).await });
                    }
                }
                // The other side may leave early; that is no news.
                Some(ended) = connections.join_next() => if let Err(e) = ended {
                    log(format_args!("a connection broke: {e}"));
                },
                _ = trim.tick() => {
                    let drone = self.clone();
                    let trimmed = spawn_blocking(move || {
                        trim_all(&drone.instance, &drone.instance.mark(drone.keeper))
                    });
                    if let Ok(Err(e)) = trimmed.await {
                        log(format_args!("logs can't be bounded: {e}"));
                    }
                }
            }
        }
    }

    async fn converse(self: Arc<Self>, mut peer: UnixStream) -> io::Result<()> {
        let hear = async {
            let theirs: Hello = receive(&mut peer).await?;
            send(&mut peer, &Hello::OURS).await?;
            match Hello::OURS.agreed(theirs) {
                Some(_) => receive::<Request<'static>>(&mut peer).await.map(Some),
                None => Ok(None),
            }
        };
        let Some(request) = timeout(PROMPT, hear).await?? else { return Ok(()) };
        let reply = select! {
            reply = self.answer(request) => reply,
            // Nothing more is to come from the other side but its end.
            _ = peer.read_u8() => return Ok(()),
        };
        timeout(PROMPT, send(&mut peer, &reply)).await?
    }

    async fn answer(self: &Arc<Self>, request: Request<'static>) -> Reply {
        let answered = match request {
            Request::Submit { id, command } => {
                self.blocking(move |drone| {
                    drone.journal.accept(&id, command.into_owned()).map(|()| Reply::Accepted)
                })
                .await
            }
            Request::Look { id, patience_ms } => {
                Ok(Reply::State(self.look(&id, Duration::from_millis(patience_ms)).await))
            }
            Request::Status => self.blocking(Self::status).await,
            Request::Logs { lines } => {
                self.blocking(move |drone| {
                    let text = last_lines(&drone.instance, lines);
                    let failed = |e| Error::unavailable("reading the agent's logs").caused_by(&e);
                    text.map(Reply::Logs).map_err(failed)
                })
                .await
            }
        };
        answered.unwrap_or_else(Reply::Refused)
    }

    async fn blocking(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<Reply> + Send + 'static,
    ) -> Result<Reply> {
        let drone = self.clone();
        let done = spawn_blocking(move || work(&drone)).await;
        done.unwrap_or_else(|_| Err(Error::bug("the agent panicked over a request")))
    }

    async fn look(&self, id: &Token, patience: Duration) -> CommandState {
        let mut states = self.journal.states();
        let has_ended = |state: Option<&CommandState>| !matches!(state, Some(CommandState::Running));
        let ended = timeout(patience, states.wait_for(|states| has_ended(states.get(id)))).await;
        let known = match ended {
            Ok(Ok(states)) => states.get(id).cloned(),
            // Its patience is over, or nothing will change any more.
            Ok(Err(_)) | Err(_) => self.journal.states().borrow().get(id).cloned(),
        };
        known.unwrap_or(CommandState::Unknown)
    }

    fn status(&self) -> Result<Reply> {
        let processes = self.checks.processes();
        let node = State::load(&self.instance)?.node;
        Ok(Reply::Status(AgentStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            processes: u32::try_from(processes).unwrap_or(u32::MAX),
            health: node.is_some().then(|| self.checks.health()),
            node,
        }))
    }
}
