//! How results are printed. Only this module writes to standard output and standard error.

mod mask;
pub(crate) mod report;
pub(crate) mod status;

use std::io::{self, Write};

use anyhow::Result;
use serde::Serialize;

/// One error, without backtrace; causes follow their context.
pub(crate) fn error(error: &anyhow::Error) {
    note(&format!("error: {error:#}"));
}

/// A line for the user beside the output proper.
pub(crate) fn note(text: &str) {
    // Nobody is left to tell when standard error is closed.
    let _closed = writeln!(anstream::stderr(), "{text}");
}

pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = anstream::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // `portcullis ... | head` is no error.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// Columns aligned as kubectl does it: three blanks apart, upper-case headings.
pub(crate) fn table(headings: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Result<()> {
    print(&table_text(headings, rows))
}

pub(crate) fn table_text(headings: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut lines: Vec<Vec<String>> = vec![headings.iter().map(|&text| text.to_owned()).collect()];
    lines.extend(rows);
    let mut widths = vec![0; headings.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in &lines {
        let mut row = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            row.push_str(&format!("{cell:width$}   "));
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

/// `1 error`, `2 errors`.
pub(crate) fn counted(count: usize, word: &str) -> String {
    match count {
        1 => format!("1 {word}"),
        count => format!("{count} {word}s"),
    }
}
