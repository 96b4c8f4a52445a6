//! Holds what the suite did against what it was asked to do.

use super::{
    catalogue::Chosen,
    output::{Outcome, Seen, Verdict as Result},
};

/// Tests shown as the slowest ones.
const SLOWEST: usize = 5;

/// Every chosen test is in exactly one of the lists.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    passed: Vec<(String, f64)>,
    failed: Vec<(String, Vec<String>)>,
    skipped: Vec<(String, String)>,
    /// The suite never mentioned it, or broke off before its end.
    not_run: Vec<String>,
    /// What is wrong with the run as a whole.
    whole: Vec<String>,
    seconds: f64,
}

impl Verdict {
    pub(super) fn of(chosen: &Chosen, outcome: &Outcome) -> Self {
        let mut verdict = Self { seconds: outcome.root.seconds, ..Self::default() };
        for test in chosen.all() {
            verdict.add(test, outcome.tests.get(test));
        }
        let root_failed = outcome.root.result != Some(Result::Passed) || !outcome.ended_well;
        verdict.whole.extend(outcome.root.errors.iter().cloned());
        if outcome.root.result.is_none() {
            verdict.whole.push("the suite broke off; its last lines:".to_owned());
            verdict.whole.extend(outcome.last_lines.iter().cloned());
        } else if root_failed && verdict.failed.is_empty() && verdict.whole.is_empty() {
            verdict.whole.push("the suite failed, though none of the chosen tests did".to_owned());
        }
        verdict
    }

    fn add(&mut self, test: &str, seen: Option<&Seen>) {
        let name = test.to_owned();
        let result = seen.and_then(|seen| seen.result);
        let (Some(seen), Some(result)) = (seen, result) else {
            self.not_run.push(name);
            return;
        };
        match result {
            // An error without a failure is a part that was skipped.
            Result::Passed if seen.errors.is_empty() => self.passed.push((name, seen.seconds)),
            Result::Passed | Result::Failed => self.failed.push((name, seen.errors.clone())),
            Result::Skipped => self.skipped.push((name, seen.reason.clone())),
        }
    }

    /// A skipped test is not a passed test: its feature is not claimed, or misspelt in the claim.
    pub(super) fn is_good(&self) -> bool {
        self.failed.is_empty()
            && self.skipped.is_empty()
            && self.not_run.is_empty()
            && self.whole.is_empty()
    }

    pub(super) fn print(&self) {
        println!();
        for (test, errors) in &self.failed {
            println!("FAILED   {test}");
            errors.iter().for_each(|error| println!("         {}", cut(error)));
        }
        for (test, reason) in &self.skipped {
            println!("SKIPPED  {test}: {reason}");
        }
        self.not_run.iter().for_each(|test| println!("NOT RUN  {test}"));
        self.whole.iter().for_each(|error| println!("SUITE    {}", cut(error)));
        let mut slow = self.passed.clone();
        slow.sort_by(|one, other| other.1.total_cmp(&one.1));
        let slow: Vec<String> = slow
            .iter()
            .take(SLOWEST)
            .map(|(test, seconds)| format!("{test} {seconds:.1} s"))
            .collect();
        if !slow.is_empty() {
            println!("slowest: {}", slow.join(", "));
        }
        println!(
            "conformance: {} passed, {} failed, {} skipped, {} not run, {:.0} s",
            self.passed.len(),
            self.failed.len(),
            self.skipped.len(),
            self.not_run.len(),
            self.seconds
        );
    }
}

/// Some errors print whole objects.
fn cut(text: &str) -> String {
    const MOST: usize = 400;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    text.chars().take(MOST).chain(" …".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn seen(result: Option<Result>) -> Seen {
        Seen { result, ..Seen::default() }
    }

    fn outcome(tests: &[(&str, Option<Result>)], root: Result, ended_well: bool) -> Outcome {
        let tests: BTreeMap<String, Seen> =
            tests.iter().map(|(name, result)| ((*name).to_owned(), seen(*result))).collect();
        Outcome { tests, root: seen(Some(root)), ended_well, last_lines: Vec::new() }
    }

    fn chosen(tests: &[&str]) -> Chosen {
        Chosen {
            upstream: tests.iter().map(|test| (*test).to_owned()).collect(),
            own: BTreeSet::new(),
            profiles: Vec::new(),
            complete: true,
        }
    }

    #[test]
    fn a_test_that_exists_and_did_not_run_spoils_the_verdict() {
        let outcome = outcome(&[("A", Some(Result::Passed))], Result::Passed, true);
        assert!(Verdict::of(&chosen(&["A"]), &outcome).is_good());
        let verdict = Verdict::of(&chosen(&["A", "B"]), &outcome);
        assert_eq!(verdict.not_run, ["B"]);
        assert!(!verdict.is_good());
    }

    #[test]
    fn a_skipped_test_spoils_the_verdict_and_a_test_that_was_not_chosen_does_not() {
        let outcome = outcome(
            &[("A", Some(Result::Passed)), ("Mesh", Some(Result::Skipped))],
            Result::Passed,
            true,
        );
        assert!(Verdict::of(&chosen(&["A"]), &outcome).is_good());
        assert!(!Verdict::of(&chosen(&["A", "Mesh"]), &outcome).is_good());
    }

    #[test]
    fn a_suite_that_fails_while_it_cleans_up_is_not_passed() {
        let outcome = outcome(&[("A", Some(Result::Passed))], Result::Failed, false);
        assert!(!Verdict::of(&chosen(&["A"]), &outcome).is_good());
    }

    #[test]
    fn a_test_that_was_cut_off_did_not_run() {
        let outcome = outcome(&[("A", None)], Result::Failed, false);
        assert_eq!(Verdict::of(&chosen(&["A"]), &outcome).not_run, ["A"]);
    }
}
