//! The two streams: data on standard output, talk on standard error.

use crate::{
    args::{Format, Global, When},
    exit::{Exit, Failure, Outcome},
};
use provider_core::Error;
use std::{
    borrow::Cow,
    env,
    ffi::OsString,
    fmt,
    io::{self, BufRead, IsTerminal, Write},
};

/// How wide the labels are that lines of talk begin with.
const LABEL: usize = 10;

/// Where everything goes that the program says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    /// How to print data.
    pub(crate) format: Format,
    quiet: bool,
    /// Whether lines of talk may be drawn over.
    pub(crate) is_live: bool,
    /// Whether somebody can be asked.
    pub(crate) is_interactive: bool,
    color_data: bool,
    color_talk: bool,
}

/// What a label means, and so its colour. Never the only sign of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Good,
    Busy,
    Warning,
    Bad,
    Faint,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "1",
            Self::Good => "1;32",
            Self::Busy => "36",
            Self::Warning => "1;33",
            Self::Bad => "1;31",
            Self::Faint => "2",
        }
    }
}

impl Screen {
    pub(crate) fn new(global: &Global) -> Self {
        let is_interactive = io::stdin().is_terminal() && io::stderr().is_terminal();
        let set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
        let color = |is_terminal: bool| {
            choose_color(
                global.color,
                is_terminal && !dumb,
                env::var_os("NO_COLOR"),
                env::var_os("CLICOLOR_FORCE"),
            )
        };
        Self {
            format: global.output,
            quiet: global.quiet,
            is_live: io::stderr().is_terminal() && !dumb && !set("CI") && !global.quiet,
            is_interactive,
            color_data: color(io::stdout().is_terminal()),
            color_talk: color(io::stderr().is_terminal()),
        }
    }

    /// Whether data is printed for people, not for programs.
    pub(crate) fn is_for_people(&self) -> bool {
        matches!(self.format, Format::Table | Format::Wide)
    }

    /// Prints data, as it is. A reader that has gone away is no error.
    pub(crate) fn data(&self, text: &str) -> Outcome {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Err(Failure::Said(Exit::Error)),
            Err(e) => Err(Error::unavailable("writing to standard output").caused_by(&e).into()),
            Ok(()) => Ok(()),
        }
    }

    /// Says a line with a label before it. `text` may hold anything; further lines are indented.
    pub(crate) fn say(&self, tone: Tone, label: &str, text: &str) {
        if !self.quiet {
            self.talk(&self.labelled(tone, label, text));
        }
    }

    /// As [`say`](Self::say), for what is data: it goes to standard output.
    pub(crate) fn tell(&self, label: &str, text: &str) -> Outcome {
        let label = format!("{label:<width$}", width = LABEL - 1);
        self.data(&format!("{} {}\n", self.paint_data(Tone::Plain, &label), escaped(text)))
    }

    /// Says what deserves attention, even when quiet.
    pub(crate) fn warn(&self, text: &str) {
        self.talk(&format!("{} {}\n", self.paint(Tone::Warning, "warning:"), escaped(text)));
    }

    /// Says why it ends, with causes and what to do about it.
    pub(crate) fn error(&self, error: &Error) {
        let mut text =
            format!("{} {}\n", self.paint(Tone::Bad, "error:"), escaped_lines(&error.to_string(), "  "));
        for cause in error.causes() {
            let cause = escaped_lines(cause.trim_end(), "    ");
            text += &format!("  {} {cause}\n", self.paint(Tone::Faint, "cause:"));
        }
        if let Some(hint) = error.hint_text() {
            text += &format!("{} {}\n", self.paint(Tone::Busy, "help:"), escaped_lines(hint, "  "));
        }
        self.talk(&text);
    }

    /// Asks and returns the answer, without the line's end.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(crate) fn ask(&self, question: &str) -> Outcome<String> {
        self.talk(question);
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer);
        match read {
            Ok(0) => {
                self.talk("\n");
                Err(Error::cancelled("there was no answer").into())
            }
            Ok(_) => Ok(answer.trim_end_matches(['\r', '\n']).to_owned()),
            Err(e) => Err(Error::unavailable("reading from the terminal").caused_by(&e).into()),
        }
    }

    /// A line as [`say`](Self::say) says it.
    pub(crate) fn labelled(&self, tone: Tone, label: &str, text: &str) -> String {
        let label = format!("{label:<width$}", width = LABEL - 1);
        format!("{} {}\n", self.paint(tone, &label), escaped_lines(text, &" ".repeat(LABEL)))
    }

    /// Writes to standard error, as it is.
    pub(crate) fn talk(&self, text: &str) {
        // When nobody listens any more there is nobody to tell.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// `text` in colour, for talk.
    pub(crate) fn paint<'a>(&self, tone: Tone, text: &'a str) -> Cow<'a, str> {
        paint(self.color_talk, tone, text)
    }

    /// `text` in colour, for data.
    pub(crate) fn paint_data<'a>(&self, tone: Tone, text: &'a str) -> Cow<'a, str> {
        paint(self.color_data, tone, text)
    }

    /// A screen without terminal or colour.
    #[cfg(test)]
    pub(crate) fn plain(format: Format) -> Self {
        Self {
            format,
            quiet: false,
            is_live: false,
            is_interactive: false,
            color_data: false,
            color_talk: false,
        }
    }
}

/// What was written on a node, line by line and with the node's name if there are several. A program gets it as
/// it is; a terminal must not be steered by it.
pub(crate) fn log_lines(node: &str, text: &str, named: bool) -> String {
    let raw = !io::stdout().is_terminal();
    let line = |line: &str| {
        let line = if raw { line.into() } else { escaped(line) };
        if named { format!("{node}  {line}\n") } else { format!("{line}\n") }
    };
    text.lines().map(line).collect()
}

fn paint(on: bool, tone: Tone, text: &str) -> Cow<'_, str> {
    if on { Cow::Owned(format!("\x1b[{}m{text}\x1b[0m", tone.code())) } else { Cow::Borrowed(text) }
}

fn choose_color(when: When, fits: bool, no_color: Option<OsString>, force: Option<OsString>) -> bool {
    let set = |value: Option<OsString>| value.is_some_and(|value| !value.is_empty());
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto if set(no_color) => false,
        When::Auto => fits || force.is_some_and(|value| !value.is_empty() && value != "0"),
    }
}

/// Text from outside on one line, with what could steer a terminal made visible.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| if steers(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escape).collect())
}

/// As [`escaped`], keeping the lines: all but the first begin with `indent`.
pub(crate) fn escaped_lines(text: &str, indent: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(escaped).collect();
    lines.join(&format!("\n{indent}"))
}

/// Control characters, and those that change the direction of what follows.
pub(crate) fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A time span for people: `40 ms`, `0.3 s`, `42 s`, `3 m 5 s`, `2 h 10 m`, `3 d 4 h`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span(pub(crate) std::time::Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0 if self.0.as_millis() < 100 => write!(f, "{} ms", self.0.as_millis()),
            0..10 => write!(f, "{:.1} s", self.0.as_secs_f64()),
            10..60 => write!(f, "{seconds} s"),
            60..3600 => write!(f, "{} m {} s", seconds / 60, seconds % 60),
            3600..86_400 => write!(f, "{} h {} m", seconds / 3600, seconds / 60 % 60),
            _ => write!(f, "{} d {} h", seconds / 86_400, seconds / 3600 % 24),
        }
    }
}

/// `1 node`, `2 nodes`.
pub(crate) fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn colour_follows_the_conventions() {
        fn check(when: When, terminal: bool, no_color: &str, force: &str, expected: bool) {
            let is = choose_color(when, terminal, Some(no_color.into()), Some(force.into()));
            assert_eq!(is, expected, "{when:?} {terminal} {no_color:?} {force:?}");
        }
        check(When::Auto, true, "", "", true);
        check(When::Auto, false, "", "", false);
        check(When::Auto, true, "1", "", false);
        check(When::Auto, false, "", "1", true);
        check(When::Auto, false, "", "0", false);
        check(When::Auto, true, "1", "1", false);
        check(When::Always, false, "1", "", true);
        check(When::Never, true, "", "1", false);
    }

    #[test]
    fn what_could_steer_a_terminal_is_made_visible() {
        fn check(text: &str, shown: &str) {
            assert_eq!(escaped(text), shown);
        }
        check("plain, ünïcode ✓", "plain, ünïcode ✓");
        check("\x1b[31mred\x07", r"\u{1b}[31mred\u{7}");
        check("a\nb\tc\r", r"a\nb\tc\r");
        check("\u{9b}2J\u{202e}txt", r"\u{9b}2J\u{202e}txt");
        assert_eq!(escaped_lines("one\ntwo\x1b", "  "), "one\n  two\\u{1b}");
    }

    #[test]
    fn spans_are_short() {
        fn check(ms: u64, shown: &str) {
            assert_eq!(Span(Duration::from_millis(ms)).to_string(), shown);
        }
        check(99, "99 ms");
        check(340, "0.3 s");
        check(12_900, "12 s");
        check(185_000, "3 m 5 s");
        check(7_805_000, "2 h 10 m");
        check(273_600_000, "3 d 4 h");
    }
}
