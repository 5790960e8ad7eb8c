//! From text to records of raw values. Knows quotes and line ends, no types.

use memchr::{memchr_iter, memchr2};

use super::Dialect;
use crate::file::feed::{Feed, Stop};

/// Room for unescaped values that is kept from record to record.
const SCRATCH_KEPT: usize = 1 << 20;

/// Why a record could not be read.
#[derive(Debug)]
pub(in crate::file) enum Flaw {
    /// No more text, or too much of it for one record.
    Stop(Stop),
    /// The quotes do not match.
    Malformed { column: usize, why: &'static str },
}

/// One value of a record.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    end: usize,
    quoted: bool,
    /// In the scratch space, because an escape had to be taken out.
    unescaped: bool,
}

/// Reads records one by one.
pub(in crate::file) struct Records {
    feed: Feed,
    dialect: Dialect,
    spans: Vec<Span>,
    scratch: Vec<u8>,
    /// Length of the current record in the window.
    length: usize,
    line: u64,
    lines: u64,
}

enum Scan {
    Record { length: usize },
    Incomplete,
}

impl Records {
    pub(in crate::file) fn new(feed: Feed, dialect: Dialect) -> Self {
        Self { feed, dialect, spans: Vec::new(), scratch: Vec::new(), length: 0, line: 1, lines: 0 }
    }

    /// The line that the current record starts in, from 1.
    pub(in crate::file) fn line(&self) -> u64 {
        self.line
    }

    /// Moves to the next record; false after the last.
    #[inline]
    pub(in crate::file) fn advance(&mut self) -> Result<bool, Flaw> {
        self.feed.consume(self.length);
        self.length = 0;
        self.line += self.lines;
        self.lines = 0;
        loop {
            let window = self.feed.window();
            if window.is_empty() && self.feed.ended() {
                return Ok(false);
            }
            self.spans.clear();
            self.scratch.clear();
            self.scratch.shrink_to(SCRATCH_KEPT);
            match scan(window, self.feed.ended(), &self.dialect, &mut self.spans, &mut self.scratch)? {
                Scan::Record { length } => {
                    self.length = length;
                    self.lines = 1 + self.lines_in_quotes();
                    return Ok(true);
                }
                Scan::Incomplete => self.feed.grow().map_err(Flaw::Stop)?,
            }
        }
    }

    /// The current record as it stands in the file.
    pub(in crate::file) fn raw(&self) -> &[u8] {
        &self.feed.window()[..self.length]
    }

    /// How many values the current record has.
    #[inline]
    pub(in crate::file) fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether the current record is an empty line.
    #[inline]
    pub(in crate::file) fn is_blank(&self) -> bool {
        matches!(self.spans[..], [Span { start, end, quoted: false, .. }] if start == end)
    }

    /// A value of the current record, `None` for "no value"; and whether it was quoted.
    #[inline]
    pub(in crate::file) fn value(&self, index: usize) -> (&[u8], bool) {
        let span = self.spans[index];
        let from = if span.unescaped { &self.scratch[..] } else { self.feed.window() };
        (&from[span.start..span.end], span.quoted)
    }

    fn lines_in_quotes(&self) -> u64 {
        let window = self.feed.window();
        let quoted = self.spans.iter().filter(|span| span.quoted);
        quoted
            .map(|span| {
                memchr_iter(
                    b'\n',
                    if span.unescaped { &self.scratch } else { window }.get(span.start..span.end).unwrap_or_default(),
                )
                .count() as u64
            })
            .sum()
    }
}

fn scan(
    text: &[u8],
    ended: bool,
    dialect: &Dialect,
    spans: &mut Vec<Span>,
    scratch: &mut Vec<u8>,
) -> Result<Scan, Flaw> {
    let mut at = 0;
    loop {
        let end = match (text.get(at), dialect.quote) {
            (Some(first), Some(quote)) if *first == quote => match quoted(text, at, ended, dialect, spans, scratch)? {
                Some(end) => end,
                None => return Ok(Scan::Incomplete),
            },
            _ => {
                let end = plain_end(text, at, dialect.delimiter);
                if end == text.len() && !ended {
                    return Ok(Scan::Incomplete);
                }
                let line_end = end == text.len() || text[end] == b'\n';
                let kept = if line_end && end > at && text[end - 1] == b'\r' { end - 1 } else { end };
                spans.push(Span { start: at, end: kept, quoted: false, unescaped: false });
                end
            }
        };
        match text.get(end) {
            Some(byte) if *byte == dialect.delimiter => at = end + 1,
            Some(_) => return Ok(Scan::Record { length: end + 1 }),
            None => return Ok(Scan::Record { length: end }),
        }
    }
}

/// Most values are short, where a plain loop is faster than a vector search with its set-up.
#[inline]
fn plain_end(text: &[u8], start: usize, delimiter: u8) -> usize {
    let near = text.len().min(start + 16);
    for (offset, byte) in text[start..near].iter().enumerate() {
        if *byte == delimiter || *byte == b'\n' {
            return start + offset;
        }
    }
    memchr2(delimiter, b'\n', &text[near..]).map_or(text.len(), |offset| near + offset)
}

/// Reads a quoted value; gives where its delimiter or line end stands, `None` if that is not in the window yet.
fn quoted(
    text: &[u8],
    start: usize,
    ended: bool,
    dialect: &Dialect,
    spans: &mut Vec<Span>,
    scratch: &mut Vec<u8>,
) -> Result<Option<usize>, Flaw> {
    let malformed = |why| Flaw::Malformed { column: spans.len(), why };
    let quote = dialect.quote.unwrap_or(b'"');
    let escape = dialect.escape.unwrap_or(quote);
    let body = start + 1;
    let scratch_start = scratch.len();
    // Where the text begins that is not in the scratch space yet.
    let mut copied = body;
    let mut from = body;
    let close = loop {
        let Some(offset) = memchr2(quote, escape, &text[from..]) else {
            return if ended { Err(malformed("a quoted value has no closing quote")) } else { Ok(None) };
        };
        let at = from + offset;
        let next = text.get(at + 1).copied();
        if next.is_none() && !ended {
            return Ok(None);
        }
        let escapes = text[at] == escape && (next == Some(quote) || next == Some(escape));
        if !escapes && text[at] == quote {
            break at;
        }
        if escapes {
            scratch.extend_from_slice(&text[copied..at]);
            copied = at + 1;
            from = at + 2;
        } else {
            from = at + 1;
        }
    };
    let unescaped = copied > body;
    let span = if unescaped {
        scratch.extend_from_slice(&text[copied..close]);
        Span { start: scratch_start, end: scratch.len(), quoted: true, unescaped }
    } else {
        Span { start: body, end: close, quoted: true, unescaped }
    };
    let rest = &text[close + 1..];
    let end = match rest {
        [] if ended => close + 1,
        [b'\r'] if ended => close + 2,
        [] | [b'\r'] => return Ok(None),
        [b'\n', ..] => close + 1,
        [b'\r', b'\n', ..] => close + 2,
        [byte, ..] if *byte == dialect.delimiter => close + 1,
        _ => return Err(malformed("text follows the closing quote of a value")),
    };
    spans.push(span);
    Ok(Some(end))
}
