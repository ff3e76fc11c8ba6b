//! What the templates of a render may use: steps and bytes, and beneath them the time of the processor.

#![allow(clippy::needless_pass_by_value, reason = "Tera hands everything over")]

use super::rewrite::BYTES_PER_STEP;
use gotemplate::{FunctionError, Runtime};
use rustix::time::{ClockId, clock_gettime};
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;
use tera::{Kwargs, State, TeraResult, Value};

/// A net beneath the steps, which don't know what each comparison or slice costs. Far above what charts need, so that
/// it is the steps that end a render on any machine.
const MAX_TIME: Duration = Duration::from_secs(1);
/// The clock is read at every so many operands: it takes longer than most of them.
const CLOCK_EVERY: u32 = 16;
/// Texts of this many bytes are worth a look at the clock.
const LONG: usize = 64 << 10;
/// How deep values may be nested. Values that were read are not deeper, and Tera walks and drops them by recursion.
const MAX_NESTING: usize = 200;
/// Bytes of an element of a list, and of a map beside its key, for limits.
pub(super) const ELEMENT: usize = 16;
const ENTRY: usize = 64;
/// Bytes that the path of an attribute may have, which is gone through for each element of a list.
const MAX_PATH: usize = 1024;

thread_local! {
    /// Of the render on this thread.
    static METER: RefCell<Option<Rc<Meter>>> = const { RefCell::new(None) };
}

struct Meter {
    /// Not kept alive: nothing says when the last template was rendered.
    runtime: Weak<Runtime>,
    /// Of the thread, when the first template began: the thread renders nothing else.
    started: Duration,
    calls: Cell<u32>,
}

/// Time of the processor that this thread has used.
fn now() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(now).unwrap_or_default()
}

/// Runs `work` on what `runtime` allows.
pub(super) fn metered<R>(runtime: &Rc<Runtime>, work: impl FnOnce() -> R) -> R {
    METER.with(|current| {
        let mut current = current.borrow_mut();
        // The time is that of all templates of the session.
        if current.as_ref().is_none_or(|meter| !std::ptr::eq(meter.runtime.as_ptr(), Rc::as_ptr(runtime))) {
            let meter = Meter { runtime: Rc::downgrade(runtime), started: now(), calls: Cell::default() };
            *current = Some(Rc::new(meter));
        }
    });
    work()
}

fn with_meter<R>(work: impl FnOnce(&Meter) -> TeraResult<R>) -> TeraResult<R> {
    match METER.with(|current| current.borrow().clone()) {
        Some(meter) => work(&meter),
        None => Err(outside()),
    }
}

fn outside() -> tera::Error {
    tera::Error::message("a template is rendered outside of its session")
}

pub(super) fn with_runtime<R>(work: impl FnOnce(&Runtime) -> Result<R, FunctionError>) -> TeraResult<R> {
    with_meter(|meter| meter.with_runtime(work))
}

/// Takes the steps for making `bytes` of a value.
pub(super) fn allocate(bytes: usize) -> TeraResult<()> {
    with_runtime(|runtime| {
        runtime.check_size(bytes)?;
        runtime.spend(bytes / BYTES_PER_STEP)
    })
}

/// The bytes of a value, as if nothing in it were shared.
pub(super) fn bytes_of(value: &Value) -> TeraResult<usize> {
    let mut bytes = 0;
    with_meter(|meter| meter.measure(value, 0, &mut bytes))?;
    Ok(bytes)
}

impl Meter {
    fn with_runtime<R>(&self, work: impl FnOnce(&Runtime) -> Result<R, FunctionError>) -> TeraResult<R> {
        let runtime = self.runtime.upgrade().ok_or_else(outside)?;
        work(&runtime).map_err(|e| tera::Error::message(e.to_string()))
    }

    fn charge(&self, value: &Value, times: usize) -> TeraResult<()> {
        let mut bytes = 0;
        self.measure(value, 0, &mut bytes)?;
        self.spend((1 + bytes / BYTES_PER_STEP).saturating_mul(times))?;
        self.look_at_clock(bytes >= LONG)
    }

    fn spend(&self, steps: usize) -> TeraResult<()> {
        self.with_runtime(|runtime| runtime.spend(steps))
    }

    /// Adds what a value has, as if nothing in it were shared, and stops at what a value may have.
    fn measure(&self, value: &Value, depth: usize, bytes: &mut usize) -> TeraResult<()> {
        if depth > MAX_NESTING {
            return Err(tera::Error::message(format!("a value is nested more than {MAX_NESTING} deep")));
        }
        if let Some(text) = value.as_str() {
            *bytes += if depth == 0 { text.len() } else { quoted(text) };
        } else if let Some(items) = value.as_array() {
            for item in items {
                *bytes += ELEMENT;
                self.measure(item, depth + 1, bytes)?;
            }
        } else if let Some(map) = value.as_map() {
            for (key, item) in map {
                *bytes += ENTRY + key.as_str().map_or(0, quoted);
                self.measure(item, depth + 1, bytes)?;
            }
        }
        self.with_runtime(|runtime| runtime.check_size(*bytes))
    }

    fn look_at_clock(&self, now_at_once: bool) -> TeraResult<()> {
        let calls = self.calls.get().wrapping_add(1);
        self.calls.set(calls);
        let is_due = now_at_once || calls.is_multiple_of(CLOCK_EVERY);
        if is_due && now().saturating_sub(self.started) > MAX_TIME {
            return Err(tera::Error::message(format!(
                "the templates take more than {} s of processor time: they go through much text or long lists again and again",
                MAX_TIME.as_secs()
            )));
        }
        Ok(())
    }
}

/// At most so many bytes has a text that is written in a list or a map, where it is quoted.
fn quoted(text: &str) -> usize {
    let bytes = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\n' => 2,
        b' '..=b'~' => 1,
        // `\u{80}` has two bytes at first, and `\u{1}` one.
        128.. => 3,
        _ => 5,
    });
    bytes.sum()
}

/// Gives a value back, and takes the steps for going through it `times`, or for `turn` steps for each of its elements. A
/// `path` of an attribute may not be long.
pub(super) fn filter(value: &Value, kwargs: Kwargs, _: &State<'_>) -> TeraResult<Value> {
    with_meter(|meter| {
        if let Some(steps) = kwargs.get::<usize>("turn")? {
            meter.spend(value.len().unwrap_or_default().saturating_mul(steps))?;
        } else if kwargs.get::<bool>("path")?.is_some() {
            let bytes = value.as_str().map_or(0, str::len);
            if bytes > MAX_PATH {
                return Err(tera::Error::message(format!(
                    "the path of an attribute has {bytes} bytes, and at most {MAX_PATH} are allowed"
                )));
            }
        } else {
            meter.charge(value, kwargs.get::<usize>("times")?.unwrap_or(1))?;
        }
        Ok(value.clone())
    })
}

/// Takes `steps`, or those for what was written `of` a value.
pub(super) fn function(kwargs: Kwargs, _: &State<'_>) -> TeraResult<Value> {
    with_meter(|meter| {
        if let Some(steps) = kwargs.get::<usize>("steps")? {
            meter.spend(steps)?;
            meter.look_at_clock(false)?;
        }
        if let Some(value) = kwargs.get::<&Value>("of")? {
            meter.charge(value, 1)?;
        }
        Ok(Value::normal_string(""))
    })
}
