//! How an agent proves to its wrapper that it goes on: the wrapper writes [`PING`] into the life pipe, and the agent's
//! own runtime answers with [`BEAT`] on standard error. An agent from before this neither answers nor minds.

/// A line in the life pipe that wants a beat.
pub const PING: &str = "ping";

/// The answer: no text that anybody would write, and too short to be written in two pieces.
pub const BEAT: &[u8; 2] = b"\x16\n";

/// Takes beats out of what an agent writes.
#[derive(Debug, Default)]
pub struct Strainer {
    /// The first half of what may become a beat.
    held: bool,
}

impl Strainer {
    /// What remains of the next bytes, and how many beats were among them.
    pub fn strain(&mut self, bytes: &[u8]) -> (Vec<u8>, u32) {
        let (mut rest, mut beats) = (Vec::with_capacity(bytes.len() + 1), 0);
        for byte in bytes {
            if std::mem::take(&mut self.held) {
                if *byte == BEAT[1] {
                    beats += 1;
                    continue;
                }
                rest.push(BEAT[0]);
            }
            if *byte == BEAT[0] {
                self.held = true;
            } else {
                rest.push(*byte);
            }
        }
        (rest, beats)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_are_taken_out_wherever_the_pieces_end() {
        let text = b"one\n\x16\ntwo\x16\x16\nthree\x16four\n";
        for cut in 0..=text.len() {
            let mut strainer = Strainer::default();
            let (mut all, first) = strainer.strain(&text[..cut]);
            let (rest, second) = strainer.strain(&text[cut..]);
            all.extend(rest);
            assert_eq!((all.as_slice(), first + second), (&b"one\ntwo\x16three\x16four\n"[..], 2), "{cut}");
        }
    }
}
