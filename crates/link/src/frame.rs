//! Messages on a byte stream: the length in four bytes, then the message.

use std::io;

use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{error::Elapsed, timeout},
};

use crate::{
    limits::WRITE_DEADLINE,
    secret::SecretBytes,
    wire::{Wire, WireError, decode_value, encode_value},
};

/// Why a stream is over.
#[derive(Debug, Error)]
pub(crate) enum StreamError {
    #[error("the peer closed the connection")]
    Closed,
    #[error("the connection broke: {0}")]
    Io(#[source] io::Error),
    #[error("the peer did not take a message in time")]
    Slow(#[from] Elapsed),
    #[error("a message is larger than {0} bytes")]
    TooLarge(usize),
    #[error("a message is not valid: {0}")]
    Wire(#[from] WireError),
}

impl From<io::Error> for StreamError {
    fn from(error: io::Error) -> Self {
        // TLS calls an end without farewell unexpected.
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Closed } else { Self::Io(error) }
    }
}

/// Reads one message. Not to be dropped half way.
pub(crate) async fn read<T: Wire>(
    stream: &mut (impl AsyncRead + Unpin),
    max: usize,
) -> Result<T, StreamError> {
    let length = stream.read_u32().await? as usize;
    if length > max {
        return Err(StreamError::TooLarge(max));
    }
    let mut message = SecretBytes::new(Vec::with_capacity(length.min(64 << 10)));
    let mut rest = stream.take(length as u64);
    while rest.limit() > 0 {
        if rest.read_buf(message.bytes_mut()).await? == 0 {
            return Err(StreamError::Closed);
        }
    }
    Ok(decode_value(message.as_bytes())?)
}

/// Writes one message into the buffer of the stream, and what overflows it to the peer.
pub(crate) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &impl Wire,
) -> Result<(), StreamError> {
    let bytes = encode_value(message);
    let length =
        u32::try_from(bytes.len()).map_err(|_| StreamError::TooLarge(u32::MAX as usize))?;
    timeout(WRITE_DEADLINE, async {
        stream.write_u32(length).await?;
        stream.write_all(bytes.as_bytes()).await
    })
    .await??;
    Ok(())
}

pub(crate) async fn flush(stream: &mut (impl AsyncWrite + Unpin)) -> Result<(), StreamError> {
    timeout(WRITE_DEADLINE, stream.flush()).await??;
    Ok(())
}
