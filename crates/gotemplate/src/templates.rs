//! Sets of templates, compiled, and the sessions that render them.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use tera::{Delimiters, Tera};

use crate::ast::List;
use crate::call::Functions;
use crate::engine::{Engine, SiteFilter};
use crate::error::{Error, ErrorKind};
use crate::lower::{BLOCK, COMMENT, VARIABLE, expression_at, lower};
use crate::map::break_cycles;
use crate::parser::{Parsed, is_empty, parse};
use crate::runtime::{Host, Limits, Runtime};
use crate::site::{Place, Site};
use crate::source::Source;
use crate::value::Value;

/// The stack of a render. Tera's own recursion takes some 50 kB for each template that is rendered inside another;
/// memory that is never touched costs nothing.
const STACK: usize = 256 << 20;

/// How large a set may be, all sources together: several times what the largest public charts have.
const MAX_BYTES: usize = 16 << 20;
/// Names that a set may define.
const MAX_NAMES: usize = 20_000;
/// Calls and other things to evaluate that are written in a set.
const MAX_SITES: usize = 200_000;

/// A set of templates that see each other, compiled. Cloning is cheap.
#[derive(Clone)]
pub struct Templates(Arc<Program>);

/// Compiled templates by their names.
pub(crate) struct Program {
    pub(crate) tera: Tera,
    pub(crate) functions: Functions,
    /// What Tera knows each template as.
    names: BTreeMap<Arc<str>, String>,
}

/// What became of a template that was read.
pub(crate) struct Code {
    pub(crate) name: Arc<str>,
    pub(crate) origin: Arc<Origin>,
    pub(crate) sites: Vec<Site>,
}

/// Where templates are from.
pub(crate) struct Origin {
    pub(crate) source: Source,
    /// Read again for the first error in it: trees take several times the memory of their text.
    trees: OnceLock<Vec<List>>,
}

impl Origin {
    /// How Go spells the node at a place.
    pub(crate) fn expression_at(&self, place: Place) -> String {
        let trees = self.trees.get_or_init(|| match parse(&self.source, &|_| true) {
            Ok(Parsed { main, definitions }) => definitions.into_values().chain([main]).collect(),
            Err(_) => Vec::new(),
        });
        trees.iter().find_map(|tree| expression_at(tree, place)).unwrap_or_default()
    }
}

impl Templates {
    /// Compiles sources, each with a name under which it can be rendered and under which errors show it. All their
    /// definitions share one space of names, in which the last one wins, as in Go: but one without content never
    /// replaces one that has some.
    ///
    /// # Errors
    ///
    /// A source is no Go template, or calls a function that is not there; all together are too large.
    pub fn compile<N: AsRef<str>, T: AsRef<str>>(
        sources: impl IntoIterator<Item = (N, T)>,
        functions: &Functions,
    ) -> Result<Templates, Error> {
        let sources: Vec<_> = sources.into_iter().collect();
        at_most(sources.iter().map(|(_, text)| text.as_ref().len()).sum(), MAX_BYTES, "bytes")?;
        let mut set = Set::default();
        for (name, text) in &sources {
            set.read(name.as_ref(), text.as_ref(), functions)?;
        }
        Ok(Templates(Arc::new(set.compile(functions)?)))
    }

    /// The names of all templates, sorted: of the sources and of what they define.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.names.keys().map(|name| &**name)
    }

    /// Lets `work` render, on a thread of its own. What one render does to a map, later ones in the same session see.
    ///
    /// # Errors
    ///
    /// The thread could not be started.
    ///
    /// # Panics
    ///
    /// When `work` does.
    pub fn session<R: Send>(
        &self,
        host: impl Host + 'static,
        limits: Limits,
        work: impl FnOnce(&Session) -> R + Send,
    ) -> Result<R, Error> {
        let program = Arc::clone(&self.0);
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("render".to_owned()).stack_size(STACK);
            let thread = thread.spawn_scoped(scope, move || {
                let session = Session { engine: Engine::start(program, Runtime::new(host, limits)) };
                let result = work(&session);
                drop(session);
                break_cycles();
                result
            });
            let thread = thread
                .map_err(|error| Error::internal(format!("can't start the thread of a render: {error}")))?;
            Ok(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    }
}

/// Renders templates that share their values. See [`Templates::session`].
pub struct Session {
    engine: Engine,
}

impl Session {
    /// A value for templates; see [`Value::from_json`].
    pub fn value(&self, json: &serde_json::Value) -> Value {
        Value::from_json(json)
    }

    /// The runtime, for what functions outside of templates ask for.
    pub fn runtime(&self) -> &Runtime {
        self.engine.runtime()
    }

    /// Renders the template `name` with `data` as its dot. What has no value is printed as `<no value>`.
    ///
    /// # Errors
    ///
    /// There is no such template, or it failed.
    pub fn render(&self, name: &str, data: &Value) -> Result<String, Error> {
        self.engine.render(name, data)
    }
}

/// Sources that were read, by the names of what they define.
#[derive(Default)]
pub(crate) struct Set {
    defined: BTreeMap<Arc<str>, (Arc<Origin>, List)>,
}

impl Set {
    /// Reads one more source.
    pub(crate) fn read(&mut self, name: &str, text: &str, functions: &Functions) -> Result<(), Error> {
        let source = Source { name: name.into(), text: text.into() };
        let Parsed { main, definitions } = parse(&source, &|name| functions.get(name).is_some())?;
        let origin = Arc::new(Origin { source, trees: OnceLock::new() });
        for (name, body) in definitions.into_iter().chain([(Arc::clone(&origin.source.name), main)]) {
            let replaces = !is_empty(&body) || self.defined.get(&name).is_none_or(|(_, old)| is_empty(old));
            if replaces {
                self.defined.insert(name, (Arc::clone(&origin), body));
            }
        }
        at_most(self.defined.len(), MAX_NAMES, "definitions")
    }

    /// Compiles all that was read.
    pub(crate) fn compile(self, functions: &Functions) -> Result<Program, Error> {
        let internal =
            |error: tera::Error| Error::internal(format!("the compiled template is refused: {error}"));
        let mut tera = Tera::new();
        tera.autoescape_on(Vec::<&'static str>::new());
        tera.set_delimiters(delimiters()).map_err(internal)?;
        let mut names = BTreeMap::new();
        let mut sources = Vec::new();
        let mut sites = 0;
        for (name, (origin, body)) in self.defined {
            let lowered = lower(&body, functions, sites);
            sites += lowered.sites.len();
            at_most(sites, MAX_SITES, "calls")?;
            let code = Arc::new(Code { name: Arc::clone(&name), origin, sites: lowered.sites });
            for (index, filter) in lowered.names.into_iter().enumerate() {
                tera.register_filter(filter, SiteFilter { code: Arc::clone(&code), index });
            }
            let number = names.len().to_string();
            sources.push((number.clone(), lowered.source));
            names.insert(name, number);
        }
        tera.add_raw_templates(sources).map_err(internal)?;
        Ok(Program { tera, functions: functions.clone(), names })
    }
}

impl Program {
    /// What Tera knows the template as.
    pub(crate) fn tera_name(&self, name: &str) -> Option<&str> {
        self.names.get(name).map(String::as_str)
    }
}

fn at_most(count: usize, limit: usize, what: &str) -> Result<(), Error> {
    if count <= limit {
        return Ok(());
    }
    let message = format!("the templates have more than {limit} {what}");
    Err(Error::placeless(ErrorKind::Limit, message))
}

fn delimiters() -> Delimiters {
    Delimiters {
        block_start: BLOCK.0.into(),
        block_end: BLOCK.1.into(),
        variable_start: VARIABLE.0.into(),
        variable_end: VARIABLE.1.into(),
        comment_start: COMMENT.0.into(),
        comment_end: COMMENT.1.into(),
    }
}
