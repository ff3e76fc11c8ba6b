//! What the commands of a `run` printed.

use crate::{
    events::since,
    exit::Outcome,
    print::{Column, Item, column},
    screen::{Screen, log_lines},
    site::Site,
};
use engine::{EventFilter, EventKind, JobWork, TaskState};
use serde::Serialize;

/// Prints what the commands of a job printed since the event `after`, on each node.
///
/// # Errors
/// `Store`.
pub(crate) async fn print_output(site: &Site, screen: &Screen, work: &JobWork, after: u64) -> Outcome {
    let filter = EventFilter { job: Some(work.info.id.clone()), cluster: None };
    let mut runs = Vec::new();
    for event in since(site, after, &filter).await? {
        if let EventKind::Task { task, state: TaskState::Done, output: Some(output), .. } = event.kind
            && let Some(node) = work.plan.task(task).and_then(|task| task.node.as_ref())
        {
            runs.push(RunView { node: node.to_string(), output });
        }
    }
    runs.sort_by(|a, b| a.node.cmp(&b.node));
    if screen.is_for_people() {
        let named = runs.len() > 1;
        return runs.iter().try_for_each(|run| screen.data(&log_lines(&run.node, &run.output, named)));
    }
    screen.list(&runs, "")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RunView {
    node: String,
    /// The end of what its command printed.
    output: String,
}

impl Item for RunView {
    const KIND: &'static str = "ServiceRun";
    const COLUMNS: &'static [Column] = &[column("NODE"), column("OUTPUT")];

    fn name(&self) -> String {
        self.node.clone()
    }

    fn row(&self) -> Vec<String> {
        vec![self.node.clone(), self.output.clone()]
    }
}
