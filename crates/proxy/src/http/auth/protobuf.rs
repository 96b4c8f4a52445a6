//! The little of the protobuf encoding that a check needs
//! (<https://protobuf.dev/programming-guides/encoding/>).

/// Wire types.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED32: u64 = 5;

/// A message in the making. Fields with their default value are left out, as proto3 does.
#[derive(Default)]
pub(super) struct Builder {
    bytes: Vec<u8>,
}

impl Builder {
    pub(super) fn uint(mut self, field: u64, value: u64) -> Self {
        if value != 0 {
            self.varint(field << 3 | VARINT);
            self.varint(value);
        }
        self
    }

    pub(super) fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        if !value.is_empty() {
            self.put(field, value);
        }
        self
    }

    /// A message inside, even an empty one.
    pub(super) fn message(mut self, field: u64, value: Self) -> Self {
        self.put(field, &value.bytes);
        self
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn put(&mut self, field: u64, value: &[u8]) {
        self.varint(field << 3 | LENGTH);
        self.varint(u64::try_from(value.len()).unwrap_or(u64::MAX));
        self.bytes.extend_from_slice(value);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(low_bits(value) | 0x80);
            value >>= 7;
        }
        self.bytes.push(low_bits(value));
    }
}

fn low_bits(value: u64) -> u8 {
    u8::try_from(value & 0x7f).unwrap_or(0)
}

/// The bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Uint(u64),
    Bytes(&'a [u8]),
    /// 32 or 64 bits that no field of ours has.
    Fixed,
}

impl<'a> Value<'a> {
    /// # Errors
    /// When the field has another type.
    pub(super) fn uint(self) -> Result<u64, Malformed> {
        match self {
            Self::Uint(value) => Ok(value),
            Self::Bytes(_) | Self::Fixed => Err(Malformed),
        }
    }

    /// # Errors
    /// When the field has another type.
    pub(super) fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(value) => Ok(value),
            Self::Uint(_) | Self::Fixed => Err(Malformed),
        }
    }

    /// # Errors
    /// When the field has another type, or is not UTF-8.
    pub(super) fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }
}

/// The fields of a message, in the order they came; it ends after the first error.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let key = self.varint()?;
        let value = match key & 7 {
            VARINT => Value::Uint(self.varint()?),
            LENGTH => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            FIXED64 => self.take(8).map(|_| Value::Fixed)?,
            FIXED32 => self.take(4).map(|_| Value::Fixed)?,
            _ => return None,
        };
        Some((key >> 3, value))
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.take(1)? else { return None };
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field.ok_or(Malformed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_read_back() {
        let inner = Builder::default().uint(1, 300).bytes(2, b"ab");
        let bytes = Builder::default().message(4, inner).uint(15, 1).uint(3, 0).finish();
        assert_eq!(bytes, [0x22, 7, 0x08, 0xac, 0x02, 0x12, 2, b'a', b'b', 0x78, 1]);
        let fields: Vec<_> = Fields::of(&bytes).collect();
        let inner = &bytes[2..9];
        assert_eq!(fields, [Ok((4, Value::Bytes(inner))), Ok((15, Value::Uint(1)))]);
        let fields: Vec<_> = Fields::of(inner).collect();
        assert_eq!(fields, [Ok((1, Value::Uint(300))), Ok((2, Value::Bytes(b"ab")))]);
    }

    #[test]
    fn what_is_cut_or_of_no_known_type_is_malformed() {
        for bad in [&[0x22, 9, 1][..], &[0x08], &[0x0b], &[0x09, 1, 2], &[0xff; 11]] {
            assert_eq!(Fields::of(bad).collect::<Vec<_>>(), [Err(Malformed)], "{bad:?}");
        }
    }
}
