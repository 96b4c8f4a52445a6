//! What a peer sends, counted by frame header.
//!
//! The crate `h2` bounds some abuses by itself; a peer that makes work with frames that carry
//! nothing is seen here, before they are decoded.

use h2::Reason;

use crate::limits::Limits;

/// Bytes of the client's connection preface (RFC 9113 3.4).
const PREFACE: usize = 24;
const HEADER: usize = 9;
/// Length of the windows in which frames are counted, in seconds.
const WINDOW_SECONDS: u64 = 10;
/// Payload bytes, either way, that excuse one control frame: a peer that moves data has to send
/// window updates, and may probe the path with pings.
const BYTES_PER_CONTROL: u64 = 256;
/// Control frames that come with one request: priorities, window updates.
const CONTROLS_PER_REQUEST: u64 = 4;

/// Frame types (RFC 9113 section 6).
mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const CONTINUATION: u8 = 9;
}

const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// Follows the frames of one direction of one connection.
#[derive(Default)]
pub(super) struct Meter {
    /// Bytes that belong to no frame header: the preface, or a payload.
    skip: usize,
    /// The peer is a client.
    client: bool,
    header: [u8; HEADER],
    have: usize,
    /// A header block has begun and not ended.
    in_block: bool,
    /// The header of the peer's first SETTINGS was seen.
    settling: bool,
    /// So was the rest.
    settled: bool,
    window: u64,
    counts: Counts,
    fault: Option<Reason>,
}

/// Frames since the window began.
#[derive(Default)]
struct Counts {
    resets: u64,
    controls: u64,
    requests: u64,
    payload: u64,
}

impl Meter {
    /// For the side that sends the preface.
    pub(super) fn of_client() -> Self {
        Self { skip: PREFACE, client: true, ..Self::default() }
    }

    /// Whether the peer's first SETTINGS came.
    pub(super) fn settled(&self) -> bool {
        self.settled
    }

    pub(super) fn in_block(&self) -> bool {
        self.in_block
    }

    /// Why the peer is to be left: its first frame was not SETTINGS (RFC 9113 3.4), or it sent more
    /// than a peer with something to say sends.
    pub(super) fn fault(&self) -> Option<Reason> {
        self.fault
    }

    /// Counts bytes that went to the peer.
    pub(super) fn sent(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.counts.payload = self.counts.payload.saturating_add(bytes);
    }

    /// Looks at received bytes; `second` is the present.
    pub(super) fn received(&mut self, mut bytes: &[u8], second: u64, limits: &Limits) {
        if second.saturating_sub(self.window) >= WINDOW_SECONDS {
            self.window = second;
            self.counts = Counts::default();
        }
        while !bytes.is_empty() {
            if self.skip > 0 {
                let count = self.skip.min(bytes.len());
                self.skip = self.skip.saturating_sub(count);
                bytes = bytes.get(count..).unwrap_or_default();
                self.settled |= self.settling && self.skip == 0;
                continue;
            }
            let count = HEADER.saturating_sub(self.have).min(bytes.len());
            let (piece, rest) = bytes.split_at_checked(count).unwrap_or((bytes, &[]));
            let end = self.have.saturating_add(count);
            if let Some(space) = self.header.get_mut(self.have..end) {
                space.copy_from_slice(piece);
            }
            self.have = end;
            bytes = rest;
            if self.have == HEADER {
                self.have = 0;
                self.frame();
                self.settled |= self.settling && self.skip == 0;
            }
        }
        self.judge(limits);
    }

    fn frame(&mut self) {
        let [high, middle, low, kind, flags, ..] = self.header;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        self.skip = length;
        if !self.settling && kind != kind::SETTINGS {
            self.fault.get_or_insert(Reason::PROTOCOL_ERROR);
        }
        let counts = &mut self.counts;
        let one = |count: &mut u64| *count = count.saturating_add(1);
        match kind {
            kind::DATA if length == 0 && flags & END_STREAM == 0 => one(&mut counts.controls),
            kind::DATA => {
                let length = u64::try_from(length).unwrap_or(u64::MAX);
                counts.payload = counts.payload.saturating_add(length);
            }
            kind::HEADERS => {
                one(&mut counts.requests);
                self.in_block = flags & END_HEADERS == 0;
            }
            kind::CONTINUATION => {
                one(&mut counts.controls);
                self.in_block &= flags & END_HEADERS == 0;
            }
            kind::RST_STREAM => one(&mut counts.resets),
            kind::SETTINGS => {
                self.settling = true;
                one(&mut counts.controls);
            }
            // PRIORITY, PING, GOAWAY, WINDOW_UPDATE and what nobody knows.
            _ => one(&mut counts.controls),
        }
    }

    fn judge(&mut self, limits: &Limits) {
        let Counts { resets, controls, requests, payload } = self.counts;
        let excused = (payload / BYTES_PER_CONTROL)
            .saturating_add(requests.saturating_mul(CONTROLS_PER_REQUEST));
        // A backend that answered without reading the request to its end resets the stream, so that
        // no more is sent (RFC 9113 8.1).
        let answered = if self.client { 0 } else { requests };
        let excess = resets > u64::from(limits.http2_resets).saturating_add(answered)
            || controls > u64::from(limits.http2_control_frames).saturating_add(excused);
        if excess {
            self.fault.get_or_insert(Reason::ENHANCE_YOUR_CALM);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([kind, flags, 0, 0, 0, 1]);
        bytes.extend(payload);
        bytes
    }

    /// Behind the peer's SETTINGS.
    fn begun() -> Meter {
        let mut meter = Meter::default();
        feed(&mut meter, &frame(kind::SETTINGS, 0, b""), 64);
        meter
    }

    fn feed(meter: &mut Meter, bytes: &[u8], step: usize) {
        for piece in bytes.chunks(step) {
            meter.received(piece, 0, &Limits::default());
        }
    }

    #[test]
    fn headers_are_found_however_the_bytes_are_split() {
        let mut bytes = vec![b'x'; PREFACE];
        bytes.extend(frame(kind::SETTINGS, 0, &[0; 6]));
        bytes.extend(frame(kind::HEADERS, 0, &[0; 40]));
        for step in 1..bytes.len() {
            let mut meter = Meter::of_client();
            let whole = PREFACE + HEADER + 6;
            feed(&mut meter, &bytes[..whole - 1], step);
            assert!(!meter.settled(), "step {step}");
            feed(&mut meter, &bytes[whole - 1..], step);
            assert!(meter.settled() && meter.in_block(), "step {step}");
            feed(&mut meter, &frame(kind::CONTINUATION, END_HEADERS, b"x"), step);
            assert!(!meter.in_block(), "step {step}");
        }
    }

    #[test]
    fn pings_are_excused_by_data_and_not_without() {
        let ping = frame(6, 0, &[0; 8]);
        let (mut idle, mut busy) = (begun(), begun());
        for _ in 0..=Limits::default().http2_control_frames {
            feed(&mut idle, &ping, 64);
            feed(&mut busy, &frame(kind::DATA, 0, &[0; 512]), 600);
            feed(&mut busy, &ping, 64);
        }
        assert_eq!(idle.fault(), Some(Reason::ENHANCE_YOUR_CALM));
        assert_eq!(busy.fault(), None);
    }

    #[test]
    fn resets_are_counted_for_ten_seconds() {
        let reset = frame(kind::RST_STREAM, 0, &[0; 4]);
        let limits = Limits::default();
        let mut slow = begun();
        for second in 0..400 {
            slow.received(&reset, second, &limits);
        }
        assert_eq!(slow.fault(), None);
        let mut fast = begun();
        for _ in 0..=limits.http2_resets {
            fast.received(&reset, 0, &limits);
        }
        assert_eq!(fast.fault(), Some(Reason::ENHANCE_YOUR_CALM));
    }

    #[test]
    fn a_backend_may_reset_what_it_answered_and_a_client_may_not() {
        let answered = [
            frame(kind::HEADERS, END_HEADERS | END_STREAM, b"x"),
            frame(kind::RST_STREAM, 0, &[0; 4]),
        ]
        .concat();
        let (mut backend, mut client) = (begun(), Meter::of_client());
        feed(&mut client, &[b'x'; PREFACE], PREFACE);
        feed(&mut client, &frame(kind::SETTINGS, 0, b""), 64);
        for _ in 0..=Limits::default().http2_resets {
            feed(&mut backend, &answered, 64);
            feed(&mut client, &answered, 64);
        }
        assert_eq!(backend.fault(), None);
        assert_eq!(client.fault(), Some(Reason::ENHANCE_YOUR_CALM));
    }

    #[test]
    fn the_first_frame_is_settings() {
        let mut meter = Meter::default();
        feed(&mut meter, &frame(6, 0, &[0; 8]), 1);
        assert_eq!(meter.fault(), Some(Reason::PROTOCOL_ERROR));
    }
}
