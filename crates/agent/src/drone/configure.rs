//! Making a node itself: its files, its keys, its token, and the configuration of its application.

use crate::drone::{execute::Bench, keypair, output::Output, state::State};
use provider_core::{Configuration, Error, Report, Result, Secret, Template};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{collections::BTreeSet, fs, io, time::Duration};
use tera::Tera;

/// A package says for none of its reload commands how long it may take.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(120);

/// Makes the node what the configuration says, and no longer what an earlier one said.
pub(super) fn configure(bench: &Bench<'_>, new: Configuration) -> Result<Report> {
    let mut state = State::load(bench.instance)?;
    let is = bench.instance.node();
    if new.node.as_str() != is {
        return Err(Error::conflict(format!("a configuration of node `{}` came to node `{is}`", new.node)));
    }
    // First what can go wrong without a trace.
    let rendered = render(&new.templates, &new.metadata)?;
    let files: BTreeSet<_> = new.files.keys().cloned().collect();
    for (path, file) in &new.files {
        bench.root(&state).write(path, &file.content, file.mode)?;
    }
    let public_key = match &new.passphraseless {
        Some(kind) => Some(keypair::ensure(&bench.root(&state), bench.instance, kind)?),
        None => None,
    };
    if let Some((cmd, timeout_s)) = &new.custom_metadata
        && state.token.as_ref().is_none_or(|(same, _)| same != cmd)
    {
        match make_token(bench, cmd, Duration::from_secs((*timeout_s).into()))? {
            Ok(token) => state.token = Some((cmd.clone(), token)),
            Err(failed) => return Ok(failed),
        }
    }
    let dests: BTreeSet<_> = new.templates.iter().map(|template| &template.dest).collect();
    let old_dests: Vec<_> = state.templates.iter().map(|template| template.dest.clone()).collect();
    for path in state.files.iter().chain(&old_dests) {
        if !files.contains(path) && !dests.contains(path) {
            bench.root(&state).remove(path)?;
            state.applied.remove(path);
        }
    }
    let is_first = state.node.is_none();
    state.node = Some(new.node);
    state.files = files;
    state.templates = new.templates;
    bench.checks.configure(new.health_check)?;
    let report = apply(bench, &mut state, &rendered, is_first)?;
    let token = new.custom_metadata.and(state.token.map(|(_, token)| token));
    Ok(Report { public_key, token, ..report })
}

/// Renders the configuration from new metadata.
pub(super) fn take_metadata(bench: &Bench<'_>, metadata: &Secret) -> Result<Report> {
    let mut state = State::load(bench.instance)?;
    if state.node.is_none() {
        return Err(Error::conflict("metadata came to a node that is not configured yet"));
    }
    let rendered = render(&state.templates, metadata)?;
    apply(bench, &mut state, &rendered, false)
}

/// Writes the texts of the state's templates. Then runs the reload command, once, of those whose file has
/// changed since it last ran well: also of those that a crash or a failure came between.
fn apply(bench: &Bench<'_>, state: &mut State, texts: &[String], is_first: bool) -> Result<Report> {
    let mut changed: Vec<(Option<&str>, &str, String)> = Vec::new();
    for (template, text) in state.templates.iter().zip(texts) {
        let wrote = bench.root(state).write(&template.dest, text.as_bytes(), template.mode)?;
        let digest = hex::encode(Sha256::digest(text));
        if wrote || state.applied.get(&template.dest) != Some(&digest) {
            let reload = template.reload.as_deref().filter(|_| !is_first);
            changed.push((reload, &template.dest, digest));
        }
    }
    let mut applied = state.applied.clone();
    let mut ended = Ok(Report::default());
    let mut run = BTreeSet::new();
    for (reload, _, _) in &changed {
        let Some(cmd) = reload.filter(|cmd| !run.contains(cmd)) else { continue };
        ended = bench.run(&format!("reload command `{cmd}`"), cmd, RELOAD_TIMEOUT, &bench.log("reload")?);
        if !ended.as_ref().is_ok_and(|report| report.error.is_none()) {
            break;
        }
        run.insert(cmd);
    }
    for (reload, dest, digest) in changed {
        if reload.is_none_or(|cmd| run.contains(cmd)) {
            applied.insert(dest.to_owned(), digest);
        } else {
            applied.remove(dest);
        }
    }
    state.applied = applied;
    state.save(bench.instance)?;
    Ok(Report { exit_code: None, ..ended? })
}

/// The first line that the command writes, or how it failed.
fn make_token(bench: &Bench<'_>, cmd: &str, timeout: Duration) -> Result<Result<String, Report>> {
    // Not to the log: a token may be a secret of the application.
    let path = bench.instance.drone().join("token");
    let remove = || match fs::remove_file(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(Error::store("removing what a command wrote").caused_by(&e))
        }
        _ => Ok(()),
    };
    remove()?;
    let report = bench.run("the custom metadata command", cmd, timeout, &Output::at(&path)?)?;
    let text = fs::read(&path).map_err(|e| Error::store("reading what a command wrote").caused_by(&e))?;
    remove()?;
    if report.error.is_some() {
        return Ok(Err(report));
    }
    let text = String::from_utf8_lossy(&text);
    match text.lines().next().map(str::trim) {
        Some(token) if !token.is_empty() => Ok(Ok(token.to_owned())),
        _ => Err(Error::failed("the custom metadata command wrote no line")
            .hint("its first line becomes the node's token")),
    }
}

/// The texts that the templates give with this metadata, in order.
fn render(templates: &[Template], metadata: &Secret) -> Result<Vec<String>> {
    let metadata: Value = serde_json::from_str(metadata.expose())
        // The parser's words may quote a secret.
        .map_err(|_| Error::invalid("the node's metadata is not JSON"))?;
    let context = tera::Context::from_serialize(&metadata)
        .map_err(|_| Error::invalid("the node's metadata is not a JSON object"))?;
    let mut texts = Vec::new();
    for template in templates {
        let mut tera = Tera::default();
        // What is written are configuration files, whatever they are called.
        tera.autoescape_on(Vec::<String>::new());
        let text = tera
            .add_raw_template(&template.dest, &template.source)
            .and_then(|()| tera.render(&template.dest, &context));
        texts.push(text.map_err(|e| refused(template, &metadata["env"], &e))?);
    }
    Ok(texts)
}

fn refused(template: &Template, env: &Value, e: &tera::Error) -> Error {
    let (line, why) = match e.kind() {
        tera::ErrorKind::SyntaxError(report) | tera::ErrorKind::RenderingError(report) => {
            (report.span().start_line, report.message().to_owned())
        }
        other => (1, other.to_string()),
    };
    // Filters quote the values that they refuse, and a parameter may be a secret.
    let quotes = |value: &str| !value.is_empty() && why.contains(value) && !template.source.contains(value);
    let why = if strings(env).into_iter().any(quotes) { "a value is not accepted there" } else { &why };
    Error::invalid(format!("rendering `{}`, line {line}: {why}", template.dest))
        .hint("see `templates.json` of the package for the template of this file")
}

fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(fields) => fields.values().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(source: &str) -> Result<String> {
        let metadata =
            r#"{"env":{"size":10737418240,"password":"a<b&c","ratio":0.1},"hosts":{"db":{"db-1":{}}}}"#;
        let template =
            Template { source: source.into(), dest: "/etc/app.html".into(), mode: 0o644, reload: None };
        render(&[template], &Secret::new(metadata)).map(|mut texts| texts.remove(0))
    }

    #[test]
    fn values_come_out_as_they_are() {
        fn check(source: &str, text: &str) {
            assert_eq!(rendered(source).unwrap(), text);
        }
        check("maxmemory {{ env.size }}", "maxmemory 10737418240");
        check("{{ env.password }} {{ env.ratio }}", "a<b&c 0.1");
        check("{% for id, host in hosts.db %}{{ id }}{% endfor %}", "db-1");
    }

    #[test]
    fn an_error_names_file_and_line_but_no_value() {
        fn check(source: &str, error: &str) {
            assert_eq!(rendered(source).unwrap_err().to_string(), error);
        }
        check(
            "a\n{{ env.sise }}",
            "rendering `/etc/app.html`, line 2: Field `sise` is not defined. Available fields: password, ratio, size",
        );
        check(
            "a\n\n{{ env.password | int }}",
            "rendering `/etc/app.html`, line 3: a value is not accepted there",
        );
        check("\n{% endif %}", "rendering `/etc/app.html`, line 2: Unknown tag");
    }
}
