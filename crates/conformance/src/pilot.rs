//! Agents in memory, one for each running instance of the scripted cloud.

use crate::{Cloud, CloudInstance, Fault, InstanceStatus, Script, VirtualClock, lock};
use async_trait::async_trait;
use provider_core::{
    AgentStatus, Clock, Command, CommandState, Error, ErrorKind, Health, NodeId, Pilot, Report, ResourceId,
    Result, Secret, ServiceName, Timestamp, Token,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::task::yield_now;

/// How long any request takes.
const LATENCY: Duration = Duration::from_millis(10);
/// How long a command takes that does not hang.
const TAKES: Duration = Duration::from_secs(1);

/// The agents of a scripted cloud. They live as long as their instances, whatever happens to those who talk to
/// them, and can be reached while these run.
pub struct ScriptedPilot {
    cloud: Arc<Cloud>,
    clock: Arc<VirtualClock>,
    state: Mutex<State>,
}

#[derive(Clone, Default)]
struct State {
    agents: BTreeMap<ResourceId, Agent>,
    /// How commands end that contain the text; by default well.
    endings: Vec<(&'static str, RangeInclusive<usize>, Ending)>,
    /// How often each of these texts was met.
    met: BTreeMap<&'static str, usize>,
    /// Until when nodes can't be reached.
    cut_off: BTreeMap<String, Timestamp>,
    script: Script,
    /// The metadata that agents were given.
    told: Vec<Secret>,
    ran: Vec<Ran>,
}

#[derive(Clone, Default)]
struct Agent {
    node: Option<NodeId>,
    commands: BTreeMap<Token, Order>,
    /// Since when its services are meant to run.
    started: Option<Timestamp>,
    /// Since when the application is dead although its services are meant to run.
    dead: Option<Timestamp>,
    keys: BTreeSet<String>,
}

impl Agent {
    fn health(&self) -> Option<Health> {
        self.node.as_ref()?;
        let (started, dead) = (self.started.is_some(), self.dead.is_some());
        Some(Health {
            started,
            healthy: started && !dead,
            since: self.dead.or(self.started).unwrap_or_default(),
            cause: dead.then(|| "health check failed 3 times".to_owned()),
        })
    }

    /// What a command that ended well changes.
    fn take(&mut self, now: Timestamp, command: &Command) {
        match command {
            Command::Service { name, .. } => match ServiceName::from(name.clone()) {
                ServiceName::Start | ServiceName::Restart => (self.started, self.dead) = (Some(now), None),
                ServiceName::Stop | ServiceName::Destroy => (self.started, self.dead) = (None, None),
                _ => {}
            },
            Command::Keys { attach, detach } => {
                self.keys.retain(|key| !detach.contains(key));
                self.keys.extend(attach.iter().cloned());
            }
            _ => {}
        }
    }
}

/// A command that an agent has taken.
#[derive(Clone)]
struct Order {
    ends: Timestamp,
    report: Report,
}

/// How a command ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With this exit code and output.
    Exit(i32, &'static str),
    /// Not at all: it is killed when its time is over.
    Hang,
}

/// A command that an agent carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// The node in the instance's tag.
    pub node: String,
    /// What it was: `configure`, `metadata`, `mount <path>`, `unmount <path>`, `await health`, `keys` or the
    /// service's command line with its parameters.
    pub what: String,
    /// Whether it ended well.
    pub well: bool,
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
}

impl ScriptedPilot {
    /// The agents of `cloud`.
    pub fn new(cloud: Arc<Cloud>, clock: Arc<VirtualClock>) -> Arc<Self> {
        Arc::new(Self { cloud, clock, state: Mutex::default() })
    }

    /// A copy that goes its own way from here.
    pub(crate) fn copy(&self, cloud: Arc<Cloud>, clock: Arc<VirtualClock>) -> Arc<Self> {
        Arc::new(Self { cloud, clock, state: Mutex::new(lock(&self.state).clone()) })
    }

    /// Lets a fault meet these occurrences of `submit` or `look`, counted from 1. `Vanish` makes the agent
    /// forget the command that it has just taken.
    pub fn script(&self, request: &'static str, occurrences: RangeInclusive<usize>, fault: Fault) {
        lock(&self.state).script.add(request, occurrences, fault);
    }

    /// Lets commands whose [`Ran::what`] contains `text` end so, for these occurrences of it, counted from 1.
    pub fn end(&self, text: &'static str, occurrences: RangeInclusive<usize>, ending: Ending) {
        lock(&self.state).endings.push((text, occurrences, ending));
    }

    /// Keeps the agent of the node with this tag from being reached for a while from now on.
    pub fn cut_off(&self, node: &str, time: Duration) {
        let until = self.clock.now().after(time);
        lock(&self.state).cut_off.insert(node.to_owned(), until);
    }

    /// Lets the application of the node with this tag die, behind everybody's back.
    pub fn kill(&self, node: &str) {
        let now = self.clock.now();
        let hit = |instance: &CloudInstance| instance.tags.name == node;
        let mut state = lock(&self.state);
        for instance in self.cloud.instances().into_iter().filter(hit) {
            state.agents.entry(instance.id).or_default().dead = Some(now);
        }
    }

    /// The keys that may log in to the node with this tag.
    pub fn keys(&self, node: &str) -> BTreeSet<String> {
        let instances = self.cloud.instances().into_iter().filter(|instance| instance.tags.name == node);
        let state = lock(&self.state);
        instances
            .filter_map(|instance| Some(state.agents.get(&instance.id)?.keys.clone()))
            .flatten()
            .collect()
    }

    /// What the agents carried out, in the order in which it began.
    pub fn ran(&self) -> Vec<Ran> {
        lock(&self.state).ran.clone()
    }

    /// The metadata that agents were given, in the order in which it came.
    pub fn told(&self) -> Vec<Value> {
        let told = &lock(&self.state).told;
        told.iter().map(|metadata| serde_json::from_str(metadata.expose()).unwrap_or_default()).collect()
    }

    /// Whether any agent was given metadata that contains this text.
    pub fn was_told(&self, text: &str) -> bool {
        lock(&self.state).told.iter().any(|metadata| metadata.expose().contains(text))
    }

    /// How many requests of each name there were.
    pub fn requests(&self) -> BTreeMap<&'static str, usize> {
        lock(&self.state).script.seen().clone()
    }

    /// Finds the instance behind an agent that can be reached now.
    async fn reach(&self, agent: &str) -> Result<CloudInstance> {
        self.clock.pass(LATENCY);
        yield_now().await;
        let unreachable = || Error::unavailable(format!("agent {agent} does not answer"));
        let id = agent.strip_prefix("scripted:").ok_or_else(unreachable)?;
        let instances = self.cloud.instances();
        let instance = instances
            .into_iter()
            .find(|instance| instance.id.as_str() == id && instance.status == InstanceStatus::Running)
            .ok_or_else(unreachable)?;
        let cut_off = lock(&self.state).cut_off.get(&instance.tags.name).copied();
        if cut_off.is_some_and(|until| self.clock.now() < until) {
            return Err(unreachable());
        }
        Ok(instance)
    }

    /// Counts a request, and gives what befalls it or the faults that come later.
    fn meet(&self, name: &'static str, agent: &str) -> Result<Vec<Fault>> {
        let faults = lock(&self.state).script.meet(name);
        if faults.contains(&Fault::LostBefore) {
            return Err(lost(name, agent));
        }
        if faults.iter().any(|fault| matches!(fault, Fault::Refuse(_))) {
            return Err(Error::unavailable(format!("agent {agent} does not answer")));
        }
        Ok(faults)
    }

    /// What the command is called, how long it takes and how it ends.
    fn carry_out(&self, instance: &CloudInstance, command: &Command) -> (String, Duration, Report) {
        let mut state = lock(&self.state);
        let health = state.agents.get(&instance.id).and_then(Agent::health);
        let not_configured = health.is_none().then_some("the node is not configured");
        let mut report = Report::default();
        let (what, limit, obstacle) = match command {
            Command::Configure(configuration) => {
                state.told.push(configuration.metadata.clone());
                state.agents.entry(instance.id.clone()).or_default().node = Some(configuration.node.clone());
                report.public_key = configuration.passphraseless.as_ref().map(|kind| format!("{kind} key"));
                report.token =
                    configuration.custom_metadata.as_ref().map(|(cmd, _)| format!("token of {cmd}"));
                ("configure".to_owned(), TAKES, None)
            }
            Command::Metadata(metadata) => {
                state.told.push(metadata.clone());
                ("metadata".to_owned(), TAKES, not_configured)
            }
            Command::Mount { device, mount_point, .. } => {
                let held = Some((instance.id.clone(), device.clone()));
                let is_there = self.cloud.volumes().into_iter().any(|volume| volume.held == held);
                (format!("mount {mount_point}"), TAKES, (!is_there).then_some("there is no such device"))
            }
            Command::Unmount { mount_point } => (format!("unmount {mount_point}"), TAKES, None),
            Command::AwaitHealthy { timeout_s } => {
                let limit = Duration::from_secs(u64::from(*timeout_s));
                let is_well = health.is_some_and(|health| health.healthy);
                ("await health".to_owned(), limit, (!is_well).then_some("health check failed 3 times"))
            }
            Command::Keys { .. } => ("keys".to_owned(), TAKES, None),
            Command::Service { cmd, timeout_s, params, .. } => {
                let limit = Duration::from_secs(u64::from(*timeout_s));
                let what =
                    params.iter().fold(cmd.clone(), |what, (key, value)| format!("{what} {key}={value}"));
                (what, limit, not_configured)
            }
        };
        let ending = match obstacle {
            Some(obstacle) => Some(Ending::Exit(1, obstacle)),
            None => state.ending(&what),
        };
        match ending {
            None => {
                report.exit_code = Some(0);
                let now = self.clock.now();
                state.agents.entry(instance.id.clone()).or_default().take(now, command);
            }
            Some(Ending::Exit(code, output)) => {
                report.error = Some(Error::failed(format!("`{what}` exited with {code}")));
                report.exit_code = Some(code);
                report.output = output.to_owned();
                if matches!(command, Command::AwaitHealthy { .. }) {
                    return (what, limit, report);
                }
            }
            Some(Ending::Hang) => {
                let killed = format!("`{what}` was killed after {} s", limit.as_secs());
                report.error = Some(Error::timed_out(killed));
                return (what, limit, report);
            }
        }
        (what, TAKES, report)
    }

    fn state_of(&self, instance: &ResourceId, id: &Token) -> (CommandState, Timestamp) {
        let state = lock(&self.state);
        match state.agents.get(instance).and_then(|agent| agent.commands.get(id)) {
            None => (CommandState::Unknown, Timestamp::default()),
            Some(order) if self.clock.now() < order.ends => (CommandState::Running, order.ends),
            Some(order) => (CommandState::Ended(order.report.clone()), order.ends),
        }
    }
}

impl State {
    /// How the next command that contains one of the scripted texts ends.
    fn ending(&mut self, cmd: &str) -> Option<Ending> {
        let State { endings, met, .. } = self;
        let mut found = None;
        for text in endings.iter().map(|(text, _, _)| *text).collect::<BTreeSet<_>>() {
            if cmd.contains(text) {
                let met = met.entry(text).or_insert(0);
                *met += 1;
                let ending =
                    endings.iter().find(|(t, occurrences, _)| *t == text && occurrences.contains(met));
                found = found.or(ending.map(|(_, _, ending)| ending.clone()));
            }
        }
        found
    }
}

fn lost(request: &str, agent: &str) -> Error {
    Error::in_doubt(format!("`{request}` to agent {agent} was not answered"))
}

#[async_trait]
impl Pilot for ScriptedPilot {
    async fn submit(&self, agent: &str, id: &Token, command: &Command) -> Result<()> {
        let faults = self.meet("submit", agent)?;
        let instance = self.reach(agent).await?;
        if matches!(self.state_of(&instance.id, id).0, CommandState::Unknown) {
            let (what, takes, report) = self.carry_out(&instance, command);
            let (began, ended) = (self.clock.now(), self.clock.now().after(takes));
            let well = report.error.is_none();
            let mut state = lock(&self.state);
            let commands = &mut state.agents.entry(instance.id).or_default().commands;
            commands.insert(id.clone(), Order { ends: ended, report });
            if faults.contains(&Fault::Vanish) {
                commands.remove(id);
            }
            state.ran.push(Ran { node: instance.tags.name, what, well, began, ended });
        }
        if faults.contains(&Fault::LostAfter) { Err(lost("submit", agent)) } else { Ok(()) }
    }

    async fn look(&self, agent: &str, id: &Token, patience: Duration) -> Result<CommandState> {
        let faults = self.meet("look", agent)?;
        let instance = self.reach(agent).await?.id;
        let (mut now, ends) = self.state_of(&instance, id);
        if now == CommandState::Running && patience > Duration::ZERO {
            self.clock.sleep(patience.min(ends.since(self.clock.now()))).await;
            now = self.state_of(&instance, id).0;
        }
        if faults.contains(&Fault::LostAfter) {
            return Err(lost("look", agent).into_kind(ErrorKind::Unavailable));
        }
        Ok(now)
    }

    async fn status(&self, agent: &str) -> Result<AgentStatus> {
        let instance = self.reach(agent).await?.id;
        let agent = lock(&self.state).agents.get(&instance).cloned().unwrap_or_default();
        let health = agent.health();
        Ok(AgentStatus { version: "scripted".into(), node: agent.node, processes: 0, health })
    }

    async fn logs(&self, agent: &str, lines: u32) -> Result<String> {
        let node = self.reach(agent).await?.tags.name;
        let ran = self.ran();
        let lines = usize::try_from(lines).unwrap_or(usize::MAX);
        let mut last: Vec<_> = ran.iter().rev().filter(|ran| ran.node == node).take(lines).collect();
        last.reverse();
        Ok(last.into_iter().map(|ran| format!("{}\n", ran.what)).collect())
    }
}
