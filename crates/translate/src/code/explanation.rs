//! The text behind each code: what it means, what it does to traffic, what to do.

use super::Code;

pub(super) fn of(code: Code) -> &'static str {
    match code {
        Code::Syntax => {
            "The text between two document markers cannot be parsed. Other documents of the file are still read. Fix the line that is shown."
        }
        Code::NotAnObject => {
            "A document needs `apiVersion`, `kind` and `metadata.name` to be a Kubernetes object. It is passed over; add what is missing or move the file out of the folder."
        }
        Code::SchemaViolation => {
            "The value has another type, or breaks a limit of the CRD schema, so an API server would refuse the whole object. In a folder the last good version stays in use. Change the field as shown."
        }
        Code::RuleViolation => {
            "The CRD carries validation rules beyond types, and one of them does not hold, so an API server would refuse the object. The message is the one the API server would give."
        }
        Code::UnknownField => {
            "The schema of the kind has no such field. An API server drops it silently, so whatever it was meant to do does not happen. Look for a misspelling or a wrong indentation."
        }
        Code::DuplicateKey => {
            "One mapping holds the same key twice and only one of the two could count. Remove one."
        }
        Code::DuplicateObject => {
            "Two documents have the same kind, namespace and name. The first in the order of file names counts and the other one is passed over. Remove or rename one."
        }
        Code::UnknownKind => {
            "The object is of a kind that has no meaning for Portcullis. It is kept only so that references to it can be told from references to nothing."
        }
        Code::DeprecatedVersion => {
            "Gateway API 1.7 no longer serves this version of the kind. It is read as `v1` here, but a cluster would refuse it. Change `apiVersion`."
        }
        Code::KeptLastGood => {
            "The object as it is now would be refused by an API server, so its last good version goes on serving. It heals by itself once the file is right."
        }
        Code::SourceTooLarge => {
            "A file, a document or the expansion of its aliases exceeds what is read at most. Split the file."
        }
        Code::UnreadableFile => {
            "The file could not be opened or is not UTF-8. Its objects are missing from the configuration; check permissions and encoding."
        }
        Code::UnknownVersion => {
            "No release of the API ever had this version of the kind. The object is passed over; use the version that is named."
        }
        Code::RefNotPermitted => {
            "A reference into another namespace needs a ReferenceGrant there that names the group, kind and namespace of the object that refers and the group and kind of what it refers to. Without one nothing is revealed about the target, and the share of traffic answers 500.\n\nAdd a ReferenceGrant to the namespace of the target."
        }
        Code::InvalidBackendKind => {
            "Routes forward to Services. The reference names a group and kind that cannot be a backend here, and its share of traffic answers 500. Check `group` and `kind`; both may be left out for a Service."
        }
        Code::BackendNotFound => {
            "The Service that is named does not exist. Its share of traffic answers 500, by weight; other backends of the rule keep theirs. Create the Service or correct the name."
        }
        Code::BackendPortNotFound => {
            "The Service exists but has no port with this number. `port` is the number in the Service's own `spec.ports`, never the target port of its pods. The share of traffic answers 500."
        }
        Code::BackendPortMissing => {
            "A reference to a Service must say which of its ports is meant. The share of traffic answers 500 until `port` is set."
        }
        Code::UnsupportedAppProtocol => {
            "`appProtocol` of the Service port asks for a protocol that cannot be spoken to backends yet. Speaking another one could lose security or data, so the share of traffic answers 500."
        }
        Code::ExternalNameBackend => {
            "A Service of type ExternalName can point at anything, private names included, and would let one tenant reach what others protect. It is refused as a backend and its share answers 500."
        }
        Code::BackendNeedsTls => {
            "A BackendTLSPolicy asks for TLS to this Service, and this data plane cannot speak TLS to backends. Plaintext would break the promise of the policy, so the share answers 500."
        }
        Code::OutsideSnapshot => {
            "What was read does not hold the object that is named. Since only a part of the configuration was read, it counts as unknown, not as missing. Give the rest with `--with`, or say that everything is there with `--complete`."
        }
        Code::ParentNotFound => {
            "The parent that the route or ListenerSet names does not exist, so it serves nothing there, and nobody writes a status for it. Compare name and namespace with the one that is suggested."
        }
        Code::ParentKindNotServed => {
            "Routes attach to Gateways and ListenerSets. A parent of another kind, such as a Service for a mesh, is left to other controllers."
        }
        Code::BackendAddressRefused => {
            "Whoever writes EndpointSlices could point them at loopback or link-local addresses and reach what only the proxy may see. Such endpoints are left out."
        }
        Code::ServiceSettingInvalid => {
            "An annotation below `portcullis.dev/` on the Service has a value that is not understood. The default is used instead; the message lists the values that are."
        }
        Code::BackendPortForbidden => {
            "An XBackend says its port itself, and the reference names one too. Nothing decides between the two, so the share of traffic answers 500. Remove `port` from the reference."
        }
        Code::BackendNotUsable => {
            "The XBackend that is named exists, but something in it cannot be served; its own finding says what. The share of traffic answers 500."
        }
        Code::XBackendInvalid => {
            "A field of the XBackend has a value that is not served, or that does not fit the others. It is not used as a backend at all, so that nothing is reached in another way than it says."
        }
        Code::BackendPolicyUnusable => {
            "A BackendTLSPolicy asks for TLS to this Service, but what it asks for cannot be given: see the conditions of the policy. Plaintext would break its promise, so the share answers 500 (or closes the connection, for TLS and TCP routes) until the policy is repaired."
        }
        Code::ClassParametersInvalid => {
            "`parametersRef` of the GatewayClass must name a ConfigMap with keys that Portcullis documents. Anything else cannot be honoured, so the class is not accepted."
        }
        Code::GatewayParametersInvalid => {
            "`infrastructure.parametersRef` must name a ConfigMap in the Gateway's namespace with keys that Portcullis documents. Anything else cannot be honoured, so the Gateway is not accepted and serves nothing."
        }
        Code::SettingInvalid => {
            "An annotation below `portcullis.dev/` on the Gateway has a name or value that is not understood. The strictest setting is used in its place, so that a typing error never opens anything."
        }
        Code::UnsupportedProtocol => {
            "The listener asks for a protocol that is unknown or not served yet. The listener is not opened; others of the Gateway are."
        }
        Code::UnsupportedTlsMode => {
            "The listener asks for a TLS mode that is not served yet, or that does not fit its protocol. The listener is not opened."
        }
        Code::InvalidRouteKinds => {
            "`allowedRoutes.kinds` names a kind that the listener's protocol cannot carry or that is not served. It is left out of `supportedKinds`; the other kinds still attach."
        }
        Code::HostnameConflict => {
            "Within one Gateway no listener may win over another with the same port and hostname, so none of them is served. Change one of the hostnames or ports."
        }
        Code::ProtocolConflict => {
            "One port carries plain HTTP, or TLS, or raw TCP, but not two of them. Within one Gateway no listener may win, so none of them is served. Use another port for one."
        }
        Code::ListenerSetHostnameConflict => {
            "Listeners are merged in order: the Gateway's own, then ListenerSets by age and name. An earlier one has the same port and hostname and keeps it; this one is not served."
        }
        Code::ListenerSetProtocolConflict => {
            "Listeners are merged in order: the Gateway's own, then ListenerSets by age and name. An earlier one uses the port with a protocol that cannot share it; this one is not served."
        }
        Code::SomeListenersInvalid => {
            "The Gateway is accepted and serves its good listeners. The listeners that are named here are not served; each says why in its own conditions."
        }
        Code::NoValidListener => {
            "None of the listeners of the Gateway can be accepted, so the Gateway is not accepted either. Each listener says why in its own conditions."
        }
        Code::ListenersNotResolved => {
            "At least one listener of the Gateway refers to something that is missing, malformed or not permitted. The listener says what."
        }
        Code::ListenerSetNotAllowed => {
            "A Gateway admits ListenerSets only from the namespaces in `spec.allowedListeners`, and from none by default. The listeners of the set are not opened."
        }
        Code::ListenerSetNoValidListener => {
            "Each listener of the set is in conflict or invalid, so the set as a whole is not accepted. Each says why in its own conditions."
        }
        Code::ListenerSetSomeInvalid => {
            "The set is accepted and its good listeners are served. The others say why they are not."
        }
        Code::ListenerSetParentNotAccepted => {
            "The Gateway that the set belongs to is not accepted, so its listeners cannot be either. Repair the Gateway first."
        }
        Code::AddressTypeUnsupported => {
            "Portcullis binds addresses of type IPAddress. Another type cannot be honoured and is never replaced by a guess."
        }
        Code::AddressNotUsable => {
            "The address is not one that this process may bind, or an older Gateway on the same port has it. Two Gateways on one port are never merged: each needs an address of its own."
        }
        Code::AddressNotAssigned => {
            "Every address in the pool is taken by an older Gateway on the same port. Add addresses with `--address`, for example a CIDR, or give the Gateway another port."
        }
        Code::PortOutOfRange => {
            "With `--port-offset` the port to bind would be above 65535. Choose a smaller offset."
        }
        Code::UnsupportedListenerField => {
            "The listener asks for something that is not served, and serving it without that could admit what it was meant to keep out. The listener is not opened."
        }
        Code::UnsupportedGatewayField => {
            "The field of the Gateway has no effect yet. Nothing becomes less secure by that, so the Gateway is served all the same."
        }
        Code::OverlappingHostnames => {
            "A connection made for one of these listeners could be used again for a host of the other. Requests for such a host answer 421, so that clients open a new connection."
        }
        Code::OverlappingCertificates => {
            "A certificate of one listener also covers hosts of another on the same port, so browsers may share a connection. Requests for such a host answer 421, so that clients open a new connection."
        }
        Code::InvalidSelector => {
            "A label selector is missing, has an unknown operator, or values where none are allowed. It matches nothing, and the listener is not opened."
        }
        Code::ClassNotFound => {
            "No GatewayClass has the name in `gatewayClassName`, so no controller takes care of the Gateway."
        }
        Code::NotOurClass => {
            "The class names another controller. Its Gateways are ignored entirely; name the class with `--class` to serve them here."
        }
        Code::InsecureFrontendValidation => {
            "With `AllowInsecureFallback` clients without a valid certificate are let in. Backends must not take the presence of a connection for proof of identity."
        }
        Code::GatewayNothingServed => {
            "The Gateway is accepted, but not one of its listeners can be served, mostly for lack of a usable certificate. Nothing is opened."
        }
        Code::GatewayFieldInvalid => {
            "A field of the Gateway has a wrong type or an impossible value. What it was meant to say cannot be guessed, so the Gateway is not accepted and serves nothing."
        }
        Code::GatewayWithoutAddress => {
            "The listener itself is valid, but its Gateway has no address to listen on. The Gateway's own conditions say why."
        }
        Code::GatewayNotAccepted => {
            "The listener itself is valid, but its Gateway is not accepted and so serves nothing. The Gateway's own conditions say why."
        }
        Code::ListenerSetParentNotProgrammed => {
            "The set itself is valid, but its Gateway has no address to listen on. The Gateway's own conditions say why."
        }
        Code::ListenerFilterInvalid => {
            "A filter in `filters.requests` of a listener has a value that cannot be used, so the listener is not served: its requests must not pass the filter by. The message names the filter by its position. Correct or remove it."
        }
        Code::ListenerFilterRef => {
            "A filter in `filters.requests` of a listener refers to something that does not exist or cannot be asked. The listener stays up and answers every request with 500, because none may pass the filter by. Correct the reference, or create what it names."
        }
        Code::DefaultGateway => {
            "`spec.defaultScope: All` makes the Gateway a parent of every route with `useDefaultGateways: All`, as far as its listeners allow the route's kind, namespace and hostnames. Routes that name their parents are not concerned."
        }
        Code::NoDefaultGateway => {
            "The route asks for default Gateways, and there is none, or one that does not accept it. Where it attaches to nothing it gets no traffic and no status.\n\nSet `spec.defaultScope: All` on a Gateway, see the reason that is given, or name a Gateway in `parentRefs`."
        }
        Code::AddressesAssigned => {
            "The Gateway says from where its addresses must be reachable (`routability`), and each entry of `spec.addresses` has its address in `status.addresses`."
        }
        Code::AddressesPartlyAssigned => {
            "The Gateway says from where its addresses must be reachable (`routability`). The addresses that could be assigned are served; an entry that could not be is left without one, never given another kind of address."
        }
        Code::AddressesNotAssigned => {
            "The Gateway says from where its addresses must be reachable (`routability`), and none of the entries could be satisfied. Use an empty routability or `Cluster`, or see what keeps the Service from having an address."
        }
        Code::ParametersPartlyServed => {
            "The parameters were written for another implementation. What means the same is applied; the fields that are named have no effect here. Write a GatewayParameters of `portcullis.dev` to say what you mean."
        }
        Code::ProvisioningFailed => {
            "A Gateway in a cluster is served by pods of its own, and something keeps them from being made: an object of the same name that is not ours (it is never taken over), a quota, or the API server's refusal of a value from the parameters. The message says which; traffic goes on as before."
        }
        Code::PatternBudgetExceeded => {
            "All tenants share the memory of one process, so the compiled regular expressions of one namespace have a bound. The oldest routes come first; matches with regular expressions of the routes beyond it are dropped.\n\nUse PathPrefix or Exact where an expression is not needed, avoid large repetitions such as `{1,1000}` and classes such as `\\w` where `[a-z]` would do, or spread the routes over namespaces."
        }
        Code::NoMatchingParent => {
            "The parent exists, but `sectionName` or `port` name a listener it does not have. Listeners of a ListenerSet are reached through a parentRef of kind ListenerSet only."
        }
        Code::NamespaceNotAllowed => {
            "`allowedRoutes.namespaces` of the listener does not include the namespace of the route; by default only its own namespace may attach."
        }
        Code::KindNotAllowed => {
            "The protocol of the listener, or its `allowedRoutes.kinds`, excludes this kind of route."
        }
        Code::NoMatchingListenerHostname => {
            "The route names hostnames, the listener too, and they have no host in common. A wildcard covers one or more labels, never the apex."
        }
        Code::NoUsableRule => {
            "Every rule of the route asks for something that cannot be served, so nothing of the route is. Requests for it answer 500 where it attached, or go unmatched."
        }
        Code::MatchDropped => {
            "A match that cannot be compiled, such as a bad regular expression, can match nothing. It alone is dropped; the other matches of the rule work."
        }
        Code::RouteNotOldest => {
            "A TCP or UDP listener has no way to tell routes apart, so only the oldest route gets traffic. This one is accepted, but idle."
        }
        Code::RouteKindNotServed => {
            "The data plane cannot carry this kind of route yet, so no listener allows it. The route is read and checked, but serves nothing."
        }
        Code::ListenerNotServing => {
            "The route is attached and counted, but the listener itself is not served for a reason of its own, so no traffic arrives."
        }
        Code::ParentRefRepeated => {
            "Two entries of `parentRefs` select the same parent in the same way. They count once; an API server would refuse them."
        }
        Code::UnsupportedFilter => {
            "A filter that cannot be served is never skipped, since it may protect something. The rule answers 500."
        }
        Code::UnsupportedField => {
            "The field asks for behaviour that is not served. Ignoring it would change what the rule means, so the rule answers 500."
        }
        Code::ExtensionRefUnsupported => {
            "The filter refers to an object of a kind that is not known here. A filter is never skipped, so the rule answers 500."
        }
        Code::InvalidFilter => {
            "The filter lacks its settings or holds a value that cannot be sent, such as a header name with a space. The rule answers 500."
        }
        Code::IncompatibleFilters => {
            "A redirect cannot be combined with a rewrite or with backends, and most filters may occur only once in a rule. The rule answers 500."
        }
        Code::NoUsableRuleFilters => {
            "Every rule of the route has filters that exclude each other, so the route is not accepted."
        }
        Code::UnknownValue => {
            "The field holds a value that this version does not know. It might be from a newer release; what depends on it is not served."
        }
        Code::BackendFilterRefused => {
            "A filter inside a backend reference cannot be served. The filter is never skipped; the share of traffic for this backend answers 500."
        }
        Code::InvalidValue => {
            "The value is of a wrong type or out of range. What depends on it is not served, so that nothing is admitted by mistake."
        }
        Code::SessionNameShared => {
            "Weights choose the backend of each request, and a session only chooses the endpoint inside it. With one name for two backends, the client holds the token of the last backend alone, so the session begins anew whenever the weights choose the other one.\n\nLeave the name out, which gives each backend a name of its own, or put the session on each XBackend."
        }
        Code::SessionOverridden => {
            "Session persistence of a rule is deprecated, and a backend that keeps sessions itself knows better. What the XBackend says counts, the rule's wish has no effect for it."
        }
        Code::CertificateNotFound => {
            "The Secret in `certificateRefs` does not exist in that namespace. The listener serves with its other certificates, if it has any."
        }
        Code::CertificateKind => {
            "Certificates are read from Secrets. Another group or kind in `certificateRefs` cannot be used."
        }
        Code::CertificateSecretType => {
            "A Secret that holds a certificate has the type `kubernetes.io/tls` and the keys `tls.crt` and `tls.key`."
        }
        Code::CertificateMalformed => {
            "The data of the Secret is not a PEM certificate chain, or not a PEM private key of a supported algorithm. The content itself is never shown."
        }
        Code::CertificateKeyMismatch => {
            "The public key in the first certificate is not that of the private key. Often the chain is in the wrong order: the server's own certificate comes first."
        }
        Code::CertificateNotPermitted => {
            "The Secret lies in another namespace and no ReferenceGrant there names this kind of object (Gateway or ListenerSet), its namespace and the Secret. Whether the Secret exists is not revealed."
        }
        Code::NoUsableCertificate => {
            "None of the listener's certificates can be used, so there is nothing to greet clients with. The listener is not opened."
        }
        Code::CertificateMissing => {
            "A listener that terminates TLS needs at least one entry in `tls.certificateRefs`. The listener is not opened."
        }
        Code::TlsOptionUnsupported => {
            "The key in `tls.options` is not one that is known, its value is not understood, or the options exclude each other. Since an option may restrict who can connect, the listener is not opened without it. `portcullis.dev/tls-min-version` and `portcullis.dev/tls-max-version` take 1.2 or 1.3, `portcullis.dev/tls-cipher-suites` a list of suites by their IANA names with commas between them."
        }
        Code::FrontendCaInvalid => {
            "The ConfigMap or ClusterTrustBundle does not exist, has no certificates (under the key `ca.crt`, or in `spec.trustBundle`), or its PEM cannot be read. Client certificates are not checked against it."
        }
        Code::FrontendCaKind => {
            "Certificate authorities for client certificates are read from ConfigMaps and ClusterTrustBundles. The kind that is named cannot be used, or the data plane cannot follow it."
        }
        Code::FrontendCaNotPermitted => {
            "The certificate authority lies in another namespace, and no ReferenceGrant there names Gateways of this namespace."
        }
        Code::NoValidFrontendCa => {
            "None of the certificate authorities for client certificates can be used, so no client could ever be let in. The listener is not opened."
        }
        Code::FrontendValidationUnsupported => {
            "The Gateway asks for client certificates in a way that cannot be honoured. Serving without the check would let anybody in, so the HTTPS listeners it concerns are not opened."
        }
        Code::ClientCertificateInvalid => {
            "`tls.backend.clientCertificateRef` does not lead to a usable certificate. The Gateway serves, but cannot identify itself to backends."
        }
        Code::ClientCertificateNotPermitted => {
            "The Secret of `tls.backend.clientCertificateRef` lies in another namespace, and no ReferenceGrant there names Gateways of this namespace."
        }
        Code::PolicyTargetNotFound => {
            "The policy targets a Service, or a named port of one, that does not exist in its namespace. `sectionName` is the port's name, not its number."
        }
        Code::PolicyConflicted => {
            "Several policies target the same Service in the same way. The oldest counts, then the first by name; this one has no effect."
        }
        Code::PolicyCaInvalid => {
            "The ConfigMap does not exist, has no key `ca.crt`, or its PEM cannot be read."
        }
        Code::PolicyCaKind => {
            "Certificate authorities are read from ConfigMaps in the policy's own namespace. The kind that is named cannot be used."
        }
        Code::PolicyNoValidCa => {
            "Without a usable certificate authority no backend can be verified. Connections fail and requests answer 500; they never fall back to plaintext."
        }
        Code::PolicyNotServed => {
            "This data plane cannot speak TLS to backends. The backends of the policy's targets answer 500, because plaintext would break what the policy promises."
        }
        Code::PolicyInvalid => {
            "The policy asks for a combination that the API does not allow, or for a value that is not known. The targets of a BackendTLSPolicy answer 500, since they are not reached in plaintext; any other policy has no effect, and its targets are served as if it were not there."
        }
        Code::PolicyKindNotServed => {
            "The policy is read and understood, but what it asks for does not happen yet: no spans are made for an XTelemetryPolicy, and a feature that this build does not serve has no effect. Traffic goes on without it, and the status says `Accepted=False`. Do not rely on the policy."
        }
        Code::RuleShadowed => {
            "Every request that this rule could match is matched first by another rule, by precedence, age or order. The rule never runs."
        }
        Code::RuleUnreachable => {
            "The conditions of the rule cannot hold together, or all of its matches were dropped. The rule never runs."
        }
        Code::PlaceholderValue => {
            "Text such as `${NAME}` is replaced by some tools before the object reaches a cluster. Nothing replaces it here, so it is taken literally."
        }
        Code::UnusedGrant => {
            "No object makes a reference that this grant would permit. Remove it, or look for a misspelled namespace or kind in it."
        }
        Code::ZeroWeight => {
            "A backend with weight 0 gets no traffic. That is fine during a rollout and often an oversight later."
        }
        Code::ImplementationSpecific => {
            "The API leaves the meaning of this field to each implementation. The configuration may behave differently elsewhere."
        }
        Code::SelectorOnEditableLabel => {
            "Whoever may label a namespace decides whether its routes attach. `kubernetes.io/metadata.name` is set by the API server and cannot be chosen."
        }
        Code::ExperimentalField => {
            "The field exists in the experimental channel only. A cluster with the standard channel drops it."
        }
        Code::DuplicateMatch => {
            "Two rules have the very same match on the same hosts. The first wins, whatever its backends do."
        }
        Code::HostnameAcrossNamespaces => {
            "For the same host and match the older route wins. A route in another namespace can take paths of a host that you believe to own."
        }
        Code::NoEndpoints => {
            "The Service exists, but none of its endpoints is ready. Its share of traffic answers 503 until one is."
        }
        Code::SuppressionWithoutReason => {
            "A suppression hides findings from everybody who comes later, so it must say why."
        }
        Code::SuppressionUnused => {
            "The finding that this suppression names does not occur. Remove the suppression before it hides something new."
        }
        Code::CertificateExpired => {
            "Clients refuse an expired certificate. Renew it and update the Secret; it is picked up without a restart."
        }
        Code::CertificateExpiresSoon => {
            "The certificate ends within 30 days, or has less than a quarter of its life before it if that is shorter: automatic renewal, which comes with a third left, is late. Renew it and update the Secret or ConfigMap; it is picked up without a restart."
        }
        Code::CertificateHostname => {
            "No name in the certificate covers the hostname of the listener, so clients that verify names will refuse the connection."
        }
        Code::ListenerWithoutRoutes => {
            "The listener is open but no route is attached, so each request answers 404, each connection of a TLS or TCP listener is closed, and datagrams are dropped. Attach a route, or remove the listener."
        }
        Code::CertificateNotYetValid => {
            "The certificate begins in the future. Wait, mend the clock of its issuer, or use the one before until then."
        }
        Code::CertificateWeak => {
            "The certificate, or one of its chain, is signed with SHA-1 or MD5, or has an RSA key of less than 2048 bits. Current clients refuse it; have it issued anew."
        }
        Code::RuleWithoutBackend => {
            "The rule matches requests but names no backend with a weight above 0 and no redirect, so each of them answers 500 (connections of a TCPRoute or TLSRoute are closed). Often the list is misspelt, such as `backendRef`. Add a backendRef."
        }
        Code::AuthorityExpired => {
            "A certificate in the ConfigMap or ClusterTrustBundle has expired or begins in the future. What it signed is believed here while it is valid itself, as a trust anchor has no lifetime of its own (RFC 5280 6.1.1), but other software refuses it. Replace the certificate, or remove it when its successor is there."
        }
        Code::AuthorityCannotSign => {
            "The ConfigMap or ClusterTrustBundle holds the certificate of a server or client where that of its issuer belongs. It is believed as itself only: once its owner renews it, each connection fails. Give the certificate of the authority that issued it."
        }
        Code::DeprecatedField => {
            "The field still works, but will go in a later release of the API. Use what the message names instead."
        }
        Code::PortUnavailable => {
            "The operating system refused to open the port, mostly because another process has it or because low ports need a privilege. Other listeners are served; binding is tried again."
        }
        Code::ProgrammingPending => {
            "The listener is accepted, but the data plane has not yet confirmed that it serves this version of it."
        }
        Code::GatewayPending => {
            "The Gateway is accepted, but the data plane has not yet confirmed that it serves this version of it."
        }
        Code::GatewayPortsUnavailable => {
            "None of the ports of the Gateway could be opened, so it serves nothing. The listeners say why."
        }
        Code::StandIn => {
            "With `--demo` what is missing is replaced by something made up: a class, a Gateway, an echo backend, a self-signed certificate. None is made without the flag."
        }
        Code::ListenerSetPending => {
            "The set is accepted, but the data plane has not yet confirmed that it serves its listeners."
        }
    }
}
