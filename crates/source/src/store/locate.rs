//! Where the fields of objects stand in the files.

use std::sync::Arc;

use parking_lot::Mutex;
use translate::ObjectRef;

use super::{
    Origin, Store,
    admit::{join, written_path},
};
use crate::{
    issue::Place,
    yaml::{self, SpanTree},
};

/// The spans of the piece of text that was asked for last: places are not kept for every object,
/// and questions about one object come together.
#[derive(Debug, Default)]
pub(super) struct LastChunk {
    last: Mutex<Option<Spans>>,
}

/// The positions of a file and of a chunk in it, and the spans of the chunk's documents.
type Spans = (usize, usize, Vec<Arc<SpanTree>>);

impl LastChunk {
    pub(super) fn forget(&self) {
        *self.last.lock() = None;
    }

    fn spans(
        &self,
        (file, chunk): (usize, usize),
        document: usize,
        read: impl FnOnce() -> Vec<Arc<SpanTree>>,
    ) -> Option<Arc<SpanTree>> {
        let mut last = self.last.lock();
        let hit = last.as_ref().is_some_and(|(f, c, _)| (*f, *c) == (file, chunk));
        if !hit {
            *last = Some((file, chunk, read()));
        }
        last.as_ref().and_then(|(.., spans)| spans.get(document)).map(Arc::clone)
    }
}

impl Store {
    /// Where a field of an object stands: its value, or the key of its nearest existing parent.
    /// An empty path means the object as a whole. Nothing for objects that no file defines.
    pub fn locate(&self, object: &ObjectRef, field: &str) -> Option<Place> {
        let entry = self.entries.get(object)?;
        let Some(origin) = entry.origin else {
            return Some(Place::whole(Arc::clone(&entry.file)));
        };
        self.locate_at(origin, field)
    }

    fn locate_at(&self, origin: Origin, field: &str) -> Option<Place> {
        let file = self.files.get(origin.file)?;
        let (range, chunk) = file.chunks.get(origin.chunk)?;
        let (document, item) = chunk.items.get(origin.item)?;
        let text = file.text.get(range.clone())?;
        let mut span = item.span.clone();
        let written = written_path(field, item.conversion.as_ref());
        if !written.is_empty() {
            let first = range.start == 0;
            let spans = self.last_chunk.spans((origin.file, origin.chunk), *document, || {
                let reading = yaml::read_chunk(text, first);
                reading.documents.into_iter().map(|document| Arc::new(document.spans)).collect()
            })?;
            let found = spans.find(&join(&item.prefix, &written));
            if found.path != item.prefix {
                span = found.highlight(text);
            }
        }
        Some(file.place(range, &span))
    }

    /// How the text of an object was read, when it is written in an old version.
    pub fn conversion(&self, object: &ObjectRef) -> Option<&api::Conversion> {
        let origin = self.entries.get(object)?.origin?;
        self.item(origin)?.conversion.as_ref()
    }

    /// Where an object begins.
    pub(super) fn place(&self, origin: Origin) -> Option<Place> {
        self.locate_at(origin, "")
    }
}
