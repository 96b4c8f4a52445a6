//! Whether a failed attempt is followed by another one, and after which pause.
//!
//! A connection that could not be made cost the backend nothing: another endpoint is tried at once,
//! for any method, unless the rule says `attempts: 0`. With `retry` in the rule, the codes it lists
//! are tried again for any method, since the operator chose them; a lost connection or a backend
//! timeout only for idempotent methods (RFC 9110 9.2.2). The pause doubles with each retry and is
//! drawn at random between half and whole.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use ir::{Retry, RetryBudget, Rule};

use crate::{limits::Limits, random::Random};

/// The budget of a cluster without one of its own: the defaults of `retryConstraint`
/// (XBackendTrafficPolicy).
const DEFAULT_BUDGET: RetryBudget = RetryBudget {
    percent: 20,
    interval: Duration::from_secs(10),
    min_retries: 10,
    min_interval: Duration::from_secs(1),
};

/// What is left of a request's retries.
pub(crate) struct Retries<'t> {
    policy: Option<&'t Retry>,
    left: u32,
    done: u32,
}

impl<'t> Retries<'t> {
    pub(crate) fn new(rule: &'t Rule, limits: &Limits) -> Self {
        let policy = rule.retry.as_ref();
        let left = match policy {
            Some(retry) => retry.attempts,
            None => limits.connect_attempts.saturating_sub(1),
        };
        Self { policy, left, done: 0 }
    }

    /// Whether another attempt may follow one that sent nothing.
    pub(crate) fn after_connect(&self) -> bool {
        self.left > 0
    }

    /// Whether endpoints that failed are tried once more when no other is left.
    pub(crate) fn begin_again(&self) -> bool {
        self.policy.is_some()
    }

    /// Whether another attempt may follow one whose request may have been processed.
    pub(crate) fn after_loss(&self, idempotent: bool) -> bool {
        self.left > 0 && self.policy.is_some() && idempotent
    }

    /// Whether the rule retries some status codes, and has retries left for it.
    pub(crate) fn after_codes(&self) -> &'t [u16] {
        match self.policy {
            Some(retry) if self.left > 0 => &retry.codes,
            Some(_) | None => &[],
        }
    }

    /// Uses one retry up.
    pub(crate) fn take(&mut self) {
        self.left = self.left.saturating_sub(1);
        self.done = self.done.saturating_add(1);
    }

    /// The pause before the retry that was taken last.
    pub(crate) fn pause(&self, limits: &Limits, random: &Random) -> Duration {
        let base = self.policy.and_then(|retry| retry.backoff).unwrap_or(limits.retry_backoff);
        let most = limits.retry_backoff_most.max(base);
        let doublings = self.done.saturating_sub(1).min(16);
        let whole = base.saturating_mul(1u32 << doublings).min(most);
        let half = usize::try_from(whole.as_micros() / 2).unwrap_or(usize::MAX);
        let extra = u64::try_from(random.below(half.saturating_add(1))).unwrap_or(0);
        whole.saturating_sub(Duration::from_micros(extra))
    }
}

/// What one worker counts of a cluster's requests and retries, so that a backend in trouble is not
/// asked ever more often.
pub(crate) struct Budget {
    rates: RetryBudget,
    requests: Window,
    retries: Window,
    recent: Window,
}

impl Budget {
    /// `workers` share the least number of retries that is always allowed.
    pub(crate) fn new(rates: Option<RetryBudget>, workers: usize) -> Self {
        let mut rates = rates.unwrap_or(DEFAULT_BUDGET);
        let workers = u32::try_from(workers).unwrap_or(u32::MAX).max(1);
        rates.min_retries = rates.min_retries.div_ceil(workers);
        Self {
            requests: Window::new(rates.interval),
            retries: Window::new(rates.interval),
            recent: Window::new(rates.min_interval),
            rates,
        }
    }

    pub(crate) fn request(&self, now: Instant) {
        self.requests.add(now);
    }

    /// Takes one retry from the budget, if it has one.
    pub(crate) fn take(&self, now: Instant) -> bool {
        let wanted = self.retries.count(now).saturating_add(1).saturating_mul(100);
        let allowed = self.requests.count(now).saturating_mul(u64::from(self.rates.percent));
        if wanted > allowed && self.recent.count(now) >= u64::from(self.rates.min_retries) {
            return false;
        }
        self.retries.add(now);
        self.recent.add(now);
        true
    }
}

/// Events of the present interval and, fading out, of the one before.
struct Window {
    length: Duration,
    began: Cell<Option<Instant>>,
    present: Cell<u64>,
    before: Cell<u64>,
}

impl Window {
    fn new(length: Duration) -> Self {
        let length = length.max(Duration::from_millis(1));
        Self { length, began: Cell::new(None), present: Cell::new(0), before: Cell::new(0) }
    }

    fn add(&self, now: Instant) {
        self.turn(now);
        self.present.set(self.present.get().saturating_add(1));
    }

    fn count(&self, now: Instant) -> u64 {
        let passed = self.turn(now).as_micros();
        let length = self.length.as_micros().max(1);
        let left = length.saturating_sub(passed);
        let fading = u128::from(self.before.get()).saturating_mul(left) / length;
        self.present.get().saturating_add(u64::try_from(fading).unwrap_or(u64::MAX))
    }

    /// Begins a new interval when the present one is over. Returns how much of it has passed.
    fn turn(&self, now: Instant) -> Duration {
        let Some(began) = self.began.get() else {
            self.began.set(Some(now));
            return Duration::ZERO;
        };
        let passed = now.saturating_duration_since(began);
        if passed < self.length {
            return passed;
        }
        let follows = passed < self.length.saturating_mul(2);
        self.before.set(if follows { self.present.get() } else { 0 });
        self.present.set(0);
        let next = if follows { began.checked_add(self.length).unwrap_or(now) } else { now };
        self.began.set(Some(next));
        now.saturating_duration_since(next)
    }
}
