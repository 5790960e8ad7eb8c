//! `ledger`: shows what the agent of this folder has moved, and follows the chain that says so.

use sallyport_site::ledger::{self, Body, Cause, Direction, Entry, Record, Verified};
use sallyport_site::{Layout, log};

use crate::{app, console};

/// What to do with the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Show,
    Verify,
}

impl Word {
    /// From the words after `ledger`.
    pub(crate) fn parse(words: &[String]) -> Result<Self, String> {
        match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["show"] => Ok(Self::Show),
            ["verify"] => Ok(Self::Verify),
            _ => Err("ledger takes `show` or `verify`".to_owned()),
        }
    }
}

/// Does it; gives the exit code.
pub(crate) fn run(layout: &Layout, word: Word, json: bool) -> u8 {
    match word {
        Word::Show => show(layout, json),
        Word::Verify => verify(layout, json),
    }
}

fn verify(layout: &Layout, json: bool) -> u8 {
    match ledger::verify(&layout.ledger()) {
        Ok(verified) => {
            let text = if json { serde_json::to_string(&verified).unwrap_or_default() } else { described(&verified) };
            console::say(&text);
            app::EXIT_OK
        }
        Err(fault) => broken(&fault),
    }
}

fn show(layout: &Layout, json: bool) -> u8 {
    let (records, fault) = ledger::records(&layout.ledger());
    for record in &records {
        let text = if json { serde_json::to_string(record).ok() } else { line(record) };
        if let Some(text) = text {
            console::say(&text);
        }
    }
    fault.map_or(app::EXIT_OK, |fault| broken(&fault))
}

fn broken(fault: &ledger::Fault) -> u8 {
    console::complain(&format!("the ledger does not hold: {}", console::chain(fault)));
    app::EXIT_FAILED
}

fn described(verified: &Verified) -> String {
    let Verified { lines, first, head, torn, lost } = verified;
    let mut text = format!("The chain holds: {lines} lines from number {first}.\nhead: {head}");
    if *first > 1 {
        text.push_str("\nOlder lines were removed when the ledger had become too long.");
    }
    if !torn.is_empty() {
        text.push_str(&format!("\nLeft unfinished by a crash: {}", torn.join(", ")));
    }
    if *lost > 0 {
        text.push_str(&format!("\nNot written, for want of a disk that took them: {lost} entries"));
    }
    text
}

/// A line for people; what only holds the chain together is left out.
fn line(record: &Record) -> Option<String> {
    let Body::Used { entry } = &record.body else { return None };
    let Entry { at, cause, who, connection, kind, target, direction, rows, bytes_to, bytes_from } = entry;
    let cause = match cause {
        Cause::Step { run, task, step, attempt } => format!("task {task}, step {step}, {run}, attempt {attempt}"),
        Cause::Preview { step } => format!("preview of step {step}"),
        Cause::Streams { tunnel, streams } => format!("{tunnel}, {streams} streams"),
        Cause::Unknown => "?".to_owned(),
    };
    let direction = match direction {
        Direction::From => format!("{bytes_from} bytes and {rows} rows from"),
        Direction::To => format!("{bytes_to} bytes and {rows} rows to"),
        Direction::Both | Direction::Unknown => format!("{bytes_to} bytes to, {bytes_from} bytes from"),
    };
    let connection = connection.as_ref().map(|name| format!(", connection {name}")).unwrap_or_default();
    let who = if who.is_empty() { "-" } else { who };
    let at = log::time(*at);
    Some(format!("{at}  {direction} {kind} {target}{connection}; {cause}; for {who}"))
}

#[cfg(test)]
mod tests {
    use sallyport_protocol::{Timestamp, TunnelId};

    use super::*;

    #[test]
    fn a_changed_ledger_fails() {
        let home = tempfile::tempdir().unwrap();
        let layout = Layout::new(home.path());
        assert_eq!(run(&layout, Word::Verify, false), app::EXIT_OK, "there is none");
        let now = Timestamp(1_790_000_000_000_000);
        let (mut folder, _) = ledger::Folder::open(&layout.ledger(), now).unwrap();
        let entry = Entry {
            at: now,
            cause: Cause::Streams { tunnel: TunnelId::new(), streams: 2 },
            who: "ada@example.com".to_owned(),
            connection: Some("db".to_owned()),
            kind: "tcp".to_owned(),
            target: "db.site:5432".to_owned(),
            direction: Direction::Both,
            rows: 0,
            bytes_to: 1,
            bytes_from: 2,
        };
        let shown = line(&Record { seq: 1, body: Body::Used { entry: entry.clone() } }).unwrap();
        assert!(shown.contains("1 bytes to, 2 bytes from tcp db.site:5432, connection db;"), "{shown}");
        folder.append(&[entry], 0).unwrap();
        assert_eq!(run(&layout, Word::Show, true), app::EXIT_OK);
        let file = std::fs::read_dir(layout.ledger()).unwrap().next().unwrap().unwrap().path();
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("ada@", "eve@")).unwrap();
        assert_eq!(run(&layout, Word::Verify, false), app::EXIT_FAILED);
        assert_eq!(run(&layout, Word::Show, false), app::EXIT_FAILED);
    }
}
