//! Times in words, for people: the date in UTC, and how far away that is.

use opalid_core::time::UnixTime;

const DAY: i64 = 24 * 3600;

/// Such as `2026-11-23 21:20:03Z (in 12 minutes)`.
pub fn time(time: UnixTime, now: UnixTime) -> String {
    let away = time.0.saturating_sub(now.0);
    let length = length(away.unsigned_abs());
    match away {
        0 => format!("{} (now)", date(time)),
        1.. => format!("{} (in {length})", date(time)),
        _ => format!("{} ({length} ago)", date(time)),
    }
}

/// Such as `2026-11-23 21:20:03Z`.
pub fn date(time: UnixTime) -> String {
    let (days, second) = (time.0.div_euclid(DAY), time.0.rem_euclid(DAY));
    // Days counted from 0000-03-01, so that the leap day ends a year; 146,097 days are 400 years.
    let from_march = days.saturating_add(719_468);
    let (era, of_era) = (from_march.div_euclid(146_097), from_march.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
}

fn length(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00Z"),
            (951_782_399, "2000-02-28 23:59:59Z"),
            (951_782_400, "2000-02-29 00:00:00Z"),
            (951_868_800, "2000-03-01 00:00:00Z"),
            (1_735_689_599, "2024-12-31 23:59:59Z"),
            (1_795_468_803, "2026-11-23 21:20:03Z"),
            (4_107_542_400, "2100-03-01 00:00:00Z"),
        ] {
            assert_eq!(date(UnixTime(seconds)), expected);
        }
    }

    #[test]
    fn how_far_away_is_said_in_the_largest_unit_that_tells_something() {
        let at = |away| time(UnixTime(away), UnixTime(0)).split_once('(').unwrap().1.to_owned();
        assert_eq!(at(0), "now)");
        assert_eq!(at(1), "in 1 second)");
        assert_eq!(at(-119), "119 seconds ago)");
        assert_eq!(at(3_600), "in 60 minutes)");
        assert_eq!(at(-172_800), "2 days ago)");
    }
}
