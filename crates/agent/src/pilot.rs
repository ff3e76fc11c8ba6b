//! The control side's way to agents on this machine.

use crate::protocol::{Hello, Reply, Request, encode, receive, send, version_of};
use async_trait::async_trait;
use provider_core::{AgentStatus, Command, CommandState, Error, Pilot, Result, Token};
use rustix::fs::{CWD, Mode, OFlags, openat};
use std::{borrow::Cow, io, os::fd::AsRawFd, path::Path, time::Duration};
use tokio::{io::AsyncWriteExt, net::UnixStream, time::timeout};

/// How long a drone may take to answer what it answers at once, and to store a command.
const PROMPT: Duration = Duration::from_secs(30);

/// Reaches agents whose address is `unix:` and the absolute path of a socket, of any length. Each request has
/// a connection of its own: none waits for another, and dropping one ends it on both sides.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnixPilot;

#[async_trait]
impl Pilot for UnixPilot {
    async fn submit(&self, agent: &str, id: &Token, command: &Command) -> Result<()> {
        let request = Request::Submit { id: Cow::Borrowed(id), command: Cow::Borrowed(command) };
        let request = encode(&request)
            .map_err(|e| Error::invalid(format!("command `{}` can't be sent", id.as_str())).caused_by(&e))?;
        let (mut drone, version) = connect(agent).await?;
        if version < version_of(command) {
            return Err(too_old(format!("agent `{agent}` is too old to know this command")));
        }
        match exchange(&mut drone, &request, PROMPT).await {
            Ok(Reply::Accepted) => Ok(()),
            Ok(Reply::Refused(error)) => Err(error),
            Ok(_) => Err(Error::bug(format!("agent `{agent}` answered a command with something else"))),
            Err(e) => Err(Error::in_doubt(format!("handing command `{}` to agent `{agent}`", id.as_str()))
                .caused_by(&e)),
        }
    }

    async fn look(&self, agent: &str, id: &Token, patience: Duration) -> Result<CommandState> {
        let patience_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        let request = Request::Look { id: Cow::Borrowed(id), patience_ms };
        match ask(agent, &request, patience.saturating_add(PROMPT)).await? {
            Reply::State(state) => Ok(state),
            other => Err(unexpected(agent, other)),
        }
    }

    async fn status(&self, agent: &str) -> Result<AgentStatus> {
        match ask(agent, &Request::Status, PROMPT).await? {
            Reply::Status(status) => Ok(status),
            other => Err(unexpected(agent, other)),
        }
    }

    async fn logs(&self, agent: &str, lines: u32) -> Result<String> {
        match ask(agent, &Request::Logs { lines }, PROMPT).await? {
            Reply::Logs(text) => Ok(text),
            other => Err(unexpected(agent, other)),
        }
    }
}

/// A request that changes nothing, so that it does not matter at which point it got lost.
async fn ask(agent: &str, request: &Request<'_>, patience: Duration) -> Result<Reply> {
    let lost = |e: io::Error| Error::unavailable(format!("asking agent `{agent}`")).caused_by(&e);
    let request = encode(request).map_err(lost)?;
    let (mut drone, _) = connect(agent).await?;
    exchange(&mut drone, &request, patience).await.map_err(lost)
}

fn unexpected(agent: &str, reply: Reply) -> Error {
    match reply {
        Reply::Refused(error) => error,
        _ => Error::bug(format!("agent `{agent}` answered something else than it was asked")),
    }
}

async fn exchange(drone: &mut UnixStream, request: &[u8], patience: Duration) -> io::Result<Reply> {
    let both = async {
        drone.write_all(request).await?;
        receive(drone).await
    };
    timeout(patience, both).await?
}

fn too_old(what: String) -> Error {
    Error::unsupported(what).hint("stop and start its cluster, which brings the present agent")
}

/// A connection, and the version on which both sides have agreed.
async fn connect(agent: &str) -> Result<(UnixStream, u32)> {
    let path = agent.strip_prefix("unix:").ok_or_else(|| {
        Error::unsupported(format!("agent `{agent}` has an address of an unknown kind"))
            .hint("addresses start with `unix:`")
    })?;
    let greet = async {
        let mut drone = open(Path::new(path)).await?;
        send(&mut drone, &Hello::OURS).await?;
        let theirs: Hello = receive(&mut drone).await?;
        io::Result::Ok((drone, theirs))
    };
    let (drone, theirs) = match timeout(PROMPT, greet).await {
        Ok(greeted) => greeted,
        Err(late) => Err(late.into()),
    }
    .map_err(|e| Error::unavailable(format!("agent `{agent}` does not answer")).caused_by(&e))?;
    match Hello::OURS.agreed(theirs) {
        Some(version) => Ok((drone, version)),
        None => Err(too_old(format!("agent `{agent}` speaks another protocol: {theirs:?}"))),
    }
}

/// Connects through the socket's directory, because a socket's own path must be shorter than 108 bytes.
async fn open(path: &Path) -> io::Result<UnixStream> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let directory =
        openat(CWD, directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let short = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
    UnixStream::connect(short).await
}
