//! Matches. One that cannot be compiled is dropped alone: it could match nothing.

use std::sync::Arc;

use api::{
    HeaderMatch, HttpPathMatch, HttpRouteMatch, PathMatchType, QueryParamMatch, StringMatchType,
};
use ir::{
    CallMatch, FieldName, HttpSettings, Match, Origin, PathMatch, Pattern, QueryMatch, ValueMatch,
};

use crate::code::Code;
use crate::routes::{Pass, modifiers::shown};

pub(crate) const EFFECT: &str = "this match is dropped";

pub(crate) struct Problem {
    pub(crate) code: Code,
    /// Below the match.
    pub(crate) field: String,
    pub(crate) message: String,
}

pub(crate) fn problem(code: Code, field: impl Into<String>, message: impl Into<String>) -> Problem {
    Problem { code, field: field.into(), message: message.into() }
}

/// The match of a rule that names none: every request.
pub(crate) fn everything(origin: Origin) -> Match {
    Match {
        origin,
        path: PathMatch::Prefix("".into()),
        method: None,
        headers: vec![],
        query: vec![],
    }
}

/// Lowers the match at `field`, or finds why it is dropped.
pub(crate) fn keep(
    pass: &mut Pass<'_>,
    field: &str,
    lowered: Result<Match, Problem>,
) -> Option<Match> {
    if let Some((path, message)) = pass.broken(field) {
        pass.report(Code::InvalidValue, &path, message, Some(EFFECT));
        return None;
    }
    match lowered {
        Ok(lowered) => within_budget(pass, field, &lowered).then_some(lowered),
        Err(problem) => {
            let place = format!("{field}.{}", problem.field);
            pass.report(problem.code, &place, problem.message, Some(EFFECT));
            None
        }
    }
}

/// Counts the regular expressions of a match; false when the namespace of the route has too many.
fn within_budget(pass: &mut Pass<'_>, field: &str, lowered: &Match) -> bool {
    let path = match &lowered.path {
        PathMatch::Regex(pattern) | PathMatch::Call(ir::CallMatch { pattern, .. }) => Some(pattern),
        PathMatch::Exact(_) | PathMatch::Prefix(_) => None,
    };
    let headers = lowered.headers.iter().map(|header| &header.value);
    let values = headers.chain(lowered.query.iter().map(|parameter| &parameter.value));
    let patterns = values.filter_map(|value| match value {
        ValueMatch::Regex(pattern) => Some(pattern),
        ValueMatch::Exact(_) => None,
    });
    let bytes = path.into_iter().chain(patterns).map(Pattern::memory).sum::<usize>();
    pass.pattern_bytes = pass.pattern_bytes.saturating_add(bytes);
    let fits =
        bytes == 0 || (!pass.inputs.over_budget && pass.pattern_bytes <= pass.pattern_bytes_max);
    if !fits {
        let message = format!(
            "the regular expressions of the routes in namespace {} take too much memory; those of \
             this route, which is among the youngest, are left out",
            pass.object.namespace
        );
        pass.report(Code::PatternBudgetExceeded, field, message, Some(EFFECT));
    }
    fits
}

pub(crate) fn http(origin: Origin, wanted: &HttpRouteMatch) -> Result<Match, Problem> {
    let path = match &wanted.path {
        Some(wanted) => path(wanted)?,
        None => PathMatch::Prefix("".into()),
    };
    if let Some(method) = wanted.method.as_deref().filter(|method| FieldName::new(method).is_none())
    {
        let message = format!("\"{}\" is not an HTTP method", shown(method));
        return Err(problem(Code::InvalidValue, "method", message));
    }
    Ok(Match {
        origin,
        path,
        method: wanted.method.clone(),
        headers: headers(&wanted.headers)?,
        query: query(&wanted.query_params)?,
    })
}

fn path(wanted: &HttpPathMatch) -> Result<PathMatch, Problem> {
    let value = wanted.value();
    match wanted.r#type() {
        PathMatchType::Exact => canonical(value).map(PathMatch::Exact),
        PathMatchType::PathPrefix => {
            let path = canonical(value)?;
            Ok(PathMatch::Prefix(path.trim_end_matches('/').into()))
        }
        PathMatchType::RegularExpression => Pattern::whole(value)
            .map(PathMatch::Regex)
            .map_err(|error| bad_pattern("path.value", value, &error.0)),
        PathMatchType::Other(other) => {
            let message = format!("the path type \"{}\" is not known", shown(&other));
            Err(problem(Code::UnknownValue, "path.type", message))
        }
    }
}

/// Requests are matched by their canonical path, so what they are compared with must be canonical.
fn canonical(value: &str) -> Result<Arc<str>, Problem> {
    let settings = HttpSettings { keep_empty_segments: true, ..HttpSettings::default() };
    let bad = |why: &str| {
        problem(Code::InvalidValue, "path.value", format!("\"{}\" {why}", shown(value)))
    };
    if !value.starts_with('/') {
        return Err(bad("does not start with /"));
    }
    if value.contains(['?', '#']) {
        return Err(bad("holds ? or #, which are not part of a path"));
    }
    match ir::path::normalize(value, &settings) {
        Ok(path) => Ok(path.as_ref().into()),
        Err(_) => Err(bad("is not a path that a request can have")),
    }
}

fn bad_pattern(field: &str, pattern: &str, error: &str) -> Problem {
    let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
    let message =
        format!("the regular expression \"{}\" cannot be compiled: {reason}", shown(pattern));
    problem(Code::MatchDropped, field, message)
}

fn value(kind: &StringMatchType, text: &Arc<str>, field: &str) -> Result<ValueMatch, Problem> {
    match kind {
        StringMatchType::Exact => Ok(ValueMatch::Exact(Arc::clone(text))),
        StringMatchType::RegularExpression => Pattern::search(text)
            .map(ValueMatch::Regex)
            .map_err(|error| bad_pattern(&format!("{field}.value"), text, &error.0)),
        StringMatchType::Other(other) => {
            let message = format!("the type \"{}\" is not known", shown(other));
            Err(problem(Code::UnknownValue, format!("{field}.type"), message))
        }
    }
}

/// Of several entries for one name the first counts, as the API says.
pub(crate) fn headers(wanted: &[HeaderMatch]) -> Result<Vec<ir::HeaderMatch>, Problem> {
    let mut lowered: Vec<ir::HeaderMatch> = Vec::new();
    for (index, header) in wanted.iter().enumerate() {
        let field = format!("headers[{index}]");
        let Some(name) = FieldName::new(&header.name) else {
            let message = format!("\"{}\" is not a header name", shown(&header.name));
            return Err(problem(Code::InvalidValue, format!("{field}.name"), message));
        };
        let value = value(&header.r#type(), &header.value, &field)?;
        if !lowered.iter().any(|other| other.name == name) {
            lowered.push(ir::HeaderMatch { name, value });
        }
    }
    Ok(lowered)
}

fn query(wanted: &[QueryParamMatch]) -> Result<Vec<QueryMatch>, Problem> {
    let mut lowered: Vec<QueryMatch> = Vec::new();
    for (index, parameter) in wanted.iter().enumerate() {
        let field = format!("queryParams[{index}]");
        let value = value(&parameter.r#type(), &parameter.value, &field)?;
        if !lowered.iter().any(|other| other.name == parameter.name) {
            lowered.push(QueryMatch { name: Arc::clone(&parameter.name), value });
        }
    }
    Ok(lowered)
}

/// Service and method of a gRPC call, which are its path (`/service/method`).
pub(crate) fn grpc_path(wanted: &api::GrpcMethodMatch) -> Result<PathMatch, Problem> {
    let (service, method) = (wanted.service(), wanted.method());
    match wanted.r#type() {
        StringMatchType::Exact => match (service, method) {
            (None, None) => Ok(PathMatch::Prefix("".into())),
            (Some(service), None) => grpc_name(service, "service")
                .map(|service| PathMatch::Prefix(format!("/{service}").into())),
            (Some(service), Some(method)) => {
                let (service, method) =
                    (grpc_name(service, "service")?, grpc_name(method, "method")?);
                Ok(PathMatch::Exact(format!("/{service}/{method}").into()))
            }
            (None, Some(method)) => {
                let method = grpc_name(method, "method")?;
                call(None, Some((&literal(method), method)))
            }
        },
        StringMatchType::RegularExpression if service.is_none() && method.is_none() => {
            Ok(PathMatch::Prefix("".into()))
        }
        StringMatchType::RegularExpression => call(service, method.map(|method| (method, method))),
        StringMatchType::Other(other) => {
            let message = format!("the type \"{}\" is not known", shown(&other));
            Err(problem(Code::UnknownValue, "method.type", message))
        }
    }
}

fn grpc_name<'a>(name: &'a str, field: &str) -> Result<&'a str, Problem> {
    let clean = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._".contains(&byte));
    if clean {
        Ok(name)
    } else {
        let message = format!("\"{}\" is not a gRPC {field}", shown(name));
        Err(problem(Code::InvalidValue, format!("method.{field}"), message))
    }
}

fn literal(name: &str) -> String {
    name.replace('.', "\\.")
}

/// Expressions for service and method; the second of a method is its text, whose length counts.
fn call(service: Option<&str>, method: Option<(&str, &str)>) -> Result<PathMatch, Problem> {
    for part in service.into_iter().chain(method.map(|(method, _)| method)) {
        Pattern::whole(part).map_err(|error| bad_pattern("method", part, &error.0))?;
    }
    let any = "[^/]+";
    let (expression, text) = method.unwrap_or((any, ""));
    let pattern = format!("/(?:{})/(?:{expression})", service.unwrap_or(any));
    let pattern =
        Pattern::whole(&pattern).map_err(|error| bad_pattern("method", &pattern, &error.0))?;
    let chars = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    Ok(PathMatch::Call(CallMatch {
        service_chars: service.map_or(0, chars),
        method_chars: chars(text),
        pattern,
    }))
}
