//! What must hold for every path, whoever sent it.

use std::borrow::Cow;

use ir::{
    EscapedSlashes, Filter, HttpSettings, Match, ObjectRef, Origin, Overlay, PathMatch,
    PathModifier, RequestView, Rewrite,
    exec::{Edge, apply_request_filters},
    path,
};

/// The first byte chooses the settings (lowest bit: keep empty segments; second: refuse escaped
/// slashes), the rest is a request target.
pub(crate) fn judge(data: &[u8]) {
    let Some((choice, target)) = data.split_first() else { return };
    let Ok(target) = std::str::from_utf8(target) else { return };
    let (raw, query) = path::split_target(target);
    assert_eq!(raw.len() + query.map_or(0, |query| query.len() + 1), target.len());
    let settings = HttpSettings {
        keep_empty_segments: choice & 1 != 0,
        escaped_slashes: match choice & 2 {
            0 => EscapedSlashes::Keep,
            _ => EscapedSlashes::Reject,
        },
        ..HttpSettings::default()
    };
    let result = path::normalize(raw, &settings);
    assert_eq!(result.as_deref().ok(), plain(raw, &settings).as_deref(), "{raw:?}");
    if let Ok(canonical) = result {
        assert_eq!(matches!(canonical, Cow::Borrowed(_)), canonical == raw, "{raw:?}");
        canonical_path_holds(&canonical, &settings);
        replaced_prefix_holds(&canonical);
    }
}

fn canonical_path_holds(canonical: &str, settings: &HttpSettings) {
    assert!(canonical.starts_with('/'), "{canonical:?}");
    assert!(canonical.split('/').all(|segment| segment != "." && segment != ".."), "{canonical:?}");
    assert!(canonical.bytes().all(|byte| byte.is_ascii_graphic()), "{canonical:?}");
    assert!(settings.keep_empty_segments || !canonical.contains("//"), "{canonical:?}");
    let again = path::normalize(canonical, settings);
    assert!(matches!(again, Ok(Cow::Borrowed(same)) if same == canonical), "{canonical:?}");
    assert_eq!(path::canonical_value(canonical), canonical);
}

/// Whatever the path, a replaced prefix is not left.
fn replaced_prefix_holds(canonical: &str) {
    let object = std::sync::Arc::new(ObjectRef::new("", "", "", ""));
    let origin = Origin::new(object, "");
    let end =
        canonical.get(1..).and_then(|rest| rest.find('/')).map_or(canonical.len(), |at| at + 1);
    let prefix = canonical.get(..end).unwrap_or_default().trim_end_matches('/');
    let matched = Match {
        origin: origin.clone(),
        path: PathMatch::Prefix(prefix.into()),
        method: None,
        headers: Vec::new(),
        query: Vec::new(),
    };
    let modifier = Some(PathModifier::ReplacePrefix("/new/prefix".into()));
    let filter = Filter::Rewrite(Rewrite { origin, hostname: None, path: modifier });
    let edge = Edge { scheme: "http", host: "a", listener_port: 80 };
    let mut overlay = Overlay::default();
    let flow = apply_request_filters(&[filter], &matched, &Path(canonical), &edge, &mut overlay);
    assert!(flow.is_ok(), "{canonical:?}");
    let rewritten = overlay.path().unwrap_or_default();
    let rest = rewritten.strip_prefix("/new/prefix");
    assert!(rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')), "{rewritten:?}");
}

struct Path<'a>(&'a str);

impl RequestView for Path<'_> {
    fn method(&self) -> &str {
        "GET"
    }

    fn host(&self) -> &str {
        "a"
    }

    fn path(&self) -> &str {
        self.0
    }

    fn query(&self) -> Option<&str> {
        None
    }

    fn header(&self, _: &str) -> Option<Cow<'_, [u8]>> {
        None
    }
}

/// The canonical path, written down without a thought for speed.
fn plain(raw: &str, settings: &HttpSettings) -> Option<String> {
    let mut decoded = String::new();
    let mut rest = raw.strip_prefix('/')?;
    while let Some(first) = rest.chars().next() {
        let refuses = settings.escaped_slashes == EscapedSlashes::Reject;
        if first != '%' {
            if !first.is_ascii_graphic() || first == '#' || (first == '\\' && refuses) {
                return None;
            }
            decoded.push(first);
            rest = rest.get(1..)?;
            continue;
        }
        let digits =
            rest.get(1..3).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let octet = u8::from_str_radix(digits, 16).ok()?;
        match octet {
            0 => return None,
            b'/' | b'\\' if refuses => return None,
            b'-' | b'.' | b'_' | b'~' => decoded.push(char::from(octet)),
            octet if octet.is_ascii_alphanumeric() => decoded.push(char::from(octet)),
            _ => decoded.push_str(&format!("%{}", digits.to_ascii_uppercase())),
        }
        rest = rest.get(3..)?;
    }
    let mut segments: Vec<&str> = Vec::new();
    let all: Vec<&str> = decoded.split('/').collect();
    for (number, segment) in all.iter().enumerate() {
        let last = number + 1 == all.len();
        match *segment {
            "." => {}
            ".." => {
                segments.pop()?;
            }
            "" if !last && !settings.keep_empty_segments => {}
            "" if last => {}
            other => segments.push(other),
        }
        if last && matches!(*segment, "" | "." | "..") {
            segments.push("");
        }
    }
    Some(format!("/{}", segments.join("/")))
}
