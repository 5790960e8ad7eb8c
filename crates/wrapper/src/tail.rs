//! The last lines of a stream of bytes, bounded whatever is written.

use std::collections::VecDeque;

/// How many lines are kept.
pub(crate) const LINES_MAX: usize = 40;

/// The most bytes kept of one line; the rest of a longer one is left out.
pub(crate) const LINE_BYTES_MAX: usize = 2048;

/// The tail so far.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    lines: VecDeque<String>,
    current: Vec<u8>,
    cut: bool,
}

impl Tail {
    /// Takes the next bytes.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(at);
            self.extend(line);
            self.end_line();
            rest = after.get(1..).unwrap_or_default();
        }
        self.extend(rest);
    }

    /// The lines, the unfinished last one included.
    pub(crate) fn lines(&self) -> Vec<String> {
        let unfinished = (!self.current.is_empty()).then(|| self.current_line());
        let all = self.lines.iter().cloned().chain(unfinished);
        all.skip((self.lines.len() + usize::from(!self.current.is_empty())).saturating_sub(LINES_MAX)).collect()
    }

    fn extend(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES_MAX.saturating_sub(self.current.len());
        self.cut |= bytes.len() > room;
        self.current.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
    }

    fn end_line(&mut self) {
        let line = self.current_line();
        self.current.clear();
        self.cut = false;
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    fn current_line(&self) -> String {
        let text = String::from_utf8_lossy(&self.current);
        let text = text.trim_end_matches('\r');
        if self.cut { format!("{text}…") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_last_lines_however_they_arrive() {
        let text: String = (0..100).map(|number| format!("line {number}\r\n")).collect::<String>() + "unfinished";
        let mut whole = Tail::default();
        whole.feed(text.as_bytes());
        let mut pieces = Tail::default();
        text.as_bytes().chunks(3).for_each(|piece| pieces.feed(piece));
        assert_eq!(whole.lines(), pieces.lines());
        assert_eq!(whole.lines().len(), LINES_MAX);
        assert_eq!(whole.lines().first().map(String::as_str), Some("line 61"));
        assert_eq!(whole.lines().last().map(String::as_str), Some("unfinished"));
    }

    #[test]
    fn long_lines_are_cut_and_broken_text_is_shown_as_far_as_it_goes() {
        let mut tail = Tail::default();
        tail.feed(&vec![b'x'; 10 * LINE_BYTES_MAX]);
        tail.feed(b"\n\xff\n");
        let lines = tail.lines();
        assert!(lines[0].len() < LINE_BYTES_MAX + 5 && lines[0].ends_with('…'));
        assert_eq!(lines[1], "\u{fffd}");
    }
}
