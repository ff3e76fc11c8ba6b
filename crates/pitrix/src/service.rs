//! What the commands of a job printed.

use crate::{
    carry_out::is_own,
    events::since,
    exit::Outcome,
    print::{Column, Item, column},
    screen::{Screen, log_lines},
    site::Site,
};
use engine::{EventFilter, EventKind, JobWork, TaskState};
use provider_core::Result;
use serde::Serialize;

/// Prints what the commands of a job printed since the event `after`, on each node.
///
/// # Errors
/// `Store`.
pub(crate) async fn print_output(site: &Site, screen: &Screen, work: &JobWork, after: u64) -> Outcome {
    let runs = runs(site, work, after).await?;
    if screen.is_for_people() {
        let named = runs.len() > 1;
        return runs.iter().try_for_each(|run| screen.data(&log_lines(&run.node, &run.output, named)));
    }
    screen.list(&runs, "")
}

/// Says what a provider's own steps printed that is to be shown.
///
/// # Errors
/// `Store`.
pub(crate) async fn say_output(site: &Site, screen: &Screen, work: &JobWork, after: u64) -> Outcome {
    if screen.is_for_people() && is_own(&work.plan) {
        for run in runs(site, work, after).await? {
            screen.talk(&log_lines(&run.node, &run.output, true));
        }
    }
    Ok(())
}

async fn runs(site: &Site, work: &JobWork, after: u64) -> Result<Vec<RunView>> {
    let filter = EventFilter { job: Some(work.info.id.clone()), cluster: None };
    let mut runs = Vec::new();
    for event in since(site, after, &filter).await? {
        if let EventKind::Task { task, state: TaskState::Done, output: Some(output), .. } = event.kind
            && let Some(task) = work.plan.task(task)
        {
            let step = || task.work.to_string().trim_start_matches("run ").to_owned();
            runs.push(RunView { node: task.node.as_ref().map_or_else(step, ToString::to_string), output });
        }
    }
    runs.sort_by(|a, b| a.node.cmp(&b.node));
    Ok(runs)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RunView {
    /// The node, or the step of what has no nodes of ours.
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
