//! The gRPC form: `envoy.service.auth.v3.Authorization/Check`, as far as requests and answers of a
//! gateway use it (envoy/service/auth/v3/external_auth.proto, attribute_context.proto).

use http1::{Method, WriteError, write_field, write_head_end, write_request_line};
use ir::{FieldName, RequestView as _};

use super::{
    Denial, Edits, Failure, Message, Verdict,
    call::Reply,
    field, goes_to_client,
    protobuf::{Builder, Fields, Malformed},
    query, refused_status,
    shown::Shown,
};
use crate::upstream::endpoints::ClusterState;

const PATH: &[u8] = b"/envoy.service.auth.v3.Authorization/Check";

/// The service broke gRPC or the messages of its protocol.
const PROTOCOL: Failure = "auth_protocol";

/// Bytes before a gRPC message: a flag, and the length in four.
const PREFIX: usize = 5;

/// # Errors
/// When the name of the service cannot be written.
pub(super) fn write(
    shown: &Shown<'_>,
    allowed: &[FieldName],
    cluster: &ClusterState,
    body: &[u8],
) -> Result<Message, WriteError> {
    let mut head = Vec::with_capacity(256);
    write_request_line(&mut head, b"POST", PATH, None)?;
    let backend = &cluster.id.0.backend;
    let authority = format!("{}.{}", backend.name, backend.namespace);
    write_field(&mut head, b"host", authority.as_bytes())?;
    write_field(&mut head, b"content-type", b"application/grpc")?;
    write_field(&mut head, b"te", b"trailers")?;
    // The form of lines has no streams; HTTP/2 knows no such field.
    head.extend_from_slice(b"transfer-encoding: chunked\r\n");
    write_head_end(&mut head);
    let message = request(shown, allowed, body).finish();
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut framed = vec![0];
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(&message);
    Ok(Message { method: Method::Post, head, body: framed })
}

/// `CheckRequest`.
fn request(shown: &Shown<'_>, allowed: &[FieldName], body: &[u8]) -> Builder {
    let client = shown.judged.forwarded().client;
    let port = if client == shown.peer.ip().to_canonical() { shown.peer.port() } else { 0 };
    let mut attributes = Builder::default().message(1, peer(client.to_string(), port));
    if let Some(local) = shown.local {
        let address = local.ip().to_canonical().to_string();
        attributes = attributes.message(2, peer(address, local.port()));
    }
    let request = Builder::default().message(2, http_request(shown, allowed, body));
    Builder::default().message(1, attributes.message(4, request))
}

/// `AttributeContext.Peer` with a socket address.
fn peer(address: String, port: u16) -> Builder {
    let socket = Builder::default().bytes(2, address.as_bytes()).uint(3, u64::from(port));
    Builder::default().message(1, Builder::default().message(1, socket))
}

/// `AttributeContext.HttpRequest`.
fn http_request(shown: &Shown<'_>, allowed: &[FieldName], body: &[u8]) -> Builder {
    let target = shown.target();
    let scheme = shown.judged.edge().scheme;
    let mut http =
        Builder::default().bytes(1, shown.names.request_id.as_bytes()).bytes(2, shown.method());
    let entry = |name: &[u8], value: &[u8]| Builder::default().bytes(1, name).bytes(2, value);
    if allowed.is_empty() {
        let pseudo = [
            (":authority", shown.authority.as_bytes()),
            (":method", shown.method()),
            (":path", target.as_bytes()),
            (":scheme", scheme.as_bytes()),
        ];
        for (name, value) in pseudo {
            http = http.message(3, entry(name.as_bytes(), value));
        }
        for (name, value) in shown.every() {
            http = http.message(3, entry(name.as_bytes(), &text(&value)));
        }
    }
    for (position, name) in allowed.iter().enumerate() {
        let known = allowed.iter().take(position).any(|one| one == name);
        if !known && let Some(value) = shown.value(name) {
            let name = name.as_str().to_ascii_lowercase();
            http = http.message(3, entry(name.as_bytes(), &text(&value)));
        }
    }
    let protocol: &[u8] = if shown.http2 { b"HTTP/2" } else { b"HTTP/1.1" };
    let size = u64::try_from(body.len()).unwrap_or(u64::MAX);
    http = http
        .bytes(4, target.as_bytes())
        .bytes(5, shown.judged.host().as_bytes())
        .bytes(6, scheme.as_bytes())
        .uint(9, size)
        .bytes(10, protocol);
    // `body` is text, `raw_body` anything.
    let number = if std::str::from_utf8(body).is_ok() { 11 } else { 12 };
    http.bytes(number, body)
}

/// A field of type `string` holds UTF-8.
fn text(value: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(value).into_owned().into_bytes()
}

/// # Errors
/// An answer that does not decide.
pub(super) fn read(reply: &Reply) -> Result<Verdict, Failure> {
    if reply.status() != 200 || reply.grpc_status() != Some(b"0") {
        return Err("auth_status");
    }
    let body = reply.body();
    let (prefix, message) = body.split_at_checked(PREFIX).ok_or(PROTOCOL)?;
    let [0, length @ ..] = prefix else { return Err(PROTOCOL) };
    let length = <[u8; 4]>::try_from(length).map_err(|_| PROTOCOL)?;
    if usize::try_from(u32::from_be_bytes(length)) != Ok(message.len()) {
        return Err(PROTOCOL);
    }
    verdict(message).map_err(|Malformed| PROTOCOL)?
}

/// `CheckResponse`. One that says neither a status nor what to do with the request is no answer.
pub(super) fn verdict(message: &[u8]) -> Result<Result<Verdict, Failure>, Malformed> {
    let (mut status, mut denied, mut allowed) = (None, None, None);
    for field in Fields::of(message) {
        match field? {
            (1, value) => status = Some(code(value.bytes()?)?),
            (2, value) => denied = Some(value.bytes()?),
            (3, value) => allowed = Some(value.bytes()?),
            _ => {}
        }
    }
    match (status, denied, allowed) {
        (None | Some(0), None, Some(allowed)) => edits(allowed),
        (Some(0), None, None) => Ok(Ok(Verdict::Allowed(Edits::default()))),
        (None, None, None) => Ok(Err(PROTOCOL)),
        (_, Some(denied), _) => Ok(Ok(Verdict::Denied(denial(denied)?))),
        (Some(_), None, _) => {
            let denial = Denial { status: 403, fields: Vec::new(), body: Vec::new() };
            Ok(Ok(Verdict::Denied(denial)))
        }
    }
}

/// `google.rpc.Status.code`, or `HttpStatus.code`.
fn code(message: &[u8]) -> Result<u64, Malformed> {
    let mut code = 0;
    for field in Fields::of(message) {
        if let (1, value) = field? {
            code = value.uint()?;
        }
    }
    Ok(code)
}

/// `DeniedHttpResponse`.
fn denial(message: &[u8]) -> Result<Denial, Malformed> {
    let mut denial = Denial { status: 403, fields: Vec::new(), body: Vec::new() };
    for field in Fields::of(message) {
        match field? {
            (1, value) => {
                denial.status = refused_status(u16::try_from(code(value.bytes()?)?).unwrap_or(0));
            }
            (2, value) => {
                let option = HeaderOption::read(value.bytes()?)?;
                let clean = super::field(option.name, option.value).is_ok();
                if clean && goes_to_client(option.name) {
                    let value = String::from_utf8_lossy(option.value).into_owned();
                    denial.fields.push((option.name.to_owned(), value));
                }
            }
            (3, value) => denial.body = value.bytes()?.to_vec(),
            _ => {}
        }
    }
    Ok(denial)
}

/// `OkHttpResponse`.
fn edits(message: &[u8]) -> Result<Result<Verdict, Failure>, Malformed> {
    let mut edits = Edits::default();
    for part in Fields::of(message) {
        match part? {
            (2, value) => {
                let option = HeaderOption::read(value.bytes()?)?;
                let edit = match field(option.name, option.value) {
                    Ok(edit) => edit,
                    Err(failure) => return Ok(Err(failure)),
                };
                let list = match option.action {
                    Action::Append => &mut edits.add,
                    Action::Set => &mut edits.set,
                    Action::Default => &mut edits.default,
                    Action::Replace => &mut edits.replace,
                };
                list.extend(edit);
            }
            (5, value) => {
                let name = value.text()?;
                if !name.starts_with(':') && !name.eq_ignore_ascii_case("host") {
                    edits.remove.push(FieldName::new(name).ok_or(Malformed)?);
                }
            }
            (6, value) => {
                let option = HeaderOption::read(value.bytes()?)?;
                match field(option.name, option.value) {
                    Ok(edit) => edits.response.extend(edit),
                    Err(failure) => return Ok(Err(failure)),
                }
            }
            (7, value) => {
                let (name, value) = parameter(value.bytes()?)?;
                if !query::is_writable(name) || !query::is_writable(value) {
                    return Ok(Err("auth_query"));
                }
                edits.query_set.push((name.to_owned(), value.to_owned()));
            }
            (8, value) => edits.query_remove.push(value.text()?.to_owned()),
            _ => {}
        }
    }
    Ok(Ok(Verdict::Allowed(edits)))
}

/// `QueryParameter`.
fn parameter(message: &[u8]) -> Result<(&str, &str), Malformed> {
    let (mut name, mut value) = ("", "");
    for field in Fields::of(message) {
        match field? {
            (1, text) => name = text.text()?,
            (2, text) => value = text.text()?,
            _ => {}
        }
    }
    Ok((name, value))
}

enum Action {
    Append,
    Set,
    Default,
    Replace,
}

/// `HeaderValueOption`.
struct HeaderOption<'a> {
    name: &'a str,
    value: &'a [u8],
    action: Action,
}

impl<'a> HeaderOption<'a> {
    fn read(message: &'a [u8]) -> Result<Self, Malformed> {
        let (mut name, mut value) = ("", &[][..]);
        let (mut append, mut action) = (false, 0);
        for field in Fields::of(message) {
            match field? {
                (1, header) => {
                    for field in Fields::of(header.bytes()?) {
                        match field? {
                            (1, key) => name = key.text()?,
                            (2 | 3, text) => value = text.bytes()?,
                            _ => {}
                        }
                    }
                }
                (2, wrapped) => append = code(wrapped.bytes()?)? != 0,
                (3, wanted) => action = wanted.uint()?,
                _ => {}
            }
        }
        let action = match (append, action) {
            (true, 0) => Action::Append,
            (_, 1) => Action::Default,
            (_, 3) => Action::Replace,
            // In an answer of this service, a field without an action overwrites.
            (_, 0 | 2) => Action::Set,
            _ => return Err(Malformed),
        };
        Ok(Self { name, value, action })
    }
}
