//! HTTP/2 with prior knowledge, and gRPC by its content type: unary calls that succeed.

use super::{Attacks, batched::Batched, body};
use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, Request, Response};
use std::future::poll_fn;
use tokio::{net::TcpStream, task::spawn_local};

pub(super) async fn connection(stream: TcpStream, attacks: &Attacks) -> anyhow::Result<()> {
    let (stream, waiting) = Batched::new(stream);
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(1000).initial_connection_window_size(1 << 20);
    let mut handshake = std::pin::pin!(builder.handshake::<_, Bytes>(stream));
    let mut connection = poll_fn(|context| {
        let polled = handshake.as_mut().poll(context);
        waiting.drain_when_pending(context, polled)
    })
    .await?;
    loop {
        let next = poll_fn(|context| {
            let polled = connection.poll_accept(context);
            waiting.drain_when_pending(context, polled)
        });
        let Some(request) = next.await else { return Ok(()) };
        let (request, respond) = request?;
        if request.uri().path().starts_with("/attack") {
            attacks.set(attacks.get() + 1);
        }
        if request.body().is_end_stream() {
            answer(&request, respond)?;
        } else {
            // Its body arrives while the connection is polled.
            spawn_local(async move {
                let mut request = request;
                if swallow(request.body_mut()).await.is_ok() {
                    drop(answer(&request, respond));
                }
            });
        }
    }
}

async fn swallow(body: &mut RecvStream) -> Result<(), h2::Error> {
    while let Some(data) = body.data().await {
        body.flow_control().release_capacity(data?.len())?;
    }
    Ok(())
}

thread_local! {
    /// The small body of every response, and the same as a message of gRPC.
    static SMALL: (Bytes, Bytes) = {
        let body = vec![b'x'; body(b"/")];
        let length = u32::try_from(body.len()).unwrap_or(0).to_be_bytes();
        (Bytes::from(body.clone()), Bytes::from([&[0_u8], &length[..], &body].concat()))
    };
}

fn answer(
    request: &Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let (small, message) = SMALL.with(Clone::clone);
    let kind = request.headers().get("content-type");
    let is_grpc = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    let mut response = Response::new(());
    let kind = if is_grpc { "application/grpc" } else { "text/plain" };
    response.headers_mut().insert("content-type", http::HeaderValue::from_static(kind));
    response.headers_mut().insert("server", http::HeaderValue::from_static("bench"));
    let mut body = respond.send_response(response, false)?;
    if is_grpc {
        body.send_data(message, false)?;
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
        body.send_trailers(trailers)
    } else {
        body.send_data(small, true)
    }
}
