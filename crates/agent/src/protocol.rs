//! What pilot and drone say to each other: one request for each connection.
//!
//! A message is its length (four bytes, big endian) and as many bytes of JSON. Both sides first say which
//! versions they speak and go on in the newest that both do; then comes a [`Request`] and its [`Reply`].

use provider_core::{AgentStatus, Command, CommandState, Error, Token};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{borrow::Cow, io};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// No message is longer. It has to hold the files of a package.
const MAX_MESSAGE: usize = 64 << 20;

/// The first message in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// The oldest and the newest version that the sender speaks.
    pitrix_agent: (u32, u32),
}

impl Hello {
    /// What this program speaks. The oldest is the one before the newest: drones outlive an upgrade of the
    /// control side.
    pub(crate) const OURS: Self = Self { pitrix_agent: (1, 2) };

    /// The version to go on in, if there is one.
    pub(crate) fn agreed(self, theirs: Self) -> Option<u32> {
        let newest = self.pitrix_agent.1.min(theirs.pitrix_agent.1);
        let oldest = self.pitrix_agent.0.max(theirs.pitrix_agent.0);
        (oldest <= newest).then_some(newest)
    }
}

/// The version that a command came with.
pub(crate) fn version_of(command: &Command) -> u32 {
    match command {
        Command::AwaitHealthy { .. } | Command::Keys { .. } => 2,
        Command::Service { params, .. } if !params.is_empty() => 2,
        _ => 1,
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request<'a> {
    Submit { id: Cow<'a, Token>, command: Cow<'a, Command> },
    Look { id: Cow<'a, Token>, patience_ms: u64 },
    Status,
    Logs { lines: u32 },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    Accepted,
    State(CommandState),
    Status(AgentStatus),
    Logs(String),
    Refused(Error),
}

/// A message as it goes over the wire.
pub(crate) fn encode<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message)?;
    let length = bytes.len() - 4;
    if length > MAX_MESSAGE {
        return Err(too_long(length));
    }
    let length = u32::try_from(length).expect("the greatest message is shorter than 4 GiB");
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    Ok(bytes)
}

/// Sends one message.
pub(crate) async fn send<T: Serialize>(to: &mut (impl AsyncWrite + Unpin), message: &T) -> io::Result<()> {
    to.write_all(&encode(message)?).await
}

/// Receives one message. Memory is taken as bytes arrive, not as they are announced.
pub(crate) async fn receive<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin)) -> io::Result<T> {
    let length = from.read_u32().await?;
    if length as usize > MAX_MESSAGE {
        return Err(too_long(length as usize));
    }
    let mut bytes = Vec::new();
    from.take(u64::from(length)).read_to_end(&mut bytes).await?;
    if bytes.len() < length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    serde_json::from_slice(&bytes).map_err(|_| {
        // The parser's own words may quote what it read, which may be secret.
        io::Error::new(io::ErrorKind::InvalidData, "a message is not understood")
    })
}

fn too_long(length: usize) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("a message of {length} bytes is longer than {MAX_MESSAGE}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_go_on_in_the_newest_version_that_both_speak() {
        fn check(ours: (u32, u32), theirs: (u32, u32), agreed: Option<u32>) {
            let hello = |pitrix_agent| Hello { pitrix_agent };
            assert_eq!(hello(ours).agreed(hello(theirs)), agreed, "{ours:?} with {theirs:?}");
            assert_eq!(hello(theirs).agreed(hello(ours)), agreed, "{theirs:?} with {ours:?}");
        }
        check((1, 1), (1, 1), Some(1));
        check((1, 2), (2, 3), Some(2));
        check((1, 1), (1, 2), Some(1));
        check((1, 1), Hello::OURS.pitrix_agent, Some(1));
        check((1, 1), (2, 3), None);
    }

    #[tokio::test]
    async fn a_message_arrives_whole_or_not_at_all() {
        let mut wire = Vec::new();
        send(&mut wire, &Hello::OURS).await.unwrap();
        assert_eq!(receive::<Hello>(&mut &wire[..]).await.unwrap(), Hello::OURS);
        let check = async |bytes: &[u8], kind| {
            let error = receive::<Hello>(&mut &*bytes).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
        };
        check(&wire[..wire.len() - 1], io::ErrorKind::UnexpectedEof).await;
        check(&[0, 0], io::ErrorKind::UnexpectedEof).await;
        check(b"\0\0\0\x02{]", io::ErrorKind::InvalidData).await;
        check(&u32::MAX.to_be_bytes(), io::ErrorKind::InvalidData).await;
    }
}
