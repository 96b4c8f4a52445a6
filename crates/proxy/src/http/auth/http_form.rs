//! The HTTP form: the service gets the head of the request, and 200 lets it pass.

use http1::{
    Disposition, WriteError, write_content_length, write_field, write_head_end, write_request_line,
};
use ir::FieldName;

use super::{
    Denial, Edits, Failure, Message, Verdict, call::Reply, field, goes_to_client, shown::Shown,
};

/// Shown whatever is allowed.
const ALWAYS: &str = "authorization";

/// # Errors
/// When a part of the request cannot be written.
pub(super) fn write(
    shown: &Shown<'_>,
    path_prefix: &str,
    allowed: &[FieldName],
    body: Vec<u8>,
) -> Result<Message, WriteError> {
    let mut head = Vec::with_capacity(512);
    let path = format!("{path_prefix}{}", shown.names.path);
    write_request_line(&mut head, shown.method(), path.as_bytes(), shown.query())?;
    write_field(&mut head, b"host", shown.authority.as_bytes())?;
    let always = FieldName::new(ALWAYS);
    for (position, name) in always.iter().chain(allowed).enumerate() {
        let known = name.matches(b"host")
            || always.iter().chain(allowed).take(position).any(|one| one == name);
        if !known && let Some(value) = shown.value(name) {
            write_field(&mut head, name.as_str().as_bytes(), &value)?;
        }
    }
    write_content_length(&mut head, u64::try_from(body.len()).unwrap_or(u64::MAX));
    write_head_end(&mut head);
    Ok(Message { method: shown.request.method(), head, body })
}

/// # Errors
/// An answer that does not decide.
pub(super) fn read(reply: &Reply, allowed: &[FieldName]) -> Result<Verdict, Failure> {
    match reply.status() {
        200 => Ok(Verdict::Allowed(edits(reply, allowed)?)),
        // Its own trouble, not a word about the request.
        500..600 => Err("auth_status"),
        status => Ok(Verdict::Denied(denial(reply, status))),
    }
}

/// Fields of the answer go to the backend; what describes the answer's own body does not.
fn edits(reply: &Reply, allowed: &[FieldName]) -> Result<Edits, Failure> {
    let mut edits = Edits::default();
    for (name, value) in reply.fields() {
        let wanted = if allowed.is_empty() {
            !name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("content-"))
        } else {
            allowed.iter().any(|one| one.matches(name.as_bytes()))
        };
        if !wanted {
            continue;
        }
        let Some((name, value)) = field(name, value)? else { continue };
        let again = edits.set.iter().any(|(known, _)| *known == name);
        if again { &mut edits.add } else { &mut edits.set }.push((name, value));
    }
    Ok(edits)
}

/// Success that is not 200 is no word that a client may take for its own.
fn denial(reply: &Reply, status: u16) -> Denial {
    if status < 300 {
        return Denial { status: 403, fields: Vec::new(), body: Vec::new() };
    }
    let fields = reply.fields().filter(|(name, _)| goes_to_client(name));
    let fields =
        fields.map(|(name, value)| (name.to_owned(), String::from_utf8_lossy(value).into_owned()));
    Denial { status, fields: fields.collect(), body: reply.body().to_vec() }
}

impl Reply {
    /// The fields that recipients beyond the next should see.
    fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let bytes = self.bytes();
        let forwarded = |field: &&http1::Field| field.disposition == Disposition::Forward;
        self.head().fields().iter().filter(forwarded).filter_map(move |field| {
            Some((std::str::from_utf8(field.name.of(bytes)).ok()?, field.value.of(bytes)))
        })
    }
}
