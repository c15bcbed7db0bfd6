//! Numbers for people: bytes, counts and durations.

use std::time::Duration;

/// Bytes in binary units with three significant digits: `512 B`, `1.50 KiB`, `18.4 MiB`.
pub fn bytes(n: u64) -> String {
    scaled(
        n,
        1024.0,
        &[" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"],
    )
}

/// Units of memory with their bytes.
pub const SIZES: [(&str, u64); 10] = [
    ("B", 1),
    ("kB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KB", 1000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// The bytes that a text such as `1.5GiB`, `800 MB` or `4096` means, rounded to whole ones; `None`
/// for a text that is no size, for an unknown unit, and for less than one byte.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let is_part = |c: char| c.is_ascii_digit() || c == '.';
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim_start());
    let unit = if unit.is_empty() { "B" } else { unit };
    let (_, factor) = SIZES.iter().find(|(name, _)| *name == unit)?;
    let bytes = (number.parse::<f64>().ok()? * *factor as f64).round();
    // Above 2^63 a float no longer fits the integers that configurations have.
    (1.0..9.2e18).contains(&bytes).then_some(bytes as u64)
}

/// A count with three significant digits: `950`, `1.23 k`, `28.1 M`, `7.00 G`.
pub fn count(n: u64) -> String {
    scaled(n, 1000.0, &["", " k", " M", " G", " T", " P", " E"])
}

fn scaled(n: u64, base: f64, units: &[&str]) -> String {
    if (n as f64) < base {
        return format!("{n}{}", units[0]);
    }
    let mut value = n as f64;
    let mut unit = 0;
    // Rounding to the shown digits may reach the base (999 999 is `1.00 M`, not `1000 k`).
    while unit + 1 < units.len() && value >= base - 0.5 {
        value /= base;
        unit += 1;
    }
    let decimals = match value {
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}{}", units[unit])
}

/// A duration with two units at most: `0.42 ms`, `12.3 s`, `4 min 05 s`, `3 h 07 min`, `2 d 04 h`.
pub fn duration(d: Duration) -> String {
    let s = d.as_secs_f64();
    if s < 0.9995 {
        return format!("{:.2} ms", s * 1e3);
    }
    if s < 59.95 {
        return format!("{s:.1} s");
    }
    let whole = s.round() as u64;
    let (large, small, units) = match whole {
        0..3600 => (whole / 60, whole % 60, ["min", "s"]),
        3600..86_400 => (whole / 3600, whole % 3600 / 60, ["h", "min"]),
        _ => (whole / 86_400, whole % 86_400 / 3600, ["d", "h"]),
    };
    format!("{large} {} {small:02} {}", units[0], units[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_use_binary_units() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (1536, "1.50 KiB"),
            (19_293_798, "18.4 MiB"),
            ((1 << 20) - 1, "1.00 MiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (n, text) in cases {
            assert_eq!(bytes(n), text);
        }
    }

    #[test]
    fn sizes_are_read_with_their_units() {
        let cases = [
            ("1", 1),
            ("4096", 4096),
            ("800MB", 800_000_000),
            ("1.5GiB", 3 << 29),
            (" 2 KiB ", 2048),
            ("0.5kB", 500),
            ("1TiB", 1 << 40),
            ("12.6B", 13),
        ];
        for (text, n) in cases {
            assert_eq!(parse_bytes(text), Some(n), "{text}");
        }
        let lies = [
            "",
            "GiB",
            "-1GiB",
            "0",
            "0.2B",
            "1e3",
            "1 GIB",
            "1.2.3MB",
            "inf",
            "1 GiB x",
            "9999999TiB",
        ];
        for lie in lies {
            assert_eq!(parse_bytes(lie), None, "{lie}");
        }
    }

    #[test]
    fn counts_use_decimal_units_and_never_show_a_thousand_of_a_unit() {
        let cases = [
            (999, "999"),
            (1000, "1.00 k"),
            (1_234_567, "1.23 M"),
            (9_996, "10.0 k"),
            (999_499, "999 k"),
            (999_500, "1.00 M"),
            (999_999_999, "1.00 G"),
        ];
        for (n, text) in cases {
            assert_eq!(count(n), text);
        }
    }

    #[test]
    fn durations_carry_into_the_next_unit() {
        let cases = [
            (0, "0.00 ms"),
            (420, "0.42 ms"),
            (999_600, "1.0 s"),
            (12_340_000, "12.3 s"),
            (59_960_000, "1 min 00 s"),
            (245_000_000, "4 min 05 s"),
            (3_599_700_000, "1 h 00 min"),
            (187_200_000_000, "2 d 04 h"),
        ];
        for (us, text) in cases {
            assert_eq!(duration(Duration::from_micros(us)), text);
        }
    }
}
