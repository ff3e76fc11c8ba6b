//! A cloud of instances and volumes in memory, stricter than real ones.
//!
//! It is the outside world: it survives whatever happens to those who use it. States follow one another by the
//! clock; what a state does not allow is refused. What is gone stays visible as [`Gone`](InstanceStatus::Gone),
//! so that "not visible yet" and "lost" can be told apart.

use crate::{Client, Fault, Script, VirtualClock, lock};
use provider_core::{Clock, ClusterId, Credential, DeploymentId, ResourceId, Timestamp, Token};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fmt,
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

/// How long a change of an instance takes.
const INSTANCE: Duration = Duration::from_secs(5);
/// How long a change of a volume takes.
const VOLUME: Duration = Duration::from_secs(2);

/// The outside world.
pub struct Cloud {
    pub(crate) clock: Arc<VirtualClock>,
    state: Mutex<State>,
}

/// How much there may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Instances that are not gone.
    pub instances: usize,
    /// Volumes that are not gone.
    pub volumes: usize,
}

#[derive(Clone)]
pub(crate) struct State {
    pub(crate) instances: BTreeMap<ResourceId, Kept<CloudInstance>>,
    pub(crate) volumes: BTreeMap<ResourceId, Kept<CloudVolume>>,
    /// What was answered to the requests that carried a token, with their parameters.
    pub(crate) answers: BTreeMap<Token, (String, Vec<Result<ResourceId, Fail>>)>,
    /// What the present request has made or changed.
    pub(crate) touched: Vec<ResourceId>,
    pub(crate) script: Script,
    pub(crate) limits: Limits,
    pub(crate) key: Option<String>,
    pub(crate) is_forgetful: bool,
    minted: u32,
}

/// A resource, the status that follows by itself, and when it becomes visible.
#[derive(Clone)]
pub(crate) struct Kept<R: Resource> {
    pub(crate) resource: R,
    then: Option<(Timestamp, R::Status)>,
    pub(crate) visible_from: Timestamp,
}

pub(crate) trait Resource {
    type Status: Copy + PartialEq + fmt::Debug;
    const GONE: Self::Status;
    fn id(&self) -> &ResourceId;
    fn status(&self) -> Self::Status;
    fn set_status(&mut self, status: Self::Status);
}

/// Whose a resource is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tags {
    /// The installation.
    pub deployment: DeploymentId,
    /// The cluster.
    pub cluster: ClusterId,
    /// The node or disk.
    pub name: String,
}

/// What is launched, equal for all instances of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// Its size, `s.<cores>x<MiB>`.
    pub size: String,
    /// The image.
    pub image: String,
}

/// An instance, as the cloud describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudInstance {
    /// Its id, `i-…`.
    pub id: ResourceId,
    /// Whose it is.
    pub tags: Tags,
    /// Its size.
    pub size: String,
    /// What it is doing.
    pub status: InstanceStatus,
    /// Its address.
    pub address: String,
}

/// What an instance is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they say it all")]
pub enum InstanceStatus {
    Pending,
    Running,
    Stopping,
    Stopped,
    Terminating,
    Gone,
}

/// A volume, as the cloud describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudVolume {
    /// Its id, `v-…`.
    pub id: ResourceId,
    /// Whose it is.
    pub tags: Tags,
    /// GiB.
    pub size_gib: u32,
    /// What it is doing.
    pub status: VolumeStatus,
    /// The instance that holds it and the device that it is there.
    pub held: Option<(ResourceId, String)>,
}

/// What a volume is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they say it all")]
pub enum VolumeStatus {
    Creating,
    Available,
    Attaching,
    InUse,
    Detaching,
    Gone,
}

/// What can be done with instances that there are.
pub(crate) enum InstanceChange<'a> {
    Start,
    Stop,
    Terminate,
    Resize(&'a str),
}

/// How the cloud says no. `NoReply` is what a client makes of silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fail {
    /// For programs.
    pub code: &'static str,
    /// For people.
    pub message: String,
    /// For support.
    pub request: String,
}

impl Resource for CloudInstance {
    type Status = InstanceStatus;
    const GONE: InstanceStatus = InstanceStatus::Gone;

    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn status(&self) -> InstanceStatus {
        self.status
    }

    fn set_status(&mut self, status: InstanceStatus) {
        self.status = status;
    }
}

impl Resource for CloudVolume {
    type Status = VolumeStatus;
    const GONE: VolumeStatus = VolumeStatus::Gone;

    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn status(&self) -> VolumeStatus {
        self.status
    }

    fn set_status(&mut self, status: VolumeStatus) {
        self.status = status;
    }
}

impl<R: Resource> Kept<R> {
    fn turn(&mut self, now: Timestamp, over: R::Status, time: Duration, then: R::Status) {
        self.resource.set_status(over);
        self.then = Some((now.after(time), then));
    }

    fn settle(&mut self, now: Timestamp) {
        if let Some((at, status)) = self.then
            && at <= now
        {
            self.resource.set_status(status);
            self.then = None;
        }
    }

    fn vanish(&mut self) {
        self.resource.set_status(R::GONE);
        self.then = None;
    }
}

impl Cloud {
    /// An empty cloud with room for a thousand of each.
    pub fn new(clock: Arc<VirtualClock>) -> Arc<Self> {
        let state = State {
            instances: BTreeMap::new(),
            volumes: BTreeMap::new(),
            answers: BTreeMap::new(),
            touched: Vec::new(),
            script: Script::default(),
            limits: Limits { instances: 1000, volumes: 1000 },
            key: None,
            is_forgetful: false,
            minted: 0,
        };
        Arc::new(Self { clock, state: Mutex::new(state) })
    }

    /// A copy that goes its own way from here.
    pub(crate) fn copy(&self, clock: Arc<VirtualClock>) -> Arc<Self> {
        Arc::new(Self { clock, state: Mutex::new(lock(&self.state).clone()) })
    }

    /// Lets a fault meet these occurrences of a request, counted from 1.
    pub fn script(&self, request: &'static str, occurrences: RangeInclusive<usize>, fault: Fault) {
        lock(&self.state).script.add(request, occurrences, fault);
    }

    /// From now on only credentials whose `key` is this are served.
    pub fn require_key(&self, key: &str) {
        lock(&self.state).key = Some(key.to_owned());
    }

    /// From now on tokens are ignored, as some clouds do. Nobody can be safe from duplicates there; it is for
    /// testing the tests.
    pub fn forget_tokens(&self) {
        lock(&self.state).is_forgetful = true;
    }

    /// From now on there may be no more than this.
    pub fn limit(&self, limits: Limits) {
        lock(&self.state).limits = limits;
    }

    /// Takes an instance or volume away behind everybody's back.
    pub fn vanish(&self, id: &ResourceId) {
        lock(&self.state).vanish(id);
    }

    /// Stops an instance behind everybody's back.
    pub fn switch_off(&self, id: &ResourceId) {
        if let Some(kept) = lock(&self.state).instances.get_mut(id) {
            kept.resource.status = InstanceStatus::Stopped;
            kept.then = None;
        }
    }

    /// How many requests of each name have arrived, or were sent and got lost.
    pub fn requests(&self) -> BTreeMap<&'static str, usize> {
        lock(&self.state).script.seen().clone()
    }

    /// The instances that are not gone, seen from inside the cloud.
    pub fn instances(&self) -> Vec<CloudInstance> {
        self.settled().instances()
    }

    /// The volumes that are not gone, seen from inside the cloud.
    pub fn volumes(&self) -> Vec<CloudVolume> {
        self.settled().volumes()
    }

    /// A client with this credential.
    pub fn client(self: &Arc<Self>, credential: Arc<Credential>) -> Arc<Client> {
        Arc::new(Client::new(self.clone(), credential))
    }

    /// The state of now.
    pub(crate) fn settled(&self) -> MutexGuard<'_, State> {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        state.settle(now);
        state
    }
}

impl State {
    fn settle(&mut self, now: Timestamp) {
        self.instances.values_mut().for_each(|kept| kept.settle(now));
        for kept in self.volumes.values_mut() {
            kept.settle(now);
            let volume = &mut kept.resource;
            let holder = volume.held.as_ref().and_then(|(id, _)| self.instances.get(id));
            if holder.is_some_and(|kept| kept.resource.status == InstanceStatus::Gone) {
                volume.status = VolumeStatus::Available;
                kept.then = None;
            }
            if volume.status == VolumeStatus::Available || volume.status == VolumeStatus::Gone {
                volume.held = None;
            }
        }
    }

    pub(crate) fn hide(&mut self, id: &ResourceId, until: Timestamp) {
        self.instances.get_mut(id).into_iter().for_each(|kept| kept.visible_from = until);
        self.volumes.get_mut(id).into_iter().for_each(|kept| kept.visible_from = until);
    }

    pub(crate) fn vanish(&mut self, id: &ResourceId) {
        self.instances.get_mut(id).into_iter().for_each(Kept::vanish);
        self.volumes.get_mut(id).into_iter().for_each(Kept::vanish);
    }

    pub(crate) fn instances(&self) -> Vec<CloudInstance> {
        let all = self.instances.values().map(|kept| &kept.resource);
        all.filter(|instance| instance.status != InstanceStatus::Gone).cloned().collect()
    }

    pub(crate) fn volumes(&self) -> Vec<CloudVolume> {
        let all = self.volumes.values().map(|kept| &kept.resource);
        all.filter(|volume| volume.status != VolumeStatus::Gone).cloned().collect()
    }

    pub(crate) fn is_visible(&self, id: &ResourceId, now: Timestamp) -> bool {
        let instance = self.instances.get(id).map(|kept| kept.visible_from);
        let volume = self.volumes.get(id).map(|kept| kept.visible_from);
        instance.or(volume).is_some_and(|from| from <= now)
    }

    fn mint(&mut self, prefix: &str) -> ResourceId {
        self.minted += 1;
        let id = ResourceId::new(format!("{prefix}-{:04}", self.minted));
        self.touched.push(id.clone());
        id
    }

    pub(crate) fn launch(
        &mut self,
        now: Timestamp,
        launch: &Launch,
        tags: &Tags,
    ) -> Result<ResourceId, Fail> {
        if self.instances().len() >= self.limits.instances {
            return Err(fail("QuotaExceeded", format!("{} instances is the limit", self.limits.instances)));
        }
        let id = self.mint("i");
        let resource = CloudInstance {
            id: id.clone(),
            tags: tags.clone(),
            size: launch.size.clone(),
            status: InstanceStatus::Pending,
            address: format!("10.0.{}.{}", self.minted / 250, 2 + self.minted % 250),
        };
        let then = Some((now.after(INSTANCE), InstanceStatus::Running));
        self.instances.insert(id.clone(), Kept { resource, then, visible_from: now });
        Ok(id)
    }

    pub(crate) fn create_volume(
        &mut self,
        now: Timestamp,
        size_gib: u32,
        tags: &Tags,
    ) -> Result<ResourceId, Fail> {
        if self.volumes().len() >= self.limits.volumes {
            return Err(fail("QuotaExceeded", format!("{} volumes is the limit", self.limits.volumes)));
        }
        let id = self.mint("v");
        let status = VolumeStatus::Creating;
        let resource = CloudVolume { id: id.clone(), tags: tags.clone(), size_gib, status, held: None };
        let then = Some((now.after(VOLUME), VolumeStatus::Available));
        self.volumes.insert(id.clone(), Kept { resource, then, visible_from: now });
        Ok(id)
    }

    fn instance(&mut self, now: Timestamp, id: &ResourceId) -> Result<&mut Kept<CloudInstance>, Fail> {
        self.touched.push(id.clone());
        let kept = self.instances.get_mut(id).filter(|kept| kept.visible_from <= now);
        kept.filter(|kept| kept.resource.status != InstanceStatus::Gone)
            .ok_or_else(|| fail("NotFound", format!("there is no instance `{id}`")))
    }

    fn volume(&mut self, now: Timestamp, id: &ResourceId) -> Result<&mut Kept<CloudVolume>, Fail> {
        self.touched.push(id.clone());
        let kept = self.volumes.get_mut(id).filter(|kept| kept.visible_from <= now);
        kept.filter(|kept| kept.resource.status != VolumeStatus::Gone)
            .ok_or_else(|| fail("NotFound", format!("there is no volume `{id}`")))
    }

    pub(crate) fn change(
        &mut self,
        now: Timestamp,
        change: &InstanceChange<'_>,
        id: &ResourceId,
    ) -> Result<CloudInstance, Fail> {
        use InstanceStatus::{Gone, Pending, Running, Stopped, Stopping, Terminating};
        let kept = self.instance(now, id)?;
        match (change, kept.resource.status) {
            (InstanceChange::Start, Running | Pending)
            | (InstanceChange::Stop, Stopped | Stopping)
            | (InstanceChange::Terminate, Terminating) => {}
            (InstanceChange::Start, Stopped) => kept.turn(now, Pending, INSTANCE, Running),
            (InstanceChange::Stop, Running) => kept.turn(now, Stopping, INSTANCE, Stopped),
            (InstanceChange::Terminate, _) => kept.turn(now, Terminating, INSTANCE, Gone),
            (InstanceChange::Resize(size), Stopped) => (*size).clone_into(&mut kept.resource.size),
            (_, status @ (Pending | Stopping)) => return Err(busy("instance", id, &status)),
            (_, status) => return Err(unfit("instance", id, &status)),
        }
        Ok(kept.resource.clone())
    }

    pub(crate) fn attach(
        &mut self,
        now: Timestamp,
        id: &ResourceId,
        to: &ResourceId,
    ) -> Result<CloudVolume, Fail> {
        let instance = self.instance(now, to)?.resource.status;
        match instance {
            InstanceStatus::Running | InstanceStatus::Stopped => {}
            InstanceStatus::Pending | InstanceStatus::Stopping => {
                return Err(busy("instance", to, &instance));
            }
            _ => return Err(unfit("instance", to, &instance)),
        }
        let taken: Vec<_> = self.volumes().into_iter().filter_map(|volume| volume.held).collect();
        let device = ('b'..='z').map(|letter| format!("/dev/vd{letter}"));
        let device = device.into_iter().find(|device| !taken.contains(&(to.clone(), device.clone())));
        let kept = self.volume(now, id)?;
        match (kept.resource.status, &kept.resource.held) {
            (VolumeStatus::Attaching | VolumeStatus::InUse, Some((holder, _))) if holder == to => {}
            (VolumeStatus::Available, _) => {
                let device =
                    device.ok_or_else(|| fail("IncorrectState", format!("`{to}` has no device left")))?;
                kept.resource.held = Some((to.clone(), device));
                kept.turn(now, VolumeStatus::Attaching, VOLUME, VolumeStatus::InUse);
            }
            (status @ (VolumeStatus::Creating | VolumeStatus::Detaching), _) => {
                return Err(busy("volume", id, &status));
            }
            (status, _) => return Err(unfit("volume", id, &status)),
        }
        Ok(kept.resource.clone())
    }

    pub(crate) fn detach(&mut self, now: Timestamp, id: &ResourceId) -> Result<CloudVolume, Fail> {
        let kept = self.volume(now, id)?;
        match kept.resource.status {
            VolumeStatus::Available | VolumeStatus::Detaching => {}
            VolumeStatus::InUse => kept.turn(now, VolumeStatus::Detaching, VOLUME, VolumeStatus::Available),
            status => return Err(busy("volume", id, &status)),
        }
        Ok(kept.resource.clone())
    }

    pub(crate) fn delete_volume(&mut self, now: Timestamp, id: &ResourceId) -> Result<CloudVolume, Fail> {
        let kept = self.volume(now, id)?;
        match kept.resource.status {
            VolumeStatus::Available => kept.vanish(),
            status @ (VolumeStatus::Creating | VolumeStatus::Detaching) => {
                return Err(busy("volume", id, &status));
            }
            status => return Err(unfit("volume", id, &status)),
        }
        Ok(kept.resource.clone())
    }

    pub(crate) fn resize_volume(
        &mut self,
        now: Timestamp,
        id: &ResourceId,
        gib: u32,
    ) -> Result<CloudVolume, Fail> {
        let kept = self.volume(now, id)?;
        match kept.resource.status {
            VolumeStatus::Available if gib >= kept.resource.size_gib => kept.resource.size_gib = gib,
            status => return Err(unfit("volume", id, &status)),
        }
        Ok(kept.resource.clone())
    }
}

/// A refusal with this code; the client adds the request's number.
pub(crate) fn fail(code: &'static str, message: impl Into<String>) -> Fail {
    Fail { code, message: message.into(), request: String::new() }
}

fn busy(kind: &str, id: &ResourceId, status: &dyn fmt::Debug) -> Fail {
    fail("Busy", format!("{kind} `{id}` is {status:?} and can do this later"))
}

fn unfit(kind: &str, id: &ResourceId, status: &dyn fmt::Debug) -> Fail {
    fail("IncorrectState", format!("{kind} `{id}` is {status:?} and can't do this"))
}
