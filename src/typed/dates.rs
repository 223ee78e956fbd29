//! Dates as people type them: local times, or moments with an offset from UTC.
//!
//! A camera writes what its clock shows, while the system dates files by moments. So a typed date is converted to
//! both, with the local time zone.

use imgsearch::index::Moment;
use jiff::fmt::temporal::Pieces;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{Timestamp, civil};

use super::Result;

/// Returns the local time zone: the one in the variable TZ, or else the system's. If it is unknown, `say` is told and
/// it is UTC.
pub fn here(say: impl FnOnce(&str)) -> TimeZone {
    TimeZone::try_system().unwrap_or_else(|error| {
        say(&format!(
            "the local time zone is unknown ({error}), so dates are taken as UTC; set it in TZ, as in TZ=Europe/Paris"
        ));
        TimeZone::UTC
    })
}

/// Parses `2024`, `2024-05`, `2024-05-17` or `2024-05-17T18:30` as a local time in `zone`. With an offset, as in
/// `2024-05-17T18:30Z` or `…+02:00`, it is a moment.
///
/// # Errors
///
/// If the text is not such a date.
pub fn moment(text: &str, zone: &TimeZone) -> Result<Moment> {
    let bad = || {
        format!(
            "{text:?} is not a date; write it as 2024, 2024-05, 2024-05-17, 2024-05-17T18:30, or with an offset from UTC \
             as 2024-05-17T18:30Z or 2024-05-17T18:30+02:00"
        )
    };
    let whole = match text.len() {
        4 => format!("{text}-01-01"),
        7 => format!("{text}-01"),
        _ => text.to_owned(),
    };
    let pieces = Pieces::parse(&whole).map_err(|_| bad())?;
    if pieces.time_zone_annotation().is_some() {
        return Err(bad().into());
    }
    let time = pieces.time().unwrap_or(civil::Time::midnight());
    let typed = pieces.date().to_datetime(time);
    let (wall, instant) = match pieces.to_numeric_offset() {
        None => (typed, first_shown(typed, zone).map_err(|_| bad())?),
        Some(offset) => {
            let instant = offset.to_timestamp(typed).map_err(|_| bad())?;
            (zone.to_datetime(instant), instant)
        }
    };
    Ok(Moment {
        wall: Offset::UTC
            .to_timestamp(wall)
            .map_err(|_| bad())?
            .as_second(),
        // No file is that old or new.
        unix_ns: i64::try_from(instant.as_nanosecond()).unwrap_or(if instant.as_second() < 0 {
            i64::MIN
        } else {
            i64::MAX
        }),
    })
}

/// Returns when clocks first showed this time or a later one. If they skip it, that is the moment when they are put
/// forward; if they show it twice, the first time.
fn first_shown(typed: civil::DateTime, zone: &TimeZone) -> Result<Timestamp, jiff::Error> {
    let offset = match zone.to_ambiguous_timestamp(typed).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Fold { before, .. } => before,
        AmbiguousOffset::Gap { before, after } => {
            let earlier = after.to_timestamp(typed)?;
            match zone.following(earlier).next() {
                Some(change) => return Ok(change.timestamp()),
                None => before,
            }
        }
    };
    offset.to_timestamp(typed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    /// Returns a time zone by its rules, so that no database of time zones is needed.
    fn zone(rules: &str) -> TimeZone {
        TimeZone::posix(rules).unwrap()
    }

    fn los_angeles() -> TimeZone {
        zone("PST8PDT,M3.2.0,M11.1.0")
    }

    /// Returns the local time and the moment, both in seconds since 1970.
    fn both(text: &str, zone: &TimeZone) -> (i64, i64) {
        let moment = moment(text, zone).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(moment.unix_ns % SECOND, 0);
        (moment.wall, moment.unix_ns / SECOND)
    }

    fn utc(text: &str) -> i64 {
        let time: civil::DateTime = text.parse().unwrap();
        TimeZone::UTC.to_timestamp(time).unwrap().as_second()
    }

    #[test]
    fn dates_of_every_length_are_read() {
        let read = |text: &str| both(text, &TimeZone::UTC);
        assert_eq!(read("1970"), (0, 0));
        assert_eq!(read("2000-02-29"), (951_782_400, 951_782_400));
        assert_eq!(read("2000-03"), (951_868_800, 951_868_800));
        assert_eq!(read("2000-02-29T12:00"), (951_825_600, 951_825_600));
        assert_eq!(read("2000-02-29 12:00"), (951_825_600, 951_825_600));
        assert!(read("1960-01-01").0 < 0);
        let fraction = moment("1970-01-01T00:00:01.5", &TimeZone::UTC).unwrap();
        assert_eq!((fraction.wall, fraction.unix_ns), (1, 3 * SECOND / 2));
        // Before and after every possible date of a file.
        let edges = ["1500", "9000"].map(|text| moment(text, &TimeZone::UTC).unwrap());
        assert_eq!(edges.map(|edge| edge.unix_ns), [i64::MIN, i64::MAX]);
        assert_eq!(edges[0].wall, utc("1500-01-01T00:00"));
        for bad in [
            "",
            "yesterday",
            "2001-02-29",
            "2024-13",
            "17.5.2024",
            "20240517T25",
            "2024-05-17T18:30[Europe/Berlin]",
            "2024-05-17T18:30+99:00",
            "2024-05+02:00",
        ] {
            let error = moment(bad, &TimeZone::UTC).unwrap_err().to_string();
            assert!(error.contains("2024-05-17"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_date_without_an_offset_is_what_local_clocks_show() {
        let zone = los_angeles();
        assert_eq!(
            both("2024-05-02", &zone),
            (utc("2024-05-02T00:00"), utc("2024-05-02T07:00"))
        );
        assert_eq!(
            both("2024-12", &zone),
            (utc("2024-12-01T00:00"), utc("2024-12-01T08:00"))
        );
    }

    #[test]
    fn a_date_with_an_offset_is_a_moment_that_local_clocks_show_differently() {
        let zone = los_angeles();
        for text in [
            "2024-05-02T05:00+02:00",
            "2024-05-02T03:00Z",
            "2024-05-01T20:00-07:00",
        ] {
            assert_eq!(
                both(text, &zone),
                (utc("2024-05-01T20:00"), utc("2024-05-02T03:00")),
                "{text}"
            );
        }
    }

    #[test]
    fn an_hour_that_clocks_skip_begins_when_they_are_put_forward() {
        let zone = los_angeles();
        let change = utc("2024-03-10T10:00");
        for text in ["2024-03-10T02:00", "2024-03-10T02:30", "2024-03-10T03:00"] {
            assert_eq!(both(text, &zone), (utc(text), change), "{text}");
        }
        assert_eq!(both("2024-03-10T01:59", &zone).1, change - 60);
        assert_eq!(both("2024-03-10T03:01", &zone).1, change + 60);
        // If that is at midnight, the day begins an hour late.
        let brazil = TimeZone::posix("<-03>3<-02>,M10.3.0/0,M2.3.0/0").unwrap();
        assert_eq!(both("2017-10-15", &brazil).1, utc("2017-10-15T03:00"));
    }

    #[test]
    fn an_hour_that_clocks_show_twice_counts_from_the_first_time() {
        let zone = los_angeles();
        assert_eq!(both("2024-11-03T01:30", &zone).1, utc("2024-11-03T08:30"));
        assert_eq!(both("2024-11-03T02:00", &zone).1, utc("2024-11-03T10:00"));
        // An offset says which of the two is meant.
        assert_eq!(
            both("2024-11-03T01:30-08:00", &zone),
            (utc("2024-11-03T01:30"), utc("2024-11-03T09:30"))
        );
    }
}
