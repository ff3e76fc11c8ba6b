//! The data directory as a cloud: what changes it is an act, and each act is a call of the gateway.

use crate::{
    error::During,
    model::{InstanceFile, Kept, VolumeFile},
    process::Identity,
    shelf::Shelf,
};
use async_trait::async_trait;
use provider_core::{CloudCall, Error, Host, ResourceId, Result, Token};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::{
    fs::OpenOptions,
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{process::Command, task::spawn_blocking};

/// How long an agent gets before it is killed. It gives the processes under it 10 seconds itself.
const GRACE: Duration = Duration::from_secs(15);

/// Everything that this provider has on this machine.
#[derive(Clone)]
pub(crate) struct DataDir {
    pub(crate) host: Host,
    pub(crate) instances: Shelf<InstanceFile>,
    pub(crate) volumes: Shelf<VolumeFile>,
    /// How long an agent gets to end itself and its processes before they are killed.
    pub(crate) grace: Duration,
    turn: Arc<Mutex<()>>,
}

impl DataDir {
    /// The data directory of `host`. It and what is in it are made when they are needed.
    pub(crate) fn new(mut host: Host) -> Self {
        if let Ok(absolute) = std::path::absolute(&host.data) {
            host.data = absolute;
        }
        Self {
            instances: Shelf::new(&host.data),
            volumes: Shelf::new(&host.data),
            grace: GRACE,
            turn: Arc::default(),
            host,
        }
    }

    /// Held by whatever reads the shelves, decides and writes. There is one executor for a data directory, so
    /// keeping apart its own threads is enough. Nobody waits for processes while holding it.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the processes of an instance are recognised by.
    pub(crate) fn identity(&self, id: &ResourceId, instance: &InstanceFile) -> Result<Identity> {
        let dir = self.instances.dir(id)?;
        Ok(Identity { dir, token: instance.token.clone(), agent: self.host.agent.clone() })
    }

    /// Starts the agent of an instance and returns at once. One more while it runs ends by itself.
    pub(crate) fn start_agent(&self, instance: &Identity) -> Result<()> {
        let what = || format!("starting the agent in `{}`", instance.dir.display());
        let (program, arguments) = instance
            .agent
            .split_first()
            .ok_or_else(|| Error::invalid(format!("{}: no program for agents is known", what())))?;
        let log = instance.dir.join("log/drone.log");
        let log = OpenOptions::new().create(true).append(true).open(log).during(what)?;
        // The child is not awaited; the runtime reaps it, should it end before this process.
        let _child = Command::new(program)
            .args(arguments)
            .arg(&instance.dir)
            .current_dir(&instance.dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone().during(what)?)
            .stderr(log)
            .spawn()
            .during(what)?;
        Ok(())
    }

    /// Begins something that may take a while, aside from the runtime's own threads. It comes to its end even
    /// when the result is no longer waited for.
    pub(crate) fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T>> + Send {
        let data = self.clone();
        let working = spawn_blocking(move || work(&data));
        async {
            let broke_off = |e| Error::bug("work on the local data directory broke off").caused_by(&e);
            working.await.unwrap_or_else(|e| Err(broke_off(e)))
        }
    }
}

/// Where a call stands in its batch. Ids of new things derive from it, so that they are the same each time
/// that the call is sent.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    token: Token,
    position: usize,
}

impl Origin {
    /// The id of the thing that the call makes.
    pub(crate) fn id<T: Kept>(&self) -> ResourceId {
        let digest = Sha256::digest(format!("{}/{}", self.token.as_str(), self.position));
        Shelf::<T>::id(&hex::encode(digest))
    }
}

/// A change of the data directory or of what runs from it.
pub(crate) trait Act: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// What comes of it.
    type Reply: Serialize + DeserializeOwned + Send + 'static;
    /// Its name in the ledger.
    const NAME: &'static str;

    /// Brings it about. May block. Doing it again changes nothing and gives the same reply.
    fn act(&self, data: &DataDir, origin: &Origin) -> Result<Self::Reply>;

    /// Its reply, if it is brought about already.
    fn find(&self, data: &DataDir, origin: &Origin) -> Result<Option<Self::Reply>>;
}

/// An act as a call. All acts of a kind that a layer makes are one request, in which they run side by side.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Call<A>(pub(crate) A);

impl<A: Act> Call<A> {
    async fn each<T: Send + 'static>(
        data: &DataDir,
        token: &Token,
        calls: &[Self],
        does: fn(&A, &DataDir, &Origin) -> Result<T>,
    ) -> Vec<Result<T>> {
        let begin = |(position, Self(act)): (usize, Self)| {
            let origin = Origin { token: token.clone(), position };
            data.aside(move |data| does(&act, data, &origin))
        };
        let running: Vec<_> = calls.iter().cloned().enumerate().map(begin).collect();
        let mut results = Vec::with_capacity(calls.len());
        for one in running {
            results.push(one.await);
        }
        results
    }
}

#[async_trait]
impl<A: Act> CloudCall for Call<A> {
    type Api = DataDir;
    type Reply = A::Reply;
    const NAME: &'static str = A::NAME;
    const MAX: usize = 64;

    async fn send(data: &DataDir, token: &Token, calls: &[Self]) -> Result<Vec<Result<A::Reply>>> {
        Ok(Self::each(data, token, calls, A::act).await)
    }

    async fn find(data: &DataDir, token: &Token, calls: &[Self]) -> Result<Option<Vec<Result<A::Reply>>>> {
        let found: Vec<_> =
            Self::each(data, token, calls, A::find).await.into_iter().collect::<Result<_>>()?;
        Ok(found.into_iter().map(|reply| reply.map(Ok)).collect())
    }
}
