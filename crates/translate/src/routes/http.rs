//! HTTPRoute, and what its rules share with those of GRPCRoute.

use std::sync::Arc;
use std::time::Duration;

use api::{
    BackendObjectReference, BackendRef, ExternalAuthFilter, HttpRoute, HttpRouteFilter,
    HttpRouteRule,
};
use ir::{Action, FailReason, Match, PathMatch, Retry, RouteKind, Rule, Timeouts};

use crate::code::Code;
use crate::external_auth;
use crate::kinds::RouteType;
use crate::routes::filters::{self, Place};
use crate::routes::{Body, Lower, Pass, backends, matches};
use crate::session::{self, Session};

pub(crate) const RULE_EFFECT: &str = "requests of this rule answer 500";

/// What became of a rule.
pub(crate) enum Outcome {
    Served(Rule),
    /// In the IR, but answering errors: the code that was found.
    Refused(Rule, Code),
    /// Without matches that could be compiled.
    Dropped,
}

impl Lower for HttpRoute {
    const TYPE: RouteType = RouteType::Http;

    fn visit_backends(&self, visit: &mut dyn FnMut(&BackendObjectReference)) {
        let named = |filters: &[HttpRouteFilter],
                     visit: &mut dyn FnMut(&BackendObjectReference)| {
            for mirror in filters.iter().filter_map(|filter| filter.request_mirror.as_ref()) {
                visit(&mirror.backend_ref);
            }
            let asked = external_auth::services(filters);
            asked.filter(|auth| !by_grpc(auth)).for_each(|auth| visit(&auth.backend_ref));
        };
        for rule in &self.spec.rules {
            named(&rule.filters, visit);
            for backend in &rule.backend_refs {
                visit(&backend.backend.object);
                named(&backend.filters, visit);
            }
        }
    }

    fn visit_callees(&self, visit: &mut dyn FnMut(&BackendObjectReference)) {
        for rule in &self.spec.rules {
            let backends = rule.backend_refs.iter().map(|backend| backend.filters.as_slice());
            for filters in std::iter::once(rule.filters.as_slice()).chain(backends) {
                let asked = external_auth::services(filters);
                asked.filter(|auth| by_grpc(auth)).for_each(|auth| visit(&auth.backend_ref));
            }
        }
    }

    fn lower_rules(&self, pass: &mut Pass<'_>) -> Body {
        // The API server would have filled in one rule for every request.
        let default = [HttpRouteRule::default()];
        let broken = pass.broken("spec.rules").is_some();
        let rules =
            if self.spec.rules.is_empty() && !broken { &default[..] } else { &self.spec.rules };
        let outcomes: Vec<Outcome> =
            rules.iter().enumerate().map(|(index, rule)| lower_rule(pass, index, rule)).collect();
        Body::Http(RouteKind::Http, settle(pass, outcomes))
    }
}

fn by_grpc(auth: &ExternalAuthFilter) -> bool {
    external_auth::spoken(auth) == RouteType::Grpc
}

/// Keeps what can stand in the IR, and says when nothing of the route is served.
pub(crate) fn settle(pass: &mut Pass<'_>, outcomes: Vec<Outcome>) -> Vec<Arc<Rule>> {
    let served = outcomes.iter().any(|outcome| matches!(outcome, Outcome::Served(_)));
    let incompatible = outcomes
        .iter()
        .all(|outcome| matches!(outcome, Outcome::Refused(_, Code::IncompatibleFilters)));
    if !served && (!outcomes.is_empty() || pass.broken("spec.rules").is_some()) {
        let first = pass.findings.iter().find(|finding| {
            finding.origin.field.starts_with("spec.rules") && finding.code != Code::OutsideSnapshot
        });
        let why = first.map_or_else(String::new, |finding| format!(": {}", finding.message));
        let code = if incompatible && !outcomes.is_empty() {
            Code::NoUsableRuleFilters
        } else {
            Code::NoUsableRule
        };
        pass.find(code, "spec.rules", format!("no rule of the route can be served{why}"));
    }
    outcomes
        .into_iter()
        .filter_map(|outcome| match outcome {
            Outcome::Served(rule) | Outcome::Refused(rule, _) => Some(Arc::new(rule)),
            Outcome::Dropped => None,
        })
        .collect()
}

fn lower_rule(pass: &mut Pass<'_>, index: usize, rule: &HttpRouteRule) -> Outcome {
    let field = format!("spec.rules[{index}]");
    let mut matches: Vec<Match> = Vec::new();
    for (position, wanted) in rule.matches.iter().enumerate() {
        let place = format!("{field}.matches[{position}]");
        let lowered = matches::http(pass.origin(&place), wanted);
        matches.extend(matches::keep(pass, &place, lowered));
    }
    let refs =
        rule.backend_refs.iter().map(|backend| (&backend.backend, backend.filters.as_slice()));
    let refs: Vec<_> = refs.collect();
    let parts = Parts {
        index,
        name: rule.name.clone(),
        match_count: rule.matches.len(),
        matches,
        filters: &rule.filters,
        backends: &refs,
        session: rule.session_persistence.as_ref(),
    };
    let limits =
        |pass: &mut Pass<'_>| Ok((timeouts(pass, &field, rule)?, retry(pass, &field, rule)?));
    assemble(pass, &field, parts, limits)
}

/// The parts of a rule, of either kind.
pub(crate) struct Parts<'r> {
    pub(crate) index: usize,
    pub(crate) name: Option<Arc<str>>,
    /// As written.
    pub(crate) match_count: usize,
    /// Those that could be compiled.
    pub(crate) matches: Vec<Match>,
    pub(crate) filters: &'r [HttpRouteFilter],
    pub(crate) backends: &'r [(&'r BackendRef, &'r [HttpRouteFilter])],
    pub(crate) session: Option<&'r api::SessionPersistence>,
}

pub(crate) fn assemble(
    pass: &mut Pass<'_>,
    field: &str,
    parts: Parts<'_>,
    limits: impl FnOnce(&mut Pass<'_>) -> Result<(Timeouts, Option<Retry>), Code>,
) -> Outcome {
    let origin = pass.origin(field);
    let mut matches = parts.matches;
    let matches_broken = pass.broken(&format!("{field}.matches")).is_some();
    if parts.match_count == 0 && !matches_broken {
        matches.push(matches::everything(origin.clone()));
    }
    if matches.is_empty() {
        return Outcome::Dropped;
    }
    let prefixed = matches.iter().all(|one| matches!(one.path, PathMatch::Prefix(_)));
    let mut rule = Rule {
        origin,
        index: u32::try_from(parts.index).unwrap_or(u32::MAX),
        name: parts.name,
        matches,
        filters: Vec::new(),
        action: Action::Fail(FailReason::UnsupportedRule),
        timeouts: Timeouts::default(),
        retry: None,
    };
    if let Err(code) = readable(pass, field) {
        return Outcome::Refused(rule, code);
    }
    let session = match session(pass, field, parts.session) {
        Ok(session) => session,
        Err(code) => return Outcome::Refused(rule, code),
    };
    let list = format!("{field}.filters");
    let filters = match filters::lower(pass, &list, parts.filters, prefixed, Place::Rule) {
        Ok(filters) => filters,
        Err(filters::Refused(code)) => return Outcome::Refused(rule, code),
    };
    match limits(pass) {
        Ok((timeouts, retry)) => (rule.timeouts, rule.retry) = (timeouts, retry),
        Err(code) => return Outcome::Refused(rule, code),
    }
    if filters.redirect.is_some() && !parts.backends.is_empty() {
        let message = "a rule with filter RequestRedirect has no backendRefs; remove one of them";
        pass.report(Code::IncompatibleFilters, field, message, Some(RULE_EFFECT));
        return Outcome::Refused(rule, Code::IncompatibleFilters);
    }
    rule.filters = filters.filters;
    rule.action = match filters.redirect {
        Some(redirect) => Action::Redirect(redirect),
        None => {
            let lowered = lower_backends(pass, field, parts.backends, session.as_ref(), prefixed);
            backends::check_names(pass, &format!("{field}.backendRefs"), &lowered);
            backends::forward(lowered)
        }
    };
    Outcome::Served(rule)
}

/// The session that the rule asks for.
fn session(
    pass: &mut Pass<'_>,
    field: &str,
    wanted: Option<&api::SessionPersistence>,
) -> Result<Option<Session>, Code> {
    let Some(wanted) = wanted else { return Ok(None) };
    let place = format!("{field}.sessionPersistence");
    if !pass.capabilities.session_persistence {
        let message = "sessionPersistence is not served yet; remove it".to_owned();
        return Err(refuse(pass, Code::UnsupportedField, &place, message));
    }
    match session::lower(pass.origin(&place), wanted) {
        Ok(session) => Ok(Some(session)),
        Err(problem) => Err(refuse(pass, problem.code, &problem.below(&place), problem.message)),
    }
}

/// Fields of the rule that could not be decoded change its meaning; those of matches and of
/// backends are handled where they stand.
fn readable(pass: &mut Pass<'_>, field: &str) -> Result<(), Code> {
    let (matches, refs) = (format!("{field}.matches["), format!("{field}.backendRefs["));
    let issue = pass.inputs.issues.iter().find(|issue| {
        issue.is_under(field)
            && !issue.path.starts_with(&matches)
            && (!issue.path.starts_with(&refs) || issue.path.ends_with(".weight"))
    });
    let Some(issue) = issue else { return Ok(()) };
    let (path, message) = (issue.path.clone(), issue.message.clone());
    pass.report(Code::InvalidValue, &path, message, Some(RULE_EFFECT));
    Err(Code::InvalidValue)
}

fn lower_backends(
    pass: &mut Pass<'_>,
    field: &str,
    refs: &[(&BackendRef, &[HttpRouteFilter])],
    session: Option<&Session>,
    prefixed: bool,
) -> Vec<ir::Backend> {
    let mut lowered = Vec::with_capacity(refs.len());
    for (index, (reference, filters)) in refs.iter().enumerate() {
        let place = format!("{field}.backendRefs[{index}]");
        let list = format!("{place}.filters");
        let filters = filters::lower(pass, &list, filters, prefixed, Place::Backend);
        let filters = filters.ok().map(|filters| filters.filters);
        lowered.push(backends::backend(pass, &place, reference, filters, session));
    }
    lowered
}

fn refuse(pass: &mut Pass<'_>, code: Code, field: &str, message: String) -> Code {
    pass.report(code, field, message, Some(RULE_EFFECT));
    code
}

/// Zero turns a limit off.
fn timeouts(pass: &mut Pass<'_>, field: &str, rule: &HttpRouteRule) -> Result<Timeouts, Code> {
    let Some(wanted) = &rule.timeouts else { return Ok(Timeouts::default()) };
    let place = format!("{field}.timeouts");
    if !pass.capabilities.timeouts {
        return Err(refuse(
            pass,
            Code::UnsupportedField,
            &place,
            "timeouts are not served yet".to_owned(),
        ));
    }
    let request = duration(pass, &format!("{place}.request"), wanted.request.as_deref())?;
    let backend_request =
        duration(pass, &format!("{place}.backendRequest"), wanted.backend_request.as_deref())?;
    if let (Some(request), Some(backend)) = (request, backend_request)
        && backend > request
    {
        let message = "backendRequest is longer than request; make it shorter".to_owned();
        return Err(refuse(pass, Code::InvalidValue, &format!("{place}.backendRequest"), message));
    }
    Ok(Timeouts { request, backend_request })
}

fn duration(
    pass: &mut Pass<'_>,
    field: &str,
    text: Option<&str>,
) -> Result<Option<Duration>, Code> {
    let Some(text) = text else { return Ok(None) };
    match api::duration::parse(text) {
        Ok(duration) => Ok((!duration.is_zero()).then_some(duration)),
        Err(error) => Err(refuse(pass, Code::InvalidValue, field, error.to_string())),
    }
}

fn retry(pass: &mut Pass<'_>, field: &str, rule: &HttpRouteRule) -> Result<Option<Retry>, Code> {
    let Some(wanted) = &rule.retry else { return Ok(None) };
    let place = format!("{field}.retry");
    let attempts = wanted.attempts();
    if attempts > 0 && !pass.capabilities.retries {
        let message =
            "retries are not served yet; remove retry, or turn retries off by attempts: 0"
                .to_owned();
        return Err(refuse(pass, Code::UnsupportedField, &place, message));
    }
    if let Some(code) = wanted.codes.iter().find(|code| !(400..=599).contains(*code)) {
        let message = format!("status {code} is not between 400 and 599");
        return Err(refuse(pass, Code::InvalidValue, &format!("{place}.codes"), message));
    }
    let backoff = duration(pass, &format!("{place}.backoff"), wanted.backoff.as_deref())?;
    Ok(Some(Retry { attempts, codes: wanted.codes.clone(), backoff }))
}
