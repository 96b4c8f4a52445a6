//! A client on the crate `h2`; async, on the runtime of the test.

use bytes::Bytes;
use h2::{
    Reason, RecvStream, SendStream,
    client::{ResponseFuture, SendRequest},
};
use http::{HeaderMap, Request};
use std::{net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

/// What a test sees of a failed exchange.
#[derive(Debug)]
pub struct Error(pub h2::Error);

impl Error {
    /// The code of the RST_STREAM or GOAWAY.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.0.reason()
    }
}

impl From<h2::Error> for Error {
    fn from(error: h2::Error) -> Self {
        Self(error)
    }
}

/// A response, read to its end.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Interim statuses before it.
    pub interim: Vec<u16>,
    /// Fields, in order.
    pub headers: Vec<(String, String)>,
    /// Content.
    pub body: Vec<u8>,
    /// Trailers, in order.
    pub trailers: Vec<(String, String)>,
    /// The head ended the stream.
    pub ended_at_head: bool,
}

impl Answer {
    /// The first value of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        super::value(&self.headers, name)
    }

    /// The first value of a trailer.
    #[must_use]
    pub fn trailer(&self, name: &str) -> Option<&str> {
        super::value(&self.trailers, name)
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a body of JSON")
    }
}

/// One connection. Clones share it.
#[derive(Clone)]
pub struct Client {
    send: SendRequest<Bytes>,
    scheme: &'static str,
    /// Done when the connection is.
    pub ended: Arc<tokio::sync::Notify>,
}

impl Client {
    /// Connects with prior knowledge. To be called on a runtime.
    ///
    /// # Panics
    /// When the connection cannot be made.
    pub async fn connect(address: SocketAddr) -> Self {
        let tcp = TcpStream::connect(address).await.expect("a listening port");
        tcp.set_nodelay(true).expect("no delay");
        Self::on(tcp, "http").await
    }

    /// Connects with TLS and ALPN `h2`.
    ///
    /// # Panics
    /// When the connection cannot be made, or the server does not choose `h2`.
    pub async fn connect_tls(
        address: SocketAddr,
        name: &str,
        config: &Arc<rustls::ClientConfig>,
    ) -> Self {
        let mut config = rustls::ClientConfig::clone(config);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let tcp = TcpStream::connect(address).await.expect("a listening port");
        let name = rustls::pki_types::ServerName::try_from(name.to_owned()).expect("a name");
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let tls = connector.connect(name, tcp).await.expect("a handshake");
        assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]), "ALPN");
        Self::on(tls, "https").await
    }

    async fn on<T>(socket: T, scheme: &'static str) -> Self
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (send, connection) = h2::client::handshake(socket).await.expect("a preface");
        let ended = Arc::new(tokio::sync::Notify::new());
        let notify = Arc::clone(&ended);
        tokio::spawn(async move {
            // How it ended shows in its streams.
            drop(connection.await);
            notify.notify_one();
        });
        Self { send, scheme, ended }
    }

    /// A request in the making.
    #[must_use]
    pub fn request(&self, method: &str, host: &str, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(format!("{}://{host}{path}", self.scheme))
    }

    /// Sends a request without a body.
    ///
    /// # Errors
    /// When the stream or the connection is cut.
    pub async fn get(&self, host: &str, path: &str) -> Result<Answer, Error> {
        self.send(self.request("GET", host, path), b"", &[]).await
    }

    /// Sends a whole request and reads the whole response.
    ///
    /// # Errors
    /// When the stream or the connection is cut.
    pub async fn send(
        &self,
        request: http::request::Builder,
        body: &[u8],
        trailers: &[(&str, &str)],
    ) -> Result<Answer, Error> {
        let ends = body.is_empty() && trailers.is_empty();
        let (response, mut stream) = self.open(request, ends).await?;
        let body = body.to_vec();
        let trailers: Vec<_> =
            trailers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let sending = async move {
            if !ends {
                let last = trailers.is_empty();
                if send_all(&mut stream, &body, last).await.is_ok() && !last {
                    // A cut shows in the response.
                    drop(stream.send_trailers(super::map(&trailers)));
                }
            }
            stream
        };
        let (_stream, answer) = tokio::join!(sending, read(response));
        answer
    }

    /// Opens a stream; `ends` when the head is all of it.
    ///
    /// # Errors
    /// When the connection takes no more streams.
    ///
    /// # Panics
    /// When the request is not one.
    pub async fn open(
        &self,
        request: http::request::Builder,
        ends: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), Error> {
        let mut send = self.send.clone().ready().await?;
        Ok(send.send_request(request.body(()).expect("a request"), ends)?)
    }

    /// Waits until the connection ended.
    pub async fn wait_closed(&self) {
        self.ended.notified().await;
    }
}

/// Sends all of `body` as the peer's window opens.
///
/// # Errors
/// When the stream is cut.
async fn send_all(
    stream: &mut SendStream<Bytes>,
    mut body: &[u8],
    last: bool,
) -> Result<(), h2::Error> {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let capacity = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
        let Some(capacity) = capacity else { return Ok(()) };
        let (piece, rest) = body.split_at(capacity?.min(body.len()));
        body = rest;
        stream.send_data(Bytes::copy_from_slice(piece), last && rest.is_empty())?;
    }
    Ok(())
}

/// Reads a response to its end.
///
/// # Errors
/// When the stream or the connection is cut.
async fn read(mut response: ResponseFuture) -> Result<Answer, Error> {
    let mut interim = Vec::new();
    while let Some(early) = std::future::poll_fn(|cx| response.poll_informational(cx)).await {
        interim.push(early?.status().as_u16());
    }
    let (parts, body) = response.await?.into_parts();
    let ended_at_head = body.is_end_stream();
    let (body, trailers) = read_body(body).await?;
    Ok(Answer {
        status: parts.status.as_u16(),
        interim,
        headers: super::pairs(&parts.headers),
        body,
        trailers: super::pairs(&trailers),
        ended_at_head,
    })
}

pub(super) async fn read_body(mut body: RecvStream) -> Result<(Vec<u8>, HeaderMap), h2::Error> {
    let mut content = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        content.extend_from_slice(&piece);
        body.flow_control().release_capacity(piece.len())?;
    }
    Ok((content, body.trailers().await?.unwrap_or_default()))
}
