//! Days, months and years, and time zones.

use jiff::tz::{TimeZone, TimeZoneDatabase};

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub(super) const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

pub(super) const DAY_S: i64 = 86_400;

/// Days since 1970-01-01 of a day; the month may be any number, also beyond a year.
pub(super) fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year.saturating_add((month - 1).div_euclid(12));
    let month = (month - 1).rem_euclid(12) + 1;
    // Years that begin in March have their odd day at the end.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era.saturating_mul(146_097)
        .saturating_add(year_of_era * 365 + year_of_era / 4 - year_of_era / 100)
        .saturating_add(day_of_year)
        .saturating_sub(719_468)
}

/// Year, month and day of a number of days since 1970-01-01.
pub(super) fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days.saturating_add(719_468);
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// How many days a month has.
pub(super) fn days_in(year: i64, month: i64) -> i64 {
    days(year, month + 1, 1) - days(year, month, 1)
}

/// A time zone.
#[derive(Clone, Debug)]
pub(super) enum Zone {
    Utc,
    /// A name, which may be empty, and seconds east of Greenwich.
    Fixed(String, i64),
    Named(TimeZone),
}

impl Zone {
    /// A zone by its name. The local one is UTC: a template does not learn where it is rendered.
    pub(super) fn find(name: &str) -> Option<Zone> {
        match name {
            "" | "UTC" | "Local" => Some(Zone::Utc),
            name => {
                let zone = TimeZoneDatabase::bundled().get(name).ok()?;
                // The original looks for a file, whose name has its case.
                (zone.iana_name() == Some(name)).then_some(Zone::Named(zone))
            }
        }
    }

    /// The abbreviation and the seconds east of Greenwich at a time.
    pub(super) fn at(&self, seconds: i64) -> (String, i64) {
        match self {
            Zone::Utc => ("UTC".to_owned(), 0),
            Zone::Fixed(name, offset) => (name.clone(), *offset),
            Zone::Named(zone) => match jiff::Timestamp::from_second(seconds) {
                Ok(timestamp) => {
                    let info = zone.to_offset_info(timestamp);
                    (info.abbreviation().to_owned(), info.offset().seconds().into())
                }
                Err(_) => ("UTC".to_owned(), 0),
            },
        }
    }
}
