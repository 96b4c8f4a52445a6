//! What a service sees of a request: the fields as matches and backends see them, after the edits
//! of filters before.

use std::{borrow::Cow, collections::BTreeMap, net::SocketAddr};

use http1::{Disposition, RequestHead};
use ir::{
    FieldName, Overlay, RequestView,
    forwarded::{Judged, is_forwarding_field},
};

use crate::http::{request::View, scratch::Names};

pub(super) struct Shown<'a> {
    pub(super) judged: Judged<'a, View<'a>>,
    pub(super) request: &'a RequestHead,
    pub(super) bytes: &'a [u8],
    pub(super) names: &'a Names,
    pub(super) overlay: &'a Overlay,
    pub(super) authority: &'a str,
    pub(super) peer: SocketAddr,
    pub(super) local: Option<SocketAddr>,
    pub(super) http2: bool,
}

impl<'a> Shown<'a> {
    pub(super) fn method(&self) -> &'a [u8] {
        self.request.method_span().of(self.bytes)
    }

    /// The canonical path, which is also what a backend gets, with the query.
    pub(super) fn target(&self) -> String {
        match self.query().map(String::from_utf8_lossy) {
            Some(query) => format!("{}?{query}", self.names.path),
            None => self.names.path.clone(),
        }
    }

    pub(super) fn query(&self) -> Option<&[u8]> {
        self.judged.query().map(str::as_bytes)
    }

    /// The values of a field, joined; `None` where the request has none.
    pub(super) fn value(&self, name: &FieldName) -> Option<Cow<'_, [u8]>> {
        if name.is_of_connection() { None } else { self.judged.header(name.as_str()) }
    }

    /// Every field by its name in lower case, but `Host` and those of the connection.
    pub(super) fn every(&self) -> BTreeMap<String, Vec<u8>> {
        let mut all = BTreeMap::new();
        let own =
            self.request.fields().iter().filter(|field| field.disposition == Disposition::Forward);
        let own = own.map(|field| String::from_utf8_lossy(field.name.of(self.bytes)));
        let added = self.overlay.fields().map(|(name, _)| Cow::Borrowed(name));
        let forwarding = ir::forwarded::FORWARDING_FIELDS.into_iter().map(Cow::Borrowed);
        for name in own.chain(added).chain(forwarding) {
            let name = name.to_ascii_lowercase();
            // What is told of the client is ours to say, whoever wrote it before.
            let value = if is_forwarding_field(&name) || !all.contains_key(&name) {
                self.judged.header(&name)
            } else {
                None
            };
            if let Some(value) = value {
                all.insert(name, value.into_owned());
            }
        }
        all
    }
}
