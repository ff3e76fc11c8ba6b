//! How far a job is, folded from its events, and how that looks. Pure.

use crate::screen::{Screen, Span, Tone, count, escaped};
use engine::{Event, EventKind, TaskState};
use provider_core::{Plan, Task, TaskId, Timestamp};
use std::{collections::BTreeMap, time::Duration};

/// How many finished layers the tree shows by name, and how many tasks of the one that runs.
const FINISHED_SHOWN: usize = 3;
const TASKS_SHOWN: usize = 6;

const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
/// How long each of them stays.
const SPIN_MS: i64 = 100;

/// How far a job is.
pub(crate) struct Progress {
    layers: Vec<LayerProgress>,
    labels: BTreeMap<TaskId, String>,
    current: Option<usize>,
    /// Why tasks of the current layer don't get on.
    notes: BTreeMap<TaskId, String>,
    cancelling: bool,
    /// When this run began, and when it ended.
    began: Option<Timestamp>,
    ended: Option<Timestamp>,
}

struct LayerProgress {
    name: String,
    tasks: usize,
    done: usize,
    failed: usize,
    started: Option<Timestamp>,
    ended: Option<Timestamp>,
}

/// A line about something that happened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) tone: Tone,
    pub(crate) label: &'static str,
    pub(crate) text: String,
}

impl Progress {
    /// Of a job with this plan that has not begun.
    pub(crate) fn new(plan: &Plan) -> Self {
        let layers = plan.layers.iter().map(|layer| LayerProgress {
            name: layer.name.clone(),
            tasks: layer.tasks.len(),
            done: 0,
            failed: 0,
            started: None,
            ended: None,
        });
        let tasks = plan.layers.iter().zip(0..).flat_map(|(layer, number)| {
            let tasks = layer.tasks.iter().zip(0..);
            tasks.map(move |(task, index)| (TaskId { layer: number, index }, label(task)))
        });
        Self {
            layers: layers.collect(),
            labels: tasks.collect(),
            current: None,
            notes: BTreeMap::new(),
            cancelling: false,
            began: None,
            ended: None,
        }
    }

    /// Whether the job has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// How long the run took that has ended, or the part of it that was seen.
    pub(crate) fn took(&self) -> Duration {
        self.began.zip(self.ended).map(|(began, ended)| ended.since(began)).unwrap_or_default()
    }

    /// Takes an event in. Gives what is worth a line of its own.
    pub(crate) fn take(&mut self, event: &Event) -> Option<News> {
        self.began.get_or_insert(event.at);
        match &event.kind {
            EventKind::Accepted { .. }
            | EventKind::Started
            | EventKind::Followed { .. }
            | EventKind::NotFollowed { .. } => None,
            EventKind::Retried { run } => {
                self.began = Some(event.at);
                self.ended = None;
                self.cancelling = false;
                self.notes.clear();
                news(Tone::Plain, "run", format!("{run}, without what is done already"))
            }
            EventKind::Cancelling => {
                self.cancelling = true;
                news(Tone::Warning, "cancel", "coming to a safe point".to_owned())
            }
            EventKind::LayerStarted { layer } => self.start_layer(*layer as usize, event.at),
            EventKind::Waiting { task, why } => {
                self.notes.insert(*task, why.clone());
                news(Tone::Faint, "waiting", format!("{}: {why}", self.label(*task)))
            }
            EventKind::Task { task, state, .. } => self.take_task(*task, state),
            EventKind::Ended { .. } => {
                self.end_current(event.at);
                self.notes.clear();
                self.ended = Some(event.at);
                None
            }
        }
    }

    fn start_layer(&mut self, index: usize, at: Timestamp) -> Option<News> {
        // After a restart the layer that was running starts again.
        let again = self.current == Some(index);
        if !again {
            self.end_current(at);
            self.notes.clear();
            self.current = Some(index);
        }
        let total = self.layers.len();
        let layer = self.layers.get_mut(index)?;
        layer.ended = None;
        layer.started.get_or_insert(at);
        let text = format!("{}/{total} {}: {}", index + 1, layer.name, count(layer.tasks, "task"));
        if again { None } else { news(Tone::Plain, "layer", text) }
    }

    fn end_current(&mut self, at: Timestamp) {
        if let Some(layer) = self.current.and_then(|current| self.layers.get_mut(current)) {
            layer.ended.get_or_insert(at);
        }
    }

    fn take_task(&mut self, task: TaskId, state: &TaskState) -> Option<News> {
        let label = self.label(task);
        let layer = self.layers.get_mut(task.layer as usize)?;
        self.notes.remove(&task);
        match state {
            TaskState::Running => None,
            TaskState::Paused { error } => {
                self.notes.insert(task, error.to_string());
                news(Tone::Warning, "again", format!("{label}: {error}"))
            }
            TaskState::Done => {
                layer.done += 1;
                news(Tone::Good, "ok", label)
            }
            TaskState::Failed { error } => {
                layer.failed += 1;
                news(Tone::Bad, "failed", format!("{label}: {error}"))
            }
            TaskState::Cancelled => news(Tone::Warning, "stopped", label),
        }
    }

    /// What a task does and where, for people.
    pub(crate) fn label(&self, task: TaskId) -> String {
        self.labels.get(&task).cloned().unwrap_or_else(|| format!("task {task}"))
    }

    /// What a layer does.
    pub(crate) fn layer_name(&self, layer: u32) -> &str {
        self.layers.get(layer as usize).map_or("", |layer| &layer.name)
    }

    /// The tree: at most `height` lines of at most `width` characters.
    pub(crate) fn tree(&self, screen: &Screen, now: Timestamp, width: usize, height: usize) -> String {
        let mut lines = self.lines(now);
        if lines.len() > height {
            lines.drain(..lines.len() - height);
        }
        let mut text = String::new();
        for (tone, line) in lines {
            let line: String = escaped(&line).chars().take(width).collect();
            text += &if tone == Tone::Plain { line.into() } else { screen.paint(tone, &line) };
            text.push('\n');
        }
        text
    }

    fn lines(&self, now: Timestamp) -> Vec<(Tone, String)> {
        let spinner = SPINNER[usize::try_from(now.0 / SPIN_MS).unwrap_or(0) % SPINNER.len()];
        let Some(current) = self.current else {
            return vec![(Tone::Busy, format!("{spinner} waiting for the executor"))];
        };
        let name_width = self.layers.iter().map(|layer| layer.name.chars().count()).max().unwrap_or(0);
        let line = |sign: &str, layer: &LayerProgress| {
            let took = layer.started.map(|at| Span(layer.ended.unwrap_or(now).since(at)).to_string());
            let LayerProgress { name, done, tasks, .. } = layer;
            format!("{sign} {name:name_width$}  {done}/{tasks}  {}", took.unwrap_or_default())
        };
        let mut lines = Vec::new();
        let folded = current.saturating_sub(FINISHED_SHOWN);
        if folded > 0 {
            lines.push((Tone::Faint, format!("✓ {} before", count(folded, "layer"))));
        }
        for layer in &self.layers[folded..current] {
            lines.push((Tone::Faint, line(if layer.failed > 0 { "!" } else { "✓" }, layer)));
        }
        let Some(running) = self.layers.get(current) else { return lines };
        lines.push((Tone::Busy, line(spinner, running)));
        for (task, note) in self.notes.iter().take(TASKS_SHOWN) {
            lines.push((Tone::Plain, format!("    {}: {note}", self.label(*task))));
        }
        if self.notes.len() > TASKS_SHOWN {
            let more = count(self.notes.len() - TASKS_SHOWN, "more task");
            lines.push((Tone::Faint, format!("    {more}")));
        }
        let left = self.layers.len() - current - 1;
        if self.cancelling {
            lines.push((Tone::Warning, "  cancelling: coming to a safe point".to_owned()));
        } else if left > 0 {
            lines.push((Tone::Faint, format!("  {} to go", count(left, "layer"))));
        }
        lines
    }
}

fn news(tone: Tone, label: &'static str, text: String) -> Option<News> {
    Some(News { tone, label, text })
}

/// What a task does and where, for people.
pub(crate) fn label(task: &Task) -> String {
    let work = work(task);
    match &task.node {
        Some(node) => format!("{node}: {work}"),
        None => work,
    }
}

/// What a task does, for people.
pub(crate) fn work(task: &Task) -> String {
    let work = task.work.to_string();
    let mut chars = work.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => work,
    }
}

#[cfg(test)]
mod tests;
