//! The catalogue of diagnostic codes.
//!
//! A code is stable: its id never changes its meaning and is never used again. Each has one page
//! in the docs, generated from [`Code::title`] and [`Code::explanation`]. Which status condition a
//! code turns into is decided in [`crate::condition`] alone.

mod explanation;

use std::fmt;

/// How bad a finding is by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Something the user wrote is not served.
    Error,
    /// It is served, but probably not as meant.
    Warning,
    /// Worth knowing, often the consequence of another finding.
    Note,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! codes {
    ($($name:ident $id:literal $severity:ident $title:literal;)*) => {
        /// Every finding Portcullis can make about its input.
        ///
        /// Ranges: PC01 schema and source, PC02 references, PC03 gateways and listeners, PC04
        /// routes and attachment, PC05 filters and fields, PC06 TLS and certificates, PC07
        /// policies, PC08 lint, PC09 running state.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// In the order of their ids.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable id, such as `PC0203`.
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)* }
            }

            /// One line, for lists and headings.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }

            /// The name in the source, such as `BackendNotFound`; reads well in test output.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

codes! {
    Syntax "PC0101" Error "The document is not valid YAML or JSON";
    NotAnObject "PC0102" Error "The document is not a Kubernetes object";
    SchemaViolation "PC0103" Error "The API server would refuse the object";
    RuleViolation "PC0104" Error "A validation rule of the kind does not hold";
    UnknownField "PC0105" Warning "The field is not part of the kind";
    DuplicateKey "PC0106" Error "The same key occurs twice in one mapping";
    DuplicateObject "PC0107" Error "The same object occurs twice";
    UnknownKind "PC0108" Note "The kind is not one Portcullis reads";
    DeprecatedVersion "PC0109" Warning "The API version is no longer served";
    KeptLastGood "PC0110" Warning "The last good version of the object stays in use";
    SourceTooLarge "PC0111" Error "The input is larger than what is read";
    UnreadableFile "PC0112" Error "The file cannot be read";
    UnknownVersion "PC0113" Error "The API version was never served";

    RefNotPermitted "PC0201" Error "No ReferenceGrant permits the reference";
    InvalidBackendKind "PC0202" Error "The kind cannot be a backend";
    BackendNotFound "PC0203" Error "The backend does not exist";
    BackendPortNotFound "PC0204" Error "The Service has no such port";
    BackendPortMissing "PC0205" Error "The reference to a Service names no port";
    UnsupportedAppProtocol "PC0206" Error "The application protocol of the Service port is not served";
    ExternalNameBackend "PC0207" Error "A Service of type ExternalName is no backend";
    BackendNeedsTls "PC0208" Error "The backend must be reached by TLS, which is not served yet";
    OutsideSnapshot "PC0209" Note "The reference leads out of what was read";
    ParentNotFound "PC0210" Warning "The parent does not exist";
    ParentKindNotServed "PC0211" Note "The kind of the parent is not served";
    BackendAddressRefused "PC0212" Error "The endpoint address is not allowed as a backend";
    ServiceSettingInvalid "PC0213" Warning "An annotation of the Service has a value that is not understood";
    BackendPolicyUnusable "PC0214" Error "The policy of the backend asks for TLS that cannot be given";
    BackendPortForbidden "PC0250" Error "The reference to an XBackend names a port";
    BackendNotUsable "PC0251" Error "The XBackend cannot be used";
    XBackendInvalid "PC0252" Error "The XBackend is not valid";

    ClassParametersInvalid "PC0301" Error "The parameters of the GatewayClass cannot be used";
    GatewayParametersInvalid "PC0302" Error "The parameters of the Gateway cannot be used";
    SettingInvalid "PC0303" Error "An annotation of the Gateway has a value that is not understood";
    UnsupportedProtocol "PC0304" Error "The listener's protocol is not served";
    UnsupportedTlsMode "PC0305" Error "The listener's TLS mode is not served";
    InvalidRouteKinds "PC0306" Error "The listener allows kinds of routes it cannot serve";
    HostnameConflict "PC0307" Error "Two listeners of the Gateway take the same port and hostname";
    ProtocolConflict "PC0308" Error "Listeners of the Gateway cannot share the port";
    ListenerSetHostnameConflict "PC0309" Error "An earlier listener has the port and hostname";
    ListenerSetProtocolConflict "PC0310" Error "An earlier listener has the port with another protocol";
    SomeListenersInvalid "PC0311" Note "Some listeners of the Gateway are not valid";
    NoValidListener "PC0312" Error "No listener of the Gateway is valid";
    ListenersNotResolved "PC0313" Note "A listener of the Gateway has a reference that does not resolve";
    ListenerSetNotAllowed "PC0314" Error "The Gateway does not admit the ListenerSet";
    ListenerSetNoValidListener "PC0315" Error "No listener of the ListenerSet is valid";
    ListenerSetSomeInvalid "PC0316" Note "Some listeners of the ListenerSet are not valid";
    ListenerSetParentNotAccepted "PC0317" Error "The Gateway of the ListenerSet is not accepted";
    AddressTypeUnsupported "PC0318" Error "The type of address is not supported";
    AddressNotUsable "PC0319" Error "The address cannot be used";
    AddressNotAssigned "PC0320" Error "No address is left for the Gateway";
    PortOutOfRange "PC0321" Error "The port and the port offset exceed 65535";
    UnsupportedListenerField "PC0322" Error "A field of the listener has a value that is not served";
    UnsupportedGatewayField "PC0323" Warning "A field of the Gateway is not served";
    OverlappingHostnames "PC0324" Note "TLS listeners of one port have overlapping hostnames";
    OverlappingCertificates "PC0325" Note "TLS listeners of one port have overlapping certificates";
    InvalidSelector "PC0326" Error "The label selector is not valid";
    ClassNotFound "PC0327" Warning "The GatewayClass does not exist";
    NotOurClass "PC0328" Note "The GatewayClass belongs to another controller";
    InsecureFrontendValidation "PC0329" Warning "The Gateway takes connections whose client certificate is not valid";
    GatewayNothingServed "PC0330" Error "No listener of the Gateway can be served";
    GatewayFieldInvalid "PC0331" Error "A field of the Gateway cannot be read";
    GatewayWithoutAddress "PC0332" Note "The listener's Gateway has no address";
    GatewayNotAccepted "PC0333" Note "The listener's Gateway is not accepted";
    ListenerSetParentNotProgrammed "PC0334" Error "The Gateway of the ListenerSet serves nothing";
    ListenerFilterInvalid "PC0335" Error "A filter of the listener is not valid";
    ListenerFilterRef "PC0336" Error "A filter of the listener has a reference that does not resolve";
    DefaultGateway "PC0350" Note "The Gateway is a default one";
    AddressesAssigned "PC0360" Note "Every address that the Gateway asks for is assigned";
    AddressesPartlyAssigned "PC0361" Warning "Some addresses that the Gateway asks for are not assigned";
    AddressesNotAssigned "PC0362" Error "No address that the Gateway asks for is assigned";
    ParametersPartlyServed "PC0363" Warning "Some fields of the parameters have no effect";

    NoMatchingParent "PC0401" Error "The parent has no such listener";
    NamespaceNotAllowed "PC0402" Error "No listener allows routes of this namespace";
    KindNotAllowed "PC0403" Error "No listener allows this kind of route";
    NoMatchingListenerHostname "PC0404" Error "No hostname of the route matches the listener";
    NoUsableRule "PC0405" Error "No rule of the route can be served";
    MatchDropped "PC0406" Error "A match cannot be compiled";
    RouteNotOldest "PC0407" Warning "An older route has the listener";
    RouteKindNotServed "PC0408" Error "The kind of route is not served yet";
    ListenerNotServing "PC0409" Note "The listener the route attached to is not served";
    ParentRefRepeated "PC0410" Warning "The route names the same parent twice";
    NoDefaultGateway "PC0450" Warning "No default Gateway takes the route";
    PatternBudgetExceeded "PC0451" Error "The regular expressions of the namespace take too much memory";

    UnsupportedFilter "PC0501" Error "The filter is not served";
    UnsupportedField "PC0502" Error "The field is not served";
    ExtensionRefUnsupported "PC0503" Error "The extension is not known";
    InvalidFilter "PC0504" Error "The filter is not valid";
    IncompatibleFilters "PC0505" Error "The filters of the rule exclude each other";
    NoUsableRuleFilters "PC0506" Error "The filters of every rule exclude each other";
    UnknownValue "PC0507" Error "The value is not known";
    BackendFilterRefused "PC0508" Error "A filter of the backend reference cannot be served";
    InvalidValue "PC0509" Error "The value is not valid";
    SessionNameShared "PC0550" Warning "Backends of one rule share the name of a session";
    SessionOverridden "PC0551" Note "The backend has session persistence of its own";

    CertificateNotFound "PC0601" Error "The certificate's Secret does not exist";
    CertificateKind "PC0602" Error "The kind cannot hold a certificate";
    CertificateSecretType "PC0603" Error "The Secret is not of type kubernetes.io/tls";
    CertificateMalformed "PC0604" Error "The certificate or its key cannot be read";
    CertificateKeyMismatch "PC0605" Error "The private key does not belong to the certificate";
    CertificateNotPermitted "PC0606" Error "No ReferenceGrant permits the use of the Secret";
    NoUsableCertificate "PC0607" Error "The listener has no usable certificate";
    CertificateMissing "PC0608" Error "The listener names no certificate";
    TlsOptionUnsupported "PC0609" Error "The TLS option is not served";
    FrontendCaInvalid "PC0610" Error "The certificate authority for client certificates cannot be used";
    FrontendCaKind "PC0611" Error "The kind cannot hold a certificate authority";
    FrontendCaNotPermitted "PC0612" Error "No ReferenceGrant permits the use of the certificate authority";
    NoValidFrontendCa "PC0613" Error "No certificate authority for client certificates is usable";
    FrontendValidationUnsupported "PC0614" Error "Client certificates are not checked yet";
    ClientCertificateInvalid "PC0615" Error "The Gateway's client certificate cannot be used";
    ClientCertificateNotPermitted "PC0616" Error "No ReferenceGrant permits the use of the client certificate";

    PolicyTargetNotFound "PC0701" Error "The target of the policy does not exist";
    PolicyConflicted "PC0702" Error "Another policy has the same target";
    PolicyCaInvalid "PC0703" Error "The certificate authority of the policy cannot be used";
    PolicyCaKind "PC0704" Error "The kind cannot hold a certificate authority";
    PolicyNoValidCa "PC0705" Error "The policy has no usable certificate authority";
    PolicyNotServed "PC0706" Error "TLS towards backends is not served yet";
    PolicyInvalid "PC0707" Error "The policy is not valid";
    PolicyKindNotServed "PC0708" Error "What the policy asks for is not served yet";

    RuleShadowed "PC0801" Warning "An earlier rule takes all requests of the rule";
    RuleUnreachable "PC0802" Warning "No request can reach the rule";
    PlaceholderValue "PC0803" Warning "The value looks like a variable of another tool";
    UnusedGrant "PC0804" Warning "No reference needs the ReferenceGrant";
    ZeroWeight "PC0805" Note "The backend gets no traffic";
    ImplementationSpecific "PC0806" Note "Other implementations may treat the field in another way";
    SelectorOnEditableLabel "PC0807" Warning "The selector trusts a label that tenants may be able to edit";
    ExperimentalField "PC0808" Note "The field is part of the experimental channel";
    DuplicateMatch "PC0809" Warning "The same match occurs twice";
    HostnameAcrossNamespaces "PC0810" Warning "Routes of two namespaces share a hostname";
    NoEndpoints "PC0811" Warning "The backend has no endpoints";
    SuppressionWithoutReason "PC0812" Error "The suppression gives no reason";
    SuppressionUnused "PC0813" Warning "The suppression suppresses nothing";
    CertificateExpired "PC0814" Error "The certificate has expired";
    CertificateExpiresSoon "PC0815" Warning "The certificate expires soon";
    CertificateHostname "PC0816" Warning "The certificate does not cover the listener's hostname";
    ListenerWithoutRoutes "PC0817" Note "No route is attached to the listener";
    DeprecatedField "PC0818" Warning "The field is deprecated";
    CertificateNotYetValid "PC0819" Error "The certificate is not valid yet";
    CertificateWeak "PC0820" Warning "The certificate is weaker than clients accept";
    RuleWithoutBackend "PC0821" Warning "The rule has no backend";
    AuthorityExpired "PC0822" Warning "The certificate authority is out of date";
    AuthorityCannotSign "PC0823" Warning "The certificate authority is none";

    PortUnavailable "PC0901" Error "The port cannot be bound";
    ProgrammingPending "PC0902" Note "The data plane has not confirmed the configuration yet";
    GatewayPending "PC0903" Note "The data plane has not confirmed the Gateway yet";
    GatewayPortsUnavailable "PC0904" Error "No port of the Gateway can be bound";
    StandIn "PC0905" Note "A stand-in was made for something that is missing";
    ListenerSetPending "PC0906" Note "The data plane has not confirmed the ListenerSet yet";
    ProvisioningFailed "PC0910" Error "What the Gateway needs in the cluster cannot be made";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl Code {
    /// What it means, what happens to traffic, and what to do; plain text with blank lines
    /// between paragraphs.
    pub fn explanation(self) -> &'static str {
        explanation::of(self)
    }

    /// The code with this id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.id() == id)
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn ids_are_unique_and_in_order() {
        let ids: Vec<_> = Code::ALL.iter().map(|code| code.id()).collect();
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(ids, sorted);
    }

    #[test]
    fn every_code_has_a_page_worth_reading() {
        for code in Code::ALL {
            assert!(code.explanation().len() > 60, "{code} needs an explanation");
            assert!(!code.title().ends_with('.'), "{code}: a title has no full stop");
        }
    }
}
