//! The only place where a status condition is born.
//!
//! [`conditions`] says what a finding does to the status of its target, and the `*_BASELINE` lists
//! what is true of an object that nothing was found about. Everything else only carries these.

use crate::code::Code;

macro_rules! texts {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($variant,)* }

        impl $name {
            /// In the order they are listed.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// As written in a status.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

texts! {
    /// The conditions we write, in the order they are listed.
    ConditionType {
        Accepted = "Accepted",
        ResolvedRefs = "ResolvedRefs",
        Programmed = "Programmed",
        Conflicted = "Conflicted",
        OverlappingTlsConfig = "OverlappingTLSConfig",
        PartiallyInvalid = "PartiallyInvalid",
        SupportedVersion = "SupportedVersion",
        InsecureFrontendValidationMode = "InsecureFrontendValidationMode",
        DefaultGateway = "DefaultGateway",
        AddressesAssigned = "AddressesAssigned",
    }
}

texts! {
    ConditionStatus { True = "True", False = "False", Unknown = "Unknown", }
}

texts! {
    /// The reasons we write (Gateway API v1.7).
    Reason {
        Accepted = "Accepted",
        AddressNotAssigned = "AddressNotAssigned",
        AddressNotUsable = "AddressNotUsable",
        AddressesAssigned = "AddressesAssigned",
        BackendNotFound = "BackendNotFound",
        ConfigurationChanged = "ConfigurationChanged",
        Conflicted = "Conflicted",
        DefaultGateway = "DefaultGateway",
        HostnameConflict = "HostnameConflict",
        IncompatibleFilters = "IncompatibleFilters",
        Invalid = "Invalid",
        InvalidCACertificateKind = "InvalidCACertificateKind",
        InvalidCACertificateRef = "InvalidCACertificateRef",
        InvalidCertificateRef = "InvalidCertificateRef",
        InvalidClientCertificateRef = "InvalidClientCertificateRef",
        InvalidKind = "InvalidKind",
        InvalidListenerFilter = "InvalidListenerFilter",
        InvalidListenerFilterRef = "InvalidListenerFilterRef",
        InvalidParameters = "InvalidParameters",
        InvalidRouteKinds = "InvalidRouteKinds",
        ListenersNotResolved = "ListenersNotResolved",
        ListenersNotValid = "ListenersNotValid",
        NoConflicts = "NoConflicts",
        NoMatchingListenerHostname = "NoMatchingListenerHostname",
        NoMatchingParent = "NoMatchingParent",
        NoResources = "NoResources",
        NoValidCACertificate = "NoValidCACertificate",
        NotAllowed = "NotAllowed",
        NotAllowedByListeners = "NotAllowedByListeners",
        NotAssigned = "NotAssigned",
        OverlappingCertificates = "OverlappingCertificates",
        OverlappingHostnames = "OverlappingHostnames",
        ParentNotAccepted = "ParentNotAccepted",
        ParentNotProgrammed = "ParentNotProgrammed",
        PartiallyAssigned = "PartiallyAssigned",
        Pending = "Pending",
        PortUnavailable = "PortUnavailable",
        Programmed = "Programmed",
        ProtocolConflict = "ProtocolConflict",
        RefNotPermitted = "RefNotPermitted",
        ResolvedRefs = "ResolvedRefs",
        SupportedVersion = "SupportedVersion",
        TargetNotFound = "TargetNotFound",
        UnsupportedAddress = "UnsupportedAddress",
        UnsupportedProtocol = "UnsupportedProtocol",
        UnsupportedValue = "UnsupportedValue",
    }
}

use ConditionStatus::{False, True, Unknown};
use ConditionType::{
    Accepted, AddressesAssigned, Conflicted, DefaultGateway, InsecureFrontendValidationMode,
    OverlappingTlsConfig, PartiallyInvalid, Programmed, ResolvedRefs, SupportedVersion,
};

/// What a finding does to one condition.
pub type Verdict = (ConditionType, ConditionStatus, Reason);

/// Conditions of a GatewayClass that is ours, and the sentence of each.
pub const CLASS_BASELINE: &[(Verdict, &str)] = &[
    ((Accepted, True, Reason::Accepted), "Portcullis serves Gateways of this class"),
    (
        (SupportedVersion, True, Reason::SupportedVersion),
        "the CRDs are of a version that is supported",
    ),
];

pub const GATEWAY_BASELINE: &[(Verdict, &str)] = &[
    ((Accepted, True, Reason::Accepted), "the Gateway is valid"),
    ((ResolvedRefs, True, Reason::ResolvedRefs), "all references resolve"),
    ((Programmed, True, Reason::Programmed), "the data plane serves the Gateway"),
];

pub const LISTENER_SET_BASELINE: &[(Verdict, &str)] = &[
    ((Accepted, True, Reason::Accepted), "the ListenerSet is valid"),
    ((Programmed, True, Reason::Programmed), "the data plane serves the listeners"),
];

pub const LISTENER_BASELINE: &[(Verdict, &str)] = &[
    ((Accepted, True, Reason::Accepted), "the listener is valid"),
    ((ResolvedRefs, True, Reason::ResolvedRefs), "all references resolve"),
    ((Programmed, True, Reason::Programmed), "the data plane serves the listener"),
    ((Conflicted, False, Reason::NoConflicts), "no other listener is in the way"),
];

pub const ROUTE_BASELINE: &[(Verdict, &str)] = &[
    ((Accepted, True, Reason::Accepted), "the route is attached"),
    ((ResolvedRefs, True, Reason::ResolvedRefs), "all references resolve"),
];

pub const POLICY_BASELINE: &[(Verdict, &str)] = &[
    ((Accepted, True, Reason::Accepted), "the policy is in effect"),
    ((ResolvedRefs, True, Reason::ResolvedRefs), "all references resolve"),
];

pub const BACKEND_BASELINE: &[(Verdict, &str)] =
    &[((Accepted, True, Reason::Accepted), "the backend is valid")];

/// What a finding turns into; empty when it shows in no status.
///
/// Where findings disagree about one condition, one with another status than the baseline's wins,
/// then the first. `Accepted=True` entries only add their sentence.
pub fn conditions(code: Code) -> &'static [Verdict] {
    const RESOLVED_NOT_PERMITTED: &[Verdict] = &[(ResolvedRefs, False, Reason::RefNotPermitted)];
    const NO_CERTIFICATE: &[Verdict] = &[(ResolvedRefs, False, Reason::InvalidCertificateRef)];
    const REFUSED_LISTENER: &[Verdict] =
        &[(Accepted, False, Reason::UnsupportedValue), (Programmed, False, Reason::Invalid)];
    const PARTIAL: &[Verdict] = &[(PartiallyInvalid, True, Reason::UnsupportedValue)];
    const NOT_ALLOWED: &[Verdict] = &[(Accepted, False, Reason::NotAllowedByListeners)];
    const NOT_FOUND: &[Verdict] = &[(ResolvedRefs, False, Reason::BackendNotFound)];
    const BAD_PARAMETERS: &[Verdict] =
        &[(Accepted, False, Reason::InvalidParameters), (Programmed, False, Reason::Invalid)];
    const PENDING: &[Verdict] = &[(Programmed, Unknown, Reason::Pending)];
    match code {
        Code::RefNotPermitted
        | Code::CertificateNotPermitted
        | Code::FrontendCaNotPermitted
        | Code::ClientCertificateNotPermitted => RESOLVED_NOT_PERMITTED,
        Code::InvalidBackendKind => &[(ResolvedRefs, False, Reason::InvalidKind)],
        Code::BackendNotFound | Code::BackendPortNotFound | Code::BackendPortMissing => NOT_FOUND,
        Code::UnsupportedAppProtocol | Code::BackendNeedsTls => {
            &[(ResolvedRefs, False, Reason::UnsupportedProtocol)]
        }
        Code::ExternalNameBackend | Code::BackendPortForbidden | Code::BackendNotUsable => {
            &[(ResolvedRefs, False, Reason::UnsupportedValue)]
        }
        Code::ClassParametersInvalid => &[(Accepted, False, Reason::InvalidParameters)],
        Code::GatewayParametersInvalid => BAD_PARAMETERS,
        Code::SettingInvalid | Code::UnsupportedGatewayField | Code::ParametersPartlyServed => {
            &[(Accepted, True, Reason::Accepted)]
        }
        Code::UnsupportedProtocol => {
            &[(Accepted, False, Reason::UnsupportedProtocol), (Programmed, False, Reason::Invalid)]
        }
        Code::UnsupportedTlsMode
        | Code::UnsupportedListenerField
        | Code::InvalidSelector
        | Code::TlsOptionUnsupported
        | Code::FrontendValidationUnsupported => REFUSED_LISTENER,
        Code::ListenerFilterInvalid => &[
            (Accepted, False, Reason::InvalidListenerFilter),
            (Programmed, False, Reason::Invalid),
        ],
        Code::ListenerFilterRef => &[(ResolvedRefs, False, Reason::InvalidListenerFilterRef)],
        Code::InvalidRouteKinds => &[(ResolvedRefs, False, Reason::InvalidRouteKinds)],
        Code::HostnameConflict => &[
            (Accepted, False, Reason::HostnameConflict),
            (Conflicted, True, Reason::HostnameConflict),
            (Programmed, False, Reason::Invalid),
        ],
        Code::ProtocolConflict => &[
            (Accepted, False, Reason::ProtocolConflict),
            (Conflicted, True, Reason::ProtocolConflict),
            (Programmed, False, Reason::Invalid),
        ],
        Code::ListenerSetHostnameConflict => &[
            (Accepted, False, Reason::HostnameConflict),
            (Conflicted, True, Reason::HostnameConflict),
            (Programmed, False, Reason::HostnameConflict),
        ],
        Code::ListenerSetProtocolConflict => &[
            (Accepted, False, Reason::ProtocolConflict),
            (Conflicted, True, Reason::ProtocolConflict),
            (Programmed, False, Reason::ProtocolConflict),
        ],
        Code::SomeListenersInvalid | Code::ListenerSetSomeInvalid => {
            &[(Accepted, True, Reason::ListenersNotValid)]
        }
        Code::NoValidListener => {
            &[(Accepted, False, Reason::ListenersNotValid), (Programmed, False, Reason::Invalid)]
        }
        Code::ListenersNotResolved => &[(ResolvedRefs, False, Reason::ListenersNotResolved)],
        Code::ListenerSetNotAllowed => {
            &[(Accepted, False, Reason::NotAllowed), (Programmed, False, Reason::NotAllowed)]
        }
        Code::ListenerSetNoValidListener => &[
            (Accepted, False, Reason::ListenersNotValid),
            (Programmed, False, Reason::ListenersNotValid),
        ],
        Code::ListenerSetParentNotAccepted => &[
            (Accepted, False, Reason::ParentNotAccepted),
            (Programmed, False, Reason::ParentNotAccepted),
        ],
        Code::ListenerSetParentNotProgrammed => &[(Programmed, False, Reason::ParentNotProgrammed)],
        Code::AddressTypeUnsupported => {
            &[(Accepted, False, Reason::UnsupportedAddress), (Programmed, False, Reason::Invalid)]
        }
        Code::GatewayFieldInvalid => {
            &[(Accepted, False, Reason::Invalid), (Programmed, False, Reason::Invalid)]
        }
        Code::GatewayPortsUnavailable => {
            &[(Accepted, False, Reason::ListenersNotValid), (Programmed, False, Reason::Invalid)]
        }
        Code::AddressesAssigned => &[(AddressesAssigned, True, Reason::AddressesAssigned)],
        Code::AddressesPartlyAssigned => &[(AddressesAssigned, False, Reason::PartiallyAssigned)],
        Code::AddressesNotAssigned => &[(AddressesAssigned, False, Reason::NotAssigned)],
        Code::ProvisioningFailed => &[(Programmed, False, Reason::NoResources)],
        Code::AddressNotUsable => &[(Programmed, False, Reason::AddressNotUsable)],
        Code::AddressNotAssigned => &[(Programmed, False, Reason::AddressNotAssigned)],
        Code::PortOutOfRange | Code::PortUnavailable => {
            &[(Accepted, False, Reason::PortUnavailable), (Programmed, False, Reason::Invalid)]
        }
        Code::OverlappingHostnames => &[(OverlappingTlsConfig, True, Reason::OverlappingHostnames)],
        Code::OverlappingCertificates => {
            &[(OverlappingTlsConfig, True, Reason::OverlappingCertificates)]
        }
        Code::InsecureFrontendValidation => {
            &[(InsecureFrontendValidationMode, True, Reason::ConfigurationChanged)]
        }
        Code::GatewayNothingServed
        | Code::GatewayWithoutAddress
        | Code::GatewayNotAccepted
        | Code::NoUsableCertificate => &[(Programmed, False, Reason::Invalid)],
        Code::DefaultGateway => &[(DefaultGateway, True, Reason::DefaultGateway)],
        Code::NoMatchingParent => &[(Accepted, False, Reason::NoMatchingParent)],
        Code::NamespaceNotAllowed | Code::KindNotAllowed | Code::RouteKindNotServed => NOT_ALLOWED,
        Code::NoMatchingListenerHostname => {
            &[(Accepted, False, Reason::NoMatchingListenerHostname)]
        }
        Code::NoUsableRule => &[(Accepted, False, Reason::UnsupportedValue)],
        Code::NoUsableRuleFilters => &[(Accepted, False, Reason::IncompatibleFilters)],
        Code::MatchDropped
        | Code::PatternBudgetExceeded
        | Code::UnsupportedFilter
        | Code::UnsupportedField
        | Code::ExtensionRefUnsupported
        | Code::InvalidFilter
        | Code::IncompatibleFilters
        | Code::UnknownValue
        | Code::BackendFilterRefused
        | Code::InvalidValue => PARTIAL,
        Code::CertificateNotFound
        | Code::CertificateKind
        | Code::CertificateSecretType
        | Code::CertificateMalformed
        | Code::CertificateKeyMismatch => NO_CERTIFICATE,
        Code::CertificateMissing => &[
            (ResolvedRefs, False, Reason::InvalidCertificateRef),
            (Programmed, False, Reason::Invalid),
        ],
        Code::FrontendCaInvalid => &[(ResolvedRefs, False, Reason::InvalidCACertificateRef)],
        Code::FrontendCaKind => &[(ResolvedRefs, False, Reason::InvalidCACertificateKind)],
        Code::NoValidFrontendCa => {
            &[(Accepted, False, Reason::NoValidCACertificate), (Programmed, False, Reason::Invalid)]
        }
        Code::ClientCertificateInvalid => {
            &[(ResolvedRefs, False, Reason::InvalidClientCertificateRef)]
        }
        Code::PolicyTargetNotFound => &[(Accepted, False, Reason::TargetNotFound)],
        Code::PolicyConflicted => &[(Accepted, False, Reason::Conflicted)],
        Code::PolicyCaInvalid => &[(ResolvedRefs, False, Reason::InvalidCACertificateRef)],
        Code::PolicyCaKind => &[(ResolvedRefs, False, Reason::InvalidKind)],
        Code::PolicyNoValidCa => &[(Accepted, False, Reason::NoValidCACertificate)],
        Code::PolicyNotServed
        | Code::PolicyInvalid
        | Code::PolicyKindNotServed
        | Code::XBackendInvalid => &[(Accepted, False, Reason::Invalid)],
        Code::ProgrammingPending | Code::GatewayPending | Code::ListenerSetPending => PENDING,
        Code::Syntax
        | Code::NotAnObject
        | Code::SchemaViolation
        | Code::RuleViolation
        | Code::UnknownField
        | Code::DuplicateKey
        | Code::DuplicateObject
        | Code::UnknownKind
        | Code::DeprecatedVersion
        | Code::KeptLastGood
        | Code::SourceTooLarge
        | Code::UnreadableFile
        | Code::UnknownVersion
        | Code::OutsideSnapshot
        | Code::ParentNotFound
        | Code::ParentKindNotServed
        | Code::BackendAddressRefused
        | Code::ServiceSettingInvalid
        | Code::BackendPolicyUnusable
        | Code::ClassNotFound
        | Code::NotOurClass
        | Code::NoDefaultGateway
        | Code::SessionNameShared
        | Code::SessionOverridden
        | Code::RouteNotOldest
        | Code::ListenerNotServing
        | Code::ParentRefRepeated
        | Code::RuleShadowed
        | Code::RuleUnreachable
        | Code::PlaceholderValue
        | Code::UnusedGrant
        | Code::ZeroWeight
        | Code::ImplementationSpecific
        | Code::SelectorOnEditableLabel
        | Code::ExperimentalField
        | Code::DuplicateMatch
        | Code::HostnameAcrossNamespaces
        | Code::NoEndpoints
        | Code::SuppressionWithoutReason
        | Code::SuppressionUnused
        | Code::CertificateExpired
        | Code::CertificateExpiresSoon
        | Code::CertificateNotYetValid
        | Code::CertificateWeak
        | Code::RuleWithoutBackend
        | Code::AuthorityExpired
        | Code::AuthorityCannotSign
        | Code::CertificateHostname
        | Code::ListenerWithoutRoutes
        | Code::DeprecatedField
        | Code::StandIn => &[],
    }
}
