//! `cargo xtask kube sweep DIR`: each chart with the real helm and with Pitrix, on a cluster each, side by side: installed,
//! upgraded, rolled back and deleted, with the objects compared after every step, and what Pitrix did read by helm. In
//! between Pitrix scales the chart to zero and back. They take turns, so that neither waits for the other's machine; on
//! clusters of their own nothing that belongs to a whole cluster collides.

mod cases;
mod objects;
mod table;
mod tools;
mod world;

use super::{Cluster, NotHere, Programs, one_more_cluster, prepare};
use crate::{Options, Result, command::Cmd, workspace::Workspace};
use cases::{Case, Charts};
use objects::Snapshot;
use std::path::{Path, PathBuf};
use std::time::Instant;
use table::{Outcome, Row};
use tools::{Step, Tool, Work};
use world::World;

/// What a stop says of a chart that has something that can't be scaled.
const REFUSAL: &str = "can't be scaled to zero";

/// How many differences of a chart are shown.
const SHOWN: usize = 12;

pub(super) fn run(mut options: Options) -> Result<()> {
    let every = options.take_value("--every")?.map_or(Ok(1), |every| every.parse::<usize>());
    let every = every.ok().filter(|every| *every > 0).ok_or("`--every` wants a number from 1 on")?;
    let only = options.take_value("--only")?;
    let table = options.take_value("--table")?.map(PathBuf::from);
    let program = options.take_value("--pitrix")?.map(PathBuf::from);
    let calibrate = options.take_flag("--calibrate");
    let dir = options.take_name().ok_or("a sweep wants a directory of charts")?;
    options.finish()?;
    let absolute = |path: PathBuf| {
        std::path::absolute(&path).map_err(|error| format!("cannot use `{}`: {error}", path.display()))
    };
    let dir = absolute(dir.into())?;
    let table = table.map(absolute).transpose()?;
    let program = program.map(absolute).transpose()?;

    let workspace = Workspace::enter()?;
    let cases = cases::find(&dir, every, only.as_deref())?;
    let programs = prepare(&workspace).map_err(|NotHere(why)| why)?;
    let ours = if calibrate {
        println!("calibration: helm on both sides, to see what the comparison finds by itself");
        Tool::Helm
    } else {
        Tool::Pitrix(program.map_or_else(|| build(&workspace), Ok)?)
    };
    let table = table.unwrap_or_else(|| workspace.target.join("kube/sweep.md"));
    sweep(&workspace, &programs, &ours, &cases, &table)
}

/// A dozen of the charts in `dir`, with the Pitrix at `program`.
pub(crate) fn dozen(workspace: &Workspace, programs: &Programs, dir: &Path, program: PathBuf) -> Result<()> {
    let all = cases::find(dir, 1, None)?.len();
    let cases = cases::find(dir, all.div_ceil(12), None)?;
    sweep(workspace, programs, &Tool::Pitrix(program), &cases, &workspace.target.join("kube/sweep.md"))
}

/// Pitrix as users have it.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let features = ["--no-default-features", "--features", "kubernetes"];
    Cmd::cargo(&[&["build", "--release", "--package", "pitrix"][..], &features].concat()).run()?;
    Ok(workspace.target.join("release/pitrix"))
}

fn sweep(
    workspace: &Workspace,
    programs: &Programs,
    ours: &Tool,
    cases: &[Case],
    table: &Path,
) -> Result<()> {
    let [helm_cluster, our_cluster] =
        [".helm", ".pitrix"].map(|name| one_more_cluster(workspace, programs, name));
    let (helm_cluster, our_cluster) = (helm_cluster?, our_cluster?);
    let home = our_cluster.own.dir.join("sweep");
    let mut sweep = Sweep {
        helm: Side::new(Tool::Helm, &helm_cluster, programs, "helm", &home)?,
        ours: Side::new(ours.clone(), &our_cluster, programs, "pitrix", &home)?,
        charts: home.join("charts"),
    };
    let mut rows = Vec::new();
    for case in cases {
        let row = sweep.chart(case)?;
        let verdict = match (&row.helm.error, &row.ours.error) {
            (None, None) if row.is_same => "same".to_owned(),
            _ => row.remark.clone(),
        };
        println!(
            "{:>4}/{} {}: helm {:.1} s, ours {:.1} s: {verdict}",
            rows.len() + 1,
            cases.len(),
            row.chart,
            row.helm.seconds,
            row.ours.seconds
        );
        rows.push(row);
        // After each chart: a sweep is long, and whoever breaks it off has what there is.
        std::fs::write(table, table::markdown(&rows))
            .map_err(|error| format!("cannot write `{}`: {error}", table.display()))?;
    }
    println!("the table is in `{}`", table.display());
    println!("{}", table::summary(&rows));
    let worse = rows.iter().filter(|row| row.helm.error.is_none() && !row.is_same).count();
    if worse == 0 { Ok(()) } else { Err(format!("{worse} charts are not the same")) }
}

/// A program with the cluster that it works on.
struct Side<'a> {
    tool: Tool,
    programs: &'a Programs,
    world: World<'a>,
    home: PathBuf,
}

impl<'a> Side<'a> {
    fn new(
        tool: Tool,
        cluster: &Cluster,
        programs: &'a Programs,
        user: &'static str,
        home: &Path,
    ) -> Result<Self> {
        Ok(Self { tool, programs, world: World::new(cluster, programs, user)?, home: home.join(user) })
    }

    /// The whole life of a chart, up to the first step that fails. Nothing is left of it afterwards.
    fn life(&mut self, case: &Case, charts: &Charts) -> Result<Vec<Done>> {
        self.world.begin(case)?;
        let kubeconfig = self.world.kubeconfig.clone();
        let home = self.home.clone();
        let mut work =
            Work { case, charts, programs: self.programs, kubeconfig: &kubeconfig, home, apps: Vec::new() };
        let mut life = Vec::new();
        let prepared = self.tool.prepare(&mut work);
        let mut is_stopped = false;
        for step in Step::ALL {
            let Some(command) = self.tool.command(step, &work) else { continue };
            if step == Step::Start && !is_stopped {
                continue;
            }
            let done = self.step(step, command, &work, prepared.as_ref().err())?;
            let error = done.outcome.error.as_deref();
            is_stopped = step == Step::Stop && error.is_none();
            if step == Step::Stop && error.is_some_and(|error| error.contains(REFUSAL)) {
                continue;
            }
            let failed = error.is_some();
            life.push(done);
            if failed {
                break;
            }
        }
        self.tool.end(&work)?;
        self.world.end(case)?;
        Ok(life)
    }

    fn step(
        &mut self,
        step: Step,
        command: Cmd,
        work: &Work<'_>,
        unprepared: Option<&String>,
    ) -> Result<Done> {
        self.world.requests()?;
        let started = Instant::now();
        let said = match unprepared {
            Some(error) => Err(error.clone()),
            None => command.attempt()?,
        };
        let seconds = started.elapsed().as_secs_f64();
        let mut outcome = Outcome {
            error: said.err().map(|said| {
                let place = self.home.parent().unwrap_or(&self.home).to_string_lossy();
                tools::cause(&said.replace(&*place, "…"))
            }),
            seconds,
            requests: self.world.requests()?,
        };
        if outcome.error.is_none() {
            outcome.error = self.tool.read_by_helm(step, work)?;
        }
        Ok(Done { step, outcome, objects: self.world.look(work.case)? })
    }
}

/// A step, and what there was after it.
#[derive(Debug)]
struct Done {
    step: Step,
    outcome: Outcome,
    objects: Snapshot,
}

struct Sweep<'a> {
    helm: Side<'a>,
    ours: Side<'a>,
    charts: PathBuf,
}

impl Sweep<'_> {
    fn chart(&mut self, case: &Case) -> Result<Row> {
        let charts = case.unpack(&self.charts)?;
        let helm = self.helm.life(case, &charts)?;
        let ours = self.ours.life(case, &charts)?;
        let mut differences = differences(&helm, &ours, None);
        if helm[0].outcome.error.is_none() && !differences.is_empty() {
            // Passwords and certificates: helm would not make the same twice either.
            let again = self.helm.life(case, &charts)?;
            differences = self::differences(&helm, &ours, Some(&again));
        }
        differences.extend(scaling(&ours));
        for difference in differences.iter().take(SHOWN) {
            println!("     {difference}");
        }
        Ok(Row {
            chart: case.name.clone(),
            is_same: differences.is_empty(),
            remark: remark(&helm, &ours, &differences),
            helm: helm[0].outcome.clone(),
            ours: ours[0].outcome.clone(),
        })
    }
}

/// What is not the same after a step that helm carried out.
fn differences(helm: &[Done], ours: &[Done], again: Option<&[Done]>) -> Vec<String> {
    let mut all = Vec::new();
    for theirs in helm.iter().filter(|done| done.outcome.error.is_none()) {
        let step = theirs.step.name();
        match after(ours, theirs.step) {
            None => break,
            Some(Done { outcome: Outcome { error: Some(error), .. }, .. }) => {
                all.push(format!("{step} failed: {error}"));
            }
            Some(ours) => {
                let noise = again.and_then(|again| after(again, theirs.step)).map(|done| &done.objects);
                let differences = theirs.objects.differences(&ours.objects, noise);
                all.extend(differences.into_iter().map(|difference| format!("after {step}: {difference}")));
            }
        }
    }
    all
}

fn after(life: &[Done], step: Step) -> Option<&Done> {
    life.iter().find(|done| done.step == step)
}

/// What was not scaled to zero by a stop, and what is not as before after a start.
fn scaling(life: &[Done]) -> Vec<String> {
    let mut all = Vec::new();
    for done in [Step::Stop, Step::Start].into_iter().filter_map(|step| after(life, step)) {
        let step = done.step.name();
        if let Some(error) = &done.outcome.error {
            all.push(format!("{step} failed: {error}"));
        } else if done.step == Step::Stop {
            let is_scaled =
                |key: &str| ["Deployment.", "StatefulSet."].iter().any(|kind| key.starts_with(kind));
            let objects = done.objects.0.iter().filter(|(key, _)| is_scaled(key));
            let running = objects.filter(|(_, object)| object["spec"]["replicas"].as_u64() > Some(0));
            all.extend(running.map(|(key, _)| format!("after {step}: {key} has replicas")));
        } else if let Some(before) = after(life, Step::Rollback) {
            // Each change of scale is a generation.
            let differences = before.objects.differences(&done.objects, None).into_iter();
            let differences = differences.filter(|line| !line.contains(" metadata generation: "));
            all.extend(differences.map(|difference| format!("after {step}: {difference}")));
        }
    }
    all
}

/// What a reader wants to know of a chart that is not simply the same.
fn remark(helm: &[Done], ours: &[Done], differences: &[String]) -> String {
    let failure = |life: &[Done]| {
        let done = life.last()?;
        Some((done.step, done.outcome.error.clone()?, done.objects.0.len()))
    };
    let mut remarks = Vec::new();
    if let Some((step, error, _)) = failure(helm) {
        remarks.push(format!("helm's {} failed: {error}", step.name()));
    }
    match failure(ours) {
        Some((Step::Install, error, 0)) => remarks.push(format!("ours changed nothing: {error}")),
        Some((step, error, left)) => {
            remarks.push(format!("our {} failed with {left} objects: {error}", step.name()));
        }
        None => {}
    }
    let others: Vec<_> = differences.iter().filter(|line| line.starts_with("after ")).collect();
    if let [first, rest @ ..] = others.as_slice() {
        let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
        remarks.push(format!("{first}{more}"));
    }
    remarks.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn done(step: Step, error: Option<&str>, objects: &[(&str, i32)]) -> Done {
        let objects = objects.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        let error = error.map(str::to_owned);
        Done { step, outcome: Outcome { error, seconds: 1.0, requests: None }, objects: Snapshot(objects) }
    }

    #[test]
    fn a_chart_is_scaled_to_zero_and_back() {
        let with = |step, replicas: u32| {
            let deployment = json!({"spec": {"replicas": replicas}});
            let objects = BTreeMap::from([("Deployment.apps/web@n".to_owned(), deployment)]);
            Done { objects: Snapshot(objects), ..done(step, None, &[]) }
        };
        let check = |life: &[Done], expected: &[&str]| assert_eq!(scaling(life), expected);
        check(&[with(Step::Rollback, 2), with(Step::Delete, 0)], &[]);
        check(&[with(Step::Rollback, 2), with(Step::Stop, 0), with(Step::Start, 2)], &[]);
        check(
            &[with(Step::Rollback, 2), with(Step::Stop, 1), with(Step::Start, 3)],
            &[
                "after stop: Deployment.apps/web@n has replicas",
                "after start: Deployment.apps/web@n spec replicas: 2 / 3",
            ],
        );
        check(&[done(Step::Stop, Some("late"), &[])], &["stop failed: late"]);
    }

    #[test]
    fn steps_are_compared_as_far_as_helm_came() {
        let check = |helm: &[Done], ours: &[Done], expected: &[&str], expected_remark: &str| {
            let differences = differences(helm, ours, None);
            assert_eq!(differences, expected);
            assert_eq!(remark(helm, ours, &differences), expected_remark);
        };
        let (install, upgrade) = (Step::Install, Step::Upgrade);
        let installed = || done(install, None, &[("a", 1)]);
        check(&[installed()], &[installed()], &[], "");
        check(
            &[installed(), done(upgrade, None, &[("a", 2)])],
            &[installed(), done(upgrade, None, &[("a", 3), ("b", 1)])],
            &["after upgrade: a: 2 / 3", "after upgrade: b: nothing / 1"],
            "after upgrade: a: 2 / 3 (and 1 more)",
        );
        check(
            &[installed(), done(upgrade, Some("immutable"), &[])],
            &[installed(), done(upgrade, Some("can't be changed"), &[("a", 1)])],
            &[],
            "helm's upgrade failed: immutable; our upgrade failed with 1 objects: can't be changed",
        );
        check(
            &[done(install, Some("no matches"), &[])],
            &[done(install, Some("no kind"), &[])],
            &[],
            "helm's install failed: no matches; ours changed nothing: no kind",
        );
        check(
            &[installed(), done(upgrade, None, &[])],
            &[done(install, Some("no"), &[])],
            &["install failed: no"],
            "ours changed nothing: no",
        );
    }
}
