//! The calls of the scripted provider.

use super::error::{classify, look_failed};
use crate::{Answers, Client, CloudInstance, CloudVolume, Launch, Tags};
use async_trait::async_trait;
use provider_core::{CloudCall, Error, ErrorKind, ResourceId, Result, Token};
use serde::{Deserialize, Serialize};

/// Launches an instance. Those of equal size and image share a request; its token tells them apart from others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunInstance {
    /// What is launched.
    pub launch: Launch,
    /// Whose it is.
    pub tags: Tags,
}

#[async_trait]
impl CloudCall for RunInstance {
    type Api = Client;
    type Reply = ResourceId;
    const NAME: &'static str = "RunInstances";
    const MAX: usize = 100;

    fn group(&self) -> String {
        format!("{} {}", self.launch.size, self.launch.image)
    }

    async fn send(client: &Client, token: &Token, items: &[Self]) -> Result<Vec<Result<ResourceId>>> {
        let tags: Vec<_> = items.iter().map(|call| call.tags.clone()).collect();
        answered(client.run_instances(token, &items[0].launch, &tags).await)
    }

    async fn find(client: &Client, token: &Token, items: &[Self]) -> Result<Option<Vec<Result<ResourceId>>>> {
        made(client, token, items.len()).await
    }
}

/// Makes a volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CreateVolume {
    /// GiB.
    pub size_gib: u32,
    /// Whose it is.
    pub tags: Tags,
}

#[async_trait]
impl CloudCall for CreateVolume {
    type Api = Client;
    type Reply = ResourceId;
    const NAME: &'static str = "CreateVolumes";
    const MAX: usize = 100;

    async fn send(client: &Client, token: &Token, items: &[Self]) -> Result<Vec<Result<ResourceId>>> {
        let volumes: Vec<_> = items.iter().map(|call| (call.size_gib, call.tags.clone())).collect();
        answered(client.create_volumes(token, &volumes).await)
    }

    async fn find(client: &Client, token: &Token, items: &[Self]) -> Result<Option<Vec<Result<ResourceId>>>> {
        made(client, token, items.len()).await
    }
}

/// What a token has made, once all of it is visible. Until then, and when it has made only a part, it is sent
/// again: the cloud repeats its answer for the token.
async fn made(client: &Client, token: &Token, wanted: usize) -> Result<Option<Vec<Result<ResourceId>>>> {
    let made = client.find_made(token).await.map_err(look_failed)?;
    Ok((made.len() == wanted).then(|| made.into_iter().map(Ok).collect()))
}

/// Calls on resources that there are. Sending one twice is the same as sending it once, so there is nothing to
/// find.
macro_rules! calls_by_id {
    ($($(#[$doc:meta])* $call:ident { $($field:ident: $type:ty),+ } $name:literal -> $reply:ty, $request:ident, $answered:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "they are the request's parameters")]
        pub struct $call {
            $(pub $field: $type,)+
        }

        #[async_trait]
        impl CloudCall for $call {
            type Api = Client;
            type Reply = $reply;
            const NAME: &'static str = $name;
            const MAX: usize = 100;

            async fn send(client: &Client, _: &Token, items: &[Self]) -> Result<Vec<Result<$reply>>> {
                let items: Vec<_> = items.iter().cloned().map(|call| ($(call.$field),+)).collect();
                $answered(client.$request(&items).await)
            }
        }
    )*};
}

calls_by_id! {
    /// Stops an instance.
    StopInstance { id: ResourceId } "StopInstances" -> CloudInstance, stop_instances, answered;
    /// Starts an instance.
    StartInstance { id: ResourceId } "StartInstances" -> CloudInstance, start_instances, answered;
    /// Ends an instance for good.
    DeleteInstance { id: ResourceId } "TerminateInstances" -> Option<CloudInstance>, terminate_instances, unless_missing;
    /// Gives a stopped instance another size.
    ResizeInstance { id: ResourceId, size: String } "ResizeInstances" -> CloudInstance, resize_instances, answered;
    /// Attaches a volume to an instance.
    AttachVolume { id: ResourceId, to: ResourceId } "AttachVolumes" -> CloudVolume, attach_volumes, answered;
    /// Detaches a volume from what holds it.
    DetachVolume { id: ResourceId } "DetachVolumes" -> Option<CloudVolume>, detach_volumes, unless_missing;
    /// Deletes a volume.
    DeleteVolume { id: ResourceId } "DeleteVolumes" -> Option<CloudVolume>, delete_volumes, unless_missing;
    /// Grows a volume.
    ResizeVolume { id: ResourceId, size_gib: u32 } "ResizeVolumes" -> CloudVolume, resize_volumes, answered;
}

fn answered<R>(answer: Answers<R>) -> Result<Vec<Result<R>>> {
    Ok(answer.map_err(classify)?.into_iter().map(|item| item.map_err(classify)).collect())
}

/// What is not there needs neither detaching nor deleting.
fn unless_missing<R>(answers: Answers<R>) -> Result<Vec<Result<Option<R>>>> {
    let unless_missing = |answer| match answer {
        Err(error) if Error::kind(&error) == ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    };
    Ok(answered(answers)?.into_iter().map(unless_missing).collect())
}
