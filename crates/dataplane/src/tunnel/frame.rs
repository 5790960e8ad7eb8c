//! Heads of WebSocket frames (RFC 6455, section 5.2): pure.

/// The longest head.
pub(super) const HEAD_BYTES_MAX: usize = 14;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Bytes of a stream.
    Data,
    /// A word.
    Text,
    /// Ping or pong.
    Beat,
    Close,
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) payload: u64,
    /// All zero where nothing is to be unmasked.
    pub(super) mask: [u8; 4],
    /// Bytes of the head itself.
    pub(super) bytes: usize,
}

impl Head {
    /// Reads the head at the beginning of `bytes`; `None` until it is whole.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, String> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        let is_whole = first & 0x80 != 0;
        let kind = match first & 0x0F {
            0x0 | 0x2 => Kind::Data,
            0x1 if is_whole => Kind::Text,
            0x8 => Kind::Close,
            0x9 | 0xA => Kind::Beat,
            other => return Err(format!("a frame of kind {other} does not belong on a tunnel line")),
        };
        if first & 0x70 != 0 {
            return Err("a frame uses an extension that was not agreed on".to_owned());
        }
        let (payload, rest, long) = match second & 0x7F {
            126 => match rest {
                [a, b, rest @ ..] => (u64::from(u16::from_be_bytes([*a, *b])), rest, 2),
                _ => return Ok(None),
            },
            127 => match rest.split_first_chunk::<8>() {
                Some((length, rest)) => (u64::from_be_bytes(*length), rest, 8),
                None => return Ok(None),
            },
            short => (u64::from(short), rest, 0),
        };
        let (mask, masked) = match (second & 0x80 != 0, rest.first_chunk::<4>()) {
            (false, _) => ([0; 4], 0),
            (true, Some(mask)) => (*mask, 4),
            (true, None) => return Ok(None),
        };
        Ok(Some(Self { kind, payload, mask, bytes: 2 + long + masked }))
    }
}

/// Writes the head of a whole frame so that it ends where `space` ends; gives its length. A mask, where the role asks for
/// one, is zero.
pub(super) fn write(space: &mut [u8; HEAD_BYTES_MAX], opcode: u8, payload: usize, masked: bool) -> usize {
    let mut head = [0; HEAD_BYTES_MAX];
    let mask_bit = if masked { 0x80 } else { 0 };
    let mut length = 2;
    head[0] = 0x80 | opcode;
    match (u8::try_from(payload), u16::try_from(payload)) {
        (Ok(short), _) if short < 126 => head[1] = mask_bit | short,
        (_, Ok(long)) => {
            head[1] = mask_bit | 126;
            head[2..4].copy_from_slice(&long.to_be_bytes());
            length = 4;
        }
        _ => {
            head[1] = mask_bit | 127;
            head[2..10].copy_from_slice(&(payload as u64).to_be_bytes());
            length = 10;
        }
    }
    length += if masked { 4 } else { 0 };
    space[HEAD_BYTES_MAX - length..].copy_from_slice(&head[..length]);
    length
}

/// Applies a mask that is not zero; `at` is where in the frame's payload the bytes begin.
pub(super) fn unmask(bytes: &mut [u8], mask: [u8; 4], at: u64) {
    let shift = usize::try_from(at % 4).unwrap_or_default();
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte ^= mask[(index + shift) % 4];
    }
}
