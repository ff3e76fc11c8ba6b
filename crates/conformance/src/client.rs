//! The scripted cloud's API, and whatever befalls a request on its way.

use crate::{
    Cloud, CloudInstance, CloudVolume, Fail, Fault, Launch, Limits, Tags,
    cloud::{InstanceChange, Kept, Resource, State, fail},
};
use provider_core::{Clock, Credential, DeploymentId, ResourceId, Secret, Timestamp, Token};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::task::yield_now;

/// How long any request takes.
const LATENCY: Duration = Duration::from_millis(10);

/// What a plugin holds in its hands: the cloud's API, with a credential. Every function is one request.
pub struct Client {
    cloud: Arc<Cloud>,
    credential: Arc<Credential>,
}

/// What each item of a request is told, or that the request as a whole has failed.
pub type Answers<R> = Result<Vec<Result<R, Fail>>, Fail>;

/// How many of a request's items are carried out, and what the others are told.
struct Allowed {
    items: usize,
    code: &'static str,
}

impl Allowed {
    fn each<I, R>(&self, items: &[I], mut apply: impl FnMut(&I) -> Result<R, Fail>) -> Vec<Result<R, Fail>> {
        let refuse = |_| Err(fail(self.code, "this item was turned down"));
        let (allowed, rest) = items.split_at(self.items.min(items.len()));
        allowed.iter().map(&mut apply).chain(rest.iter().map(refuse)).collect()
    }
}

impl Client {
    pub(crate) fn new(cloud: Arc<Cloud>, credential: Arc<Credential>) -> Self {
        Self { cloud, credential }
    }

    /// How many resources a describe gives or asks for at most.
    pub const PAGE: usize = 100;

    /// Launches an instance for each of `tags`. The same token with the same parameters gives the same answer.
    ///
    /// # Errors
    /// `QuotaExceeded`; `IdempotentParameterMismatch` for a token that was used for something else.
    pub async fn run_instances(&self, token: &Token, launch: &Launch, tags: &[Tags]) -> Answers<ResourceId> {
        let parameters = format!("{launch:?} {tags:?}");
        self.create("RunInstances", token, parameters, tags, |state, now, tags| {
            state.launch(now, launch, tags)
        })
        .await
    }

    /// Makes volumes of these sizes in GiB, with a token as for instances.
    ///
    /// # Errors
    /// `QuotaExceeded`, `IdempotentParameterMismatch`.
    pub async fn create_volumes(&self, token: &Token, volumes: &[(u32, Tags)]) -> Answers<ResourceId> {
        let parameters = format!("{volumes:?}");
        self.create("CreateVolumes", token, parameters, volumes, |state, now, (size, tags)| {
            state.create_volume(now, *size, tags)
        })
        .await
    }

    /// Stops instances. One that is stopped already is no error; each is told `Busy` when its state will allow
    /// it later and `IncorrectState` when it never will.
    ///
    /// # Errors
    /// As any request: `AuthFailure`, `Throttling`, `NoReply`.
    pub async fn stop_instances(&self, ids: &[ResourceId]) -> Answers<CloudInstance> {
        self.each("StopInstances", ids, |state, now, id| state.change(now, &InstanceChange::Stop, id)).await
    }

    /// Starts instances, as [`stop_instances`](Self::stop_instances) stops them.
    ///
    /// # Errors
    /// As any request.
    pub async fn start_instances(&self, ids: &[ResourceId]) -> Answers<CloudInstance> {
        self.each("StartInstances", ids, |state, now, id| state.change(now, &InstanceChange::Start, id)).await
    }

    /// Ends instances for good, whatever they do. Their volumes are free once they are gone.
    ///
    /// # Errors
    /// As any request.
    pub async fn terminate_instances(&self, ids: &[ResourceId]) -> Answers<CloudInstance> {
        let change = InstanceChange::Terminate;
        self.each("TerminateInstances", ids, |state, now, id| state.change(now, &change, id)).await
    }

    /// Gives stopped instances other sizes.
    ///
    /// # Errors
    /// As any request.
    pub async fn resize_instances(&self, sizes: &[(ResourceId, String)]) -> Answers<CloudInstance> {
        self.each("ResizeInstances", sizes, |state, now, (id, size)| {
            state.change(now, &InstanceChange::Resize(size), id)
        })
        .await
    }

    /// Attaches volumes, each to its instance, which runs or is stopped.
    ///
    /// # Errors
    /// As any request.
    pub async fn attach_volumes(&self, pairs: &[(ResourceId, ResourceId)]) -> Answers<CloudVolume> {
        self.each("AttachVolumes", pairs, |state, now, (volume, to)| state.attach(now, volume, to)).await
    }

    /// Detaches volumes from whatever holds them.
    ///
    /// # Errors
    /// As any request.
    pub async fn detach_volumes(&self, ids: &[ResourceId]) -> Answers<CloudVolume> {
        self.each("DetachVolumes", ids, State::detach).await
    }

    /// Deletes volumes that nothing holds.
    ///
    /// # Errors
    /// As any request.
    pub async fn delete_volumes(&self, ids: &[ResourceId]) -> Answers<CloudVolume> {
        self.each("DeleteVolumes", ids, State::delete_volume).await
    }

    /// Grows volumes that nothing holds, to so many GiB each.
    ///
    /// # Errors
    /// As any request.
    pub async fn resize_volumes(&self, sizes: &[(ResourceId, u32)]) -> Answers<CloudVolume> {
        self.each("ResizeVolumes", sizes, |state, now, (id, gib)| state.resize_volume(now, id, *gib)).await
    }

    /// Describes instances; those that don't exist, or not visibly yet, are left out.
    ///
    /// # Errors
    /// As any request.
    pub async fn describe_instances(&self, ids: &[ResourceId]) -> Result<Vec<CloudInstance>, Fail> {
        self.describe("DescribeInstances", ids, |state| &state.instances).await
    }

    /// Describes volumes; those that don't exist, or not visibly yet, are left out.
    ///
    /// # Errors
    /// As any request.
    pub async fn describe_volumes(&self, ids: &[ResourceId]) -> Result<Vec<CloudVolume>, Fail> {
        self.describe("DescribeVolumes", ids, |state| &state.volumes).await
    }

    /// The visible instances and volumes with this tag whose ids come after `after`, a page of them.
    ///
    /// # Errors
    /// As any request.
    pub async fn find_tagged(
        &self,
        deployment: &DeploymentId,
        after: &str,
    ) -> Result<Vec<(ResourceId, Tags)>, Fail> {
        self.read("FindTagged", |state, now| {
            let instances = state.instances().into_iter().map(|instance| (instance.id, instance.tags));
            let volumes = state.volumes().into_iter().map(|volume| (volume.id, volume.tags));
            let all = instances.chain(volumes);
            all.filter(|(id, tags)| {
                state.is_visible(id, now) && tags.deployment == *deployment && id.as_str() > after
            })
            .take(Self::PAGE)
            .collect()
        })
        .await
    }

    /// What was made under a token, in the order of the request; none when nothing of it is visible.
    ///
    /// # Errors
    /// As any request.
    pub async fn find_made(&self, token: &Token) -> Result<Vec<ResourceId>, Fail> {
        self.read("FindMade", |state, now| {
            let answers = state.answers.get(token).map(|(_, answers)| answers.as_slice());
            let made = answers.unwrap_or_default().iter().flatten();
            made.filter(|id| state.is_visible(id, now)).cloned().collect()
        })
        .await
    }

    /// What is there and what there may be.
    ///
    /// # Errors
    /// As any request.
    pub async fn quotas(&self) -> Result<(Limits, Limits), Fail> {
        self.read("DescribeQuotas", |state, _| {
            let used = Limits { instances: state.instances().len(), volumes: state.volumes().len() };
            (used, state.limits)
        })
        .await
    }

    async fn create<I>(
        &self,
        name: &'static str,
        token: &Token,
        parameters: String,
        items: &[I],
        make: impl Fn(&mut State, Timestamp, &I) -> Result<ResourceId, Fail>,
    ) -> Answers<ResourceId> {
        self.request(name, items.len(), |state, now, allowed| {
            if let Some((before, answers)) = state.answers.get(token) {
                return if *before == parameters {
                    Ok(answers.clone())
                } else {
                    Err(fail("IdempotentParameterMismatch", "the token was used for something else"))
                };
            }
            let answers = allowed.each(items, |item| make(state, now, item));
            if !state.is_forgetful {
                state.answers.insert(token.clone(), (parameters, answers.clone()));
            }
            Ok(answers)
        })
        .await
    }

    async fn each<I, R>(
        &self,
        name: &'static str,
        items: &[I],
        apply: impl Fn(&mut State, Timestamp, &I) -> Result<R, Fail>,
    ) -> Answers<R> {
        self.request(name, items.len(), |state, now, allowed| {
            Ok(allowed.each(items, |item| apply(state, now, item)))
        })
        .await
    }

    async fn describe<R: Resource + Clone>(
        &self,
        name: &'static str,
        ids: &[ResourceId],
        shelf: impl Fn(&State) -> &BTreeMap<ResourceId, Kept<R>>,
    ) -> Result<Vec<R>, Fail> {
        if ids.len() > Self::PAGE {
            return Err(fail("TooManyIds", format!("{} ids, {} is the limit", ids.len(), Self::PAGE)));
        }
        self.read(name, |state, now| {
            let found = ids.iter().filter_map(|id| shelf(state).get(id));
            found.filter(|kept| kept.visible_from <= now).map(|kept| kept.resource.clone()).collect()
        })
        .await
    }

    async fn read<T>(
        &self,
        name: &'static str,
        look: impl FnOnce(&State, Timestamp) -> T,
    ) -> Result<T, Fail> {
        let mut found = self.request(name, 1, |state, now, _| Ok(vec![look(state, now)])).await?;
        found.pop().ok_or_else(|| fail("NoReply", "the answer was cut off"))
    }

    /// One request, and whatever befalls it.
    async fn request<R>(
        &self,
        name: &'static str,
        items: usize,
        apply: impl FnOnce(&mut State, Timestamp, Allowed) -> Result<Vec<R>, Fail>,
    ) -> Result<Vec<R>, Fail> {
        self.cloud.clock.pass(LATENCY);
        yield_now().await;
        let now = self.cloud.clock.now();
        let mut state = self.cloud.settled();
        let faults = state.script.meet(name);
        let number = format!("req-{:04}", state.script.seen().values().sum::<usize>());
        let numbered = |fail: Fail| Fail { request: number.clone(), ..fail };
        let lost = || fail("NoReply", format!("`{name}` was not answered"));

        if state.key.as_deref().is_some_and(|key| self.key() != Some(key)) {
            return Err(numbered(fail("AuthFailure", "the key is not valid")));
        }
        let mut allowed = Allowed { items, code: "" };
        for fault in &faults {
            match *fault {
                Fault::LostBefore => return Err(lost()),
                Fault::Refuse(code) => return Err(numbered(fail(code, format!("`{name}` was turned down")))),
                Fault::Partial(items, code) => allowed = Allowed { items, code },
                _ => {}
            }
        }
        state.touched.clear();
        let mut answer = apply(&mut state, now, allowed).map_err(numbered)?;
        let touched = std::mem::take(&mut state.touched);
        for fault in &faults {
            match *fault {
                Fault::Hide(time) => touched.iter().for_each(|id| state.hide(id, now.after(time))),
                Fault::Vanish => touched.iter().for_each(|id| state.vanish(id)),
                Fault::Garbage => drop(answer.pop()),
                _ => {}
            }
        }
        if faults.contains(&Fault::LostAfter) { Err(lost()) } else { Ok(answer) }
    }

    fn key(&self) -> Option<&str> {
        self.credential.field("key").ok().map(Secret::expose)
    }
}
