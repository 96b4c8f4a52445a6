//! Reads what a Go test binary prints with `-test.v=test2json`.
//!
//! A control character marks what the test framework says, so that a test's own words cannot be taken for a result:
//! ^V begins a line of the framework, ^O and ^N enclose an error (Go's `testing` package, `markFraming` and its neighbours).

use std::{collections::BTreeMap, mem};

const FRAME: char = '\u{16}';
const ERROR_BEGINS: char = '\u{f}';
const ERROR_ENDS: char = '\u{e}';

/// The one test of the suite's binary; the tests that count are its children.
const ROOT: &str = "TestConformance";
/// Errors kept of one test: the first ones tell most.
const ERRORS_KEPT: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    Failed,
    Skipped,
}

impl Verdict {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Passed => "ok",
            Self::Failed => "FAIL",
            Self::Skipped => "skip",
        }
    }
}

/// What is known of a test of the suite.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) result: Option<Verdict>,
    pub(super) seconds: f64,
    /// Shortened, in the order in which they came; of its children too.
    pub(super) errors: Vec<String>,
    /// What it said when it was skipped.
    pub(super) reason: String,
}

/// A test has ended.
#[derive(Debug, PartialEq)]
pub(super) struct Event {
    pub(super) test: String,
    pub(super) result: Verdict,
    pub(super) seconds: f64,
}

/// What a run told.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) tests: BTreeMap<String, Seen>,
    /// The root: its errors are those of setting up and cleaning up.
    pub(super) root: Seen,
    /// The process ended well.
    pub(super) ended_well: bool,
    /// The last lines, for a suite that broke off.
    pub(super) last_lines: Vec<String>,
}

impl Outcome {
    /// Takes in the run that came after, if there was one before.
    pub(super) fn add(&mut self, next: Self) {
        if self.root.result.is_none() && self.tests.is_empty() && self.last_lines.is_empty() {
            *self = next;
            return;
        }
        self.tests.extend(next.tests);
        self.root.result = match (self.root.result, next.root.result) {
            (Some(Verdict::Passed), last) => last,
            (first, Some(_)) => first,
            (_, None) => None,
        };
        self.root.seconds += next.root.seconds;
        self.root.errors.extend(next.root.errors);
        self.ended_well &= next.ended_well;
        self.last_lines.extend(next.last_lines);
    }
}

#[derive(Default)]
pub(super) struct Reader {
    tests: BTreeMap<String, Seen>,
    root: Seen,
    /// Whose words come now: the path below the root, empty for the root.
    current: String,
    /// An error that has begun and not ended.
    error: Option<Vec<String>>,
    last_lines: Vec<String>,
}

impl Reader {
    /// Takes one line without its end.
    pub(super) fn line(&mut self, line: &str) -> Option<Event> {
        // What a program prints without a newline may stand before the mark.
        let (said, framed) = match line.split_once(FRAME) {
            Some((said, framed)) => (said, Some(framed)),
            None => (line, None),
        };
        if !said.trim().is_empty() {
            self.words(said);
        }
        self.frame(framed?)
    }

    pub(super) fn finish(self, ended_well: bool) -> Outcome {
        let Self { tests, root, last_lines, .. } = self;
        Outcome { tests, root, ended_well, last_lines }
    }

    /// `=== RUN   NAME`, `=== NAME  NAME`, `--- PASS: NAME (0.10s)` and their likes.
    fn frame(&mut self, text: &str) -> Option<Event> {
        let mut parts = text.split_whitespace();
        let (mark, word, name) = (parts.next()?, parts.next()?, parts.next().unwrap_or_default());
        let path = match name.strip_prefix(ROOT) {
            Some(rest) => rest.trim_start_matches('/').to_owned(),
            None => return None,
        };
        self.current = path;
        if mark != "---" {
            let test = top(&self.current);
            if !test.is_empty() {
                self.tests.entry(test.to_owned()).or_default();
            }
            return None;
        }
        let result = match word {
            "PASS:" => Verdict::Passed,
            "FAIL:" => Verdict::Failed,
            "SKIP:" => Verdict::Skipped,
            _ => return None,
        };
        let time = parts.next().unwrap_or_default();
        let seconds = time.trim_matches(['(', ')', 's']).parse().unwrap_or_default();
        self.ended(result, seconds)
    }

    fn ended(&mut self, result: Verdict, seconds: f64) -> Option<Event> {
        // A part of a test: a skipped part is as bad as a skipped test, and a failed one fails its test as well.
        if self.current.contains('/') && result != Verdict::Skipped {
            return None;
        }
        let part = self.current.contains('/');
        let test = top(&self.current).to_owned();
        let seen = self.seen();
        if part {
            seen.errors.push("a part of this test was skipped".to_owned());
            return None;
        }
        seen.result = Some(result);
        seen.seconds = seconds;
        (!test.is_empty()).then_some(Event { test, result, seconds })
    }

    fn seen(&mut self) -> &mut Seen {
        match top(&self.current) {
            "" => &mut self.root,
            test => self.tests.entry(test.to_owned()).or_default(),
        }
    }

    fn words(&mut self, text: &str) {
        self.last_lines.push(text.trim_end().to_owned());
        if self.last_lines.len() > 30 {
            self.last_lines.remove(0);
        }
        if text.contains("Skipping ") {
            let reason = text.rsplit(": ").next().unwrap_or_default().trim().to_owned();
            self.seen().reason = reason;
        }
        if let Some((_, rest)) = text.split_once(ERROR_BEGINS) {
            self.error = Some(vec![rest.to_owned()]);
        } else if let Some(error) = &mut self.error {
            error.push(text.to_owned());
        }
        if text.contains(ERROR_ENDS) {
            let lines = mem::take(&mut self.error).unwrap_or_default();
            let seen = self.seen();
            if seen.errors.len() < ERRORS_KEPT {
                seen.errors.push(shortened(&lines));
            }
        }
    }
}

/// The test that `path` is or is a part of.
fn top(path: &str) -> &str {
    path.split('/').next().unwrap_or_default()
}

/// One line of an error. The assertion library prints a table; its rows `Error:` and `Messages:` say what happened.
fn shortened(lines: &[String]) -> String {
    let clean = |line: &str| line.replace([ERROR_BEGINS, ERROR_ENDS], "").trim().to_owned();
    let row = |name: &str| {
        let at = lines.iter().position(|line| clean(line).starts_with(name))?;
        let first = clean(lines.get(at)?).strip_prefix(name)?.trim().to_owned();
        // Further lines of a row have no name.
        let more = lines.get(at + 1..).unwrap_or_default().iter().map(|line| clean(line));
        let more = more.take_while(|line| !is_row(line)).take(3).filter(|line| !line.is_empty());
        Some(std::iter::once(first).chain(more).collect::<Vec<_>>().join(" "))
    };
    let table: Vec<String> = ["Error:", "Messages:"].into_iter().filter_map(row).collect();
    if table.is_empty() {
        let plain: Vec<String> = lines.iter().map(|line| clean(line)).collect();
        return plain.join(" ");
    }
    table.join(" — ")
}

fn is_row(line: &str) -> bool {
    ["Error Trace:", "Error:", "Test:", "Messages:"].iter().any(|name| line.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> (Outcome, Vec<Event>) {
        let mut reader = Reader::default();
        let events = lines.iter().filter_map(|line| reader.line(line)).collect();
        (reader.finish(true), events)
    }

    #[test]
    fn results_and_errors_go_to_the_test_that_they_belong_to() {
        let (outcome, events) = read(&[
            "\u{16}=== RUN   TestConformance",
            "\u{16}=== RUN   TestConformance/A",
            "\u{16}=== RUN   TestConformance/A/part",
            "\u{16}=== NAME  TestConformance/B/part",
            "\u{f}    helpers.go:9: ",
            "        \tError Trace:\thelpers.go:9",
            "        \tError:      \tReceived unexpected error:",
            "        \t            \tcontext deadline exceeded",
            "        \tTest:       \tTestConformance/B/part",
            "        \tMessages:   \terror waiting for Gateway\u{e}",
            "\u{16}--- FAIL: TestConformance/B/part (3.00s)",
            "said without an end\u{16}--- FAIL: TestConformance/B (3.10s)",
            "\u{16}--- PASS: TestConformance/A (1.50s)",
            "\u{16}--- FAIL: TestConformance (5.00s)",
        ]);
        let event = |test: &str, result, seconds| Event { test: test.to_owned(), result, seconds };
        assert_eq!(events, [event("B", Verdict::Failed, 3.1), event("A", Verdict::Passed, 1.5)]);
        assert_eq!(
            outcome.tests["B"].errors,
            ["Received unexpected error: context deadline exceeded — error waiting for Gateway"]
        );
        assert!(outcome.tests["A"].errors.is_empty());
        assert_eq!(outcome.root.result, Some(Verdict::Failed));
    }

    #[test]
    fn a_result_in_a_tests_own_words_is_none() {
        let (outcome, events) =
            read(&["\u{16}=== RUN   TestConformance/A", "--- PASS: TestConformance/A (0.00s)"]);
        assert_eq!(events, []);
        assert_eq!(outcome.tests["A"].result, None);
    }

    #[test]
    fn a_skipped_test_says_why() {
        let (outcome, _) = read(&[
            "\u{16}=== RUN   TestConformance/A",
            "    conformance.go:60: Skipping A: suite does not support HTTPRouteCORS",
            "\u{16}--- SKIP: TestConformance/A (0.00s)",
        ]);
        assert_eq!(outcome.tests["A"].result, Some(Verdict::Skipped));
        assert_eq!(outcome.tests["A"].reason, "suite does not support HTTPRouteCORS");
    }

    #[test]
    fn errors_of_setting_up_belong_to_the_root() {
        let (outcome, _) = read(&[
            "\u{16}=== RUN   TestConformance",
            "\u{f}    conformance.go:1: no class\u{e}",
            "\u{16}--- FAIL: TestConformance (0.10s)",
        ]);
        assert_eq!(outcome.root.errors, ["conformance.go:1: no class"]);
    }
}
