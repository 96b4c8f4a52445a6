//! The request as a backend sees it.

use ir::{
    FieldName, Overlay, RequestView,
    forwarded::{Judged, is_forwarding_field},
};

use super::request::Head;

/// A request on its way to a backend, and what we do to the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub method: String,
    /// With the query.
    pub target: String,
    pub host: String,
    /// All of them but `Host` and those of the connection.
    pub headers: Vec<(String, String)>,
    /// What differs from what the client sent, forwarding fields apart.
    pub edits: Vec<Edit>,
    /// Edits of the backend's response.
    pub response: Vec<Edit>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    Added { name: String, value: String },
    Removed { name: String },
}

/// Applies an overlay to a request, as the serialisers do.
pub(super) fn sent(
    head: &Head<'_>,
    view: &Judged<'_, Head<'_>>,
    overlay: &Overlay,
    response: &Overlay,
) -> Sent {
    let path = overlay.path().unwrap_or(head.path);
    let target = match head.query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut headers = Vec::new();
    let mut edits = Vec::new();
    for (name, value) in &head.request.headers {
        let of_connection = FieldName::new(name).is_none_or(|name| name.is_of_connection());
        if of_connection || is_forwarding_field(name) {
            continue;
        }
        if overlay.keeps(name.as_bytes()) {
            headers.push((name.clone(), value.clone()));
        } else if !edits.contains(&Edit::Removed { name: name.clone() }) {
            edits.push(Edit::Removed { name: name.clone() });
        }
    }
    for (name, value) in view.fields() {
        if !overlay.touches(name.as_bytes()) {
            headers.push((name.to_owned(), String::from_utf8_lossy(&value).into_owned()));
        }
    }
    for (name, value) in overlay.fields() {
        let (name, value) = (name.to_owned(), String::from_utf8_lossy(value).into_owned());
        headers.push((name.clone(), value.clone()));
        edits.push(Edit::Added { name, value });
    }
    Sent {
        method: view.method().to_owned(),
        target,
        host: overlay.host().unwrap_or(&head.request.authority).to_owned(),
        headers,
        edits,
        response: added(response),
    }
}

fn added(overlay: &Overlay) -> Vec<Edit> {
    let lines = overlay.fields();
    lines
        .map(|(name, value)| Edit::Added {
            name: name.to_owned(),
            value: String::from_utf8_lossy(value).into_owned(),
        })
        .collect()
}
