//! The text form of an explanation.

use ir::{Predicate, Verdict};

use crate::limits::COLUMN_MAX;

use super::{
    Answer, Clients, Decision, Edit, Explained, Hidden, ListenerPlace, Other, Reach, Relayed,
    Section, Sent, Share, ShareOutcome, Taken, words,
};

pub(super) fn explained(explained: &Explained) -> String {
    let request = &explained.request;
    let mut out = Lines::default();
    let mut head = if request.scheme.has_requests() {
        format!("{} {}", request.method, request.url())
    } else {
        request.url()
    };
    if request.scheme.has_requests()
        && request.authority != request.host
        && !request.url().contains(&request.authority)
    {
        head.push_str(&format!(", host {}", request.authority));
    }
    if let Some(sni) = &request.sni {
        head.push_str(&format!(", server name {sni}"));
    }
    out.line(0, &format!("{head}, from {}", request.client_ip));
    if let Some(nothing) = &explained.nothing {
        out.blank();
        out.line(0, nothing);
    }
    for one in &explained.sections {
        out.blank();
        section(one, &mut out);
    }
    out.text
}

fn section(section: &Section, out: &mut Lines) {
    let sockets: Vec<String> = section.sockets.iter().map(ToString::to_string).collect();
    out.line(0, &format!("{}, {}", section.gateway, sockets.join(", ")));
    let mut rows: Vec<[String; 3]> = Vec::new();
    if let Some(place) = &section.listener {
        listener_rows(place, &mut rows);
    }
    match &section.decision {
        Decision::Forwarded { taken, shares } => {
            taken_rows(taken, &mut rows);
            if let Some(sent) = common(shares) {
                sent_rows(sent, &mut rows);
            }
            share_rows(shares, common(shares).is_none(), &mut rows);
        }
        Decision::Answered { taken, answer } => {
            taken_rows(taken, &mut rows);
            answer_rows(answer, &mut rows);
        }
        Decision::Refused { answer, closest } => {
            answer_rows(answer, &mut rows);
            if let Some(closest) = closest {
                rows.push(row("closest", &rule_of(closest), &closest.match_origin.field));
                rows.push(row("", &closest.conditions, ""));
                rows.push(row("", &format!("but {}", closest.why), ""));
            }
        }
        Decision::Relayed(relayed) => relayed_rows(relayed, &mut rows),
        Decision::Unread { why } => rows.push(row("no request", why, "")),
    }
    out.table(&rows);
    for hint in &section.hints {
        out.line(1, &format!("~ {hint}"));
    }
    others(section, out);
}

fn row(title: &str, text: &str, place: &str) -> [String; 3] {
    [title.to_owned(), text.to_owned(), place.to_owned()]
}

fn listener_rows(place: &ListenerPlace, rows: &mut Vec<[String; 3]>) {
    let hostname =
        place.hostname.as_ref().map_or_else(|| "every host".to_owned(), |h| h.to_string());
    let text = format!("{}: {} port {}, {hostname}", place.name, place.protocol, place.port);
    rows.push(row("listener", &text, &place.origin.to_string()));
    if let Some(Clients { authorities, required }) = &place.clients {
        let by = match authorities.as_slice() {
            [] => "nobody, so none is valid".to_owned(),
            named => named.join(", "),
        };
        let what = if *required { "show a certificate" } else { "are asked for a certificate" };
        rows.push(row("clients", &format!("{what} verified by {by}"), ""));
    }
    for (position, filter) in place.filters.iter().enumerate() {
        rows.push(row(if position == 0 { "before" } else { "" }, filter, ""));
    }
}

fn taken_rows(taken: &Taken, rows: &mut Vec<[String; 3]>) {
    let host = taken.host.as_ref().map_or_else(|| "every host".to_owned(), ToString::to_string);
    rows.push(row("route", &format!("{} for {host}", taken.route), ""));
    let name = taken.rule_name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    let number = taken.rule.saturating_add(1);
    let text = format!("{number} of {}{name}", taken.rules);
    rows.push(row("rule", &text, &taken.rule_origin.field));
    rows.push(row("match", &taken.conditions, &taken.match_origin.field));
    for (position, filter) in taken.filters.iter().enumerate() {
        rows.push(row(if position == 0 { "filters" } else { "" }, filter, ""));
    }
    if let Some(timeouts) = words::timeouts(taken.timeouts) {
        rows.push(row("timeouts", &timeouts, ""));
    }
    if let Some(retry) = &taken.retry {
        rows.push(row("retry", &words::retry(retry), ""));
    }
}

fn answer_rows(answer: &Answer, rows: &mut Vec<[String; 3]>) {
    rows.push(row("answer", &format!("{}: {}", answer.status, answer.why), ""));
    for (name, value) in &answer.fields {
        rows.push(row("", &format!("{name}: {value}"), ""));
    }
}

/// The request that all backends get, if they get the same.
fn common(shares: &[Share]) -> Option<&Sent> {
    let mut requests = shares.iter().filter_map(|share| match &share.outcome {
        ShareOutcome::Sent { sent, .. } => Some(sent),
        ShareOutcome::Answered(_) => None,
    });
    let first = requests.next()?;
    requests.all(|other| other == first).then_some(first)
}

fn sent_rows(sent: &Sent, rows: &mut Vec<[String; 3]>) {
    rows.push(row("request", &format!("{} {}", sent.method, sent.target), ""));
    rows.push(row("", &format!("host: {}", sent.host), ""));
    for edit in &sent.edits {
        rows.push(row("", &edit_text(edit), ""));
    }
    for (position, edit) in sent.response.iter().enumerate() {
        rows.push(row(if position == 0 { "response" } else { "" }, &edit_text(edit), ""));
    }
}

fn edit_text(edit: &Edit) -> String {
    match edit {
        Edit::Added { name, value } => format!("+ {name}: {value}"),
        Edit::Removed { name } => format!("- {name}"),
    }
}

fn share_rows(shares: &[Share], each: bool, rows: &mut Vec<[String; 3]>) {
    for (position, share) in shares.iter().enumerate() {
        let title = if position == 0 { "backends" } else { "" };
        let outcome = match &share.outcome {
            ShareOutcome::Sent { backend, endpoints: Some(0), .. } => {
                format!("{backend}, which has no endpoint: 503")
            }
            ShareOutcome::Sent { backend, .. } => backend.clone(),
            ShareOutcome::Answered(answer) => format!("{}: {}", answer.status, answer.why),
        };
        let text = format!("{:>6}  {outcome}", percent(share.percent));
        rows.push(row(title, &text, &share.origin.field));
        for filter in &share.filters {
            rows.push(row("", &format!("        {filter}"), ""));
        }
        if let ShareOutcome::Sent { reach, .. } = &share.outcome {
            reach_rows(reach, rows);
        }
        if let (true, ShareOutcome::Sent { sent, .. }) = (each, &share.outcome) {
            let mut own = Vec::new();
            sent_rows(sent, &mut own);
            rows.extend(
                own.into_iter().map(|[_, text, _]| row("", &format!("        {text}"), "")),
            );
        }
    }
}

fn reach_rows(reach: &Reach, rows: &mut Vec<[String; 3]>) {
    for phrase in reach.phrases() {
        rows.push(row("", &format!("        {phrase}"), ""));
    }
}

fn relayed_rows(relayed: &Relayed, rows: &mut Vec<[String; 3]>) {
    let host = relayed.host.as_ref().map_or_else(|| "every name".to_owned(), ToString::to_string);
    let place = &relayed.origin.field;
    rows.push(row("route", &format!("{} for {host}", relayed.route), place));
    rows.push(row("bytes", relayed.how, ""));
    for (position, share) in relayed.shares.iter().enumerate() {
        let outcome = match (&share.backend, share.endpoints) {
            (Ok(backend), Some(0)) => format!("{backend}, which has no endpoint: closed"),
            (Ok(backend), _) => backend.clone(),
            (Err(why), _) => format!("closed: {why}"),
        };
        let text = format!("{:>6}  {outcome}", percent(share.percent));
        let title = if position == 0 { "backends" } else { "" };
        rows.push(row(title, &text, &share.origin.field));
        if let Some(reach) = &share.reach {
            reach_rows(reach, rows);
        }
    }
}

fn percent(percent: f64) -> String {
    let text = format!("{percent:.2}");
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

fn rule_of(other: &Other) -> String {
    let name = other.rule_name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    format!("{} rule {}{name}", other.route, other.rule.saturating_add(1))
}

fn others(section: &Section, out: &mut Lines) {
    let winner = match &section.decision {
        Decision::Forwarded { taken, .. } | Decision::Answered { taken, .. } => Some(&taken.host),
        // Their conditions are their hostnames.
        Decision::Relayed(_) | Decision::Refused { .. } | Decision::Unread { .. } => None,
    };
    if !section.others.is_empty() {
        out.blank();
    }
    let mut title = "";
    let mut rows = Vec::new();
    for other in &section.others {
        let group = group(&other.verdict);
        if group != title {
            out.table(&std::mem::take(&mut rows));
            out.line(1, group);
            title = group;
        }
        // Said where it is not the winner's, and not said by the reason.
        let told = matches!(other.verdict, Verdict::Failed(Predicate::Host { .. }))
            || winner == Some(&other.host);
        let relayed = matches!(section.decision, Decision::Relayed(_));
        let host = other.host.as_ref().filter(|_| !told && !relayed);
        let host = host.map(|host| format!(" on {host}")).unwrap_or_default();
        rows.push([
            format!("  {}", rule_of(other)),
            format!("{}{host}", other.conditions),
            other.why.clone(),
        ]);
    }
    out.table(&rows);
    let Hidden { paths, hosts, listeners } = section.hidden;
    let counted = [(paths, "other paths"), (hosts, "other hosts"), (listeners, "other listeners")];
    let counted: Vec<String> = counted
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} for {what}"))
        .collect();
    if !counted.is_empty() {
        let matches = counted.join(", ");
        out.line(1, &format!("~ not listed: matches {matches}; --all lists them"));
    }
}

fn group(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Won => "won",
        Verdict::Outranked(_) => "holds, but ranks lower",
        Verdict::Failed(Predicate::Query { .. }) => "failed by its query parameters",
        Verdict::Failed(Predicate::Header { .. }) => "failed by its headers",
        Verdict::Failed(Predicate::Method { .. }) => "failed by its method",
        Verdict::Failed(Predicate::Path { .. }) => "failed by its path",
        Verdict::Failed(Predicate::Host { .. }) => "failed by its host",
        Verdict::Failed(Predicate::Listener) => "of another listener",
    }
}

#[derive(Default)]
struct Lines {
    text: String,
}

impl Lines {
    fn line(&mut self, depth: usize, line: &str) {
        for _ in 0..depth {
            self.text.push_str("  ");
        }
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn blank(&mut self) {
        self.text.push('\n');
    }

    /// Three columns, the first two as wide as their widest cell up to a limit.
    fn table(&mut self, rows: &[[String; 3]]) {
        let width = |column: fn(&[String; 3]) -> &String| {
            let cells = rows.iter().map(|row| column(row).chars().count());
            cells.filter(|width| *width <= COLUMN_MAX).max().unwrap_or_default()
        };
        let (first, second) = (width(|[cell, ..]| cell), width(|[_, cell, _]| cell));
        for [title, text, place] in rows {
            self.line(1, &format!("{title:<first$}  {text:<second$}  {place}"));
        }
    }
}
