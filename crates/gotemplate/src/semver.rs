//! Semantic versions and constraints on them, with the rules of the library that Helm uses for `semverCompare`, for the
//! versions of dependencies and for `kubeVersion`.

use std::cmp::Ordering;
use std::fmt;

/// The longest text that is read as a version.
const MAX_LEN: usize = 256;

/// A semantic version: `1.2.3-rc.1+build`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// What makes it incompatible when it changes.
    pub major: u64,
    /// What stays compatible when it changes.
    pub minor: u64,
    /// Corrections.
    pub patch: u64,
    /// What follows the `-`; empty for a release.
    pub pre: String,
    /// What follows the `+`. It has no order.
    pub build: String,
    original: String,
}

/// Why a version or a constraint was not read, in the words of the library that Helm uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl Version {
    /// Reads a version of one to three numbers, with or without a `v`.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn parse(text: &str) -> Result<Version, Error> {
        let invalid = || Error("invalid semantic version".to_owned());
        let mut scan = Scan(text);
        let parts = scan.parts(|c| c.is_ascii_digit()).ok_or_else(invalid)?;
        if !scan.0.is_empty() || text.len() > MAX_LEN {
            return Err(invalid());
        }
        Version::of(&parts, text)
    }

    /// Reads a version of exactly three numbers, without a `v` and without leading zeros.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn parse_strict(text: &str) -> Result<Version, Error> {
        let version = Version::parse(text)?;
        let numbers = text.split(['-', '+']).next().unwrap_or(text);
        let is_plain = |part: &str| part == "0" || !part.starts_with(['0', 'v']);
        if numbers.split('.').count() == 3 && numbers.split('.').all(is_plain) {
            Ok(version)
        } else {
            Err(Error("invalid semantic version".to_owned()))
        }
    }

    fn of(parts: &Parts<'_>, original: &str) -> Result<Version, Error> {
        let number = |text: Option<&str>| match text {
            None => Ok(0),
            Some(text) => text
                .parse()
                .map_err(|_| Error(format!("version segment {text} is too large or is no number"))),
        };
        if parts.pre.split('.').any(|part| is_number(part) && part.len() > 1 && part.starts_with('0')) {
            return Err(Error("version segment starts with 0".to_owned()));
        }
        Ok(Version {
            major: number(Some(parts.major))?,
            minor: number(parts.minor)?,
            patch: number(parts.patch)?,
            pre: parts.pre.to_owned(),
            build: parts.build.to_owned(),
            original: original.to_owned(),
        })
    }

    /// The text that the version was read from.
    pub fn original(&self) -> &str {
        &self.original
    }

    /// Compares two versions. What follows the `+` does not count.
    pub fn compare(&self, other: &Version) -> Ordering {
        let numbers = |v: &Version| (v.major, v.minor, v.patch);
        numbers(self).cmp(&numbers(other)).then_with(|| compare_pre(&self.pre, &other.pre))
    }
}

/// Always three numbers, without a `v`.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.pre.is_empty() {
            write!(f, "-{}", self.pre)?;
        }
        if !self.build.is_empty() {
            write!(f, "+{}", self.build)?;
        }
        Ok(())
    }
}

fn is_number(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())
}

/// A release is after all that leads to it; numbers are before words, and fewer parts before more.
fn compare_pre(one: &str, other: &str) -> Ordering {
    if one.is_empty() || other.is_empty() {
        return one.is_empty().cmp(&other.is_empty());
    }
    let (mut ones, mut others) = (one.split('.'), other.split('.'));
    loop {
        let order = match (ones.next(), others.next()) {
            (None, None) => return Ordering::Equal,
            (one, other) if one.is_none() || other.is_none() => return one.is_some().cmp(&other.is_some()),
            (Some(one), Some(other)) => match (one.parse::<u64>(), other.parse::<u64>()) {
                (Ok(one), Ok(other)) => one.cmp(&other),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => one.cmp(other),
            },
            _ => Ordering::Equal,
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// A constraint on versions: alternatives with `||` between, each of which is a list that has to hold as a whole:
/// `>=1.19-0 <2 || ^3.1`.
///
/// A version that leads to a release (`1.2.0-rc1`) fits only where the same alternative names such a version too.
#[derive(Clone, Debug)]
pub struct Constraint(Vec<Vec<Comparison>>);

impl Constraint {
    /// Reads a constraint.
    ///
    /// # Errors
    ///
    /// It is none; an empty text is none either.
    pub fn parse(text: &str) -> Result<Constraint, Error> {
        let text = ranges_as_comparisons(text);
        Ok(Constraint(text.split("||").map(Comparison::list).collect::<Result<_, _>>()?))
    }

    /// Whether a version fits.
    pub fn matches(&self, version: &Version) -> bool {
        self.0.iter().any(|all| {
            let wants_pre = all.iter().any(|one| !one.version.pre.is_empty());
            (version.pre.is_empty() || wants_pre) && all.iter().all(|one| one.matches(version))
        })
    }
}

/// Whether the version fits the constraint.
///
/// # Errors
///
/// One of both can't be read.
pub fn satisfies(constraint: &str, version: &str) -> Result<bool, Error> {
    Ok(Constraint::parse(constraint)?.matches(&Version::parse(version)?))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Tilde,
    Caret,
}

/// The longer ones first.
const OPERATORS: [(&str, Operator); 11] = [
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterOrEqual),
    ("=>", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("=<", Operator::LessOrEqual),
    ("~>", Operator::Tilde),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
];

#[derive(Clone, Debug)]
struct Comparison {
    operator: Operator,
    version: Version,
    /// How many of the three numbers are there; the others are open.
    given: usize,
}

impl Comparison {
    /// Comparisons with blanks or commas between.
    fn list(text: &str) -> Result<Vec<Comparison>, Error> {
        let improper = || Error(format!("improper constraint: {text:?}"));
        let mut scan = Scan(text.trim_start());
        let mut list = Vec::new();
        loop {
            let operator = OPERATORS.iter().find_map(|(sign, operator)| {
                scan.0 = scan.0.strip_prefix(sign)?;
                Some(*operator)
            });
            scan.blanks();
            let parts = scan.parts(is_number_or_open).ok_or_else(improper)?;
            list.push(Comparison::of(operator.unwrap_or(Operator::Equal), &parts)?);
            let was_blank = scan.blanks();
            if scan.0.is_empty() {
                return Ok(list);
            }
            let was_comma = scan.take(",");
            if !was_blank && !was_comma {
                return Err(improper());
            }
            scan.blanks();
        }
    }

    fn of(operator: Operator, parts: &Parts<'_>) -> Result<Comparison, Error> {
        let is_open = |part: Option<&str>| part.is_none_or(|part| matches!(part, "x" | "X" | "*"));
        let given = match parts {
            parts if is_open(Some(parts.major)) => 0,
            parts if is_open(parts.minor) => 1,
            parts if is_open(parts.patch) => 2,
            _ => 3,
        };
        let known = Parts {
            major: if given > 0 { parts.major } else { "0" },
            minor: parts.minor.filter(|_| given > 1),
            patch: parts.patch.filter(|_| given > 2),
            build: if given > 2 { parts.build } else { "" },
            pre: parts.pre,
        };
        let version = Version::of(&known, "").map_err(|_| Error("constraint parser error".to_owned()))?;
        Ok(Comparison { operator, version, given })
    }

    fn matches(&self, version: &Version) -> bool {
        let own = &self.version;
        let order = version.compare(own);
        let same_major = version.major == own.major;
        let same_minor = version.minor == own.minor;
        match self.operator {
            Operator::Equal if self.given < 3 => self.tilde(version),
            Operator::Equal => order.is_eq(),
            Operator::NotEqual => match self.given {
                // An open major number counts as zero here.
                0 | 3 if !same_major => true,
                1 => !same_major,
                2 if !same_major || !same_minor => true,
                2 => compare_pre(&version.pre, &own.pre).is_ne(),
                _ => order.is_ne(),
            },
            Operator::Greater => match self.given {
                1 => version.major > own.major,
                2 => (version.major, version.minor) > (own.major, own.minor),
                _ => order.is_gt(),
            },
            Operator::Less => order.is_lt(),
            Operator::GreaterOrEqual => order.is_ge(),
            Operator::LessOrEqual => match self.given {
                3 => order.is_le(),
                1 => version.major <= own.major,
                _ => (version.major, version.minor) <= (own.major, own.minor),
            },
            Operator::Tilde => self.tilde(version),
            Operator::Caret => {
                order.is_ge()
                    && match self.given {
                        _ if own.major > 0 => same_major,
                        1 => same_major,
                        _ if version.major > 0 => false,
                        2 => same_minor,
                        _ if own.minor > 0 => same_minor,
                        _ if version.minor > 0 => false,
                        _ => version.patch == own.patch,
                    }
            }
        }
    }

    /// From the version on, with the same numbers but the last.
    fn tilde(&self, version: &Version) -> bool {
        let own = &self.version;
        let is_anything = (own.major, own.minor, own.patch) == (0, 0, 0) && matches!(self.given, 0 | 3);
        version.compare(own).is_ge()
            && (is_anything || version.major == own.major && (self.given == 1 || version.minor == own.minor))
    }
}

fn is_number_or_open(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, 'x' | 'X' | '*' | '|')
}

/// `A - B` as `>= A, <= B`.
fn ranges_as_comparisons(text: &str) -> String {
    let mut rest = text;
    let mut rewritten = String::new();
    while let Some(start) = rest.find(|c| c == 'v' || is_number_or_open(c)) {
        let mut scan = Scan(&rest[start..]);
        let Some(from) = scan.version_text() else {
            let next = start + 1;
            rewritten.push_str(&rest[..next]);
            rest = &rest[next..];
            continue;
        };
        let after = scan;
        let range = (scan.blanks() && scan.take("-") && scan.blanks()).then(|| scan.version_text()).flatten();
        match range {
            Some(to) => {
                rewritten.push_str(rest[..start].trim_end());
                rewritten.push_str(&format!(">= {from}, <= {to} "));
                scan.blanks();
                rest = scan.0;
            }
            None => {
                rewritten.push_str(&rest[..rest.len() - after.0.len()]);
                rest = after.0;
            }
        }
    }
    rewritten + rest
}

/// The parts of a version as they are written.
struct Parts<'a> {
    major: &'a str,
    minor: Option<&'a str>,
    patch: Option<&'a str>,
    pre: &'a str,
    build: &'a str,
}

#[derive(Clone, Copy)]
struct Scan<'a>(&'a str);

impl<'a> Scan<'a> {
    fn take(&mut self, text: &str) -> bool {
        match self.0.strip_prefix(text) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    /// Whether there were any.
    fn blanks(&mut self) -> bool {
        let rest = self.0.trim_start_matches(|c: char| c.is_ascii_whitespace());
        let any = rest.len() < self.0.len();
        self.0 = rest;
        any
    }

    fn while_is(&mut self, is: impl Fn(char) -> bool) -> Option<&'a str> {
        let end = self.0.find(|c| !is(c)).unwrap_or(self.0.len());
        let (text, rest) = self.0.split_at(end);
        if text.is_empty() {
            return None;
        }
        self.0 = rest;
        Some(text)
    }

    /// Words with dots between, behind a sign.
    fn words(&mut self, sign: &str) -> Option<&'a str> {
        let mut ahead = *self;
        if !ahead.take(sign) {
            return None;
        }
        let start = ahead.0;
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
        ahead.while_is(is_word)?;
        loop {
            let mut more = ahead;
            if !more.take(".") || more.while_is(is_word).is_none() {
                break;
            }
            ahead = more;
        }
        *self = ahead;
        Some(&start[..start.len() - ahead.0.len()])
    }

    fn parts(&mut self, is_number: impl Fn(char) -> bool) -> Option<Parts<'a>> {
        let mut ahead = *self;
        ahead.take("v");
        let major = ahead.while_is(&is_number)?;
        let mut number = || {
            let mut more = ahead;
            let number = more.take(".").then(|| more.while_is(&is_number)).flatten();
            if number.is_some() {
                ahead = more;
            }
            number
        };
        let minor = number();
        let patch = minor.and_then(|_| number());
        let pre = ahead.words("-").unwrap_or_default();
        let build = ahead.words("+").unwrap_or_default();
        *self = ahead;
        Some(Parts { major, minor, patch, pre, build })
    }

    fn version_text(&mut self) -> Option<&'a str> {
        let start = self.0;
        self.parts(is_number_or_open)?;
        Some(&start[..start.len() - self.0.len()])
    }
}
