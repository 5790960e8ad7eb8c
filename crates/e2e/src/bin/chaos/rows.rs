//! The source's rows: each follows from its number, so that a target can be judged row by row.

use std::io::Write;

use anyhow::Result;

/// The columns of every source.
pub(crate) const COLUMNS: &str = "id, code, cents, note";

/// Text that careless code would break.
const NOTES: &[&str] = &[
    "plain",
    "with, a comma",
    "with \"quotes\" in it",
    "two\nlines",
    "Grüße, žluťoučký kůň, 数据",
    "back\\slash and 'apostrophe'",
    "  blanks at both ends  ",
    "",
];

/// The fields of a row after its number: code, cents, note; no note is an empty text here.
pub(crate) fn row(id: u64) -> [String; 3] {
    let mixed = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (id << 7);
    let code = format!("{mixed:016x}");
    let cents = (mixed % 10_000_000) as i64 - 5_000_000;
    let note = NOTES[(id % NOTES.len() as u64) as usize];
    let note = if note.is_empty() { String::new() } else { format!("{note} {id}") };
    [code, cents.to_string(), note]
}

/// Writes the rows 1 to `rows` as CSV.
pub(crate) fn write_csv(out: &mut impl Write, rows: u64, header: bool) -> Result<()> {
    if header {
        writeln!(out, "{}", COLUMNS.replace(' ', ""))?;
    }
    for id in 1..=rows {
        let [code, cents, note] = row(id);
        let note = if note.is_empty() { note } else { format!("\"{}\"", note.replace('"', "\"\"")) };
        writeln!(out, "{id},{code},{cents},{note}")?;
    }
    Ok(())
}
