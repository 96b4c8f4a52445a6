//! TLSRoute, TCPRoute and UDPRoute: one rule, and backends by weight.

use api::{BackendObjectReference, L4RouteRule, TcpRoute, TlsRoute, UdpRoute};
use ir::{Backend, Target};

use crate::code::Code;
use crate::kinds::RouteType;
use crate::routes::inputs::ParentInput;
use crate::routes::{Body, Lower, Pass, backends};

macro_rules! l4_routes {
    ($($route:ident = $kind:ident;)*) => {$(
        impl Lower for $route {
            const TYPE: RouteType = RouteType::$kind;

            fn visit_backends(&self, visit: &mut dyn FnMut(&BackendObjectReference)) {
                for backend in self.spec.rules.iter().flat_map(|rule| &rule.backend_refs) {
                    visit(&backend.object);
                }
            }

            fn lower_rules(&self, pass: &mut Pass<'_>) -> Body {
                lower_rules(pass, &self.spec.rules)
            }
        }
    )*};
}

l4_routes! {
    TcpRoute = Tcp;
    TlsRoute = Tls;
    UdpRoute = Udp;
}

/// The API admits one rule. Were there more, nothing could choose between them.
fn lower_rules(pass: &mut Pass<'_>, rules: &[L4RouteRule]) -> Body {
    let field = "spec.rules[0]";
    let origin = pass.origin(field);
    for index in 1..rules.len() {
        let message = "a route of this kind has one rule; make another route of this one";
        let place = format!("spec.rules[{index}]");
        pass.report(Code::UnsupportedField, &place, message, Some("this rule is dropped"));
    }
    let Some(rule) = rules.first() else {
        pass.find(
            Code::NoUsableRule,
            "spec.rules",
            "the route has no rule; add one with backendRefs",
        );
        return Body::L4(origin, Vec::new(), None);
    };
    let sides = sides(pass);
    let mut lowered: Vec<Backend> = Vec::with_capacity(rule.backend_refs.len());
    let mut passed: Vec<Target> = Vec::new();
    for (index, reference) in rule.backend_refs.iter().enumerate() {
        let place = format!("{field}.backendRefs[{index}]");
        let through = backends::passed(pass, &place, &reference.object).filter(|_| sides.passes);
        if sides.opens || through.is_none() {
            lowered.push(backends::backend(pass, &place, reference, Some(Vec::new()), None));
        } else if let Some(target) = &through {
            lowered.push(backends::aimed(pass, &place, reference, target.clone()));
        }
        passed.extend(through.or_else(|| lowered.last().map(|backend| backend.target.clone())));
    }
    let differs = lowered.iter().map(|backend| &backend.target).ne(&passed);
    Body::L4(origin, lowered, (sides.passes && differs).then_some(passed))
}

/// How the listeners that accepted a route treat TLS.
struct Sides {
    passes: bool,
    opens: bool,
}

fn sides(pass: &Pass<'_>) -> Sides {
    let mut sides = Sides { passes: false, opens: pass.accepted_by.is_empty() };
    let named = pass.inputs.parents.iter().filter_map(|parent| match parent {
        ParentInput::Ours(listeners) => Some(listeners),
        ParentInput::NotOurs
        | ParentInput::OtherKind
        | ParentInput::Missing { .. }
        | ParentInput::Outside { .. } => None,
    });
    let defaults = pass.inputs.defaults.iter().map(|(_, listeners)| listeners);
    let views = named.chain(defaults).flatten().map(|(view, _)| view);
    for view in views.filter(|view| pass.accepted_by.contains(&view.id)) {
        if view.passes {
            sides.passes = true;
        } else {
            sides.opens = true;
        }
    }
    sides
}
