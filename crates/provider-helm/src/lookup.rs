//! What templates learn of the cluster with their function `lookup`, where somebody has asked for that. The cluster is
//! asked while a change is planned; whoever renders the same once more gets the same answers, from record.

use crate::{
    api::{Api, Discovery},
    manifest::text,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use provider_core::{Error, Result, Secret};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::runtime::Handle;

/// The answer of an operator that lets templates look things up. No chart has a value that is called so, and none gets
/// to see it.
pub(crate) const ANSWER: &str = "pitrix.io/lookup";

/// How many questions one render may ask, and how many bytes of answers it may get.
const MOST_QUESTIONS: usize = 200;
const MOST_BYTES: usize = 1 << 20;
/// Shorter texts occur by chance.
const SHORTEST_SECRET: usize = 4;

/// What one `lookup` asks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Question {
    /// The group and version.
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// The namespace; empty for all, and for what has none.
    pub namespace: String,
    /// The name; empty for all objects.
    pub name: String,
}

impl std::fmt::Display for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { api_version, kind, namespace, name } = self;
        let name = if name.is_empty() { "all" } else { name };
        write!(f, "{api_version} {kind} {name}")?;
        if namespace.is_empty() { Ok(()) } else { write!(f, " in {namespace}") }
    }
}

/// What was answered. It may hold secrets, and so has no `Debug`.
#[derive(Clone, Default)]
pub struct Answers(BTreeMap<Question, Value>);

impl Answers {
    /// As they are kept.
    pub fn to_secret(&self) -> Secret {
        Secret::new(json!(self.0.iter().collect::<Vec<_>>()).to_string())
    }

    /// As they were kept.
    ///
    /// # Errors
    /// `Store` when the secret holds no answers.
    pub fn from_secret(secret: &Secret) -> Result<Self> {
        let list: Vec<(Question, Value)> = serde_json::from_str(secret.expose())
            .map_err(|_| Error::store("what templates looked up is on record and can't be read"))?;
        Ok(Self(list.into_iter().collect()))
    }

    /// What was asked, and whether there was something, for people.
    pub fn summary(&self) -> Vec<String> {
        let line = |(question, answer): (&Question, &Value)| {
            let found = match answer.get("items").and_then(Value::as_array) {
                Some(items) if question.name.is_empty() => format!("{} found", items.len()),
                _ if answer == &nothing() => "not there".to_owned(),
                _ => "found".to_owned(),
            };
            format!("{question}: {found}")
        };
        self.0.iter().map(line).collect()
    }

    /// The texts in the Secrets among them, as they are stored and as they are meant.
    pub fn secrets(&self) -> Hidden {
        let mut texts = Vec::new();
        for (question, answer) in self.0.iter().filter(|(question, _)| question.kind == "Secret") {
            let list = answer.get("items").and_then(Value::as_array).filter(|_| question.name.is_empty());
            for object in list.map_or(std::slice::from_ref(answer), Vec::as_slice) {
                for value in object.get("data").and_then(Value::as_object).into_iter().flatten() {
                    let Some(stored) = value.1.as_str() else { continue };
                    texts.push(stored.to_owned());
                    let meant = STANDARD.decode(stored).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                    texts.extend(meant.map(|meant| meant.trim().to_owned()));
                }
            }
        }
        texts.retain(|text| text.len() >= SHORTEST_SECRET);
        Hidden(texts)
    }
}

/// Texts that nobody is shown.
#[derive(Clone, Default)]
pub struct Hidden(Vec<String>);

impl Hidden {
    /// Whether a text has one of them in it.
    pub fn is_in(&self, text: &str) -> bool {
        self.0.iter().any(|secret| text.contains(secret.as_str()))
    }

    /// The error, unless it would show one.
    pub fn keep_out_of(&self, error: Error) -> Error {
        let texts = std::iter::once(error.to_string())
            .chain(error.causes().iter().cloned())
            .chain(error.hint_text().map(str::to_owned));
        if texts.into_iter().any(|text| self.is_in(&text)) {
            return Error::new(
                error.kind(),
                "rendering the chart: the reason has a secret in it that it looked up",
            )
            .hint("without `--lookup` it may be told");
        }
        error
    }
}

/// Who answers the questions of a render.
#[derive(Clone, Default)]
pub enum Lookups {
    /// Nobody: there is nothing, as with `helm template`.
    #[default]
    Off,
    /// The record. What is not on it is not there.
    Recorded(Arc<Answers>),
    /// The cluster.
    Live(Arc<Cluster>),
}

impl Lookups {
    /// The answer to a question.
    ///
    /// # Errors
    /// Why the cluster could not be asked.
    pub fn answer(&self, question: Question) -> Result<Value, String> {
        match self {
            Self::Off => Ok(nothing()),
            Self::Recorded(answers) => Ok(answers.0.get(&question).cloned().unwrap_or_else(nothing)),
            Self::Live(cluster) => cluster.answer(question),
        }
    }

    /// What nobody is shown of what was answered so far.
    pub fn secrets(&self) -> Hidden {
        match self {
            Self::Off => Hidden::default(),
            Self::Recorded(answers) => answers.secrets(),
            Self::Live(cluster) => cluster.answers().secrets(),
        }
    }
}

/// A cluster that is asked, each question once.
pub struct Cluster {
    api: Api,
    discovery: Discovery,
    runtime: Handle,
    answers: Mutex<(Answers, usize)>,
}

impl Cluster {
    /// One that was not asked yet. Must be called inside of a runtime, and asked outside of its threads.
    pub fn new(api: Api, discovery: Discovery) -> Self {
        Self { api, discovery, runtime: Handle::current(), answers: Mutex::default() }
    }

    /// What it has answered.
    pub fn answers(&self) -> Answers {
        self.lock().0.clone()
    }

    fn lock(&self) -> MutexGuard<'_, (Answers, usize)> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, question: Question) -> Result<Value, String> {
        if let Some(known) = self.lock().0.0.get(&question) {
            return Ok(known.clone());
        }
        let asked = self.runtime.block_on(self.ask(&question));
        let answer = asked.map_err(|error| format!("looking up {question}: {error}"))?;
        let mut answers = self.lock();
        answers.1 += answer.to_string().len();
        if answers.0.0.len() >= MOST_QUESTIONS || answers.1 > MOST_BYTES {
            return Err(format!(
                "looking up {question}: a chart may look up {MOST_QUESTIONS} things and {} KiB",
                MOST_BYTES / 1024
            ));
        }
        answers.0.0.insert(question, answer.clone());
        Ok(answer)
    }

    async fn ask(&self, question: &Question) -> Result<Value> {
        let Question { api_version, kind, namespace, name } = question;
        let resource = self
            .discovery
            .resource(api_version, kind)
            .ok_or_else(|| Error::invalid(format!("this cluster does not serve {api_version} {kind}")))?;
        let is_name = |text: &str| !text.contains(['/', '?', '#', '%']) && !text.starts_with('.');
        if !is_name(namespace) || !is_name(name) {
            return Err(Error::invalid("no object can be called so"));
        }
        let path = resource.path(Some(namespace.as_str()).filter(|namespace| !namespace.is_empty()));
        if !name.is_empty() {
            let found = self.api.get(&format!("{path}/{name}")).await?;
            return Ok(found.map_or_else(nothing, without_managers));
        }
        let mut items = self.api.list(&path, "", false).await?;
        // Items of a list don't say what they are.
        for item in &mut items {
            item["apiVersion"] = json!(api_version);
            item["kind"] = json!(kind);
        }
        let items: Vec<_> = items.into_iter().map(without_managers).collect();
        Ok(
            json!({ "apiVersion": api_version, "kind": format!("{kind}List"), "metadata": {}, "items": items }),
        )
    }
}

/// What `lookup` gives for what is not there.
fn nothing() -> Value {
    json!({})
}

/// Who set which field is much, and no chart asks for it.
fn without_managers(mut object: Value) -> Value {
    if text(&object, "/metadata/name").is_some()
        && let Some(metadata) = object["metadata"].as_object_mut()
    {
        metadata.remove("managedFields");
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(kind: &str, name: &str) -> Question {
        let namespace = if kind == "Node" { String::new() } else { "shop".to_owned() };
        Question { api_version: "v1".into(), kind: kind.into(), namespace, name: name.into() }
    }

    fn answers() -> Answers {
        let secret = json!({ "kind": "Secret", "data": { "password": "c2VzYW1l", "n": "MQ==" } });
        Answers(BTreeMap::from([
            (question("Secret", "db"), secret),
            (question("Secret", ""), json!({ "items": [{ "data": { "other": "b3BlbiBpdA==" } }] })),
            (question("ConfigMap", "db"), json!({ "data": { "color": "black" } })),
            (question("Node", "n-1"), nothing()),
        ]))
    }

    #[test]
    fn answers_come_back_as_they_were_kept() {
        let kept = Answers::from_secret(&answers().to_secret()).unwrap();
        assert!(kept.0 == answers().0);
        let recorded = Lookups::Recorded(Arc::new(kept));
        let check = |question, want| assert_eq!(recorded.answer(question), Ok(want));
        check(question("ConfigMap", "db"), json!({ "data": { "color": "black" } }));
        check(question("ConfigMap", "never asked"), json!({}));
        assert_eq!(Lookups::Off.answer(question("ConfigMap", "db")), Ok(json!({})));
    }

    #[test]
    fn a_summary_tells_names_and_no_content() {
        let want = [
            "v1 ConfigMap db in shop: found",
            "v1 Node n-1: not there",
            "v1 Secret all in shop: 1 found",
            "v1 Secret db in shop: found",
        ];
        assert_eq!(answers().summary(), want);
    }

    #[test]
    fn what_was_in_secrets_is_not_shown() {
        let hidden = answers().secrets();
        for (text, is_hidden) in [
            ("can't convert \"sesame\"", true),
            ("c2VzYW1l", true),
            ("postgres://root:open it@db", true),
            ("black", false),
            ("1", false),
        ] {
            assert_eq!(hidden.is_in(text), is_hidden, "{text}");
        }
        let error = hidden.keep_out_of(Error::invalid("it failed").because("at `sesame`"));
        assert!(!format!("{error} {:?}", error.causes()).contains("sesame"), "{error}");
        assert_eq!(hidden.keep_out_of(Error::invalid("it failed")).to_string(), "it failed");
    }
}
