//! The least HTTP/2 client: one request, or one unary call of gRPC, on a connection that is kept.

use super::{Options, http::Connector};
use bytes::Bytes;
use h2::client::SendRequest;
use http::{Method, Request};
use tokio::task::{JoinHandle, spawn_local};

/// An open connection; it ends when this is dropped.
pub(super) struct Connection {
    requests: SendRequest<Bytes>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    pub(super) async fn open(connector: &Connector) -> anyhow::Result<Self> {
        let stream = connector.stream().await?;
        let (requests, connection) = h2::client::handshake(stream).await?;
        let driver = spawn_local(async move {
            // An error shows at the request that it harms.
            drop(connection.await);
        });
        Ok(Self { requests, driver })
    }

    /// Makes the request of `options` and reads its whole answer; the status code, 0 for a call of gRPC that failed.
    pub(super) async fn exchange(&mut self, options: &Options, grpc: bool) -> anyhow::Result<u16> {
        let scheme = if options.trust.is_some() { "https" } else { "http" };
        let mut request = Request::new(());
        *request.uri_mut() = format!("{scheme}://{}{}", options.host, options.path).parse()?;
        if grpc {
            *request.method_mut() = Method::POST;
            let headers = request.headers_mut();
            headers.insert("content-type", http::HeaderValue::from_static("application/grpc"));
            headers.insert("te", http::HeaderValue::from_static("trailers"));
        }
        std::future::poll_fn(|context| self.requests.poll_ready(context)).await?;
        let (response, mut body) = self.requests.send_request(request, !grpc)?;
        if grpc {
            body.send_data(Bytes::from(crate::h2load::message()), true)?;
        }
        let mut response = response.await?;
        while let Some(data) = response.body_mut().data().await {
            let taken = data?.len();
            response.body_mut().flow_control().release_capacity(taken)?;
        }
        let trailers = response.body_mut().trailers().await?.unwrap_or_default();
        if grpc && trailers.get("grpc-status").is_none_or(|status| status != "0") {
            return Ok(0);
        }
        Ok(response.status().as_u16())
    }
}
