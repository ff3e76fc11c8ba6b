//! Agents in memory, one for each running instance of the scripted cloud.

use crate::{Cloud, CloudInstance, Fault, InstanceStatus, Script, VirtualClock, lock};
use async_trait::async_trait;
use provider_core::{
    AgentStatus, Clock, Command, CommandState, Error, ErrorKind, NodeId, Pilot, Report, ResourceId, Result,
    Timestamp, Token,
};
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
    /// How service commands end that contain the text; by default well.
    endings: Vec<(&'static str, RangeInclusive<usize>, Ending)>,
    /// How often each of these texts was met.
    met: BTreeMap<&'static str, usize>,
    /// Until when nodes can't be reached.
    cut_off: BTreeMap<String, Timestamp>,
    script: Script,
    ran: Vec<Ran>,
}

#[derive(Clone, Default)]
struct Agent {
    node: Option<NodeId>,
    commands: BTreeMap<Token, Order>,
}

/// A command that an agent has taken.
#[derive(Clone)]
struct Order {
    ends: Timestamp,
    report: Report,
}

/// How a service command ends.
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
    /// What it was: `configure`, `metadata`, `mount <path>`, `unmount <path>` or the service's command line.
    pub what: String,
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

    /// Lets service commands that contain `text` end so, for these occurrences of the text, counted from 1.
    pub fn end(&self, text: &'static str, occurrences: RangeInclusive<usize>, ending: Ending) {
        lock(&self.state).endings.push((text, occurrences, ending));
    }

    /// Keeps the agent of the node with this tag from being reached for a while from now on.
    pub fn cut_off(&self, node: &str, time: Duration) {
        let until = self.clock.now().after(time);
        lock(&self.state).cut_off.insert(node.to_owned(), until);
    }

    /// What the agents carried out, in the order in which it began.
    pub fn ran(&self) -> Vec<Ran> {
        lock(&self.state).ran.clone()
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

    fn carry_out(&self, instance: &CloudInstance, command: &Command) -> (String, Duration, Report) {
        let mut state = lock(&self.state);
        let is_configured = state.agents.get(&instance.id).is_some_and(|agent| agent.node.is_some());
        let refused = |why: String| (TAKES, failed(Error::failed(why), None));
        match command {
            Command::Configure(configuration) => {
                state.agents.entry(instance.id.clone()).or_default().node = Some(configuration.node.clone());
                let public_key = configuration.passphraseless.as_ref().map(|kind| format!("{kind} key"));
                let token = configuration.custom_metadata.as_ref().map(|(cmd, _)| format!("token of {cmd}"));
                ("configure".into(), TAKES, Report { public_key, token, ..Report::default() })
            }
            Command::Mount { device, mount_point, .. } => {
                let held = Some((instance.id.clone(), device.clone()));
                let is_there = self.cloud.volumes().into_iter().any(|volume| volume.held == held);
                let (takes, report) = if is_there {
                    (TAKES, Report::default())
                } else {
                    refused(format!("mounting `{mount_point}`: there is no device `{device}`"))
                };
                (format!("mount {mount_point}"), takes, report)
            }
            Command::Unmount { mount_point } => (format!("unmount {mount_point}"), TAKES, Report::default()),
            Command::Metadata(_) if is_configured => ("metadata".into(), TAKES, Report::default()),
            Command::Metadata(_) => {
                let (takes, report) = refused("taking metadata: the node is not configured".into());
                ("metadata".into(), takes, report)
            }
            Command::Service { cmd, timeout_s, .. } => {
                let (takes, report) = match state.ending(cmd) {
                    _ if !is_configured => refused(format!("running `{cmd}`: the node is not configured")),
                    Some(Ending::Exit(code, output)) => {
                        let error = Error::failed(format!("`{cmd}` exited with {code}"));
                        (TAKES, Report { output: output.into(), ..failed(error, Some(code)) })
                    }
                    Some(Ending::Hang) => {
                        let error = Error::timed_out(format!("`{cmd}` was killed after {timeout_s} s"));
                        (Duration::from_secs(u64::from(*timeout_s)), failed(error, None))
                    }
                    None => (TAKES, Report { exit_code: Some(0), ..Report::default() }),
                };
                (cmd.clone(), takes, report)
            }
        }
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

fn failed(error: Error, exit_code: Option<i32>) -> Report {
    Report { error: Some(error), exit_code, ..Report::default() }
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
            let mut state = lock(&self.state);
            let commands = &mut state.agents.entry(instance.id).or_default().commands;
            commands.insert(id.clone(), Order { ends: ended, report });
            if faults.contains(&Fault::Vanish) {
                commands.remove(id);
            }
            state.ran.push(Ran { node: instance.tags.name, what, began, ended });
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
        let node = lock(&self.state).agents.get(&instance).and_then(|agent| agent.node.clone());
        Ok(AgentStatus { version: "scripted".into(), node, processes: 0 })
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
