//! Versions and constraints as Helm understands them, which is more lenient than the standard: parts may be missing,
//! `v` may lead, and constraints know `~`, `^`, `x`, ranges with a hyphen, and `||`.

use std::cmp::Ordering;
use std::fmt;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// Longer texts are refused, as in Helm.
const MAX_LENGTH: usize = 256;

/// What is wrong with a version or a constraint, in Helm's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is a constant")
}

/// Whether these are words of letters, digits and hyphens with dots between them.
fn is_dotted(text: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    text.split('.').all(|word| !word.is_empty() && word.bytes().all(is_known))
}

/// A version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    major: u64,
    minor: u64,
    patch: u64,
    prerelease: String,
    metadata: String,
    original: String,
}

impl Version {
    /// Reads a version; missing parts are 0.
    ///
    /// # Errors
    ///
    /// It is no version, also not leniently.
    pub fn parse(text: &str) -> Result<Version, Error> {
        if text.len() > MAX_LENGTH {
            return Err(Error(format!("version string is too long (max {MAX_LENGTH} characters)")));
        }
        let (rest, metadata) = text.split_once('+').map_or((text, None), |(rest, after)| (rest, Some(after)));
        let (core, prerelease) =
            rest.split_once('-').map_or((rest, None), |(core, after)| (core, Some(after)));
        let core: Vec<_> = core.strip_prefix('v').unwrap_or(core).split('.').collect();
        let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if core.len() > 3
            || !core.iter().all(is_number)
            || ![prerelease, metadata].into_iter().flatten().all(is_dotted)
        {
            return Err(Error("invalid semantic version".to_owned()));
        }
        let number = |index: usize| {
            let digits = core.get(index).copied().unwrap_or("0");
            digits.parse().map_err(|_| {
                Error(format!(
                    "error parsing version segment: strconv.ParseUint: parsing \"{digits}\": value out of range"
                ))
            })
        };
        let version = Version {
            major: number(0)?,
            minor: number(1)?,
            patch: number(2)?,
            prerelease: prerelease.unwrap_or_default().to_owned(),
            metadata: metadata.unwrap_or_default().to_owned(),
            original: text.to_owned(),
        };
        let zero_led = |part: &str| {
            part.len() > 1 && part.starts_with('0') && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        if version.prerelease.split('.').any(zero_led) {
            return Err(Error("version segment starts with 0".to_owned()));
        }
        Ok(version)
    }

    /// The first number.
    pub fn major(&self) -> u64 {
        self.major
    }

    /// The second number.
    pub fn minor(&self) -> u64 {
        self.minor
    }

    /// The third number.
    pub fn patch(&self) -> u64 {
        self.patch
    }

    /// What follows `-`; empty for a release.
    pub fn prerelease(&self) -> &str {
        &self.prerelease
    }

    /// What follows `+`.
    pub fn metadata(&self) -> &str {
        &self.metadata
    }

    /// The text it was read from.
    pub fn original(&self) -> &str {
        &self.original
    }

    /// The next patch release; for a prerelease, its release.
    #[must_use]
    pub fn next_patch(&self) -> Version {
        let patch = if self.prerelease.is_empty() { self.patch.wrapping_add(1) } else { self.patch };
        self.next(self.major, self.minor, patch)
    }

    /// The next minor release.
    #[must_use]
    pub fn next_minor(&self) -> Version {
        self.next(self.major, self.minor.wrapping_add(1), 0)
    }

    /// The next major release.
    #[must_use]
    pub fn next_major(&self) -> Version {
        self.next(self.major.wrapping_add(1), 0, 0)
    }

    fn next(&self, major: u64, minor: u64, patch: u64) -> Version {
        let prefix = if self.original.starts_with('v') { "v" } else { "" };
        let original = format!("{prefix}{major}.{minor}.{patch}");
        Version { major, minor, patch, prerelease: String::new(), metadata: String::new(), original }
    }

    /// How it stands to another one. Metadata does not count.
    pub fn compare(&self, other: &Version) -> Ordering {
        let numbers = |version: &Version| (version.major, version.minor, version.patch);
        numbers(self).cmp(&numbers(other)).then_with(|| {
            match (self.prerelease.is_empty(), other.prerelease.is_empty()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) => compare_prereleases(&self.prerelease, &other.prerelease),
            }
        })
    }
}

/// Numbers by value and before words; a shorter one first if it is the start of the other.
fn compare_prereleases(one: &str, two: &str) -> Ordering {
    let (mut ones, mut twos) = (one.split('.'), two.split('.'));
    loop {
        let (one, two) = match (ones.next(), twos.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(one), Some(two)) => (one, two),
        };
        let order = match (one.parse::<u64>(), two.parse::<u64>()) {
            (Ok(one), Ok(two)) => one.cmp(&two),
            (Ok(_), Err(_)) => Ordering::Less,
            (Err(_), Ok(_)) => Ordering::Greater,
            (Err(_), Err(_)) => one.cmp(two),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.prerelease.is_empty() {
            write!(out, "-{}", self.prerelease)?;
        }
        if !self.metadata.is_empty() {
            write!(out, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

/// What versions are acceptable: alternatives, of which each is a list of conditions.
#[derive(Clone, Debug)]
pub struct Constraint {
    alternatives: Vec<Vec<Condition>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    Tilde,
    Caret,
}

/// Which part of a condition's version is the first that is missing or a wildcard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Nothing,
    Patch,
    Minor,
    Everything,
}

#[derive(Clone, Debug)]
struct Condition {
    operator: Operator,
    version: Version,
    open: Open,
}

const OPERATORS: &str = r"=||!=|>|<|>=|=>|<=|=<|~|~>|\^";
const WILD: &str = r"v?([0-9|xX*]+)(?:\.([0-9|xX*]+))?(?:\.([0-9|xX*]+))?(-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?";
const SPACE: &str = r"[\t\n\f\r ]";

/// The same pattern without groups.
fn ungrouped(pattern: &str) -> String {
    pattern.replace("(?:", "(").replace('(', "(?:")
}

static RANGE: LazyLock<Regex> = LazyLock::new(|| {
    let wild = ungrouped(WILD);
    regex(&format!("{SPACE}*({wild}){SPACE}+-{SPACE}+({wild}){SPACE}*"))
});
static CONDITIONS: LazyLock<Regex> = LazyLock::new(|| {
    let one = format!("(?:{OPERATORS}){SPACE}*(?:{})", ungrouped(WILD));
    regex(&format!("^(?:{SPACE}*{one}{SPACE}*)(?:(?:{SPACE}+|,{SPACE}*){one}{SPACE}*)*$"))
});
static FIND: LazyLock<Regex> =
    LazyLock::new(|| regex(&format!("(?:{OPERATORS}){SPACE}*(?:{})", ungrouped(WILD))));
static CONDITION: LazyLock<Regex> =
    LazyLock::new(|| regex(&format!("^{SPACE}*({OPERATORS}){SPACE}*(?:{WILD}){SPACE}*$")));

impl Constraint {
    /// Reads a constraint.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn parse(text: &str) -> Result<Constraint, Error> {
        let text =
            RANGE.replace_all(text, |range: &Captures<'_>| format!(">= {}, <= {} ", &range[1], &range[2]));
        let mut alternatives = Vec::new();
        for alternative in text.split("||") {
            let improper = |text: &str| {
                Error(format!("improper constraint: {}", crate::format::quoted(text.as_bytes(), '"', false)))
            };
            if !CONDITIONS.is_match(alternative) {
                return Err(improper(alternative));
            }
            let conditions = FIND.find_iter(alternative).map(|found| {
                let parts = CONDITION.captures(found.as_str()).ok_or_else(|| improper(found.as_str()))?;
                Condition::of(&parts)
            });
            alternatives.push(conditions.collect::<Result<_, _>>()?);
        }
        Ok(Constraint { alternatives })
    }

    /// Whether a version is acceptable. A prerelease is only where a condition of the same alternative names one.
    pub fn accepts(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|conditions| {
            let prereleases = conditions.iter().any(|condition| !condition.version.prerelease.is_empty());
            (version.prerelease.is_empty() || prereleases)
                && conditions.iter().all(|condition| condition.accepts(version))
        })
    }
}

impl Condition {
    fn of(parts: &Captures<'_>) -> Result<Condition, Error> {
        let part = |index| parts.get(index).map_or("", |part| part.as_str());
        let wild = |text: &str| matches!(text, "" | "x" | "X" | "*");
        let prerelease = part(5);
        let (version, open) = if wild(part(2)) {
            (format!("0.0.0{prerelease}"), Open::Everything)
        } else if wild(part(3)) {
            (format!("{}.0.0{prerelease}", part(2)), Open::Minor)
        } else if wild(part(4)) {
            (format!("{}.{}.0{prerelease}", part(2), part(3)), Open::Patch)
        } else {
            (format!("{}.{}.{}{prerelease}", part(2), part(3), part(4)), Open::Nothing)
        };
        let version = Version::parse(&version).map_err(|_| Error("constraint parser error".to_owned()))?;
        let operator = match part(1) {
            "!=" => Operator::NotEqual,
            ">" => Operator::Greater,
            "<" => Operator::Less,
            ">=" | "=>" => Operator::GreaterEqual,
            "<=" | "=<" => Operator::LessEqual,
            "~" | "~>" => Operator::Tilde,
            "^" => Operator::Caret,
            _ => Operator::Equal,
        };
        Ok(Condition { operator, version, open })
    }

    fn accepts(&self, version: &Version) -> bool {
        let wanted = &self.version;
        let order = version.compare(wanted);
        let majors = version.major.cmp(&wanted.major);
        let minors = version.minor.cmp(&wanted.minor);
        match self.operator {
            Operator::Equal if self.open == Open::Nothing => order == Ordering::Equal,
            Operator::Equal | Operator::Tilde => self.accepts_tilde(version),
            Operator::NotEqual => match self.open {
                Open::Nothing => order != Ordering::Equal,
                _ if majors != Ordering::Equal => true,
                Open::Minor => false,
                _ if minors != Ordering::Equal => true,
                Open::Patch if version.prerelease.is_empty() && wanted.prerelease.is_empty() => false,
                Open::Patch => {
                    compare_prereleases(&version.prerelease, &wanted.prerelease) != Ordering::Equal
                }
                _ if version.patch != wanted.patch => true,
                _ => order != Ordering::Equal,
            },
            Operator::Greater => match self.open {
                Open::Nothing | Open::Everything => order == Ordering::Greater,
                _ if majors != Ordering::Equal => majors == Ordering::Greater,
                Open::Minor => false,
                Open::Patch => minors == Ordering::Greater,
            },
            Operator::Less => order == Ordering::Less,
            Operator::GreaterEqual => order != Ordering::Less,
            Operator::LessEqual => match self.open {
                Open::Nothing => order != Ordering::Greater,
                Open::Minor => majors != Ordering::Greater,
                _ => majors.then(minors) != Ordering::Greater,
            },
            Operator::Caret => self.accepts_caret(version),
        }
    }

    fn accepts_tilde(&self, version: &Version) -> bool {
        let wanted = &self.version;
        if version.compare(wanted) == Ordering::Less {
            return false;
        }
        let zero = (wanted.major, wanted.minor, wanted.patch) == (0, 0, 0);
        if zero && matches!(self.open, Open::Nothing | Open::Everything) {
            return true;
        }
        version.major == wanted.major && (version.minor == wanted.minor || self.open == Open::Minor)
    }

    fn accepts_caret(&self, version: &Version) -> bool {
        let wanted = &self.version;
        if version.compare(wanted) == Ordering::Less || version.major != wanted.major {
            return false;
        }
        if wanted.major > 0 || self.open == Open::Minor {
            return true;
        }
        if version.minor != wanted.minor {
            return false;
        }
        wanted.minor > 0 || self.open == Open::Patch || version.patch == wanted.patch
    }
}

/// Whether a constraint accepts a version.
///
/// # Errors
///
/// One of them can't be read.
pub fn satisfies(constraint: &str, version: &str) -> Result<bool, Error> {
    Ok(Constraint::parse(constraint)?.accepts(&Version::parse(version)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_accept_what_helm_accepts() {
        fn check(constraint: &str, version: &str, accepted: bool) {
            assert_eq!(satisfies(constraint, version), Ok(accepted), "{constraint} {version}");
        }
        check(">= 1.19-0", "v1.20.0-gke.100", true);
        check(">= 1.19", "v1.20.0-gke.100", false);
        check("1.x || >=2.5.0 || 5.0.0 - 7.2.3", "6.1.0", true);
        check("~1.2.3", "1.3.0", false);
        check("^0.2", "0.2.9", true);
        check("*", "1.0.0-beta", false);
        check(">1.0, <2", "1.5", true);
    }

    #[test]
    fn what_is_no_version_is_refused_in_the_words_of_helm() {
        let error = |text: &str| Version::parse(text).unwrap_err().to_string();
        assert_eq!(error("latest"), "invalid semantic version");
        assert_eq!(error("1.2.3-01"), "version segment starts with 0");
        assert_eq!(Constraint::parse("abc").unwrap_err().to_string(), "improper constraint: \"abc\"");
    }
}
