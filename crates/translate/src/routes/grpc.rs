//! GRPCRoute: calls are POST requests whose path is `/service/method`.

use api::{BackendObjectReference, GrpcRoute, GrpcRouteFilter, GrpcRouteRule, HttpRouteFilter};
use ir::{Match, RouteKind, Timeouts};

use crate::kinds::RouteType;
use crate::routes::http::{Outcome, Parts, assemble, settle};
use crate::routes::matches::{self, Problem};
use crate::routes::{Body, Lower, Pass};

impl Lower for GrpcRoute {
    const TYPE: RouteType = RouteType::Grpc;

    fn visit_backends(&self, visit: &mut dyn FnMut(&BackendObjectReference)) {
        let mirrors = |filters: &[GrpcRouteFilter],
                       visit: &mut dyn FnMut(&BackendObjectReference)| {
            for mirror in filters.iter().filter_map(|filter| filter.request_mirror.as_ref()) {
                visit(&mirror.backend_ref);
            }
        };
        for rule in &self.spec.rules {
            mirrors(&rule.filters, visit);
            for backend in &rule.backend_refs {
                visit(&backend.backend.object);
                mirrors(&backend.filters, visit);
            }
        }
    }

    /// A GRPCRoute without rules is legal and routes nothing.
    fn lower_rules(&self, pass: &mut Pass<'_>) -> Body {
        let rules = self.spec.rules.iter().enumerate();
        let outcomes: Vec<Outcome> =
            rules.map(|(index, rule)| lower_rule(pass, index, rule)).collect();
        Body::Http(RouteKind::Grpc, settle(pass, outcomes))
    }
}

fn lower_rule(pass: &mut Pass<'_>, index: usize, rule: &GrpcRouteRule) -> Outcome {
    let field = format!("spec.rules[{index}]");
    let mut matches: Vec<Match> = Vec::new();
    for (position, wanted) in rule.matches.iter().enumerate() {
        let place = format!("{field}.matches[{position}]");
        let origin = pass.origin(&place);
        let lowered = lower_match(origin, wanted);
        matches.extend(matches::keep(pass, &place, lowered));
    }
    let filters = as_http(&rule.filters);
    let own: Vec<Vec<HttpRouteFilter>> =
        rule.backend_refs.iter().map(|backend| as_http(&backend.filters)).collect();
    let refs: Vec<_> = rule
        .backend_refs
        .iter()
        .zip(&own)
        .map(|(backend, filters)| (&backend.backend, filters.as_slice()))
        .collect();
    let parts = Parts {
        index,
        name: rule.name.clone(),
        match_count: rule.matches.len(),
        matches,
        filters: &filters,
        backends: &refs,
        session: rule.session_persistence.as_ref(),
    };
    assemble(pass, &field, parts, |_| Ok((Timeouts::default(), None)))
}

fn as_http(filters: &[GrpcRouteFilter]) -> Vec<HttpRouteFilter> {
    filters.iter().map(Into::into).collect()
}

fn lower_match(origin: ir::Origin, wanted: &api::GrpcRouteMatch) -> Result<Match, Problem> {
    let mut lowered = matches::everything(origin);
    if let Some(method) = &wanted.method {
        lowered.path = matches::grpc_path(method)?;
    }
    lowered.headers = matches::headers(&wanted.headers)?;
    Ok(lowered)
}
