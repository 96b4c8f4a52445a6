//! What the files hold now, and the last good state of what they hold wrongly.

mod admit;
mod assemble;
mod chunk;
mod locate;
mod reference;
mod synthetic;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Range,
    sync::{Arc, OnceLock},
};

use api::{EndpointSlice, Object};
use translate::{ObjectRef, Snapshot};

pub use self::reference::{Reference, references};
use self::{
    admit::{Admitted, Item},
    chunk::Chunk,
    locate::LastChunk,
    synthetic::Synthetic,
};
use crate::{
    backend::BackendOverride,
    files::Contents,
    issue::{Place, SourceIssue},
    yaml::{self, LineIndex},
};

/// How a store reads its files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where Services are, whatever the files say.
    pub backends: Vec<BackendOverride>,
    /// The files are only a part of the configuration: what they do not hold is unknown, not
    /// missing.
    pub open: bool,
}

/// What a load found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Load {
    /// Whether the snapshot or the endpoints differ from those before.
    pub changed: bool,
    /// Everything that is wrong with the files now, in their order.
    pub issues: Vec<SourceIssue>,
}

/// The objects of a set of files.
///
/// It owns the texts, so that places can be shown, and the last good state of each object. All
/// else is a function of the last texts that were loaded.
#[derive(Debug, Default)]
pub struct Store {
    settings: Settings,
    files: Vec<File>,
    entries: BTreeMap<ObjectRef, Entry>,
    /// Who refers to an object.
    referrers: BTreeMap<ObjectRef, BTreeSet<ObjectRef>>,
    /// The objects of the files alone.
    written: Snapshot,
    synthetic: Synthetic,
    last_chunk: LastChunk,
}

#[derive(Clone, Debug)]
struct File {
    name: Arc<str>,
    text: Arc<str>,
    named: bool,
    chunks: Vec<(Range<usize>, Arc<Chunk>)>,
    /// Made when a place is asked for.
    lines: OnceLock<LineIndex>,
}

impl File {
    fn place(&self, chunk: &Range<usize>, span: &Range<usize>) -> Place {
        let lines = self.lines.get_or_init(|| LineIndex::new(&self.text));
        let start = span.start.saturating_add(chunk.start);
        let end = span.end.saturating_add(chunk.start);
        Place::with_index(&self.name, &self.text, lines, start..end)
    }
}

/// An object, as it is served.
#[derive(Debug)]
struct Entry {
    /// As the text gave it when it was last valid, with the generation of its first state.
    text_state: Object,
    /// The same with its present generation.
    object: Object,
    references: Vec<Reference>,
    slices: Option<Vec<Arc<EndpointSlice>>>,
    file: Arc<str>,
    origin: Option<Origin>,
}

/// The text that an object comes from.
#[derive(Clone, Copy, Debug)]
struct Origin {
    /// Positions in `files`, in its chunks, and in the items of the chunk.
    file: usize,
    chunk: usize,
    item: usize,
}

/// Whether the text of an object is what is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectState {
    /// The object is as the file has it.
    Current,
    /// The file's text is broken; the object is as it was before.
    LastGood,
}

impl Store {
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Takes what the files hold now. Texts that did not change are not read again.
    pub fn load(&mut self, contents: Contents) -> Load {
        self.take_files(&contents);
        let mut issues = contents.issues;
        let round = assemble::Round::new(&self.files);
        let changed = self.apply(&round);
        issues.extend(self.issues(&round));
        let rebuilt = self.synthetic.rebuild(&self.written, &self.settings, &self.entries, changed);
        Load { changed: changed || rebuilt, issues }
    }

    fn take_files(&mut self, contents: &Contents) {
        let previous = std::mem::take(&mut self.files);
        let mut by_name: BTreeMap<&str, &File> =
            previous.iter().map(|file| (&*file.name, file)).collect();
        let same: Vec<Option<&File>> = contents
            .files
            .iter()
            .map(|new| by_name.get(&*new.path).copied().filter(|old| old.text == new.text))
            .collect();
        // The documents of files that changed, by their bytes.
        let unchanged: BTreeSet<&str> = same.iter().flatten().map(|file| &*file.name).collect();
        let known: HashMap<&str, &Arc<Chunk>> = previous
            .iter()
            .filter(|file| !unchanged.contains(&*file.name))
            .flat_map(|file| {
                let text = |range: &Range<usize>| file.text.get(range.clone());
                file.chunks.iter().filter_map(move |(range, chunk)| Some((text(range)?, chunk)))
            })
            .collect();
        let mut files = Vec::with_capacity(contents.files.len());
        for (content, same) in contents.files.iter().zip(same) {
            by_name.remove(&*content.path);
            let chunks = match same {
                Some(file) => file.chunks.clone(),
                None => read_chunks(&content.text, &known),
            };
            files.push(File {
                name: Arc::clone(&content.path),
                text: Arc::clone(&content.text),
                named: content.named,
                chunks,
                lines: OnceLock::new(),
            });
        }
        // What cannot be read now is as it was.
        for file in &previous {
            let kept = contents.unreadable.iter().any(|name| {
                let rest = file.name.strip_prefix(&**name);
                rest.is_some_and(|rest| {
                    rest.is_empty() || rest.starts_with('/') || name.ends_with('/')
                })
            });
            if kept && by_name.contains_key(&*file.name) {
                files.push(file.clone());
            }
        }
        self.files = files;
        self.last_chunk.forget();
    }

    /// Everything that translation reads. Cheap: pointers are copied, and an object that did not
    /// change is the same pointer as in the snapshot before.
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = self.synthetic.snapshot.clone();
        snapshot.open = self.settings.open;
        snapshot
    }

    /// The EndpointSlices of the files and those made from annotations, overrides and legacy
    /// Endpoints.
    pub fn endpoint_slices(&self) -> &[Arc<EndpointSlice>] {
        &self.synthetic.slices
    }

    /// The text of a file as it was loaded.
    pub fn text(&self, file: &str) -> Option<&Arc<str>> {
        self.files.iter().find(|candidate| &*candidate.name == file).map(|file| &file.text)
    }

    /// The files, by name and text, in reading order.
    pub fn files(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.files.iter().map(|file| (&file.name, &file.text))
    }

    /// All objects of the files that are served, by group, kind, namespace and name.
    pub fn objects(&self) -> impl Iterator<Item = (&ObjectRef, &Object)> {
        self.entries.iter().map(|(reference, entry)| (reference, &entry.object))
    }

    /// One object of the files.
    pub fn object(&self, reference: &ObjectRef) -> Option<&Object> {
        self.entries.get(reference).map(|entry| &entry.object)
    }

    /// Whether an object is as its file has it. Nothing for objects that no file defines.
    pub fn state(&self, reference: &ObjectRef) -> Option<ObjectState> {
        let entry = self.entries.get(reference)?;
        let current = entry.origin.and_then(|origin| self.item(origin)?.admitted.as_ref());
        Some(if current.is_some() { ObjectState::Current } else { ObjectState::LastGood })
    }

    /// What an object refers to, sorted.
    pub fn references_from(&self, object: &ObjectRef) -> &[Reference] {
        self.entries.get(object).map_or(&[], |entry| &entry.references)
    }

    /// The objects that refer to this one, sorted. It need not exist.
    pub fn references_to(&self, object: &ObjectRef) -> impl Iterator<Item = &ObjectRef> {
        self.referrers.get(object).into_iter().flatten()
    }

    fn item(&self, origin: Origin) -> Option<&Item> {
        let (_, chunk) = self.files.get(origin.file)?.chunks.get(origin.chunk)?;
        chunk.items.get(origin.item).map(|(_, item)| item)
    }

    fn admitted(&self, origin: Origin) -> Option<&Admitted> {
        self.item(origin)?.admitted.as_ref()
    }
}

fn read_chunks(text: &str, known: &HashMap<&str, &Arc<Chunk>>) -> Vec<(Range<usize>, Arc<Chunk>)> {
    let ranges = yaml::split(text);
    let chunks = ranges.into_iter().map(|range| {
        let part = text.get(range.clone()).unwrap_or("");
        let chunk = match known.get(part) {
            Some(chunk) => Arc::clone(chunk),
            None => Arc::new(Chunk::read(part, range.start == 0)),
        };
        (range, chunk)
    });
    chunks.collect()
}
