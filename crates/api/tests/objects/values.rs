//! Durations, hostnames, label selectors, timestamps and grants.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::hostname::{self, HostnameError};
use api::{
    LabelSelector, LabelSelectorRequirement, ObjectName, ReferenceGrant, ReferenceGrantFrom,
    ReferenceGrantTo, Timestamp, duration,
};

#[test]
fn durations_are_read_as_gep_2257_says() {
    for (text, canonical, milliseconds) in [
        ("0h", "0s", 0),
        ("0s", "0s", 0),
        ("0h0m0s", "0s", 0),
        ("1h", "1h", 3_600_000),
        ("30m", "30m", 1_800_000),
        ("10s", "10s", 10_000),
        ("500ms", "500ms", 500),
        ("2h30m", "2h30m", 9_000_000),
        ("150m", "2h30m", 9_000_000),
        ("7230s", "2h30s", 7_230_000),
        ("1h30m10s", "1h30m10s", 5_410_000),
        ("10s30m1h", "1h30m10s", 5_410_000),
        ("100ms200ms300ms", "600ms", 600),
        ("00060m", "1h", 3_600_000),
        ("99999h99999h99999h99999h", "399996h", 1_439_985_600_000),
    ] {
        let parsed = duration::parse(text).unwrap();
        assert_eq!(parsed, Duration::from_millis(milliseconds), "{text}");
        assert_eq!(duration::format(parsed), canonical, "{text}");
    }
}

#[test]
fn texts_that_are_no_gep_2257_duration_are_refused() {
    for text in [
        "",
        "1",
        "1m1",
        "1d",
        "1h30m10s20ms50h",
        "999999h",
        "1.5h",
        "-15m",
        " 1s",
        "1s ",
        "1S",
        "h",
        "ms",
        "1µs",
        "٣s",
        "1s\n",
    ] {
        assert!(duration::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn hostnames_are_checked_as_the_schema_does() {
    for good in
        ["example.com", "a", "a-b.c1", "1.2.3.com", "*.example.com", "*.com", &"a".repeat(253)]
    {
        assert_eq!(hostname::check(good), Ok(()), "{good}");
    }
    for (bad, error) in [
        ("", HostnameError::Empty),
        ("*", HostnameError::Wildcard),
        ("*.", HostnameError::Wildcard),
        ("a.*.com", HostnameError::Wildcard),
        ("*a.com", HostnameError::Wildcard),
        ("*.*.com", HostnameError::Wildcard),
        ("192.0.2.1", HostnameError::IpAddress),
        ("::1", HostnameError::IpAddress),
        ("Example.com", HostnameError::Label),
        ("-a.com", HostnameError::Label),
        ("a-.com", HostnameError::Label),
        ("a..b", HostnameError::Label),
        ("a.com.", HostnameError::Label),
        ("a_b.com", HostnameError::Label),
        ("ä.com", HostnameError::Label),
    ] {
        assert_eq!(hostname::check(bad), Err(error), "{bad}");
    }
    assert_eq!(hostname::check(&"a".repeat(254)), Err(HostnameError::TooLong));
    assert_eq!(hostname::check_precise("*.example.com"), Err(HostnameError::Wildcard));
    assert_eq!(hostname::check_precise("example.com"), Ok(()));
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<Arc<str>, Arc<str>> {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

fn expression(key: &str, operator: &str, values: &[&str]) -> LabelSelector {
    let values = values.iter().map(|value| (*value).into()).collect();
    let requirement =
        LabelSelectorRequirement { key: key.into(), operator: operator.into(), values };
    LabelSelector { match_expressions: vec![requirement], ..LabelSelector::default() }
}

#[test]
fn selectors_match_labels_as_kubernetes_does() {
    let prod = labels(&[("env", "prod"), ("team", "web")]);
    let none = labels(&[]);
    assert!(LabelSelector::default().matches(&none), "an empty selector selects everything");
    let exact =
        LabelSelector { match_labels: labels(&[("env", "prod")]), ..LabelSelector::default() };
    assert!(exact.matches(&prod) && !exact.matches(&none));
    assert!(expression("env", "In", &["dev", "prod"]).matches(&prod));
    assert!(!expression("env", "In", &["dev"]).matches(&prod));
    assert!(!expression("env", "In", &["dev"]).matches(&none));
    assert!(!expression("env", "NotIn", &["prod"]).matches(&prod));
    assert!(
        expression("env", "NotIn", &["prod"]).matches(&none),
        "an absent label is not in the list"
    );
    assert!(expression("env", "Exists", &[]).matches(&prod));
    assert!(!expression("env", "Exists", &[]).matches(&none));
    assert!(expression("env", "DoesNotExist", &[]).matches(&none));
    assert!(!expression("env", "DoesNotExist", &[]).matches(&prod));
}

#[test]
fn requirements_that_are_not_valid_select_nothing() {
    let prod = labels(&[("env", "prod")]);
    for invalid in [
        expression("env", "Like", &["prod"]),
        expression("other", "NotIn", &[]),
        expression("env", "Exists", &["prod"]),
    ] {
        assert!(!invalid.matches(&prod));
        assert_eq!(invalid.first_invalid(), Some(0));
    }
}

#[test]
fn timestamps_are_read_and_written_as_rfc_3339() {
    for (text, unix_seconds) in [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-10-29T08:00:00Z", 1_793_260_800),
        ("2024-02-29T23:59:59Z", 1_709_251_199),
        ("1969-12-31T23:59:59Z", -1),
        ("0001-01-01T00:00:00Z", -62_135_596_800),
    ] {
        assert_eq!(
            Timestamp::parse(text).map(|time| time.unix_seconds()),
            Some(unix_seconds),
            "{text}"
        );
        assert_eq!(Timestamp::from_unix(unix_seconds).as_str(), text);
    }
    let offset = Timestamp::parse("2026-10-29T10:00:00.123456+02:00").unwrap();
    assert_eq!(offset, Timestamp::parse("2026-10-29T08:00:00Z").unwrap());
    assert_eq!(offset.as_str(), "2026-10-29T10:00:00.123456+02:00");
    assert!(offset < Timestamp::from_unix(i64::MAX / 86_400));
    for text in [
        "",
        "2026-10-29",
        "2026-13-01T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "2026-10-29T24:00:00Z",
        "2026-10-29T08:00:00",
        "2026-10-29T08:00:00.Z",
        "2026-10-29T08:00:00+0200",
        "2026-1-29T08:00:00Z",
        "20261-0-29T08:00:00Z",
        "2026-10-29T08:00:00ZZ",
        "２026-10-29T08:00:00Z",
    ] {
        assert!(Timestamp::parse(text).is_none(), "{text:?}");
    }
}

#[test]
fn grants_permit_exactly_what_they_name() {
    let mut grant = ReferenceGrant::default();
    grant.metadata.namespace = Some("certs".into());
    grant.spec.from.push(ReferenceGrantFrom {
        group: "gateway.networking.k8s.io".into(),
        kind: "Gateway".into(),
        namespace: "infra".into(),
    });
    grant.spec.to.push(ReferenceGrantTo {
        group: "".into(),
        kind: "Secret".into(),
        name: Some("a".into()),
    });
    let gateway = ("gateway.networking.k8s.io", "Gateway");
    let secret = ("", "Secret");
    let a = ObjectName::new("certs", "a");
    assert!(grant.permits(gateway, "infra", secret, &a));
    assert!(!grant.permits(gateway, "other", secret, &a));
    assert!(!grant.permits(("gateway.networking.k8s.io", "ListenerSet"), "infra", secret, &a));
    assert!(!grant.permits(gateway, "infra", ("", "ConfigMap"), &a));
    assert!(!grant.permits(gateway, "infra", secret, &ObjectName::new("certs", "b")));
    assert!(!grant.permits(gateway, "infra", secret, &ObjectName::new("elsewhere", "a")));
    grant.spec.to[0].name = None;
    assert!(grant.permits(gateway, "infra", secret, &ObjectName::new("certs", "b")));
}
