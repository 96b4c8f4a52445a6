//! Fixed, reusable byte buffers.

/// A message head that is kept, and behind it bytes that were received and not used yet.
///
/// `data` is always initialised to its full length, so that sockets can read straight into it.
/// Layout: `[kept head | used | unread | space]`.
#[derive(Default)]
pub(crate) struct Buffer {
    data: Vec<u8>,
    kept: usize,
    start: usize,
    end: usize,
}

impl Buffer {
    pub(crate) fn unread(&self) -> &[u8] {
        self.data.get(self.start..self.end).unwrap_or_default()
    }

    /// The head that was set aside by [`Buffer::keep`].
    pub(crate) fn kept(&self) -> &[u8] {
        self.data.get(..self.kept).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    pub(crate) fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    pub(crate) fn capacity(&self) -> usize {
        self.data.len()
    }

    /// Sets the first `count` unread bytes aside. To be called after [`Buffer::release`].
    pub(crate) fn keep(&mut self, count: usize) {
        self.kept = self.start.saturating_add(count).min(self.end);
        self.start = self.kept;
    }

    /// Drops what was kept and moves unread bytes to the front.
    pub(crate) fn release(&mut self) {
        self.kept = 0;
        self.compact();
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
        if self.start == self.end {
            self.start = self.kept;
            self.end = self.kept;
        }
    }

    fn compact(&mut self) {
        if self.start > self.kept {
            self.data.copy_within(self.start..self.end, self.kept);
            self.end = self.end.saturating_sub(self.start).saturating_add(self.kept);
            self.start = self.kept;
        }
    }

    /// Room to read into; empty when the buffer is full.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.end == self.data.len() {
            self.compact();
        }
        self.data.get_mut(self.end..).unwrap_or_default()
    }

    pub(crate) fn has_space(&self) -> bool {
        self.end < self.data.len() || self.start > self.kept
    }

    pub(crate) fn filled(&mut self, count: usize) {
        self.end = self.end.saturating_add(count).min(self.data.len());
    }

    /// Doubles the buffer up to `largest`; false when it is that large already.
    pub(crate) fn grow(&mut self, initial: usize, largest: usize) -> bool {
        let wanted = self.data.len().saturating_mul(2).clamp(initial, largest.max(initial));
        if wanted <= self.data.len() {
            return false;
        }
        self.data.resize(wanted, 0);
        true
    }

    /// Gives the memory behind the last byte back.
    pub(crate) fn shrink(&mut self) {
        self.data.truncate(self.end.max(self.kept));
        self.data.shrink_to_fit();
    }

    pub(crate) fn clear(&mut self) {
        self.kept = 0;
        self.start = 0;
        self.end = 0;
    }

    /// Replaces everything by `bytes`.
    pub(crate) fn load(&mut self, bytes: &[u8]) {
        self.clear();
        if self.data.len() < bytes.len() {
            self.data.resize(bytes.len(), 0);
        }
        if let Some(space) = self.data.get_mut(..bytes.len()) {
            space.copy_from_slice(bytes);
            self.end = bytes.len();
        }
    }
}

/// Bytes on their way out; kept until cleared, so that they can be sent again.
#[derive(Default)]
pub(crate) struct Outgoing {
    pub(crate) bytes: Vec<u8>,
    pub(crate) sent: usize,
}

impl Outgoing {
    pub(crate) fn pending(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.sent = 0;
    }

    pub(crate) fn advance(&mut self, count: usize) {
        self.sent = self.sent.saturating_add(count).min(self.bytes.len());
    }
}
