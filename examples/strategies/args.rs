//! The command line.

use std::{
    num::NonZero,
    path::{Path, PathBuf},
    thread,
};

use clap::{Parser, value_parser};

/// What is asked where no question is given: it fits the default directory.
pub const DEFAULT_QUESTION: &str = "When does the global epoch advance, and when is deferred garbage collected?";

/// Asks a question of a directory: four retrieval strategies at once over one three-tier store and one plan.
///
/// Prints the best fragments as paths with lines, then what the store and the plan went through, then whether they kept
/// their promises.
#[derive(Debug, Parser)]
#[command(name = "strategies", max_term_width = 100, after_help = EXIT_CODES)]
pub struct Args {
    /// Where to look; `-` or nothing: the sources of the crates that tierstack depends on, in cargo's registry folder
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,

    /// What to look for, in words [default: "When does the global epoch advance, and when is deferred garbage collected?"]
    #[arg(value_name = "QUESTION")]
    question: Vec<String>,

    /// Threads for the strategies [default: one a core, and at least one a strategy]
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=256), allow_negative_numbers = true)]
    threads: Option<u16>,

    /// Bytes of text that hot may hold: a number, with or without KiB, MiB or GiB
    #[arg(long, value_name = "BYTES", default_value = "256KiB", value_parser = parse_bytes, allow_negative_numbers = true)]
    pub budget: u64,

    /// How many of the best fragments to print
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = value_parser!(u16).range(1..=1000))]
    pub top: u16,
}

const EXIT_CODES: &str = "Exit codes: 0 all checks passed, 1 a check failed, 2 wrong usage or input.";

impl Args {
    /// The directory, unless it is the default one.
    pub fn dir(&self) -> Option<&Path> {
        self.dir.as_deref().filter(|dir| *dir != Path::new("-"))
    }

    pub fn question(&self) -> String {
        if self.question.is_empty() { DEFAULT_QUESTION.to_owned() } else { self.question.join(" ") }
    }

    pub fn threads(&self) -> usize {
        let cores = || thread::available_parallelism().map_or(1, NonZero::get);
        self.threads.map_or_else(|| cores().max(crate::strategies::COUNT), usize::from)
    }
}

/// A number of bytes: `65536`, `64KiB`, `1 MiB`.
fn parse_bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    if digits.is_empty() {
        return Err("give a whole number of bytes, such as 65536, 64KiB or 1MiB".to_owned());
    }
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return Err(format!("`{}` is no unit: give a whole number of bytes, KiB, MiB or GiB", unit.trim())),
    };
    let bytes = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(factor));
    bytes.filter(|&bytes| bytes <= tierstack::MAX_BYTES).ok_or_else(|| {
        format!("the largest budget is {} bytes ({}GiB)", tierstack::MAX_BYTES, tierstack::MAX_BYTES >> 30)
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_names_the_default_question() {
        Args::command().debug_assert();
        let help = Args::command().term_width(0).render_help().to_string();
        assert!(help.contains(DEFAULT_QUESTION), "{help}");
    }

    #[test]
    fn bytes_take_binary_units_and_nothing_else() {
        assert_eq!(parse_bytes("0"), Ok(0));
        assert_eq!(parse_bytes("65536"), Ok(65_536));
        assert_eq!(parse_bytes(" 3 kib"), Ok(3 << 10));
        assert_eq!(parse_bytes("2MiB"), Ok(2 << 20));
        assert_eq!(parse_bytes("1024GiB"), Ok(tierstack::MAX_BYTES));
        for wrong in ["", "KiB", "-1", "1.5MiB", "64KB", "1025GiB", "99999999999999999999", "64 KiB KiB"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong:?} was taken");
        }
    }
}
