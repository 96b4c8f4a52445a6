//! Values that look like variables of another gateway or tool.

use api::{HttpRouteFilter, PathModifier};
use translate::{Code, Snapshot};

use super::{Finding, visit};

pub(super) fn findings(snapshot: &Snapshot, out: &mut Vec<Finding>) {
    visit::filters(snapshot, |object, field, filter| {
        for (member, value, is_path) in values(filter) {
            if let Some((text, tool)) = placeholder(&value, is_path) {
                let origin = visit::at(object, format!("{field}.{member}"));
                let message = format!(
                    "\"{text}\" looks like {tool}, but nothing replaces it; write the value itself"
                );
                out.push(
                    Finding::new(Code::PlaceholderValue, origin, message)
                        .with_effect("the text is used as it stands"),
                );
            }
        }
    });
}

/// Field, value, and whether the value is a path.
fn values(filter: &HttpRouteFilter) -> Vec<(String, String, bool)> {
    let mut values = Vec::new();
    let modifiers = [
        ("requestHeaderModifier", &filter.request_header_modifier),
        ("responseHeaderModifier", &filter.response_header_modifier),
    ];
    for (member, modifier) in modifiers {
        let Some(modifier) = modifier else { continue };
        for (list, headers) in [("set", &modifier.set), ("add", &modifier.add)] {
            for (index, header) in headers.iter().enumerate() {
                let field = format!("{member}.{list}[{index}].value");
                values.push((field, header.value.to_string(), false));
            }
        }
    }
    if let Some(redirect) = &filter.request_redirect {
        if let Some(hostname) = &redirect.hostname {
            values.push(("requestRedirect.hostname".to_owned(), hostname.to_string(), false));
        }
        values.extend(paths("requestRedirect.path", redirect.path.as_ref()));
    }
    if let Some(rewrite) = &filter.url_rewrite {
        if let Some(hostname) = &rewrite.hostname {
            values.push(("urlRewrite.hostname".to_owned(), hostname.to_string(), false));
        }
        values.extend(paths("urlRewrite.path", rewrite.path.as_ref()));
    }
    values
}

fn paths(field: &str, modifier: Option<&PathModifier>) -> Vec<(String, String, bool)> {
    let Some(modifier) = modifier else { return Vec::new() };
    let members = [
        ("replaceFullPath", &modifier.replace_full_path),
        ("replacePrefixMatch", &modifier.replace_prefix_match),
    ];
    members
        .into_iter()
        .filter_map(|(member, path)| {
            path.as_ref().map(|path| (format!("{field}.{member}"), path.to_string(), true))
        })
        .collect()
}

/// The first text that reads like a variable, and whose it would be.
pub(super) fn placeholder(value: &str, is_path: bool) -> Option<(String, &'static str)> {
    for (start, letter) in value.char_indices() {
        let rest = value.get(start..).unwrap_or_default();
        let found = match letter {
            '$' => dollar(rest, is_path),
            '%' => percent(rest),
            '{' => enclosed(rest, "{{", "}}").map(|text| (text, "a template")),
            '\\' if is_path => capture(rest, '\\'),
            _ => None,
        };
        if let Some((text, tool)) = found {
            return Some((text.to_owned(), tool));
        }
    }
    None
}

fn dollar(rest: &str, is_path: bool) -> Option<(&str, &'static str)> {
    let shell = enclosed(rest, "${", "}").or_else(|| enclosed(rest, "$(", ")"));
    if let Some(text) = shell {
        return Some((text, "a substituted variable"));
    }
    let name = rest.strip_prefix('$')?;
    let length = name.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    let text = rest.get(..length.saturating_add(1))?;
    if name.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Some((text, "an nginx variable"));
    }
    if is_path { capture(rest, '$') } else { None }
}

/// `$1` or `\1`.
fn capture(rest: &str, mark: char) -> Option<(&str, &'static str)> {
    let digits = rest.strip_prefix(mark)?.bytes().take_while(u8::is_ascii_digit).count();
    let text = rest.get(..digits.saturating_add(1))?;
    (digits > 0).then_some((text, "a group of a regular expression"))
}

/// `%REQ(X-Name)%`, `%START_TIME%`; not `%2F`. Also `%[src]`.
fn percent(rest: &str) -> Option<(&str, &'static str)> {
    if let Some(text) = enclosed(rest, "%[", "]") {
        return Some((text, "an HAProxy sample"));
    }
    let body = rest.strip_prefix('%')?;
    let name = body.bytes().take_while(|b| b.is_ascii_uppercase() || *b == b'_').count();
    if name < 3 {
        return None;
    }
    let (_, after) = body.split_at_checked(name)?;
    let arguments = match enclosed(after, "(", ")") {
        Some(arguments) => arguments.len(),
        None => 0,
    };
    let end = name.checked_add(arguments)?;
    body.get(end..)?.starts_with('%').then_some(())?;
    Some((rest.get(..end.checked_add(2)?)?, "an Envoy command"))
}

/// From the opening mark to the closing one, both included.
fn enclosed<'a>(rest: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let body = rest.strip_prefix(open)?;
    let end = body.find(close)?.checked_add(open.len())?.checked_add(close.len())?;
    rest.get(..end)
}

#[cfg(test)]
mod tests {
    use super::placeholder;

    fn text(value: &str) -> Option<String> {
        placeholder(value, false).map(|(text, _)| text)
    }

    #[test]
    fn variables_of_other_tools_are_recognised() {
        assert_eq!(text("${HOST}").as_deref(), Some("${HOST}"));
        assert_eq!(text("a $(NAME) b").as_deref(), Some("$(NAME)"));
        assert_eq!(text("https://$host/x").as_deref(), Some("$host"));
        assert_eq!(text("%REQ(X-Id)%").as_deref(), Some("%REQ(X-Id)%"));
        assert_eq!(text("t=%START_TIME%").as_deref(), Some("%START_TIME%"));
        assert_eq!(text("{{ .Values.host }}").as_deref(), Some("{{ .Values.host }}"));
        assert_eq!(text("%[src]").as_deref(), Some("%[src]"));
        assert_eq!(placeholder("/new/$1", true).map(|(text, _)| text).as_deref(), Some("$1"));
        assert_eq!(placeholder(r"/new/\1", true).map(|(text, _)| text).as_deref(), Some(r"\1"));
    }

    #[test]
    fn plain_values_are_left_alone() {
        for plain in ["", "US$5", "50%", "%2Fa%2Fb", "{json}", "100%ABC", "a$", "$", "%%", "%AB%CD"]
        {
            assert_eq!(text(plain), None, "{plain}");
        }
        assert_eq!(placeholder("price-$5", false), None);
    }
}
