//! Numbers, texts and lists as bytes.
//!
//! Numbers are LEB128. A text or an object that occurred before in the same value is a reference
//! to its first occurrence, so that the origins of a route name their object once.

use std::{collections::HashMap, sync::Arc};

use ir::ObjectRef;

use super::WireError;
use crate::{limits::ENTITY_ITEMS_MAX, secret::SecretBytes};

/// A value that has a form in bytes. What [`take`](Self::take) makes of hostile bytes is an error
/// or some value, never a panic, and its size is bounded by theirs.
pub(crate) trait Wire: Sized {
    fn put(&self, out: &mut Encoder);

    fn take(input: &mut Decoder<'_>) -> Result<Self, WireError>;
}

#[derive(Default)]
pub(crate) struct Encoder {
    bytes: SecretBytes,
    texts: HashMap<Arc<str>, u64>,
    objects: HashMap<Arc<ObjectRef>, u64>,
}

impl Encoder {
    pub(crate) fn finish(self) -> SecretBytes {
        self.bytes
    }

    pub(crate) fn byte(&mut self, byte: u8) {
        self.bytes.bytes_mut().push(byte);
    }

    pub(crate) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }

    pub(crate) fn length(&mut self, length: usize) {
        self.number(length as u64);
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.bytes_mut().extend_from_slice(bytes);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.raw(bytes);
    }

    pub(crate) fn text(&mut self, text: &Arc<str>) {
        if let Some(position) = self.texts.get(text) {
            self.number(position << 1);
            return;
        }
        self.texts.insert(Arc::clone(text), self.texts.len() as u64);
        self.number((text.len() as u64) << 1 | 1);
        self.raw(text.as_bytes());
    }

    pub(crate) fn object(&mut self, object: &Arc<ObjectRef>) {
        if let Some(position) = self.objects.get(object) {
            return self.number(position.saturating_add(1));
        }
        self.objects.insert(Arc::clone(object), self.objects.len() as u64);
        self.number(0);
        let ObjectRef { group, kind, namespace, name } = &**object;
        for text in [group, kind, namespace, name] {
            self.text(text);
        }
    }

    pub(crate) fn list<'a, T: Wire + 'a>(&mut self, items: impl ExactSizeIterator<Item = &'a T>) {
        self.length(items.len());
        for item in items {
            item.put(self);
        }
    }
}

pub(crate) struct Decoder<'a> {
    rest: &'a [u8],
    texts: Vec<Arc<str>>,
    objects: Vec<Arc<ObjectRef>>,
    items: usize,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, texts: Vec::new(), objects: Vec::new(), items: 0 }
    }

    /// Nothing may be left over.
    pub(crate) fn finish(self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(WireError::Trailing) }
    }

    pub(crate) fn byte(&mut self) -> Result<u8, WireError> {
        let (first, rest) = self.rest.split_first().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    pub(crate) fn number(&mut self) -> Result<u64, WireError> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if shift == 63 && part > 1 {
                break;
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(WireError::Number)
    }

    pub(crate) fn raw(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(self.number()?).map_err(|_| WireError::Truncated)?;
        self.raw(length)
    }

    pub(crate) fn text(&mut self) -> Result<Arc<str>, WireError> {
        let number = self.number()?;
        let value = usize::try_from(number >> 1).map_err(|_| WireError::Truncated)?;
        if number & 1 == 0 {
            return self.texts.get(value).cloned().ok_or(WireError::Reference);
        }
        let text: Arc<str> = std::str::from_utf8(self.raw(value)?)?.into();
        self.texts.push(Arc::clone(&text));
        Ok(text)
    }

    pub(crate) fn object(&mut self) -> Result<Arc<ObjectRef>, WireError> {
        let number = self.number()?;
        if let Some(position) = number.checked_sub(1) {
            let position = usize::try_from(position).map_err(|_| WireError::Reference)?;
            return self.objects.get(position).cloned().ok_or(WireError::Reference);
        }
        let object = Arc::new(ObjectRef {
            group: self.text()?,
            kind: self.text()?,
            namespace: self.text()?,
            name: self.text()?,
        });
        self.objects.push(Arc::clone(&object));
        Ok(object)
    }

    /// The length of a list. Each element has a byte at least, hence a length beyond the rest is
    /// refused before anything is allocated.
    pub(crate) fn length(&mut self) -> Result<usize, WireError> {
        let length = usize::try_from(self.number()?).map_err(|_| WireError::Truncated)?;
        if length > self.rest.len() {
            return Err(WireError::Truncated);
        }
        self.items = self.items.saturating_add(length);
        if self.items > ENTITY_ITEMS_MAX {
            return Err(WireError::TooMany);
        }
        Ok(length)
    }

    pub(crate) fn list<T: Wire>(&mut self) -> Result<Vec<T>, WireError> {
        let length = self.length()?;
        let mut list = Vec::with_capacity(length.min(64));
        for _ in 0..length {
            list.push(T::take(self)?);
        }
        list.shrink_to_fit();
        Ok(list)
    }
}
