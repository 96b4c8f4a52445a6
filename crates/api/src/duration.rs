//! Durations of GEP-2257: one to four of `<1–5 digits><h|m|s|ms>`, added up.

use std::fmt::Write as _;
use std::time::Duration;

/// Why a text is not a GEP-2257 duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{text}\" is not a duration: write one to four numbers of at most five digits, each followed by h, m, s or ms, such as 1h30m or 500ms"
)]
pub struct DurationError {
    text: String,
}

/// Reads a GEP-2257 duration. Units may repeat and stand in any order, as the GEP allows.
///
/// # Errors
/// When the text does not match `^([0-9]{1,5}(h|m|s|ms)){1,4}$`.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    parse_milliseconds(text)
        .map(Duration::from_millis)
        .ok_or_else(|| DurationError { text: text.chars().take(64).collect() })
}

fn parse_milliseconds(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0_u64;
    for component in 0.. {
        if rest.is_empty() {
            return (component > 0).then_some(total);
        }
        let after_digits = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let (digits, _) = rest.split_at_checked(rest.len() - after_digits.len())?;
        if digits.is_empty() || digits.len() > 5 || component == 4 {
            return None;
        }
        let (scale, after_unit) = unit(after_digits)?;
        total = total.checked_add(digits.parse::<u64>().ok()?.checked_mul(scale)?)?;
        rest = after_unit;
    }
    None
}

/// Milliseconds of the unit that `text` starts with, and what follows it.
fn unit(text: &str) -> Option<(u64, &str)> {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
    units.iter().find_map(|(name, scale)| text.strip_prefix(name).map(|rest| (*scale, rest)))
}

/// The standard form: descending units, the largest possible, `0s` for zero. Fractions of a
/// millisecond are cut off. Above 99,999 hours the text is no GEP-2257 duration any more.
#[must_use]
pub fn format(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let parts = [
        (milliseconds / 3_600_000, "h"),
        (milliseconds / 60_000 % 60, "m"),
        (milliseconds / 1000 % 60, "s"),
        (milliseconds % 1000, "ms"),
    ];
    let mut text = String::new();
    for (value, unit) in parts {
        if value > 0 {
            // Writing to a String cannot fail.
            let _infallible = write!(text, "{value}{unit}");
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}
