//! A small HTTP server for health, metrics, the admin endpoints and the demo backends.
//!
//! Requests are few and answers are short, so hyper serves them on the control thread; nothing of
//! it is on the proxied path.

use std::{convert::Infallible, rc::Rc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::mpsc};

use crate::limits;

/// Wait after a failed accept (out of file descriptors, as a rule), so as not to spin.
pub(crate) const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

pub(crate) type Answer = Response<Full<Bytes>>;

/// Serves until the task is dropped; what is open goes on. Must run inside a `LocalSet`.
///
/// `alive` is held by each connection until it is closed.
pub(crate) async fn serve<F, Fut>(
    listener: TcpListener,
    handler: F,
    alive: Option<mpsc::Sender<Infallible>>,
) where
    F: Fn(Request<Incoming>) -> Fut + 'static,
    Fut: Future<Output = Answer> + 'static,
{
    let handler = Rc::new(handler);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_BACKOFF).await;
            continue;
        };
        let handler = Rc::clone(&handler);
        let alive = alive.clone();
        tokio::task::spawn_local(async move {
            let _alive = alive;
            let service = service_fn(move |request| {
                let answer = handler(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits::ADMIN_HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "a client of an admin or demo port went away");
            }
        });
    }
}

/// The whole body, or the answer that refuses it.
pub(crate) async fn read_body(body: Incoming) -> Result<Bytes, Answer> {
    match Limited::new(body, limits::ADMIN_BODY_BYTES_MAX).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(text(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large\n"))
        }
        Err(_) => Err(text(StatusCode::BAD_REQUEST, "the body ended early\n")),
    }
}

pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    with_type(status, "text/plain; charset=utf-8", body)
}

pub(crate) fn json(value: &serde_json::Value) -> Answer {
    with_type(StatusCode::OK, "application/json", format!("{value:#}\n"))
}

pub(crate) fn with_type(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Answer {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
