//! Carries tasks out: makes the calls of a step, and looks how far it is.

use super::{check::WAIT_LABEL, explain, logs, step::Step};
use crate::{
    api::{ObjectRef, Seen, Shelf},
    calls::{
        ApplyDefinition, ApplyObject, Change, ChangeRunning, ClaimRelease, DeleteObject, PurgeRelease,
        RunHook, TakeFields, UpdateRelease,
    },
    release::ReleaseStatus,
    render::HookEvent,
    session::Session,
    status::{Readiness, readiness},
};
use provider_core::{
    Error, ErrorKind, Fact, Handle, InstanceReady, Look, NodeStatus, Progress, ResourceId, Result, Retry,
    Started, Task, TaskContext,
};
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// How long one look waits for something to change.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long before its deadline a wait gives up, so that there is time to write down that the release failed.
const MARGIN: Duration = Duration::from_secs(5);
/// The call of every step.
const WORK: u32 = 0;
/// The call that writes down that a release has failed.
const FAILED: u32 = 8;
/// The call that deletes the object of a hook that has failed.
const CLEAR: u32 = 9;

/// Starts a step.
///
/// # Errors
/// As its calls; what ends a release is written down in it first.
pub(super) async fn start(session: &Arc<Session>, cx: &TaskContext, task: &Task) -> Result<Started<Fact>> {
    let done = Ok(Started::Done(Fact::Done));
    match Step::of(task)? {
        Step::Claim { release, revision, basis, digest, unfinished } => {
            let call = ClaimRelease { release, revision, basis, digest, unfinished };
            cx.call(WORK, session, call).await.and(done)
        }
        Step::Define { object } => cx.call(WORK, session, ApplyDefinition { object }).await.and(done),
        Step::TakeFields { object } => cx.call(WORK, session, TakeFields { object }).await.and(done),
        Step::ClearHook { release, object } => {
            cx.call(WORK, session, DeleteObject { release, object, hook: true }).await?;
            done
        }
        Step::Apply { release, revision, object, create, force } => {
            let call = ApplyObject { release: release.clone(), revision, object, create, force };
            let applied = cx.call(WORK, session, call).await;
            match applied {
                Err(error) => Err(fail(session, cx, &release, revision, error).await),
                Ok(()) => done,
            }
        }
        Step::Hook {
            release,
            revision,
            index,
            event,
            object,
            delete_failed,
            shows_success,
            shows_failure,
        } => {
            // A release is what it was, whatever its tests say.
            let is_test = event == HookEvent::Test;
            let call = RunHook { release: release.clone(), revision, index, object: object.clone() };
            // The watch is open before: a hook may end and be gone at once.
            seen(session, cx, &object).await?;
            match cx.call(WORK, session, call).await {
                Err(error) if is_test => return Err(error),
                Err(error) => return Err(fail(session, cx, &release, revision, error).await),
                Ok(()) => {}
            }
            match judge(session, cx, &object, true).await? {
                Verdict::Ready => Ok(Started::Done(logs::done(session, &object, shows_success).await)),
                Verdict::Waiting => Ok(Started::Pending(handle(&object))),
                Verdict::Over(mut error) => {
                    if shows_failure {
                        let printed = logs::printed(session, &object).await;
                        error = if printed.is_empty() { error } else { error.because(printed) };
                    }
                    if !is_test {
                        error = fail(session, cx, &release, revision, error).await;
                    }
                    if delete_failed {
                        cx.call(CLEAR, session, DeleteObject { release, object, hook: true }).await?;
                    }
                    // The next run of the job runs the hook again.
                    cx.reopen().await?;
                    Err(error)
                }
            }
        }
        Step::Await { of, object } => match judge(session, cx, &object, false).await? {
            Verdict::Ready => Ok(Started::Done(ready(task, &object))),
            Verdict::Waiting => Ok(Started::Pending(handle(&object))),
            Verdict::Over(error) => match of {
                Some((release, revision)) => Err(fail(session, cx, &release, revision, error).await),
                None => Err(error),
            },
        },
        Step::Remove { release, object } => {
            let call = DeleteObject { release, object: object.clone(), hook: false };
            let deleted = cx.call(WORK, session, call).await?;
            if deleted.gone || deleted.stays.is_some() {
                return Ok(Started::Done(Fact::Node(NodeStatus::Deleted)));
            }
            Ok(Started::Pending(handle(&object)))
        }
        Step::Running { object, change, replicas } => {
            cx.call(WORK, session, ChangeRunning { object: object.clone(), change, replicas }).await?;
            match change {
                Change::Stop => Ok(Started::Pending(handle(&object))),
                _ => done,
            }
        }
        Step::Record { release, revision, status, description, ran, superseded, forgotten } => {
            let call = UpdateRelease { release, revision, status, description, ran, superseded, forgotten };
            cx.call(WORK, session, call).await.and(done)
        }
        Step::Forget { release, revisions } => {
            cx.call(WORK, session, PurgeRelease { release, revisions }).await.and(done)
        }
    }
}

/// Looks once how far a step is.
///
/// # Errors
/// When it will not come to be; the step then starts again, to write that down.
pub(super) async fn look(session: &Arc<Session>, cx: &Look, task: &Task) -> Result<Progress<Fact>> {
    match Step::of(task)? {
        Step::Hook { object, shows_success, .. } => {
            match wait(session, cx, &object, true, || Fact::Done).await? {
                Progress::Done(_) => Ok(Progress::Done(logs::done(session, &object, shows_success).await)),
                other => Ok(other),
            }
        }
        Step::Await { object, .. } => wait(session, cx, &object, false, || ready(task, &object)).await,
        Step::Remove { object, .. } => {
            let is_gone = |seen: &Seen| matches!(seen, Seen::Absent);
            until(session, cx, &object, is_gone, "it is being deleted", NodeStatus::Deleted).await
        }
        Step::Running { object, change: Change::Stop, .. } => {
            let is_stopped = |seen: &Seen| match seen {
                Seen::Absent => true,
                Seen::Unknown => false,
                Seen::Found(live) => {
                    live.pointer("/status/replicas").and_then(Value::as_u64).unwrap_or(0) == 0
                        && !matches!(live.pointer("/spec/replicas").and_then(Value::as_u64), Some(1..))
                }
            };
            until(session, cx, &object, is_stopped, "its pods are going", NodeStatus::Stopped).await
        }
        other => Err(Error::bug(format!("there is nothing to wait for in {other:?}"))),
    }
}

fn handle(object: &ObjectRef) -> Handle {
    Handle { resource: ResourceId::new(object.path()), cloud_job: None }
}

fn ready(task: &Task, object: &ObjectRef) -> Fact {
    match task.node {
        Some(_) => Fact::Instance(InstanceReady {
            id: ResourceId::new(object.path()),
            private_ip: String::new(),
            public_ip: None,
            agent: None,
        }),
        None => Fact::Done,
    }
}

/// Writes down in a release that it has failed, unless the error is one that is tried again. Where that can't be written
/// down for now, the step is tried again: a release must not look as if somebody were still at work on it.
async fn fail(session: &Arc<Session>, cx: &TaskContext, release: &str, revision: u32, error: Error) -> Error {
    if error.retry() != Retry::Never || matches!(error.kind(), ErrorKind::Fenced | ErrorKind::Store) {
        return error;
    }
    let call = UpdateRelease {
        release: release.to_owned(),
        revision,
        status: ReleaseStatus::Failed,
        description: error.to_string(),
        ran: Vec::new(),
        superseded: Vec::new(),
        forgotten: Vec::new(),
    };
    match cx.call(FAILED, session, call).await {
        Err(other) if other.retry() != Retry::Never || other.kind() == ErrorKind::Fenced => other,
        _ => error,
    }
}

enum Verdict {
    Ready,
    Waiting,
    Over(Error),
}

/// What to make of an object when its step starts, or starts again.
async fn judge(
    session: &Arc<Session>,
    cx: &Look,
    object: &ObjectRef,
    to_completion: bool,
) -> Result<Verdict> {
    let seen = seen_to_its_end(session, cx, object, to_completion).await?;
    Ok(match state(&seen, to_completion) {
        Readiness::Ready => Verdict::Ready,
        Readiness::Waiting(why) if is_late(cx) => {
            let message = message(session, object, &seen, &format!("is not ready in time: {why}")).await;
            Verdict::Over(Error::timed_out(message).hint(format!(
                "`pitrix job retry` goes on waiting; the runtime's label `{WAIT_LABEL}` says how long later jobs wait"
            )))
        }
        Readiness::Waiting(_) => Verdict::Waiting,
        Readiness::Failed(why) => {
            Verdict::Over(Error::failed(message(session, object, &seen, &format!("failed: {why}")).await))
        }
    })
}

fn is_late(cx: &Look) -> bool {
    cx.deadline.is_some_and(|deadline| cx.clock.now().after(MARGIN) >= deadline)
}

async fn message(session: &Session, object: &ObjectRef, seen: &Seen, what: &str) -> String {
    let live = match seen {
        Seen::Found(live) => Some(live.as_ref()),
        _ => None,
    };
    let reasons = explain::reasons(session, object, live).await;
    let because = reasons.iter().filter(|reason| !what.contains(reason.as_str()));
    let mut parts = vec![format!("{object} {what}")];
    parts.extend(because.cloned());
    parts.join("; ")
}

fn state(seen: &Seen, to_completion: bool) -> Readiness {
    match seen {
        Seen::Unknown => Readiness::Waiting("it has not been looked at".into()),
        Seen::Absent => Readiness::Waiting("it is not there".into()),
        Seen::Found(live) => readiness(live, to_completion),
    }
}

fn shelf(session: &Session, cx: &Look, object: &ObjectRef) -> Arc<Shelf> {
    let namespace = object.namespace.as_deref();
    session.watches().shelf(session.api(), &object.resource, namespace, cx.clock.now())
}

/// An object as its watch knows it, but never older than what this process has applied.
async fn seen(session: &Session, cx: &Look, object: &ObjectRef) -> Result<Seen> {
    let shelf = shelf(session, cx, object);
    tokio::select! {
        () = shelf.complete() => {}
        () = cx.clock.sleep(PATIENCE) => {}
    }
    Ok(match shelf.get(&object.name)? {
        Seen::Found(live) if session.is_older(&object.path(), &live) => Seen::Unknown,
        seen => seen,
    })
}

/// As [`seen`]; where an end is waited for, what has ended and is gone by now is as it was at its end.
async fn seen_to_its_end(
    session: &Session,
    cx: &Look,
    object: &ObjectRef,
    to_completion: bool,
) -> Result<Seen> {
    let seen = seen(session, cx, object).await?;
    if !to_completion || !matches!(seen, Seen::Absent) {
        return Ok(seen);
    }
    let ended = |last: &Arc<Value>| {
        let is_of_a_run_before = session.is_older(&object.path(), last);
        !is_of_a_run_before && !matches!(readiness(last, true), Readiness::Waiting(_))
    };
    let last = shelf(session, cx, object).removed(&object.name).filter(ended);
    Ok(last.map_or(seen, Seen::Found))
}

async fn wait(
    session: &Arc<Session>,
    cx: &Look,
    object: &ObjectRef,
    to_completion: bool,
    fact: impl Fn() -> Fact,
) -> Result<Progress<Fact>> {
    let shelf = shelf(session, cx, object);
    let change = shelf.changed();
    let mut pending = String::new();
    tokio::pin!(change);
    for look in 0..2 {
        let seen = seen_to_its_end(session, cx, object, to_completion).await?;
        match state(&seen, to_completion) {
            Readiness::Ready => return Ok(Progress::Done(fact())),
            // The step starts again, and comes to the same finding.
            Readiness::Failed(why) => {
                return Err(Error::failed(format!("failed: {why}")).with_retry(Retry::Backoff));
            }
            Readiness::Waiting(why) if is_late(cx) => {
                return Err(Error::timed_out(format!("not ready in time: {why}")).with_retry(Retry::Backoff));
            }
            Readiness::Waiting(why) => pending = why,
        }
        if look == 0 {
            tokio::select! {
                () = &mut change => {}
                () = cx.clock.sleep(PATIENCE) => break,
            }
        }
    }
    Ok(Progress::Pending { why: pending, again: Duration::ZERO })
}

/// Waits until an object is seen in a state that means that its node is stopped or gone.
async fn until(
    session: &Arc<Session>,
    cx: &Look,
    object: &ObjectRef,
    is_done: impl Fn(&Seen) -> bool,
    why: &str,
    status: NodeStatus,
) -> Result<Progress<Fact>> {
    let shelf = shelf(session, cx, object);
    let change = shelf.changed();
    tokio::pin!(change);
    let now = seen(session, cx, object).await?;
    if is_done(&now) {
        return Ok(Progress::Done(Fact::Node(status)));
    }
    tokio::select! {
        () = &mut change => {}
        () = cx.clock.sleep(PATIENCE) => {}
    }
    let finalizers = match &now {
        Seen::Found(live) => live.pointer("/metadata/finalizers").and_then(Value::as_array).map(|all| {
            let names: Vec<_> = all.iter().filter_map(Value::as_str).collect();
            format!(", held by {}", names.join(", "))
        }),
        _ => None,
    };
    let held = finalizers.filter(|_| status == NodeStatus::Deleted).unwrap_or_default();
    Ok(Progress::Pending { why: format!("{why}{held}"), again: Duration::ZERO })
}
