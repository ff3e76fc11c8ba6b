//! The commands that a drone has accepted, and how they ended: on disk before anybody is told.
//!
//! `drone/queue/N` is an accepted command, which may hold secrets; it goes as soon as the command has ended.
//! `drone/journal` has a line for each command that started and for each that ended, without the command.
//! A command that started and did not end was interrupted: the worker died.
//!
//! The ids of the last [`KEPT`] commands that ended are remembered, so that none of them runs again, and the
//! outputs of the last [`KEPT_OUTPUTS`].

use crate::drone::{
    durable::{replace, sync_directory},
    instance::{Instance, private_directory},
};
use provider_core::{
    Command, CommandState, Error, Report, Result, Token,
    stored::{self, Stored},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

const KEPT: usize = 10_000;
const KEPT_OUTPUTS: usize = 1_000;
/// More commands than this don't wait.
const LONGEST_QUEUE: usize = 1_000;

/// What is known of each command, by its id.
pub(super) type States = HashMap<Token, CommandState>;

/// See the module.
pub(super) struct Journal {
    directory: PathBuf,
    book: Mutex<Book>,
    queued: Condvar,
    /// What everybody may know. Written after the disk was.
    states: watch::Sender<States>,
}

struct Book {
    file: File,
    lines: usize,
    /// The next command's number.
    next: u64,
    queue: VecDeque<u64>,
    ended: VecDeque<Token>,
}

/// A command to be run.
#[derive(Serialize, Deserialize)]
pub(super) struct Accepted {
    #[serde(skip)]
    pub(super) number: u64,
    pub(super) id: Token,
    pub(super) command: Command,
}

impl Stored for Accepted {
    const KIND: &'static str = "agent command";
    const VERSION: u32 = 1;
}

#[derive(Clone, Serialize, Deserialize)]
struct Line {
    number: u64,
    id: Token,
    /// None when it started.
    report: Option<Report>,
}

impl Stored for Line {
    const KIND: &'static str = "agent journal";
    const VERSION: u32 = 1;
}

impl Journal {
    /// Opens the journal of an instance, with the numbers and ids of the commands that were interrupted. They
    /// count as running until [`end`](Self::end).
    pub(super) fn open(instance: &Instance) -> Result<(Self, Vec<(u64, Token)>)> {
        let directory = instance.drone();
        private_directory(&directory.join("queue"))?;
        let (file, lines) = read_journal(&directory.join("journal"))?;
        let mut started = BTreeMap::new();
        let mut states = HashMap::new();
        let mut ended = VecDeque::new();
        let mut next = 1;
        for line in &lines {
            next = next.max(line.number + 1);
            match &line.report {
                None => {
                    started.insert(line.number, line.id.clone());
                    states.insert(line.id.clone(), CommandState::Running);
                }
                Some(report) => {
                    started.remove(&line.number);
                    remember(&mut states, &mut ended, &line.id, report.clone());
                }
            }
        }
        let mut queue = Vec::new();
        for number in queued_numbers(&directory)? {
            next = next.max(number + 1);
            let path = queue_file(&directory, number);
            let Accepted { id, .. } = read_command(&path, number)?;
            match states.get(&id) {
                // The worker died between the end of the command and this.
                Some(CommandState::Ended(_)) => remove(&path)?,
                Some(_) => {}
                None => {
                    states.insert(id, CommandState::Running);
                    queue.push(number);
                }
            }
        }
        queue.sort_unstable();
        let book = Book { file, lines: lines.len(), next, queue: queue.into(), ended };
        let states = watch::Sender::new(states);
        let journal = Self { directory, book: Mutex::new(book), queued: Condvar::new(), states };
        Ok((journal, started.into_iter().collect()))
    }

    /// What is known of each command, and how it changes.
    pub(super) fn states(&self) -> watch::Receiver<States> {
        self.states.subscribe()
    }

    /// Stores a command unless its id is known. After an error it is not stored.
    pub(super) fn accept(&self, id: &Token, command: Command) -> Result<()> {
        // The id comes from outside; it goes into environments and names of descriptors.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if !(1..=128).contains(&id.as_str().len()) || !id.as_str().bytes().all(plain) {
            return Err(Error::invalid("a command's id must be 1 to 128 letters, digits, `-`, `_` or `.`"));
        }
        let mut book = self.book();
        if self.states.borrow().contains_key(id) {
            return Ok(());
        }
        if book.queue.len() >= LONGEST_QUEUE {
            return Err(Error::unavailable(format!(
                "the agent has {LONGEST_QUEUE} commands waiting already"
            )));
        }
        let number = book.next;
        let text = stored::store(&Accepted { number, id: id.clone(), command })?;
        let path = queue_file(&self.directory, number);
        replace(&path, text.as_bytes()).map_err(|e| {
            // Best effort: with its directory entry gone, the command is not accepted.
            fs::remove_file(&path).ok();
            Error::unavailable("storing a command on the agent's disk").caused_by(&e)
        })?;
        book.next += 1;
        book.queue.push_back(number);
        self.states.send_modify(|states| drop(states.insert(id.clone(), CommandState::Running)));
        self.queued.notify_one();
        Ok(())
    }

    /// Waits for the next command. It has started, for whoever comes after a crash.
    pub(super) fn start(&self) -> Result<Accepted> {
        let mut book = self.book();
        let number = loop {
            match book.queue.pop_front() {
                Some(number) => break number,
                None => book = self.queued.wait(book).unwrap_or_else(PoisonError::into_inner),
            }
        };
        let command = read_command(&queue_file(&self.directory, number), number)?;
        book.write(&Line { number, id: command.id.clone(), report: None })?;
        Ok(command)
    }

    /// Stores how a command ended, then makes it known and removes the command.
    pub(super) fn end(&self, number: u64, id: &Token, report: Report) -> Result<()> {
        let mut book = self.book();
        book.write(&Line { number, id: id.clone(), report: Some(report.clone()) })?;
        remove(&queue_file(&self.directory, number))?;
        self.states.send_modify(|states| remember(states, &mut book.ended, id, report));
        if book.lines > 4 * KEPT { self.compact(&mut book) } else { Ok(()) }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Nothing is left half done in the book by a panic that the disk does not tell at the next start.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the journal anew, with what is remembered only. Nothing runs now.
    fn compact(&self, book: &mut Book) -> Result<()> {
        let path = self.directory.join("journal");
        let mut text = String::new();
        for id in &book.ended {
            if let Some(CommandState::Ended(report)) = self.states.borrow().get(id) {
                let line = Line { number: book.next - 1, id: id.clone(), report: Some(report.clone()) };
                text += &stored::store(&line)?;
                text.push('\n');
            }
        }
        replace(&path, text.as_bytes()).map_err(|e| failed("writing", &e))?;
        book.file = open_journal(&path)?;
        book.lines = book.ended.len();
        Ok(())
    }
}

impl Book {
    fn write(&mut self, line: &Line) -> Result<()> {
        let text = stored::store(line)? + "\n";
        self.lines += 1;
        self.file
            .write_all(text.as_bytes())
            .and_then(|()| self.file.sync_data())
            .map_err(|e| failed("writing", &e))
    }
}

/// Adds a command that ended, and forgets what is too old.
fn remember(states: &mut States, ended: &mut VecDeque<Token>, id: &Token, report: Report) {
    states.insert(id.clone(), CommandState::Ended(report));
    ended.push_back(id.clone());
    if ended.len() > KEPT
        && let Some(oldest) = ended.pop_front()
    {
        states.remove(&oldest);
    }
    let old = ended.len().checked_sub(KEPT_OUTPUTS + 1).and_then(|at| ended.get(at));
    if let Some(CommandState::Ended(report)) = old.and_then(|id| states.get_mut(id)) {
        report.output = String::new();
    }
}

fn failed(what: &str, e: &io::Error) -> Error {
    Error::store(format!("{what} the agent's journal")).caused_by(e)
}

fn queue_file(directory: &Path, number: u64) -> PathBuf {
    directory.join("queue").join(number.to_string())
}

fn open_journal(path: &Path) -> Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(|e| failed("opening", &e))
}

/// The journal, with its whole lines. The last may be torn: then nobody was told of it, and it goes.
fn read_journal(path: &Path) -> Result<(File, Vec<Line>)> {
    let file = open_journal(path)?;
    sync_directory(path).map_err(|e| failed("opening", &e))?;
    let bytes = fs::read(path).map_err(|e| failed("reading", &e))?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    file.set_len(whole as u64).map_err(|e| failed("mending", &e))?;
    let lines = String::from_utf8_lossy(&bytes[..whole]).lines().map(stored::read).collect::<Result<_>>()?;
    Ok((file, lines))
}

fn queued_numbers(directory: &Path) -> Result<Vec<u64>> {
    let entries = fs::read_dir(directory.join("queue")).map_err(|e| failed("reading", &e))?;
    // Anything else is what a crash left of a file being written.
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

fn read_command(path: &Path, number: u64) -> Result<Accepted> {
    let text = fs::read_to_string(path).map_err(|e| failed("reading a command of", &e))?;
    Ok(Accepted { number, ..stored::read(&text)? })
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed("removing a command of", &e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use provider_core::ErrorKind;

    fn instance(directory: &Path) -> Instance {
        let identity = r#"{"version":1,"node":"db-1","address":"127.0.0.1","token":"t"}"#;
        fs::write(directory.join("instance.json"), identity).unwrap();
        Instance::open(directory).unwrap()
    }

    fn report(output: &str) -> Report {
        Report { output: output.into(), ..Report::default() }
    }

    fn command(secret: &str) -> Command {
        let params = [("target".into(), secret.into())].into();
        Command::Service { name: "start".into(), cmd: secret.into(), timeout_s: 1, params }
    }

    #[test]
    fn old_outputs_go_first_and_old_ids_later() {
        let (mut states, mut ended) = (States::new(), VecDeque::new());
        let id = |n: usize| Token::new(n.to_string());
        for n in 0..=KEPT {
            remember(&mut states, &mut ended, &id(n), report("text"));
        }
        let check = |n, expected: Option<&str>| {
            let known = states.get(&id(n)).map(|state| match state {
                CommandState::Ended(report) => report.output.as_str(),
                other => panic!("{other:?}"),
            });
            assert_eq!(known, expected, "{n}");
        };
        check(0, None);
        check(1, Some(""));
        check(KEPT - KEPT_OUTPUTS, Some(""));
        check(KEPT - KEPT_OUTPUTS + 1, Some("text"));
        check(KEPT, Some("text"));
        assert_eq!((states.len(), ended.len()), (KEPT, KEPT));
    }

    #[test]
    fn what_was_accepted_is_there_after_every_crash() {
        let place = tempfile::tempdir().unwrap();
        let instance = instance(place.path());
        let [done, cut, waiting] = ["done", "cut", "waiting"].map(Token::new);
        {
            let (journal, interrupted) = Journal::open(&instance).unwrap();
            assert_eq!(interrupted, []);
            for id in [&done, &cut, &waiting, &done] {
                journal.accept(id, command("s3cret")).unwrap();
            }
            let first = journal.start().unwrap();
            journal.end(first.number, &first.id, report("one")).unwrap();
            assert_eq!(journal.start().unwrap().id, cut);
            assert_eq!(journal.start().unwrap().id, waiting);
        }
        // As if the machine had lost the last line, which nobody was told of.
        let path = instance.drone().join("journal");
        let lines = fs::read_to_string(&path).unwrap();
        assert!(!lines.contains("s3cret"));
        fs::write(&path, &lines[..lines.len() - 3]).unwrap();

        let (journal, interrupted) = Journal::open(&instance).unwrap();
        assert_eq!(interrupted, [(2, cut.clone())]);
        journal.end(2, &cut, report("cut")).unwrap();
        journal.compact(&mut journal.book()).unwrap();
        let next = journal.start().unwrap();
        assert_eq!((next.number, next.id), (3, waiting.clone()));
        drop(journal);

        let (journal, interrupted) = Journal::open(&instance).unwrap();
        assert_eq!(interrupted, [(3, waiting.clone())]);
        let states = journal.states();
        let state = |id| states.borrow().get(id).cloned();
        assert_eq!(state(&done), Some(CommandState::Ended(report("one"))));
        assert_eq!(state(&cut), Some(CommandState::Ended(report("cut"))));
        assert_eq!(state(&waiting), Some(CommandState::Running));
        assert_eq!(queued_numbers(&instance.drone()).unwrap(), [3]);
    }

    #[test]
    fn the_journal_of_a_newer_drone_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let instance = instance(place.path());
        drop(Journal::open(&instance).unwrap());
        let path = instance.drone().join("journal");
        let newer = "{\"kind\":\"agent journal\",\"v\":2,\"body\":{}}\n";
        fs::write(&path, newer).unwrap();
        let Err(error) = Journal::open(&instance) else { panic!("it was opened") };
        assert_eq!((error.kind(), error.hint_text().is_some()), (ErrorKind::Store, true));
        assert_eq!(fs::read_to_string(&path).unwrap(), newer);
    }
}
