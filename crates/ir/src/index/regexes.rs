//! Regular expressions of one hostname: tried together when there are many.

use regex_automata::meta::Regex;

use super::{HashMap, Slot};
use crate::{
    Pattern,
    limits::{PATTERN_SET_BYTES_MAX, PATTERN_SET_MIN},
};

/// Slots with a pattern each, in order of precedence.
#[derive(Debug)]
pub(crate) struct Regexes {
    slots: Vec<(Slot, u32)>,
    /// Each text once, in the order of its first slot.
    patterns: Vec<Pattern>,
    /// Parallel to `patterns`: the position of the first slot.
    first_slots: Vec<usize>,
    /// All patterns as alternatives, in the same order: the one it reports is the first in that
    /// order which matches.
    together: Option<Regex>,
}

impl Regexes {
    pub(crate) fn build<'p>(list: impl Iterator<Item = (Slot, &'p Pattern)>) -> Option<Box<Self>> {
        let mut numbers: HashMap<&str, u32> = HashMap::default();
        let mut patterns: Vec<Pattern> = Vec::new();
        let mut first_slots: Vec<usize> = Vec::new();
        let slots: Vec<(Slot, u32)> = list
            .enumerate()
            .map(|(position, (slot, pattern))| {
                let number = *numbers.entry(pattern.expression()).or_insert_with(|| {
                    patterns.push(pattern.clone());
                    first_slots.push(position);
                    u32::try_from(patterns.len().saturating_sub(1)).unwrap_or(u32::MAX)
                });
                (slot, number)
            })
            .collect();
        if slots.is_empty() {
            return None;
        }
        let together = (patterns.len() >= PATTERN_SET_MIN).then(|| compile(&patterns)).flatten();
        Some(Box::new(Self { slots, patterns, first_slots, together }))
    }

    /// The first slot that `holds` and whose pattern matches the path.
    pub(crate) fn find(&self, path: &str, holds: impl Fn(Slot) -> bool) -> Option<Slot> {
        let first = match &self.together {
            Some(together) => together.search_half(&path.into())?.pattern().as_u32(),
            None => 0,
        };
        // One pattern often stands in several slots in a row; its verdict is kept.
        let mut known: Option<(u32, bool)> = self.together.is_some().then_some((first, true));
        let start = self.first_slots.get(first as usize).copied().unwrap_or_default();
        for (slot, number) in self.slots.iter().skip(start) {
            if *number < first || !holds(*slot) {
                continue;
            }
            let verdict = match known {
                Some((same, verdict)) if same == *number => verdict,
                _ => self.is_match(*number, path),
            };
            if verdict {
                return Some(*slot);
            }
            known = Some((*number, false));
        }
        None
    }

    /// All slots whose pattern matches the path.
    pub(crate) fn each(&self, path: &str) -> impl Iterator<Item = Slot> {
        self.slots
            .iter()
            .filter(move |(_, number)| self.is_match(*number, path))
            .map(|(slot, _)| *slot)
    }

    fn is_match(&self, number: u32, path: &str) -> bool {
        self.patterns.get(number as usize).is_some_and(|pattern| pattern.is_match(path))
    }
}

/// `None` when the patterns are too large together; then they are tried one by one.
fn compile(patterns: &[Pattern]) -> Option<Regex> {
    let config = Regex::config().nfa_size_limit(Some(PATTERN_SET_BYTES_MAX));
    let expressions: Vec<&str> = patterns.iter().map(Pattern::expression).collect();
    Regex::builder().configure(config).build_many(&expressions).ok()
}
