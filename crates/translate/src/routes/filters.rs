//! Filters of rules and of backend references. One that cannot be served is never skipped.

use api::{FilterType, HttpRouteFilter};
use ir::{Filter, Mirror, Redirect, Target};

use crate::code::Code;
use crate::external_auth;
use crate::kinds::RouteType;
use crate::routes::http::RULE_EFFECT;
use crate::routes::{Pass, backends, modifiers};

/// The lowered filters of a rule.
#[derive(Default)]
pub(crate) struct Filters {
    pub(crate) filters: Vec<Filter>,
    pub(crate) redirect: Option<Redirect>,
}

/// Where filters stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Rule,
    Backend,
}

/// Why a filter was refused; the finding is made by then.
pub(crate) struct Refused(pub(crate) Code);

struct Problem {
    code: Code,
    message: String,
}

impl Problem {
    fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Lowers a list of filters; the first that is refused ends it. `prefixed` says that each match
/// of the rule has a PathPrefix.
pub(crate) fn lower(
    pass: &mut Pass<'_>,
    path: &str,
    list: &[HttpRouteFilter],
    prefixed: bool,
    place: Place,
) -> Result<Filters, Refused> {
    let mut lowered = Filters::default();
    let outcome = exclusions(list).map_err(|problem| (path.to_owned(), problem)).and_then(|()| {
        list.iter().enumerate().try_for_each(|(index, filter)| {
            let field = format!("{path}[{index}]");
            one(pass, &field, filter, prefixed, place, &mut lowered)
                .map_err(|problem| (field, problem))
        })
    });
    outcome.map(|()| lowered).map_err(|(field, problem)| {
        let (code, effect) = match place {
            Place::Rule => (problem.code, RULE_EFFECT),
            Place::Backend => (Code::BackendFilterRefused, pass.route.share_effect()),
        };
        pass.report(code, &field, problem.message, Some(effect));
        Refused(code)
    })
}

/// Only mirrors and extensions may repeat; a redirect excludes a rewrite.
fn exclusions(list: &[HttpRouteFilter]) -> Result<(), Problem> {
    for (index, filter) in list.iter().enumerate() {
        let kind = &filter.r#type;
        let repeatable = matches!(kind, FilterType::RequestMirror | FilterType::ExtensionRef);
        if !repeatable && list.iter().take(index).any(|earlier| earlier.r#type == *kind) {
            let message = format!("filter {kind} occurs twice; join both into one");
            return Err(Problem::new(Code::IncompatibleFilters, message));
        }
    }
    let has = |kind: FilterType| list.iter().any(|filter| filter.r#type == kind);
    if has(FilterType::RequestRedirect) && has(FilterType::UrlRewrite) {
        let message = "filters RequestRedirect and URLRewrite exclude each other; keep one";
        return Err(Problem::new(Code::IncompatibleFilters, message));
    }
    Ok(())
}

fn one(
    pass: &mut Pass<'_>,
    field: &str,
    filter: &HttpRouteFilter,
    prefixed: bool,
    place: Place,
    lowered: &mut Filters,
) -> Result<(), Problem> {
    let missing = |name: &str| Problem::new(Code::InvalidFilter, format!("{name} is missing"));
    let invalid = |message: String| Problem::new(Code::InvalidFilter, message);
    let unserved = |what: &str| Problem::new(Code::UnsupportedFilter, what);
    let origin = pass.origin(field);
    match &filter.r#type {
        FilterType::RequestHeaderModifier => {
            let body = filter.request_header_modifier.as_ref();
            let body = body.ok_or_else(|| missing("requestHeaderModifier"))?;
            lowered
                .filters
                .push(Filter::RequestHeaders(modifiers::headers(body).map_err(invalid)?));
        }
        FilterType::ResponseHeaderModifier => {
            let body = filter.response_header_modifier.as_ref();
            let body = body.ok_or_else(|| missing("responseHeaderModifier"))?;
            lowered
                .filters
                .push(Filter::ResponseHeaders(modifiers::headers(body).map_err(invalid)?));
        }
        FilterType::UrlRewrite => {
            let body = filter.url_rewrite.as_ref().ok_or_else(|| missing("urlRewrite"))?;
            let rewrite = modifiers::rewrite(body, origin, prefixed).map_err(invalid)?;
            lowered.filters.push(Filter::Rewrite(rewrite));
        }
        FilterType::RequestRedirect if place == Place::Backend => {
            return Err(unserved(
                "filter RequestRedirect is not served in backendRefs; move it to the rule",
            ));
        }
        FilterType::RequestRedirect => {
            let body =
                filter.request_redirect.as_ref().ok_or_else(|| missing("requestRedirect"))?;
            lowered.redirect = Some(modifiers::redirect(body, origin, prefixed).map_err(invalid)?);
        }
        FilterType::RequestMirror => mirror(pass, field, filter, lowered)?,
        FilterType::Cors if !pass.capabilities.cors => {
            return Err(unserved("filter CORS is not served yet"));
        }
        FilterType::Cors if place == Place::Backend => {
            return Err(unserved("filter CORS is not served in backendRefs; move it to the rule"));
        }
        FilterType::Cors => {
            let body = filter.cors.as_ref().ok_or_else(|| missing("cors"))?;
            lowered.filters.push(Filter::Cors(modifiers::cors(body, origin).map_err(invalid)?));
        }
        FilterType::ExternalAuth => external_auth(pass, field, filter, place, lowered)?,
        FilterType::ExtensionRef => {
            let message = extension(filter);
            return Err(Problem::new(Code::ExtensionRefUnsupported, message));
        }
        FilterType::Other(other) => {
            let message = format!("the filter type \"{}\" is not known", modifiers::shown(other));
            return Err(Problem::new(Code::UnknownValue, message));
        }
    }
    Ok(())
}

fn extension(filter: &HttpRouteFilter) -> String {
    let named = filter.extension_ref.as_ref().map_or_else(
        || "extensionRef".to_owned(),
        |reference| format!("{} {} of group {}", reference.kind, reference.name, reference.group),
    );
    format!("{named} is not a filter that is known here; remove it")
}

/// One whose service cannot be asked stays, and refuses requests.
fn external_auth(
    pass: &mut Pass<'_>,
    field: &str,
    filter: &HttpRouteFilter,
    place: Place,
    lowered: &mut Filters,
) -> Result<(), Problem> {
    if !pass.capabilities.external_auth {
        let message = "filter ExternalAuth is not served yet";
        return Err(Problem::new(Code::UnsupportedFilter, message));
    }
    let Some(body) = filter.external_auth.as_ref() else {
        return Err(Problem::new(Code::InvalidFilter, "externalAuth is missing"));
    };
    let asked =
        external_auth::read(body).map_err(|message| Problem::new(Code::InvalidFilter, message))?;
    let reference = format!("{field}.externalAuth.backendRef");
    let inputs = pass.inputs;
    let resolution = match external_auth::spoken(body) {
        RouteType::Grpc => inputs.callee(&body.backend_ref),
        RouteType::Http | RouteType::Tcp | RouteType::Tls | RouteType::Udp => {
            inputs.resolution(&body.backend_ref)
        }
    };
    let effect = match place {
        Place::Rule => RULE_EFFECT,
        Place::Backend => pass.route.share_effect(),
    };
    let target = backends::resolved(pass, &reference, resolution, effect);
    lowered.filters.push(Filter::ExternalAuth(asked.at(pass.origin(field), target)));
    Ok(())
}

/// A mirror whose backend cannot be reached is left out: the requests themselves are served.
fn mirror(
    pass: &mut Pass<'_>,
    field: &str,
    filter: &HttpRouteFilter,
    lowered: &mut Filters,
) -> Result<(), Problem> {
    if !pass.capabilities.mirror {
        let message = "filter RequestMirror is not served yet";
        return Err(Problem::new(Code::UnsupportedFilter, message));
    }
    let Some(body) = filter.request_mirror.as_ref() else {
        return Err(Problem::new(Code::InvalidFilter, "requestMirror is missing"));
    };
    let share =
        modifiers::share(body).map_err(|message| Problem::new(Code::InvalidFilter, message))?;
    let reference = format!("{field}.requestMirror.backendRef");
    let effect = "no copies are sent; the requests are served";
    let target = backends::target(pass, &reference, &body.backend_ref, effect);
    if let Target::Cluster(_) = target {
        lowered.filters.push(Filter::Mirror(Mirror { origin: pass.origin(field), target, share }));
    }
    Ok(())
}
