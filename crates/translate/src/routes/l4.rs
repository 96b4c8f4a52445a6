//! TLSRoute, TCPRoute and UDPRoute: one rule, and backends by weight.

use api::{BackendObjectReference, L4RouteRule, TcpRoute, TlsRoute, UdpRoute};

use crate::code::Code;
use crate::kinds::RouteType;
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
        return Body::L4(origin, Vec::new());
    };
    let mut lowered = Vec::with_capacity(rule.backend_refs.len());
    for (index, reference) in rule.backend_refs.iter().enumerate() {
        let place = format!("{field}.backendRefs[{index}]");
        lowered.push(backends::backend(pass, &place, reference, Some(Vec::new()), None));
    }
    Body::L4(origin, lowered)
}
