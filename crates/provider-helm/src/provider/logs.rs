//! What the pods of a hook printed.

use crate::{api::ObjectRef, manifest::text, session::Session};
use provider_core::{Fact, Report, Result};
use serde_json::Value;
use std::fmt::Write;

/// Lines of each container, and bytes of them all: the end is what matters.
const LINES: u32 = 100;
const BYTES: usize = 4096;

/// That a hook is done, with what it printed if that `is_wanted`.
pub(super) async fn done(session: &Session, hook: &ObjectRef, is_wanted: bool) -> Fact {
    if !is_wanted {
        return Fact::Done;
    }
    Fact::Agent(Report { output: printed(session, hook).await, ..Report::default() })
}

/// The end of what the containers of a hook's pods printed; a word about each that can't be read. Other kinds print
/// nothing.
pub(super) async fn printed(session: &Session, hook: &ObjectRef) -> String {
    let pods = match pods(session, hook).await {
        Ok(pods) => pods,
        Err(error) => return format!("(the pods of {hook} can't be read: {error})"),
    };
    let containers: Vec<_> = pods.iter().flat_map(|pod| containers(pod)).collect();
    let mut all = String::new();
    for (pod, container) in &containers {
        if containers.len() > 1 {
            // Writing to a string can't fail.
            let _ = writeln!(all, "[{pod}/{container}]");
        }
        let path = format!("{}/{pod}/log?container={container}&tailLines={LINES}", pods_path(hook));
        match session.api().text(&path, &format!("reading the log of pod {pod}")).await {
            Ok(log) => all += &log,
            Err(error) => {
                let _ = writeln!(all, "({error})");
            }
        }
        if !all.is_empty() && !all.ends_with('\n') {
            all.push('\n');
        }
    }
    end_of(&all).to_owned()
}

fn pods_path(hook: &ObjectRef) -> String {
    format!("/api/v1/namespaces/{}/pods", hook.namespace.as_deref().unwrap_or_default())
}

async fn pods(session: &Session, hook: &ObjectRef) -> Result<Vec<Value>> {
    match (hook.resource.group(), hook.kind()) {
        ("", "Pod") => Ok(session.api().get(&hook.path()).await?.into_iter().collect()),
        ("batch", "Job") => {
            let query = format!("labelSelector=job-name%3D{}", hook.name);
            session.api().list(&pods_path(hook), &query, false).await
        }
        _ => Ok(Vec::new()),
    }
}

fn containers(pod: &Value) -> Vec<(&str, &str)> {
    let name = text(pod, "/metadata/name").unwrap_or_default();
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten();
    containers.filter_map(|container| Some((name, text(container, "/name")?))).collect()
}

/// The last bytes, from the beginning of a line on if there is one.
fn end_of(all: &str) -> &str {
    let Some(from) = all.len().checked_sub(BYTES).filter(|from| *from > 0) else { return all };
    let from = (from..=all.len()).find(|at| all.is_char_boundary(*at)).unwrap_or(all.len());
    let end = &all[from..];
    end.split_once('\n').map_or(end, |(_, lines)| if lines.is_empty() { end } else { lines })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_much_that_was_printed_the_end_is_kept_by_lines() {
        assert_eq!(end_of("short\n"), "short\n");
        let long = "ä".repeat(BYTES);
        assert_eq!(end_of(&long).len(), BYTES);
        let lines: String = (0..2000).map(|n| format!("line {n}\n")).collect();
        let end = end_of(&lines);
        assert!(end.len() <= BYTES && end.starts_with("line ") && end.ends_with("line 1999\n"), "{end}");
    }
}
