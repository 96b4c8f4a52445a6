//! From the texts of this moment to objects: who is present, what changed, what to say.

use std::collections::{BTreeSet, HashMap, HashSet, hash_map::Entry};
use std::sync::Arc;

use api::Object;
use foldhash::fast::RandomState;
use translate::{Code, ObjectRef, Severity};

use super::{Admitted, Entry as ObjectEntry, File, Origin, Store, admit::Finding};
use crate::{
    files,
    issue::{Place, SourceIssue},
    yaml::{Problem, ProblemKind},
};

/// The objects that the texts name, each where it is first named.
///
/// Found by hash and never walked in its order: thousands of names that differ in their last
/// letters are slow to compare, and every load looks for each of them.
pub(super) struct Round {
    present: HashMap<ObjectRef, Origin, RandomState>,
    /// Later texts of objects that are present already.
    again: BTreeSet<(usize, usize, usize)>,
    /// Names of files with a document that cannot be read at all.
    broken: BTreeSet<Arc<str>>,
}

impl Round {
    pub(super) fn new(files: &[File]) -> Self {
        let items = files.iter().flat_map(|file| &file.chunks).map(|(_, chunk)| chunk.items.len());
        let present = HashMap::with_capacity_and_hasher(items.sum(), RandomState::default());
        let mut round = Self { present, again: BTreeSet::new(), broken: BTreeSet::new() };
        for (file_index, file) in files.iter().enumerate() {
            for (chunk_index, (_, chunk)) in file.chunks.iter().enumerate() {
                let unnamed = chunk.items.iter().any(|(_, item)| {
                    item.identity.is_none() && !item.findings.iter().any(|one| one.foreign)
                });
                if unnamed || !chunk.problems.is_empty() {
                    round.broken.insert(Arc::clone(&file.name));
                }
                for (item_index, (_, item)) in chunk.items.iter().enumerate() {
                    let Some(identity) = &item.identity else { continue };
                    let origin = Origin { file: file_index, chunk: chunk_index, item: item_index };
                    match round.present.entry(identity.clone()) {
                        Entry::Vacant(place) => {
                            place.insert(origin);
                        }
                        Entry::Occupied(_) => {
                            round.again.insert((file_index, chunk_index, item_index));
                        }
                    }
                }
            }
        }
        round
    }
}

impl Store {
    /// Brings the objects in line with the texts. True if something that is served changed.
    pub(super) fn apply(&mut self, round: &Round) -> bool {
        let mut gone = Vec::new();
        let hasher = RandomState::default();
        let mut settled = HashSet::with_capacity_and_hasher(self.entries.len(), hasher);
        for (reference, entry) in &mut self.entries {
            let Some(origin) = round.present.get(reference).copied() else {
                entry.origin = None;
                // The document that cannot be read may be this object's.
                if !round.broken.contains(&entry.file) {
                    gone.push(reference.clone());
                }
                continue;
            };
            let file = self.files.get(origin.file);
            if file.is_some_and(|file| settle(entry, file, origin)) {
                settled.insert((origin.file, origin.chunk, origin.item));
            }
        }
        let mut changed = !gone.is_empty();
        for reference in gone {
            self.remove(&reference);
        }
        for (reference, origin) in self.unsettled(round, &settled) {
            changed |= self.update(&reference, origin);
        }
        changed
    }

    /// The objects that are new, or not as they were, in the order of the texts.
    fn unsettled(
        &self,
        round: &Round,
        settled: &HashSet<(usize, usize, usize), RandomState>,
    ) -> Vec<(ObjectRef, Origin)> {
        let mut rest = Vec::new();
        for (file, content) in self.files.iter().enumerate() {
            for (chunk, (_, content)) in content.chunks.iter().enumerate() {
                for (item, (_, content)) in content.items.iter().enumerate() {
                    let place = (file, chunk, item);
                    if let Some(identity) = &content.identity
                        && !round.again.contains(&place)
                        && !settled.contains(&place)
                    {
                        rest.push((identity.clone(), Origin { file, chunk, item }));
                    }
                }
            }
        }
        rest
    }

    fn remove(&mut self, reference: &ObjectRef) {
        if let Some(entry) = self.entries.remove(reference) {
            self.forget_references(reference, &entry);
            self.written.remove(&reference.group, &reference.kind, &entry.object.name());
        }
    }

    fn forget_references(&mut self, from: &ObjectRef, entry: &ObjectEntry) {
        for one in &entry.references {
            if let Some(referrers) = self.referrers.get_mut(&one.target) {
                referrers.remove(from);
                if referrers.is_empty() {
                    self.referrers.remove(&one.target);
                }
            }
        }
    }

    /// Takes the text of an object that is new or changed.
    fn update(&mut self, reference: &ObjectRef, origin: Origin) -> bool {
        let Some(file) = self.files.get(origin.file).map(|file| Arc::clone(&file.name)) else {
            return false;
        };
        let Some(admitted) = self.admitted(origin) else { return false };
        let issues = Arc::clone(&admitted.issues);
        let entry = next_entry(self.entries.get(reference), admitted, file, origin);
        self.written.insert(&entry.object, &issues);
        if let Some(old) = self.entries.remove(reference) {
            self.forget_references(reference, &old);
        }
        for one in &entry.references {
            self.referrers.entry(one.target.clone()).or_default().insert(reference.clone());
        }
        self.entries.insert(reference.clone(), entry);
        true
    }

    /// Everything there is to say about the texts.
    pub(super) fn issues(&self, round: &Round) -> Vec<SourceIssue> {
        let mut issues = Vec::new();
        for (file_index, file) in self.files.iter().enumerate() {
            for (chunk_index, (range, chunk)) in file.chunks.iter().enumerate() {
                let mut found: Vec<SourceIssue> = Vec::new();
                let place = |span: &std::ops::Range<usize>| file.place(range, span);
                for problem in &chunk.problems {
                    found.push(problem_issue(problem, place(&problem.span)));
                }
                for (item_index, (_, item)) in chunk.items.iter().enumerate() {
                    let again = round.again.contains(&(file_index, chunk_index, item_index));
                    if let Some(identity) = item.identity.as_ref().filter(|_| again) {
                        found.push(self.duplicate(identity, place(&item.span), round));
                        continue;
                    }
                    for finding in &item.findings {
                        let place = place(&finding.span);
                        found.push(finding_issue(finding, place, item.identity.as_ref(), file));
                    }
                    if let Some(identity) = &item.identity
                        && item.admitted.is_none()
                        && self.entries.contains_key(identity)
                    {
                        found.push(kept(identity, place(&item.span)));
                    }
                }
                found.sort_by_key(|issue| issue.place.start);
                issues.append(&mut found);
            }
        }
        for (reference, entry) in self.entries.iter().filter(|(_, entry)| entry.origin.is_none()) {
            issues.push(kept(reference, Place::whole(Arc::clone(&entry.file))));
        }
        issues
    }

    fn duplicate(&self, identity: &ObjectRef, place: Place, round: &Round) -> SourceIssue {
        let first = round.present.get(identity).and_then(|origin| self.place(*origin));
        let at = first.as_ref().map_or_else(String::new, |first| format!(", at {first}"));
        let message = format!("{identity} is defined before{at}; this definition is ignored");
        let issue = SourceIssue::new(Code::DuplicateObject, place, message)
            .hint("remove one of the two, or give this one another name or namespace")
            .object(identity.clone(), "");
        match first {
            Some(first) => issue.related(first, "the definition that counts"),
            None => issue,
        }
    }
}

/// Notes where the text of an object is now. True if what it says is what is served already, or
/// says nothing that can be served.
fn settle(entry: &mut ObjectEntry, file: &File, origin: Origin) -> bool {
    let item = file.chunks.get(origin.chunk).and_then(|(_, chunk)| chunk.items.get(origin.item));
    let admitted = item.and_then(|(_, item)| item.admitted.as_ref());
    if admitted.is_some_and(|admitted| admitted.object != entry.text_state) {
        return false;
    }
    entry.origin = Some(origin);
    if !Arc::ptr_eq(&entry.file, &file.name) {
        entry.file = Arc::clone(&file.name);
    }
    true
}

/// The state of an object after a text that is valid and new.
fn next_entry(
    old: Option<&ObjectEntry>,
    new: &Admitted,
    file: Arc<str>,
    origin: Origin,
) -> ObjectEntry {
    let object = match old {
        Some(old) if !new.generation_given => {
            let before = old.object.meta().generation();
            let next = if same_spec(&old.text_state, &new.object) {
                before
            } else {
                before.saturating_add(1)
            };
            // Kinds without a generation keep having none.
            match new.object.meta().generation {
                Some(given) if given != next => new.object.with_generation(next),
                Some(_) | None => new.object.clone(),
            }
        }
        Some(_) | None => new.object.clone(),
    };
    ObjectEntry {
        text_state: new.object.clone(),
        object,
        references: new.references.clone(),
        slices: new.slices.clone(),
        file,
        origin: Some(origin),
    }
}

/// Whether two states of an object differ only in metadata and status, which count no generation.
fn same_spec(a: &Object, b: &Object) -> bool {
    let spec = |object: &Object| {
        let mut value = object.to_value();
        if let Some(fields) = value.as_object_mut() {
            fields.remove("metadata");
            fields.remove("status");
        }
        value
    };
    spec(a) == spec(b)
}

fn problem_issue(problem: &Problem, place: Place) -> SourceIssue {
    let code = match problem.kind {
        ProblemKind::Syntax => Code::Syntax,
        ProblemKind::DuplicateKey => Code::DuplicateKey,
        ProblemKind::TooLarge => Code::SourceTooLarge,
    };
    let issue = SourceIssue::new(code, place, problem.message.clone());
    match &problem.hint {
        Some(hint) => issue.hint(hint.clone()),
        None => issue,
    }
}

fn finding_issue(
    finding: &Finding,
    place: Place,
    identity: Option<&ObjectRef>,
    file: &File,
) -> SourceIssue {
    let mut issue =
        SourceIssue::new(finding.code, place, finding.message.clone()).severity(finding.severity);
    issue.hint.clone_from(&finding.hint);
    if let Some(identity) = identity {
        issue = issue.object(identity.clone(), finding.field.clone());
    }
    if finding.foreign && !file.named {
        // Folders hold files for other programs too.
        issue = issue.severity(Severity::Warning);
        if files::is_helm_values(&file.name) {
            issue = issue
                .severity(Severity::Note)
                .hint("it looks like the values of a Helm chart, which are not read");
        }
    }
    issue
}

fn kept(object: &ObjectRef, place: Place) -> SourceIssue {
    let message = format!("{object} stays as it was before its file was broken");
    SourceIssue::new(Code::KeptLastGood, place, message).object(object.clone(), "")
}
