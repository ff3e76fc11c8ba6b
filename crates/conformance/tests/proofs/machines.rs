//! A machine that vanishes in the middle of any action: nobody waits for it, and everything comes back or goes.

use crate::scenarios::{look, run, world};
use conformance::{
    World, act,
    crash::{CASES, Case, Trial},
};
use engine::{Control, JobInfo, Request};
use provider_core::{Action, Clock, ClusterStatus, ErrorKind, JobState, Result};
use std::{thread, time::Duration};
use tokio::sync::Notify;

const DELETE: Action = Action::DeleteClusters { keep_volumes: false, force: false, keep_history: false };

/// Longer than anything takes that does not wait for an answer that can't come.
const PATIENCE: Duration = Duration::from_secs(240);

/// How many boundaries of an action lie between two places where the machine vanishes.
const STEP: usize = 16;

#[test]
fn a_machine_that_vanishes_is_not_waited_for_and_comes_back_or_goes() {
    let is_smooth =
        |name: &str| !name.contains("requests") && !name.contains("undone") && !name.starts_with("recover");
    thread::scope(|scope| {
        for case in CASES.iter().filter(|case| is_smooth(case.name)) {
            scope.spawn(|| lose_in_its_middle(case));
        }
    });
}

fn lose_in_its_middle(case: &Case) {
    let boundaries = Trial::new(case).expect("the case can begin").boundaries().len();
    let base = world();
    for request in (case.before)() {
        run(&base, &request, JobState::Succeeded);
    }
    let request = (case.request)();
    for at in (STEP / 2..boundaries).step_by(STEP) {
        let world = base.copy().expect("a world can be copied");
        let cloud = world.cloud.clone();
        world.crash.harm(at, move || {
            let all = cloud.instances();
            all.iter().filter(|it| it.tags.name == "db-1").for_each(|it| cloud.vanish(&it.id));
        });
        look(&world, async |control| {
            let begin = world.clock.now();
            let job = control.submit(&request).await?.job;
            world.execute(control, &Notify::new()).await?;
            let took = world.clock.now().since(begin);
            let job = control.store.job(&job).await?;
            let when = format!("{}, boundary {at}: {job:?}", case.name);
            assert!(took < PATIENCE, "it took {took:?}: {when}");
            assert!(job.state == JobState::Succeeded || says_what_to_do(&job), "{when}");
            assert!(bring_back(&world, control, &request).await?, "it does not work: {when}");
            complete(&world, control, &act("c", DELETE)).await
        });
        assert!(world.cloud.instances().is_empty() && world.cloud.volumes().is_empty(), "{}", case.name);
    }
}

fn says_what_to_do(job: &JobInfo) -> bool {
    let hint = job.error.as_ref().and_then(|error| error.hint_text()).unwrap_or_default();
    ["recover", "start", "anew"].iter().any(|way| hint.contains(way))
}

/// Does what a person does about it: repairs, asks once more and repairs what that left. Tells whether all that
/// should work does.
async fn bring_back(world: &World, control: &Control, request: &Request) -> Result<bool> {
    let is_removal =
        matches!(request, Request::Act { action: Action::DeleteClusters { .. } | Action::CeaseClusters, .. });
    let is_new = matches!(request, Request::Create { .. });
    repair(world, control).await?;
    if !is_new {
        complete(world, control, request).await?;
    }
    if !is_removal {
        repair(world, control).await?;
    }
    let Ok(cluster) = control.cluster("c").await else { return Ok(true) };
    let recover = control.plan(&act("c", Action::RecoverClusters)).await?;
    Ok(cluster.status == ClusterStatus::Active && recover.plan.is_empty())
}

async fn repair(world: &World, control: &Control) -> Result<()> {
    let action = match control.cluster("c").await.map(|cluster| cluster.status) {
        Ok(ClusterStatus::Active) => Action::RecoverClusters,
        Ok(_) => Action::StartClusters,
        Err(_) => return Ok(()),
    };
    complete(world, control, &act("c", action)).await
}

/// Has it carried out unless there is nothing left to do.
async fn complete(world: &World, control: &Control, request: &Request) -> Result<()> {
    let job = match control.submit(request).await {
        Ok(submitted) => submitted.job,
        Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => return Ok(()),
        Err(error) => return Err(error),
    };
    world.execute(control, &Notify::new()).await?;
    let job = control.store.job(&job).await?;
    assert_eq!(job.state, JobState::Succeeded, "{job:?}");
    Ok(())
}
