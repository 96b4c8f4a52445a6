//! A field section: the names and values of a head or of trailers.

/// Set in the end of a name: the sender asked that the field never enters a table.
const NEVER: u32 = 1 << 31;

/// A decoded field section: names and values in their order, in one buffer.
///
/// It holds less than 2 GiB; a field beyond is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    bytes: Vec<u8>,
    /// Where the name (with [`NEVER`]) and the value of each field end. A name starts where the
    /// value before it ends.
    ends: Vec<(u32, u32)>,
}

/// Bytes and number of fields that most heads do not exceed.
const USUAL: (usize, usize) = (1_024, 24);

impl Fields {
    /// No field, and room for those of a usual head.
    pub(crate) fn usual() -> Self {
        Self { bytes: Vec::with_capacity(USUAL.0), ends: Vec::with_capacity(USUAL.1) }
    }

    /// Whether what it holds is no more than [`usual`](Self::usual).
    pub(crate) fn is_usual(&self) -> bool {
        self.bytes.len() <= USUAL.0 && self.ends.len() <= USUAL.1
    }

    /// Appends a field.
    #[inline]
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name);
        let name_end = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.commit(start, name_end, false);
    }

    /// The name and the value of a field.
    #[must_use]
    #[inline]
    pub fn get(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let &(name_end, end) = self.ends.get(index)?;
        let start = match index.checked_sub(1) {
            Some(before) => self.ends.get(before)?.1,
            None => 0,
        };
        Some(self.between(start, name_end, end))
    }

    /// Whether the field came as "never indexed" (RFC 7541 section 6.2.3): whoever passes it on
    /// must say so as well.
    #[must_use]
    #[inline]
    pub fn is_never_indexed(&self, index: usize) -> bool {
        self.ends.get(index).is_some_and(|(name_end, _)| name_end & NEVER != 0)
    }

    /// All fields as name and value, in order.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        let mut start = 0;
        self.ends.iter().map(move |&(name_end, end)| {
            let field = self.between(start, name_end, end);
            start = end;
            field
        })
    }

    #[inline]
    fn between(&self, start: u32, name_end: u32, end: u32) -> (&[u8], &[u8]) {
        let (start, name_end, end) = (start as usize, (name_end & !NEVER) as usize, end as usize);
        let name = self.bytes.get(start..name_end).unwrap_or_default();
        (name, self.bytes.get(name_end..end).unwrap_or_default())
    }

    /// Number of fields.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no field.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Removes all fields, and keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Bytes of all names and values.
    #[must_use]
    #[inline]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Appends a field whose value stands behind its name in `bytes`.
    #[inline]
    pub(crate) fn push_joined(&mut self, bytes: &[u8], name: usize) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.commit(start, start.saturating_add(name), false);
    }

    /// The buffer, for whoever writes a field behind the others and then
    /// [commits](Self::commit) it.
    #[inline]
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Makes a field of the bytes of the buffer from `start`, where the last field ends.
    #[inline]
    pub(crate) fn commit(&mut self, start: usize, name_end: usize, never_indexed: bool) {
        match (u32::try_from(name_end), u32::try_from(self.bytes.len())) {
            (Ok(name_end), Ok(end)) if end < NEVER => {
                self.ends.push((name_end | if never_indexed { NEVER } else { 0 }, end));
            }
            _ => self.bytes.truncate(start),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_in_order() {
        let mut fields = Fields::default();
        assert!(fields.is_empty());
        let expected: [(&[u8], &[u8]); 4] = [(b"a", b"1"), (b"", b""), (b"bc", b""), (b"", b"x")];
        for (name, value) in expected {
            fields.push(name, value);
        }
        assert_eq!(fields.len(), 4);
        assert_eq!(fields.size(), 5);
        assert!(fields.iter().eq(expected));
        for (index, field) in expected.into_iter().enumerate() {
            assert_eq!(fields.get(index), Some(field));
            assert!(!fields.is_never_indexed(index));
        }
        assert_eq!(fields.get(4), None);
        fields.clear();
        assert_eq!((fields.len(), fields.size(), fields.iter().count()), (0, 0, 0));
    }
}
