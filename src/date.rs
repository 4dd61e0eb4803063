//! Times as people read them: seconds since 1970, in UTC.

/// A moment of a day, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The year.
    pub year: u32,
    /// The month, from 1 on.
    pub month: u32,
    /// The day of the month, from 1 on.
    pub day: u32,
    /// The second of the day.
    pub second: u32,
}

impl Moment {
    /// `seconds` after the beginning of 1970.
    #[must_use]
    pub fn of(seconds: u32) -> Moment {
        let (year, month, day) = date(seconds / 86_400);
        Moment {
            year,
            month,
            day,
            second: seconds % 86_400,
        }
    }

    /// `1970-01-01 00:00`.
    #[must_use]
    pub fn to_minute(self) -> String {
        let [hour, minute, _] = self.clock();
        format!("{} {hour:02}:{minute:02}", self.date())
    }

    /// `1970-01-01T00:00:00Z` (RFC 3339).
    #[must_use]
    pub fn to_stamp(self) -> String {
        let [hour, minute, second] = self.clock();
        format!("{}T{hour:02}:{minute:02}:{second:02}Z", self.date())
    }

    fn date(self) -> String {
        let Moment {
            year, month, day, ..
        } = self;
        format!("{year:04}-{month:02}-{day:02}")
    }

    fn clock(self) -> [u32; 3] {
        [self.second / 3600, self.second / 60 % 60, self.second % 60]
    }
}

/// The date `days` after the first of January 1970.
fn date(mut days: u32) -> (u32, u32, u32) {
    let is_leap =
        |year: u32| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let mut year = 1970;
    while days >= 365 + u32::from(is_leap(year)) {
        days -= 365 + u32::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u32::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_as_date_shows_it() {
        // date -u -d @SECONDS '+%Y-%m-%d %H:%M:%S'
        let cases = [
            (0, "1970-01-01 00:00", "00Z"),
            (951_782_399, "2000-02-28 23:59", "59Z"),
            (951_782_400, "2000-02-29 00:00", "00Z"),
            (1_709_251_199, "2024-02-29 23:59", "59Z"),
            (4_107_542_400, "2100-03-01 00:00", "00Z"),
            (u32::MAX, "2106-02-07 06:28", "15Z"),
        ];
        for (seconds, minute, rest) in cases {
            let moment = Moment::of(seconds);
            assert_eq!(moment.to_minute(), minute);
            let stamp = format!("{}:{rest}", minute.replace(' ', "T"));
            assert_eq!(moment.to_stamp(), stamp);
        }
    }
}
