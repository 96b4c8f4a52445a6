//! The forms of types that are not ours, and of ours that guard an invariant.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use ipnet::IpNet;
use ir::{BindFailure, FieldName, FieldValue, ObjectRef, Pattern, PrivateKey};

use super::{
    WireError,
    codec::{Decoder, Encoder, Wire},
};

macro_rules! unsigned {
    ($($name:ty)*) => { $(
        impl Wire for $name {
            fn put(&self, out: &mut Encoder) {
                out.number(u64::from(*self));
            }

            fn take(input: &mut Decoder<'_>) -> Result<Self, WireError> {
                input.number()?.try_into().map_err(|_| WireError::Number)
            }
        }
    )* };
}

unsigned! { u8 u16 u32 u64 }

impl Wire for i64 {
    /// Zigzag: small numbers of either sign are short.
    fn put(&self, out: &mut Encoder) {
        out.number(((self << 1) ^ (self >> 63)) as u64);
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, WireError> {
        let number = input.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }
}

impl Wire for bool {
    fn put(&self, out: &mut Encoder) {
        out.byte(u8::from(*self));
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, WireError> {
        match input.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            tag => Err(WireError::Tag { of: "bool", tag }),
        }
    }
}

impl Wire for Arc<str> {
    fn put(&self, out: &mut Encoder) {
        out.text(self);
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, WireError> {
        input.text()
    }
}

impl Wire for String {
    fn put(&self, out: &mut Encoder) {
        out.bytes(self.as_bytes());
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, WireError> {
        Ok(std::str::from_utf8(input.bytes()?)?.to_owned())
    }
}

impl Wire for Arc<[u8]> {
    fn put(&self, out: &mut Encoder) {
        out.bytes(self);
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, WireError> {
        Ok(input.bytes()?.into())
    }
}

impl<const N: usize> Wire for [u8; N] {
    fn put(&self, out: &mut Encoder) {
        out.raw(self);
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, WireError> {
        input.raw(N)?.try_into().map_err(|_| WireError::Truncated)
    }
}

impl Wire for Arc<ObjectRef> {
    fn put(&self, out: &mut Encoder) {
        out.object(self);
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, WireError> {
        input.object()
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Encoder) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, WireError> {
        bool::take(input)?.then(|| T::take(input)).transpose()
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut Encoder) {
        out.list(self.iter());
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, WireError> {
        input.list()
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn put(&self, out: &mut Encoder) {
        self.0.put(out);
        self.1.put(out);
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, WireError> {
        Ok((A::take(input)?, B::take(input)?))
    }
}

impl Wire for Result<(), BindFailure> {
    fn put(&self, out: &mut Encoder) {
        self.as_ref().err().cloned().put(out);
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, WireError> {
        let error: Option<BindFailure> = Wire::take(input)?;
        Ok(error.map_or(Ok(()), Err))
    }
}

impl Wire for Duration {
    fn put(&self, out: &mut Encoder) {
        self.as_secs().put(out);
        self.subsec_nanos().put(out);
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, WireError> {
        let (seconds, nanos) = (u64::take(input)?, u32::take(input)?);
        if nanos >= 1_000_000_000 {
            return Err(WireError::Value { of: "Duration" });
        }
        Ok(Self::new(seconds, nanos))
    }
}

impl Wire for IpAddr {
    fn put(&self, out: &mut Encoder) {
        match self {
            Self::V4(address) => {
                out.byte(4);
                out.raw(&address.octets());
            }
            Self::V6(address) => {
                out.byte(6);
                out.raw(&address.octets());
            }
        }
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, WireError> {
        match input.byte()? {
            4 => Ok(Ipv4Addr::from(<[u8; 4]>::take(input)?).into()),
            6 => Ok(Ipv6Addr::from(<[u8; 16]>::take(input)?).into()),
            tag => Err(WireError::Tag { of: "IpAddr", tag }),
        }
    }
}

impl Wire for SocketAddr {
    fn put(&self, out: &mut Encoder) {
        self.ip().put(out);
        self.port().put(out);
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, WireError> {
        Ok(Self::new(IpAddr::take(input)?, u16::take(input)?))
    }
}

impl Wire for IpNet {
    fn put(&self, out: &mut Encoder) {
        self.addr().put(out);
        self.prefix_len().put(out);
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, WireError> {
        Self::new(IpAddr::take(input)?, u8::take(input)?)
            .map_err(|_| WireError::Value { of: "IpNet" })
    }
}

impl Wire for FieldName {
    fn put(&self, out: &mut Encoder) {
        out.text(&self.as_str().into());
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, WireError> {
        Self::new(&input.text()?).ok_or(WireError::Value { of: "FieldName" })
    }
}

impl Wire for FieldValue {
    fn put(&self, out: &mut Encoder) {
        out.text(&self.as_str().into());
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, WireError> {
        Self::new(&input.text()?).ok_or(WireError::Value { of: "FieldValue" })
    }
}

impl Wire for Pattern {
    fn put(&self, out: &mut Encoder) {
        self.is_whole().put(out);
        out.text(&self.text().into());
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, WireError> {
        let compile = if bool::take(input)? { Self::whole } else { Self::search };
        compile(&input.text()?).map_err(|_| WireError::Value { of: "Pattern" })
    }
}

impl Wire for PrivateKey {
    fn put(&self, out: &mut Encoder) {
        out.bytes(self.der());
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, WireError> {
        Ok(Self::new(input.bytes()?.to_vec()))
    }
}
