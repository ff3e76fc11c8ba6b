//! The rules that every provider of virtual machines must pass, as data.
//!
//! A provider's `tests` call [`check`] with a [`Harness`] and demand its [`Report`]. Each rule gets a world of
//! its own and tries the provider from outside, through the functions that the engine uses. What a rule can't
//! try is skipped with a reason and counted; when no rule at all was tried, that is a failure.

mod bench;

use crate::NoRecords;
use bench::{Bench, gateway};
use provider_core::{
    Action, ActionKind, Archive, Cancel, Change, Clock, Cluster, ClusterId, ClusterSpec, ClusterStatus,
    Credential, Directive, DiskId, Error, ErrorKind, Fact, Facts, Handle, InstanceState, InstanceVerb, Look,
    ParseRequest, Plan, Provider, Result, Runtime, Secret, Shortfall, Started, SubnetQuery, Support, Task,
    VolumeVerb, VpcId,
};
use serde_json::Value;
use std::{any::Any, collections::BTreeSet, fmt, pin::Pin, sync::Arc};

/// How to try a provider.
pub struct Harness {
    /// Makes a fresh world: a provider without any resource, and whatever it needs.
    pub subject: Box<dyn Fn() -> Subject + Send + Sync>,
    /// Rules that can't be tried on this provider, and why.
    pub skip: &'static [(&'static str, &'static str)],
}

/// A provider in a world of its own.
pub struct Subject {
    /// What is tried.
    pub provider: Provider,
    /// A runtime of it.
    pub runtime: Runtime,
    /// A credential that works.
    pub credential: Credential,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// A package whose defaults give at least one node with at least one disk.
    pub package: Archive,
    /// Answers to its config that any operator might give.
    pub conf: Value,
    /// What must live as long as the world, such as a temporary directory.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// Whether a provider may do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// No.
    Must,
    /// Yes; the report tells it as a warning.
    Should,
}

/// One rule.
pub struct Rule {
    /// Its id. It never changes its meaning.
    pub id: &'static str,
    /// How strict it is.
    pub level: Level,
    /// The rule in a few words.
    pub title: &'static str,
    /// What exactly is asked, and why.
    pub text: &'static str,
    check: for<'a> fn(&'a Subject) -> Trial<'a>,
}

type Trial<'a> = Pin<Box<dyn Future<Output = Result<(), Miss>> + Send + 'a>>;

/// Why a rule was not passed.
enum Miss {
    Failed(String),
    Skipped(String),
}

impl From<Error> for Miss {
    fn from(error: Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// What came of the rules.
#[derive(Default)]
pub struct Report {
    /// Those that hold.
    pub passed: Vec<&'static Rule>,
    /// Those that were not tried, and why.
    pub skipped: Vec<(&'static Rule, String)>,
    /// Those that don't hold, and what was found.
    pub failed: Vec<(&'static Rule, String)>,
}

impl Report {
    /// Panics with the report unless every `Must` rule that was tried holds, and one was tried.
    ///
    /// # Panics
    /// That is what it is for: it ends a provider's test.
    pub fn demand(&self) {
        let broken = self.failed.iter().any(|(rule, _)| rule.level == Level::Must);
        assert!(!broken && !self.passed.is_empty(), "\n{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (rule, why) in &self.failed {
            writeln!(f, "{} ({:?}) is broken: {}: {why}", rule.id, rule.level, rule.title)?;
        }
        for (rule, why) in &self.skipped {
            writeln!(f, "{} was skipped: {why}", rule.id)?;
        }
        let (passed, skipped, failed) = (self.passed.len(), self.skipped.len(), self.failed.len());
        write!(f, "{passed} passed, {skipped} skipped, {failed} failed")
    }
}

/// Tries every rule, one after another.
pub async fn check(harness: &Harness) -> Report {
    let mut report = Report::default();
    for rule in RULES {
        if let Some((_, why)) = harness.skip.iter().find(|(id, _)| *id == rule.id) {
            report.skipped.push((rule, (*why).to_owned()));
            continue;
        }
        let subject = (harness.subject)();
        match (rule.check)(&subject).await {
            Ok(()) => report.passed.push(rule),
            Err(Miss::Skipped(why)) => report.skipped.push((rule, why)),
            Err(Miss::Failed(why)) => report.failed.push((rule, why)),
        }
    }
    report
}

macro_rules! rules {
    ($($id:literal $level:ident $check:ident: $title:literal, $text:literal;)*) => {
        /// All rules.
        pub static RULES: &[Rule] = &[$(Rule {
            id: $id,
            level: Level::$level,
            title: $title,
            text: $text,
            check: |subject| Box::pin($check(subject)),
        }),*];
    };
}

rules! {
    "REG-001" Must complete: "the descriptor is complete",
        "The id is made of lower-case letters, digits and `-`, as a feature's name is. There is a title, a kind of container, and a reason for whatever is refused or without force.";
    "REG-002" Must whole_life: "what can be created can be deleted",
        "A provider that takes part in `create` takes part in `delete`: nothing may be made that can't be removed.";
    "REF-001" Must unsupported: "an action that the provider lacks is refused by name",
        "Splitting a change whose action is not in the descriptor gives `Unsupported`. No job may come to exist that can't be carried out.";
    "REF-002" Must bad_answers: "an answer that nobody asked for is refused by name",
        "Parsing answers with an unknown key gives `Invalid` and names the key. A misspelt parameter must not be passed over.";
    "REF-003" Must shortfalls: "a shortfall stops the plan",
        "Splitting with a shortfall in the facts gives an error that names it.";
    "REF-004" Should bad_credential: "a wrong credential is refused and not told",
        "Validating a credential with wrong values gives `Unauthorized`. The values appear nowhere in the error.";
    "PLAN-001" Must deterministic: "planning is a function",
        "The same package, answers and facts give the same bytes: what `plan` prints is what runs.";
    "PLAN-002" Must bounded: "every task is bounded and about the cluster",
        "Each task has a time limit, and its node is one of the cluster's.";
    "LOOK-001" Must zones: "zones agree",
        "The zone that a change is checked for is among those that the runtime can be in, and those among what validating tells.";
    "LOOK-002" Must unknown_network: "a network that does not exist is not an error",
        "Describing an unknown network gives nothing. Lists filter by the ids that are asked for.";
    "VM-001" Must runs_once: "launching gives one instance, whoever asks again",
        "Running a node's instance comes to `Done` with an id, the same that it began with. The same task in another process gets the same instance from the ledger, and there is no second one.";
    "VM-002" Must handle_survives: "a handle is enough to wait from elsewhere",
        "A handle that was stored and read again is waited on by a new process.";
    "VM-003" Must tagged: "every resource is tagged",
        "The sweeper lists what was made with its cluster and its node or disk. What can't be listed can't be cleaned up.";
    "VM-004" Must stops: "stopping stops, once and again",
        "Stopping comes to `Done`; stopping what is stopped is done. Looking at the cluster afterwards finds it stopped.";
    "VM-005" Must starts: "starting starts, once and again",
        "Starting a stopped instance comes to `Done` and tells its address; starting a running one is done. Looking finds it running.";
    "VM-006" Must deletes: "deleting leaves nothing, and deleting nothing is done",
        "Deleting comes to `Done`; deleting again is done. The sweeper lists nothing afterwards.";
    "VOL-001" Must volumes: "a volume is made, attached, detached and deleted, each once and again",
        "Each verb comes to `Done`, also when its goal is reached already. Attaching tells where the node finds it.";
}

fn look(subject: &Subject) -> Look {
    look_with(subject, subject.credential.clone())
}

fn look_with(subject: &Subject, credential: Credential) -> Look {
    let (_, never) = Cancel::new();
    let runtime = Arc::new(subject.runtime.clone());
    Look::new(
        runtime,
        Arc::new(credential),
        subject.clock.clone(),
        never,
        Arc::new(NoRecords),
        Arc::new(NoRecords),
    )
}

fn parse(subject: &Subject, conf: &Value) -> Result<ClusterSpec> {
    let (cluster, app) = (ClusterId::new("cl-1"), "rules@1.0.0".into());
    let request = ParseRequest {
        cluster: &cluster,
        name: None,
        app: &app,
        package: &subject.package,
        conf,
        existing: None,
        secrets: &[],
        seed: &Secret::new("0".repeat(64)),
    };
    Ok(subject.provider.interface.parse_cluster_conf(&request)?.spec)
}

fn change(subject: &Subject, action: Action) -> Result<Change> {
    let after = parse(subject, &subject.conf)?;
    let (runtime, zone) = (subject.runtime.id.clone(), subject.runtime.zone.clone());
    let mut before = Cluster::new("cl-1".into(), runtime, zone, after.clone());
    if action != Action::CreateCluster {
        before.status = ClusterStatus::Active;
    }
    Ok(Change { action, before, after })
}

fn bytes(plan: &Plan) -> Result<String, Miss> {
    serde_json::to_string(plan).map_err(|e| Miss::Failed(e.to_string()))
}

fn expect(holds: bool, found: impl FnOnce() -> String) -> Result<(), Miss> {
    if holds { Ok(()) } else { Err(Miss::Failed(found())) }
}

fn refused<T>(result: Result<T>, kinds: &[ErrorKind], names: &str) -> Result<(), Miss> {
    match result {
        Ok(_) => Err(Miss::Failed("it was accepted".into())),
        Err(error) => {
            expect(kinds.contains(&error.kind()), || format!("it is {:?}: {error}", error.kind()))?;
            expect(error.to_string().contains(names), || format!("`{names}` is not named: {error}"))
        }
    }
}

fn needs(subject: &Subject, action: ActionKind) -> Result<(), Miss> {
    let takes_part = subject.provider.descriptor.actions.contains(&action);
    if takes_part { Ok(()) } else { Err(Miss::Skipped(format!("it does not support `{}`", action.verb()))) }
}

async fn complete(subject: &Subject) -> Result<(), Miss> {
    let it = subject.provider.descriptor;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    expect(!it.id.is_empty() && it.id.chars().all(fits), || format!("the id is `{}`", it.id))?;
    expect(!it.title.is_empty() && !it.containers.is_empty(), || "there is no title or no container".into())?;
    let has_reason = |support: &Support| match support {
        Support::Full => true,
        Support::Unenforced(why) | Support::Refused(why) => !why.is_empty(),
    };
    let without = it.abilities.iter().find(|(_, support)| !has_reason(support));
    expect(without.is_none(), || format!("{without:?} gives no reason"))
}

async fn whole_life(subject: &Subject) -> Result<(), Miss> {
    let actions = subject.provider.descriptor.actions;
    let distinct = actions.iter().collect::<BTreeSet<_>>().len();
    expect(distinct == actions.len(), || "an action is listed twice".into())?;
    let (creates, deletes) = (ActionKind::CreateCluster, ActionKind::DeleteClusters);
    expect(!actions.contains(&creates) || actions.contains(&deletes), || "`delete` is not supported".into())
}

async fn unsupported(subject: &Subject) -> Result<(), Miss> {
    let actions = [
        Action::RollbackCluster { revision: None },
        Action::RecoverClusters,
        Action::UpdateClusterEnv,
        Action::AttachKeyPairs { keys: Vec::new() },
        Action::RestartClusters,
    ];
    let lacks = |action: &Action| !subject.provider.descriptor.actions.contains(&action.kind());
    let Some(action) = actions.into_iter().find(lacks) else {
        return Err(Miss::Skipped("it supports every action that was tried".into()));
    };
    let verb = action.kind().verb();
    let facts = Facts::none(subject.runtime.zone.clone(), subject.clock.now());
    let split = subject.provider.interface.split_job_into_tasks(&change(subject, action)?, facts);
    refused(split, &[ErrorKind::Unsupported], verb)
}

async fn bad_answers(subject: &Subject) -> Result<(), Miss> {
    let mut conf = subject.conf.clone();
    conf["no_such_answer"] = Value::from(1);
    refused(parse(subject, &conf), &[ErrorKind::Invalid], "no_such_answer")
}

async fn shortfalls(subject: &Subject) -> Result<(), Miss> {
    let mut facts = Facts::none(subject.runtime.zone.clone(), subject.clock.now());
    facts.shortfalls = vec![Shortfall { what: "patience".into(), why: "there is none".into(), hint: None }];
    let split =
        subject.provider.interface.split_job_into_tasks(&change(subject, Action::CreateCluster)?, facts);
    refused(split, &[ErrorKind::Invalid, ErrorKind::Quota], "patience")
}

async fn bad_credential(subject: &Subject) -> Result<(), Miss> {
    const WRONG: &str = "not-the-secret-5d1f";
    let fields = subject.provider.descriptor.credential;
    if fields.is_empty() {
        return Err(Miss::Skipped("it needs no credential".into()));
    }
    let wrong = Credential::new(fields.iter().map(|field| ((*field).to_owned(), Secret::new(WRONG))));
    let validated = subject.provider.interface.validate_credential(&look_with(subject, wrong)).await;
    if let Err(error) = &validated {
        expect(!format!("{error:?}").contains(WRONG), || "the error tells the secret".into())?;
    }
    refused(validated, &[ErrorKind::Unauthorized], "")
}

async fn deterministic(subject: &Subject) -> Result<(), Miss> {
    let changes = (change(subject, Action::CreateCluster)?, change(subject, Action::CreateCluster)?);
    expect(changes.0 == changes.1, || "parsing twice gives two clusters".into())?;
    let facts = subject.provider.interface.check_resource(&look(subject), &changes.0).await?;
    let split = |facts| subject.provider.interface.split_job_into_tasks(&changes.0, facts);
    let plans = (bytes(&split(facts.clone())?)?, bytes(&split(facts)?)?);
    expect(plans.0 == plans.1, || "splitting twice gives two plans".into())
}

async fn bounded(subject: &Subject) -> Result<(), Miss> {
    let change = change(subject, Action::CreateCluster)?;
    let facts = subject.provider.interface.check_resource(&look(subject), &change).await?;
    let plan = subject.provider.interface.split_job_into_tasks(&change, facts)?;
    expect(!plan.is_empty(), || "creating a cluster takes no task".into())?;
    let is_ours = |task: &Task| task.node.as_ref().is_none_or(|node| change.after.nodes.contains_key(node));
    let odd = plan.layers.iter().flat_map(|l| &l.tasks).find(|task| task.timeout_s == 0 || !is_ours(task));
    expect(odd.is_none(), || format!("{odd:?}"))
}

async fn zones(subject: &Subject) -> Result<(), Miss> {
    let (cx, interface) = (look(subject), &subject.provider.interface);
    let can_be = interface.describe_runtime_provider_zones(&cx).await?;
    let validated = interface.validate_credential(&cx).await?.zones;
    let facts = interface.check_resource(&cx, &change(subject, Action::CreateCluster)?).await?;
    expect(can_be.contains(&facts.zone), || format!("`{}` is not among {can_be:?}", facts.zone))?;
    expect(can_be.is_subset(&validated), || format!("{can_be:?} go beyond {validated:?}"))
}

async fn unknown_network(subject: &Subject) -> Result<(), Miss> {
    let (cx, interface) = (look(subject), &subject.provider.interface);
    let vpc = interface.describe_vpc(&cx, &VpcId::new("vpc-that-nobody-has")).await?;
    expect(vpc.is_none(), || format!("{vpc:?}"))?;
    let query = SubnetQuery { ids: BTreeSet::from(["subnet-that-nobody-has".into()]), zone: None };
    let subnets = interface.describe_subnets(&cx, &query).await?;
    expect(subnets.is_empty(), || format!("{subnets:?}"))
}

async fn runs_once(subject: &Subject) -> Result<(), Miss> {
    let bench = Bench::new(subject).await?;
    let (id, task) = bench.task(Directive::Instance(InstanceVerb::Run))?;
    let first = bench.begin(id, &task, &bench.gateway).await?;
    let again = bench.begin(id, &task, &gateway(&bench.ledger)).await?;
    expect(first == again, || format!("{first:?} became {again:?}"))?;
    if let Started::Pending(handle) = &first {
        let ready = bench.wait(&task, handle).await?;
        let is_it = matches!(&ready, Fact::Instance(ready) if ready.id == handle.resource);
        expect(is_it, || format!("{handle:?} became {ready:?}"))?;
    }
    let found = bench.found().await?;
    expect(found.len() == 1, || format!("there are {found:?}"))
}

async fn handle_survives(subject: &Subject) -> Result<(), Miss> {
    let bench = Bench::new(subject).await?;
    let (id, task) = bench.task(Directive::Instance(InstanceVerb::Run))?;
    let Started::Pending(handle) = bench.begin(id, &task, &bench.gateway).await? else {
        return Err(Miss::Skipped("it is done at once".into()));
    };
    let stored = serde_json::to_string(&handle).map_err(|e| Miss::Failed(e.to_string()))?;
    let read: Handle = serde_json::from_str(&stored).map_err(|e| Miss::Failed(e.to_string()))?;
    bench.wait(&task, &read).await.map(drop)
}

async fn tagged(subject: &Subject) -> Result<(), Miss> {
    let bench = Bench::new(subject).await?;
    bench.instance(InstanceVerb::Run).await?;
    bench.volume(VolumeVerb::Create).await?;
    let node = bench.node()?;
    let disk = DiskId { node: node.clone(), index: 0 };
    let names: BTreeSet<_> = bench.found().await?.into_iter().map(|(kind, _, name)| (kind, name)).collect();
    let wanted = BTreeSet::from([("instance".into(), node.to_string()), ("volume".into(), disk.to_string())]);
    expect(names == wanted, || format!("{names:?} were found, not {wanted:?}"))
}

async fn stops(subject: &Subject) -> Result<(), Miss> {
    needs(subject, ActionKind::StopClusters)?;
    let bench = Bench::new(subject).await?;
    bench.instance(InstanceVerb::Run).await?;
    bench.instance(InstanceVerb::Stop).await?;
    bench.instance(InstanceVerb::Stop).await?;
    let state = bench.state().await?;
    expect(state == InstanceState::Stopped, || format!("it is {state:?}"))
}

async fn starts(subject: &Subject) -> Result<(), Miss> {
    needs(subject, ActionKind::StartClusters)?;
    let bench = Bench::new(subject).await?;
    bench.instance(InstanceVerb::Run).await?;
    bench.instance(InstanceVerb::Stop).await?;
    for _ in 0..2 {
        let fact = bench.instance(InstanceVerb::Start).await?;
        let has_address = matches!(&fact, Fact::Instance(ready) if !ready.private_ip.is_empty());
        expect(has_address, || format!("starting told {fact:?}"))?;
    }
    let state = bench.state().await?;
    expect(state == InstanceState::Running, || format!("it is {state:?}"))
}

async fn deletes(subject: &Subject) -> Result<(), Miss> {
    let bench = Bench::new(subject).await?;
    bench.instance(InstanceVerb::Run).await?;
    let before = bench.cluster();
    bench.instance(InstanceVerb::Delete).await?;
    let found = bench.found().await?;
    expect(found.is_empty(), || format!("{found:?} are left"))?;
    // Somebody whose record is from before asks again.
    *bench.cluster.write().expect("nobody panics with it") = before;
    bench.instance(InstanceVerb::Delete).await.map(drop)
}

async fn volumes(subject: &Subject) -> Result<(), Miss> {
    let bench = Bench::new(subject).await?;
    bench.instance(InstanceVerb::Run).await?;
    bench.volume(VolumeVerb::Create).await?;
    for _ in 0..2 {
        let fact = bench.volume(VolumeVerb::Attach).await?;
        let has_device = matches!(&fact, Fact::Attached(attached) if !attached.device.is_empty());
        expect(has_device, || format!("attaching told {fact:?}"))?;
    }
    if subject.provider.descriptor.actions.contains(&ActionKind::StopClusters) {
        bench.instance(InstanceVerb::Stop).await?;
    }
    bench.volume(VolumeVerb::Detach).await?;
    bench.volume(VolumeVerb::Detach).await?;
    let before = bench.cluster();
    bench.volume(VolumeVerb::Delete).await?;
    *bench.cluster.write().expect("nobody panics with it") = before;
    bench.volume(VolumeVerb::Delete).await?;
    bench.instance(InstanceVerb::Delete).await?;
    let found = bench.found().await?;
    expect(found.is_empty(), || format!("{found:?} are left"))
}
