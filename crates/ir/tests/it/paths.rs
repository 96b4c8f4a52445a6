//! One canonical form of paths and hosts, matched and forwarded alike.

use std::borrow::Cow;

use ir::{
    EscapedSlashes, HttpSettings,
    host::{self, HostError},
    path::{self, PathError, canonical_value},
};
use proptest::{collection::vec, prelude::*, sample::select};

use crate::support::{exact, get, prefix, regex, route, settings, table, taken};

fn normal(path: &str) -> Result<String, PathError> {
    path::normalize(path, &settings()).map(Cow::into_owned)
}

fn keeping() -> HttpSettings {
    HttpSettings { keep_empty_segments: true, ..settings() }
}

#[test]
fn a_canonical_path_is_borrowed() {
    for path in
        ["/", "/a", "/a/b/", "/a%2Fb", "/a;x=1", "/..a/.b/a..", "/%25", "/a\\b", "/...", "/~"]
    {
        let result = path::normalize(path, &settings());
        assert!(matches!(result, Ok(Cow::Borrowed(same)) if same == path), "{path}: {result:?}");
    }
}

#[test]
fn dot_segments_are_removed_also_when_they_are_escaped() {
    let cases = [
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/%2e%2e/b", "/b"),
        ("/a/%2E./b", "/b"),
        ("/a/.%2e/b", "/b"),
        ("/a/%2e/b", "/a/b"),
        ("/a/.", "/a/"),
        ("/a/b/..", "/a/"),
        ("/a/..", "/"),
        ("/.", "/"),
        ("/./", "/"),
        ("/api../", "/api../"),
        ("/api%2e%2e/", "/api../"),
        ("/a/..;/b", "/a/..;/b"),
        ("/a;x=/../b", "/b"),
    ];
    for (raw, expected) in cases {
        assert_eq!(normal(raw).as_deref(), Ok(expected), "{raw}");
    }
}

#[test]
fn climbing_above_the_root_is_refused() {
    for raw in ["/..", "/../", "/a/../..", "/a/../../b", "/%2e%2e/x", "//..", "/./.."] {
        assert_eq!(normal(raw), Err(PathError::AboveRoot), "{raw}");
    }
}

#[test]
fn unreserved_octets_are_decoded_once_and_other_escapes_go_to_upper_case() {
    let cases = [
        ("/%61%7e%2D", "/a~-"),
        ("/%2f%5c", "/%2F%5C"),
        ("/%252e%252e/", "/%252e%252e/"),
        ("/%c3%a9", "/%C3%A9"),
        ("/a%20b", "/a%20b"),
        ("/%0d%0a", "/%0D%0A"),
        ("/%c0%ae", "/%C0%AE"),
    ];
    for (raw, expected) in cases {
        assert_eq!(normal(raw).as_deref(), Ok(expected), "{raw}");
    }
}

#[test]
fn empty_segments_are_merged_unless_the_listener_keeps_them() {
    let cases = [("//a//b", "/a/b", "//a//b"), ("//", "/", "//"), ("/a//", "/a/", "/a//")];
    for (raw, merged, kept) in cases {
        assert_eq!(normal(raw).as_deref(), Ok(merged), "{raw}");
        assert_eq!(path::normalize(raw, &keeping()).as_deref(), Ok(kept), "{raw}");
    }
    assert_eq!(normal("/a//../b").as_deref(), Ok("/b"));
    assert_eq!(path::normalize("/a//../b", &keeping()).as_deref(), Ok("/a/b"));
}

#[test]
fn bad_escapes_and_bytes_are_refused() {
    assert_eq!(normal("/%"), Err(PathError::BadEscape));
    assert_eq!(normal("/%4"), Err(PathError::BadEscape));
    assert_eq!(normal("/%zz"), Err(PathError::BadEscape));
    assert_eq!(normal("/%+1"), Err(PathError::BadEscape));
    assert_eq!(normal("/%00"), Err(PathError::Nul));
    for raw in ["/a b", "/a\tb", "/a#b", "/a?b", "/é", "/\u{7f}"] {
        assert_eq!(normal(raw), Err(PathError::BadByte), "{raw}");
    }
    for raw in ["", "*", "a/b", "http://a/"] {
        assert_eq!(normal(raw), Err(PathError::NotAbsolute), "{raw}");
    }
}

#[test]
fn escaped_slashes_are_refused_where_the_listener_asks_for_it() {
    let strict = HttpSettings { escaped_slashes: EscapedSlashes::Reject, ..settings() };
    for raw in ["/a%2fb", "/a%2Fb", "/a%5cb", "/a\\b"] {
        assert_eq!(path::normalize(raw, &strict), Err(PathError::EscapedSlash), "{raw}");
        assert!(normal(raw).is_ok(), "{raw}");
    }
    assert!(path::normalize("/a%252fb", &strict).is_ok());
}

#[test]
fn a_written_value_takes_the_form_of_a_canonical_path() {
    let cases = [
        ("/a", "/a"),
        ("/é", "/%C3%A9"),
        ("/%c3%a9", "/%C3%A9"),
        ("/%61", "/a"),
        ("/a b", "/a%20b"),
        ("/100%", "/100%25"),
    ];
    for (written, expected) in cases {
        assert_eq!(canonical_value(written), expected, "{written}");
    }
}

#[test]
fn a_host_loses_case_port_and_one_trailing_dot() {
    let cases = [
        ("Example.COM", "example.com", None),
        ("example.com.", "example.com", None),
        ("example.com:8080", "example.com", Some(8080)),
        ("example.com.:80", "example.com", Some(80)),
        ("example.com:", "example.com", None),
        ("127.0.0.1:1", "127.0.0.1", Some(1)),
        ("[::1]", "[::1]", None),
        ("[2001:DB8::1]:443", "[2001:db8::1]", Some(443)),
        ("a_b-c", "a_b-c", None),
    ];
    for (raw, name, port) in cases {
        let host = host::normalize(raw).expect(raw);
        assert_eq!((&*host.name, host.port), (name, port), "{raw}");
    }
}

#[test]
fn a_malformed_host_is_refused() {
    let cases = [
        ("", HostError::Empty),
        (".", HostError::Empty),
        ("a..b", HostError::Empty),
        (".a", HostError::Empty),
        ("a.com..", HostError::Empty),
        (":80", HostError::Empty),
        ("user@a.com", HostError::BadByte),
        ("a b", HostError::BadByte),
        ("a/b", HostError::BadByte),
        ("a,b", HostError::BadByte),
        ("é.com", HostError::BadByte),
        ("a%41", HostError::BadByte),
        ("*.a.com", HostError::BadByte),
        ("a:65536", HostError::Port),
        ("a:+1", HostError::Port),
        ("a:1:2", HostError::Port),
        ("[::1]80", HostError::Port),
        ("[::1", HostError::BadIpv6),
        ("[fe80::1%25eth0]", HostError::BadIpv6),
        ("[]", HostError::BadIpv6),
    ];
    for (raw, error) in cases {
        assert_eq!(host::normalize(raw), Err(error), "{raw}");
    }
    assert_eq!(host::normalize(&"a".repeat(254)), Err(HostError::TooLong));
}

fn raw_paths() -> impl Strategy<Value = String> {
    let pieces = [
        "/", "/", "/", "//", ".", "..", "/..", "/./", "%2e", "%2E", "%2f", "%2F", "%5c", "\\", "a",
        "b", "%61", "%", "%zz", "%00", ";", "..;", "%25", "2e", "%c3%a9", "é", " ", "#", "A", "~",
    ];
    let built =
        vec(select(pieces.to_vec()), 0..12).prop_map(|pieces| format!("/{}", pieces.concat()));
    prop_oneof![4 => built, 1 => any::<String>()]
}

fn all_settings() -> impl Strategy<Value = HttpSettings> {
    (any::<bool>(), any::<bool>()).prop_map(|(keep_empty_segments, reject)| HttpSettings {
        keep_empty_segments,
        escaped_slashes: if reject { EscapedSlashes::Reject } else { EscapedSlashes::Keep },
        ..settings()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_canonical_path_is_its_own_canonical_path(raw in raw_paths(), settings in all_settings()) {
        if let Ok(canonical) = path::normalize(&raw, &settings) {
            let again = path::normalize(&canonical, &settings);
            prop_assert!(matches!(&again, Ok(Cow::Borrowed(same)) if *same == &*canonical), "{raw}");
        }
    }

    #[test]
    fn a_canonical_path_has_a_root_and_never_leaves_it(raw in raw_paths(), settings in all_settings()) {
        if let Ok(canonical) = path::normalize(&raw, &settings) {
            prop_assert!(canonical.starts_with('/'));
            prop_assert!(canonical.split('/').all(|segment| segment != "." && segment != ".."));
            prop_assert!(canonical.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert!(settings.keep_empty_segments || !canonical.contains("//"));
        }
    }

    #[test]
    fn what_was_matched_is_what_is_forwarded(raw in raw_paths()) {
        let rules = vec![
            vec![prefix("/a")], vec![exact("/a/b")], vec![prefix("/a/b/a")], vec![regex("/b.*")],
            vec![prefix("/b")], vec![exact("/")], vec![prefix("/%2F")],
        ];
        let table = table(vec![route("r", &["*"], rules)]);
        if let Ok(canonical) = normal(&raw) {
            let seen = normal(&canonical).expect("a forwarded path is good");
            prop_assert_eq!(taken(&table, &get(&canonical)), taken(&table, &get(&seen)));
        }
    }

    #[test]
    fn a_canonical_host_is_its_own_canonical_host(raw in "[A-Za-z0-9.:_@\\[\\]-]{0,12}|\\PC{0,8}") {
        if let Ok(host) = host::normalize(&raw) {
            let again = host::normalize(&host.name).expect("good");
            prop_assert_eq!(&again.name, &host.name);
            prop_assert_eq!(again.port, None);
            prop_assert!(!host.name.is_empty() && !host.name.ends_with('.'));
            prop_assert!(!host.name.bytes().any(|byte| byte.is_ascii_uppercase()));
        }
    }
}
