//! Frames of HTTP/2 (RFC 9113 section 4), written without asking whether they make sense.

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const NONE: u8 = 0;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// What begins a connection of a client that lets `window` bytes of each answer come.
pub(super) fn preface(window: u32) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS_INITIAL_WINDOW_SIZE
    let setting = [&4_u16.to_be_bytes()[..], &window.to_be_bytes()].concat();
    frame(&mut bytes, SETTINGS, NONE, 0, &setting);
    bytes
}

pub(super) fn frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    bytes.extend_from_slice(length.get(1..).unwrap_or_default());
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
}

/// The fields of a request (RFC 7541, nothing indexed or compressed besides the static table).
pub(super) fn request(post: bool, path: &str) -> Vec<u8> {
    // :method and :scheme from the static table; :path and :authority by name.
    let mut block = vec![if post { 0x83 } else { 0x82 }, 0x86];
    for (name, value) in [(4, path), (1, "localhost")] {
        block.push(name);
        block.push(u8::try_from(value.len()).unwrap_or(0));
        block.extend_from_slice(value.as_bytes());
    }
    block
}

/// A field with a name and a value of our own; `indexed` puts it into the dynamic table.
pub(super) fn field(block: &mut Vec<u8>, indexed: bool, name: &str, value: &[u8]) {
    block.push(if indexed { 0x40 } else { 0 });
    length(block, name.len());
    block.extend_from_slice(name.as_bytes());
    length(block, value.len());
    block.extend_from_slice(value);
}

/// An integer with a prefix of seven bits (RFC 7541 section 5.1).
fn length(block: &mut Vec<u8>, length: usize) {
    if length < 127 {
        block.push(u8::try_from(length).unwrap_or(0));
        return;
    }
    block.push(127);
    let mut rest = length - 127;
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).unwrap_or(0) | 0x80);
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap_or(0));
}

/// Finds out whether GOAWAY is among the frames of a connection that arrive in pieces.
#[derive(Default)]
pub(super) struct Watch {
    head: Vec<u8>,
    /// Bytes left of the payload of the current frame.
    left: usize,
}

impl Watch {
    /// Takes the next bytes; true once GOAWAY has come.
    pub(super) fn saw_goaway(&mut self, mut bytes: &[u8]) -> bool {
        loop {
            let skipped = self.left.min(bytes.len());
            self.left -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let missing = (9 - self.head.len()).min(bytes.len());
            let (start, rest) = bytes.split_at(missing);
            self.head.extend_from_slice(start);
            bytes = rest;
            let [high, middle, low, kind, ..] = *self.head else { return false };
            if self.head.len() < 9 {
                return false;
            }
            self.left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
            self.head.clear();
            if kind == GOAWAY {
                return true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goaway_is_found_in_pieces_of_any_size() {
        let mut bytes = Vec::new();
        frame(&mut bytes, SETTINGS, NONE, 0, &[0; 12]);
        frame(&mut bytes, PING, NONE, 0, &[7; 8]);
        let quiet = bytes.len();
        frame(&mut bytes, GOAWAY, NONE, 0, &[0; 8]);
        for size in 1..bytes.len() {
            let mut watch = Watch::default();
            let seen: Vec<bool> = bytes.chunks(size).map(|part| watch.saw_goaway(part)).collect();
            let first = seen.iter().position(|seen| *seen).unwrap() * size;
            assert!(first + size >= quiet + 9, "too early with pieces of {size}");
        }
    }

    #[test]
    fn long_lengths_are_written_as_hpack_wants_them() {
        let mut block = Vec::new();
        length(&mut block, 1337);
        // 1337 - 127 = 1210 = 9 * 128 + 58
        assert_eq!(block, [127, 58 | 0x80, 9]);
    }
}
