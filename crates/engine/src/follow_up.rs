//! Makes jobs of what is to follow others.

use crate::{Accepted, Aim, Control, DueFollowUp, FollowUp, Request, Tenure, Terms};
use provider_core::{Action, ErrorKind, Result, Retry};
use serde_json::json;
use std::time::Duration;

/// How long to wait for a provider that can't be asked now, and how often at most.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(15), Duration::from_secs(40)];

/// Plans what is to follow and has it accepted. When the cluster has changed meanwhile, or somebody else is at
/// work on it, it stays due.
///
/// # Errors
/// `Fenced`, `Store`. Whatever else stands in the way is an event of the job that it was to follow.
pub(crate) async fn accept(control: &Control, tenure: &Tenure, due: &DueFollowUp) -> Result<()> {
    let mut pauses = PAUSES.into_iter();
    loop {
        let error = match try_to_accept(control, tenure, due).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        match error.kind() {
            ErrorKind::Fenced | ErrorKind::Store => return Err(error),
            // A job of somebody else came first. It is waited for.
            ErrorKind::Conflict if still_waits(control, due).await? => return Ok(()),
            _ if error.retry() == Retry::Backoff => match pauses.next() {
                Some(pause) => control.clock.sleep(pause).await,
                None => return tenure.drop_follow_up(due, Some(error)).await,
            },
            _ => return tenure.drop_follow_up(due, Some(error)).await,
        }
    }
}

async fn try_to_accept(control: &Control, tenure: &Tenure, due: &DueFollowUp) -> Result<()> {
    let cluster = due.cluster.clone();
    let request = match due.why {
        FollowUp::Undo => {
            let action = Action::RollbackCluster { revision: None };
            Request::Act { cluster, action, conf: json!({}) }
        }
        FollowUp::Tell => Request::Reconfigure { cluster, conf: json!({}), aim: Aim::Env },
    };
    let mut planned = control.plan(&request).await?;
    if planned.does_nothing() {
        return tenure.drop_follow_up(due, None).await;
    }
    match tenure.accept_follow_up(due, planned.submission(Terms::default())).await? {
        Accepted::Job(_) | Accepted::Stale => Ok(()),
    }
}

async fn still_waits(control: &Control, due: &DueFollowUp) -> Result<bool> {
    let all = control.store.follow_ups(Some(&due.job)).await?;
    Ok(all.iter().any(|other| other.number() == due.number() && other.waits))
}
