//! How a job is shown.

use crate::{
    print::{Column, Item, column, wide},
    progress::{label, work},
    screen::{Screen, Span},
    shapes::{ErrorView, LayerView, moment},
};
use engine::{CallCount, CallState, JobInfo, TaskRow, TaskState, Terms};
use provider_core::{Plan, Policy, TaskId, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;

/// A job, as JSON shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobView {
    id: String,
    cluster: String,
    cluster_id: String,
    action: &'static str,
    state: &'static str,
    run: u32,
    created: String,
    ended: Option<String>,
    /// How many calls the ledger has of it.
    calls: u64,
    calls_by_name: BTreeMap<String, BTreeMap<&'static str, u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_doubt: Option<usize>,
    /// What a failure does.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_failure: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layers: Option<Vec<LayerView<TaskView>>>,
    #[serde(skip)]
    age: Span,
    #[serde(skip)]
    took: Span,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TaskView {
    id: String,
    node: Option<String>,
    work: String,
    state: &'static str,
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorView>,
    #[serde(skip)]
    label: String,
    #[serde(skip)]
    took: Option<Span>,
}

impl JobView {
    pub(crate) fn new(info: &JobInfo, calls: &[CallCount], now: Timestamp) -> Self {
        let mut by_name: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for call in calls {
            by_name.entry(call.name.clone()).or_default().insert(call_state(call.state), call.count);
        }
        Self {
            id: info.id.to_string(),
            cluster: info.cluster_name.clone(),
            cluster_id: info.cluster.to_string(),
            action: info.action.verb(),
            state: info.state.as_str(),
            run: info.run,
            created: moment(info.created),
            ended: info.ended.map(moment),
            calls: calls.iter().map(|call| call.count).sum(),
            calls_by_name: by_name,
            error: info.error.as_ref().map(ErrorView::new),
            in_doubt: None,
            on_failure: None,
            layers: None,
            age: Span(now.since(info.created)),
            took: Span(info.ended.unwrap_or(now).since(info.created)),
        }
    }

    /// The same, with its terms and every task of its plan.
    pub(crate) fn with_tasks(mut self, terms: Terms, plan: &Plan, rows: &[TaskRow], in_doubt: usize) -> Self {
        let rows: BTreeMap<TaskId, &TaskRow> = rows.iter().map(|row| (row.id, row)).collect();
        let layers = plan.layers.iter().zip(0..).map(|(layer, number)| {
            let tasks = layer.tasks.iter().zip(0..).map(|(task, index)| {
                let id = TaskId { layer: number, index };
                let row = rows.get(&id);
                TaskView {
                    id: id.to_string(),
                    node: task.node.as_ref().map(ToString::to_string),
                    work: work(task),
                    state: row.map_or("pending", |row| task_state(&row.state)),
                    attempt: row.map_or(0, |row| row.attempt),
                    started: row.map(|row| moment(row.started)),
                    ended: row.and_then(|row| row.ended).map(moment),
                    error: row.and_then(|row| match &row.state {
                        TaskState::Paused { error } | TaskState::Failed { error } => {
                            Some(ErrorView::new(error))
                        }
                        _ => None,
                    }),
                    label: label(task),
                    took: row.and_then(|row| Some(Span(row.ended?.since(row.started)))),
                }
            });
            LayerView { name: layer.name.clone(), tasks: tasks.collect() }
        });
        self.layers = Some(layers.collect());
        self.in_doubt = Some(in_doubt);
        self.on_failure = Some(on_failure(terms));
        self
    }

    /// What people see.
    pub(crate) fn sheet(&self, screen: &Screen) -> String {
        let calls = self.calls_by_name.iter().map(|(name, states)| {
            let states: Vec<_> = states.iter().map(|(state, n)| format!("{n} {state}")).collect();
            format!("{name} {}", states.join(", "))
        });
        let in_doubt = self.in_doubt.filter(|n| *n > 0).map(|n| n.to_string()).unwrap_or_default();
        let error = self.error.as_ref();
        let mut text = screen.pairs(&[
            ("job", self.id.clone()),
            ("does", format!("{} {}", self.action, self.cluster)),
            ("state", self.state.to_owned()),
            ("run", self.run.to_string()),
            ("created", self.created.clone()),
            ("took", self.took.to_string()),
            ("error", error.map(ErrorView::why).unwrap_or_default()),
            ("calls", calls.collect::<Vec<_>>().join("; ")),
            ("in doubt", in_doubt),
            ("on failure", self.on_failure.clone().unwrap_or_default()),
        ]);
        let titles = ["LAYER", "TASK", "STATE", "ATTEMPT", "TOOK", "WHY"];
        let layers = self.layers.iter().flatten();
        // A layer's name stands at its first task only.
        let rows = layers.flat_map(|layer| {
            let names = std::iter::once(layer.name.as_str()).chain(std::iter::repeat(" "));
            layer.tasks.iter().zip(names).map(|(task, name)| task.row(name))
        });
        text.push('\n');
        text + &screen.aligned(&titles, &rows.collect::<Vec<_>>())
    }
}

impl Item for JobView {
    const KIND: &'static str = "Job";
    const COLUMNS: &'static [Column] = &[
        column("JOB"),
        column("CLUSTER"),
        column("ACTION"),
        column("STATE"),
        column("AGE"),
        column("TOOK"),
        wide("RUN"),
        wide("CALLS"),
        wide("CREATED"),
        column("REASON"),
    ];

    fn name(&self) -> String {
        self.id.clone()
    }

    fn row(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.cluster.clone(),
            self.action.to_owned(),
            self.state.to_owned(),
            self.age.to_string(),
            self.took.to_string(),
            self.run.to_string(),
            self.calls.to_string(),
            self.created.clone(),
            self.error.as_ref().map(ErrorView::why).unwrap_or_default(),
        ]
    }
}

impl TaskView {
    fn row(&self, layer: &str) -> Vec<String> {
        let attempt = if self.attempt == 0 { String::new() } else { self.attempt.to_string() };
        vec![
            layer.to_owned(),
            self.label.clone(),
            self.state.to_owned(),
            attempt,
            self.took.map(|took| took.to_string()).unwrap_or_default(),
            self.error.as_ref().map(ErrorView::why).unwrap_or_default(),
        ]
    }
}

/// As it is given on the command line, and what comes after.
fn on_failure(terms: Terms) -> String {
    let mut text = match terms.policy {
        Policy::All => "stop".to_owned(),
        Policy::KeepGoing => "go-on".to_owned(),
        Policy::AtLeast(nodes) => format!("at-least={nodes}"),
    };
    if terms.undo {
        text += ", then roll back";
    }
    text
}

fn task_state(state: &TaskState) -> &'static str {
    match state {
        TaskState::Running => "running",
        TaskState::Paused { .. } => "paused",
        TaskState::Done => "done",
        TaskState::Failed { .. } => "failed",
        TaskState::Cancelled => "cancelled",
    }
}

fn call_state(state: CallState) -> &'static str {
    match state {
        CallState::Intent => "intent",
        CallState::Applied => "applied",
        CallState::Refused => "refused",
        CallState::Reopened => "reopened",
    }
}
