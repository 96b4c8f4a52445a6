//! Findings as text: the place in the file first, in the form rustc made familiar.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use analyze::lint::Level;
use annotate_snippets::{AnnotationKind, Group, Level as Style, Message, Renderer, Snippet};
use ir::Origin;
use source::{Place, SourceIssue, Store};
use translate::Diagnostic;

use super::mask;

/// One finding, whoever made it, with places instead of field paths.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) code: &'static str,
    pub(crate) level: Level,
    pub(crate) message: String,
    /// Object and field, for output without files.
    pub(crate) origin: Option<Origin>,
    pub(crate) place: Option<Place>,
    pub(crate) related: Vec<(Option<Place>, String)>,
    /// What it does to traffic.
    pub(crate) effect: Option<String>,
    pub(crate) hint: Option<String>,
}

impl Report {
    pub(crate) fn from_issue(issue: &SourceIssue) -> Self {
        let origin = issue
            .object
            .as_ref()
            .map(|object| Origin::new(Arc::new(object.clone()), issue.field.as_str()));
        let related =
            issue.related.iter().map(|(place, why)| (Some(place.clone()), why.clone())).collect();
        Self {
            code: issue.code.id(),
            level: issue.severity.into(),
            message: issue.message.clone(),
            origin,
            place: Some(issue.place.clone()),
            related,
            effect: None,
            hint: issue.hint.clone(),
        }
    }

    pub(crate) fn from_diagnostic(diagnostic: &Diagnostic, store: &Store) -> Self {
        let place = |origin: &Origin| store.locate(&origin.object, &origin.field);
        Self {
            code: diagnostic.code.id(),
            level: diagnostic.severity().into(),
            message: diagnostic.message.clone(),
            origin: Some(diagnostic.origin.clone()),
            place: place(&diagnostic.origin),
            related: diagnostic
                .related
                .iter()
                .map(|(origin, why)| (place(origin), format!("{origin}: {why}")))
                .collect(),
            effect: diagnostic.effect.clone(),
            hint: diagnostic.hint.clone(),
        }
    }
}

/// The texts of the files that places point into.
pub(crate) type Texts = BTreeMap<Arc<str>, Arc<str>>;

/// Reports one after the other, styled; the stream drops the style where it is not a terminal.
pub(crate) fn text(reports: &[Report], texts: &Texts) -> String {
    let renderer = Renderer::styled();
    let places = |report: &Report| {
        let related = report.related.iter().filter_map(|(place, _)| place.clone());
        report.place.clone().into_iter().chain(related).collect::<Vec<_>>()
    };
    let shown = reports.iter().flat_map(places).map(|place| place.file).collect::<BTreeSet<_>>();
    let texts = &texts
        .iter()
        .filter(|(file, _)| shown.contains(*file))
        .map(|(file, text)| (Arc::clone(file), mask::secrets(text)))
        .collect();
    let mut out = String::new();
    for report in reports {
        out.push_str(&renderer.render(&[group(report, texts)]));
        out.push_str("\n\n");
    }
    out
}

fn style(level: Level) -> Style<'static> {
    match level {
        Level::Error => Style::ERROR,
        Level::Warning => Style::WARNING,
        Level::Note | Level::Off => Style::NOTE,
    }
}

fn group<'a>(report: &'a Report, texts: &'a Texts) -> Group<'a> {
    let title = style(report.level).primary_title(headline(report)).id(report.code);
    let mut group = Group::with_title(title);
    if let Some((place, text)) = in_file(report.place.as_ref(), texts) {
        let label = report.effect.as_deref().unwrap_or_default();
        let mark = AnnotationKind::Primary.span(span(place, text));
        let mark = if label.is_empty() { mark } else { mark.label(label) };
        group = group.element(Snippet::source(text).path(&*place.file).annotation(mark));
    } else if let Some(effect) = &report.effect {
        group = group.element(note(Style::NOTE, effect));
    }
    for (place, why) in &report.related {
        group = match in_file(place.as_ref(), texts) {
            Some((place, text)) => group.element(
                Snippet::source(text)
                    .path(&*place.file)
                    .annotation(AnnotationKind::Context.span(span(place, text)).label(why)),
            ),
            None => group.element(note(Style::NOTE, why)),
        };
    }
    if let Some(hint) = &report.hint {
        group = group.element(note(Style::HELP, hint));
    }
    group
}

fn note<'a>(style: Style<'a>, text: &'a str) -> Message<'a> {
    style.message(text)
}

/// The message, led by object and field unless it names the object itself.
fn headline(report: &Report) -> String {
    match &report.origin {
        Some(origin) if !report.message.contains(&origin.object.to_string()) => {
            format!("{origin}: {}", report.message)
        }
        Some(_) | None => report.message.clone(),
    }
}

fn in_file<'a>(place: Option<&'a Place>, texts: &'a Texts) -> Option<(&'a Place, &'a str)> {
    let place = place?;
    let text = texts.get(&place.file)?;
    Some((place, text))
}

/// The bytes of the place without the white space that ends a YAML block, on character borders.
fn span(place: &Place, text: &str) -> std::ops::Range<usize> {
    let start = floor(text, place.start);
    let end = floor(text, place.end.max(place.start));
    let body = text.get(start..end).unwrap_or_default();
    // A block is pointed at by its first line: what follows is seen in the file.
    let first = body.lines().next().unwrap_or_default().trim_end();
    start..start + first.len()
}

fn floor(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index = index.saturating_sub(1);
    }
    index
}

/// The JSON form of a report, one object.
pub(crate) fn json(report: &Report) -> serde_json::Value {
    let place = |place: &Place| serde_json::json!({ "file": &*place.file, "line": place.line, "column": place.column });
    serde_json::json!({
        "code": report.code,
        "severity": report.level.as_str(),
        "object": report.origin.as_ref().map(|origin| origin.object.to_string()),
        "field": report.origin.as_ref().map(|origin| origin.field.to_string()),
        "message": report.message,
        "effect": report.effect,
        "hint": report.hint,
        "place": report.place.as_ref().map(place),
        "related": report.related.iter().map(|(at, why)| serde_json::json!({
            "place": at.as_ref().map(place),
            "message": why,
        })).collect::<Vec<_>>(),
    })
}
