//! Frames: their header, and the writing of each (RFC 9113 sections 4 and 6).

use crate::code::ErrorCode;

/// Bytes of a frame header.
pub(crate) const HEADER: usize = 9;
/// What a client sends first (RFC 9113 3.4).
pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Largest payload that every peer takes, and the largest that we take and send.
pub(crate) const PAYLOAD_MOST: usize = 16_384;
/// Largest stream identifier, and largest window.
pub(crate) const MOST_31_BITS: u32 = 0x7fff_ffff;

/// Frame types (RFC 9113 section 6).
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const PRIORITY: u8 = 2;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PUSH_PROMISE: u8 = 5;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
}

/// Frame flags.
pub(crate) mod flag {
    pub(crate) const END_STREAM: u8 = 0x1;
    pub(crate) const ACK: u8 = 0x1;
    pub(crate) const END_HEADERS: u8 = 0x4;
    pub(crate) const PADDED: u8 = 0x8;
    pub(crate) const PRIORITY: u8 = 0x20;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// Bytes of the payload.
    pub(crate) length: usize,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    /// 0 is the connection.
    pub(crate) stream: u32,
}

impl FrameHeader {
    /// Reads the header in front of `bytes`; `None` when there are too few.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let [high, middle, low, kind, flags, stream @ ..] = *bytes.first_chunk::<HEADER>()?;
        Some(Self {
            length: usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low),
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & MOST_31_BITS,
        })
    }

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// The header in front of a payload that follows. `length` is at most [`PAYLOAD_MOST`].
pub(crate) fn header(length: usize, kind: u8, flags: u8, stream: u32) -> [u8; HEADER] {
    let [.., high, middle, low] = length.to_be_bytes();
    let [one, two, three, four] = stream.to_be_bytes();
    [high, middle, low, kind, flags, one, two, three, four]
}

fn write(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&header(payload.len(), kind, flags, stream));
    out.extend_from_slice(payload);
}

pub(crate) fn write_data(out: &mut Vec<u8>, stream: u32, payload: &[u8], ends: bool) {
    let flags = if ends { flag::END_STREAM } else { 0 };
    write(out, kind::DATA, flags, stream, payload);
}

pub(crate) fn write_reset(out: &mut Vec<u8>, stream: u32, code: ErrorCode) {
    write(out, kind::RST_STREAM, 0, stream, &code.0.to_be_bytes());
}

pub(crate) fn write_window(out: &mut Vec<u8>, stream: u32, by: u32) {
    write(out, kind::WINDOW_UPDATE, 0, stream, &by.to_be_bytes());
}

pub(crate) fn write_ping(out: &mut Vec<u8>, flags: u8, payload: &[u8; 8]) {
    write(out, kind::PING, flags, 0, payload);
}

pub(crate) fn write_settings_ack(out: &mut Vec<u8>) {
    write(out, kind::SETTINGS, flag::ACK, 0, &[]);
}

pub(crate) fn write_goaway(out: &mut Vec<u8>, last: u32, code: ErrorCode) {
    let [last, code] = [last, code.0].map(u32::to_be_bytes);
    write(out, kind::GOAWAY, 0, 0, [last, code].as_flattened());
}

pub(crate) fn write_settings(out: &mut Vec<u8>, values: &[(u16, u32)]) {
    let length = values.len().saturating_mul(6);
    out.extend_from_slice(&header(length, kind::SETTINGS, 0, 0));
    for (name, value) in values {
        out.extend_from_slice(&name.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// Makes frames of a field block that was written into `out` from `start` on, behind the room of
/// one frame header: HEADERS, and CONTINUATION where it is too large for one.
pub(crate) fn frame_block(out: &mut Vec<u8>, start: usize, stream: u32, ends: bool) {
    let block = out.len().saturating_sub(start).saturating_sub(HEADER);
    let ends = if ends { flag::END_STREAM } else { 0 };
    let mut length = block.min(PAYLOAD_MOST);
    let whole = if length == block { flag::END_HEADERS } else { 0 };
    let mut fill = header(length, kind::HEADERS, whole | ends, stream);
    let mut at = start;
    let mut left = block;
    loop {
        let end = at.saturating_add(HEADER);
        if let Some(room) = out.get_mut(at..end) {
            room.copy_from_slice(&fill);
        }
        left = left.saturating_sub(length);
        if left == 0 {
            return;
        }
        at = end.saturating_add(length);
        out.splice(at..at, [0; HEADER]);
        length = left.min(PAYLOAD_MOST);
        let last = if length == left { flag::END_HEADERS } else { 0 };
        fill = header(length, kind::CONTINUATION, last, stream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let bytes = header(0x1234, kind::HEADERS, flag::END_STREAM, 7);
        let read = FrameHeader { length: 0x1234, kind: kind::HEADERS, flags: 1, stream: 7 };
        assert_eq!(FrameHeader::read(&bytes), Some(read));
        assert_eq!(FrameHeader::read(&bytes[..8]), None);
    }

    #[test]
    fn a_reserved_bit_is_ignored() {
        let mut bytes = header(0, kind::PING, 0, 5);
        bytes[5] |= 0x80;
        assert_eq!(FrameHeader::read(&bytes).unwrap().stream, 5);
    }

    #[test]
    fn a_large_block_is_continued() {
        for size in [0, 1, PAYLOAD_MOST, PAYLOAD_MOST + 1, 3 * PAYLOAD_MOST] {
            let block: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let mut out = vec![b'x'; 3];
            out.extend([0; HEADER]);
            out.extend(&block);
            frame_block(&mut out, 3, 9, true);
            let (mut at, mut read, mut kinds) = (3, Vec::<u8>::new(), Vec::new());
            while at < out.len() {
                let frame = FrameHeader::read(&out[at..]).unwrap();
                assert_eq!(frame.stream, 9);
                at += HEADER;
                read.extend(&out[at..at + frame.length]);
                at += frame.length;
                kinds.push((frame.kind, frame.has(flag::END_HEADERS)));
            }
            assert_eq!(read, block);
            let last = kinds.len() - 1;
            for (at, (kind, whole)) in kinds.iter().enumerate() {
                assert_eq!(*kind, if at == 0 { kind::HEADERS } else { kind::CONTINUATION });
                assert_eq!(*whole, at == last);
            }
        }
    }
}
