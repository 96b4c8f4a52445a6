//! Why each candidate won or lost, on the conditions and the order that the matcher itself uses.

use std::sync::Arc;

use crate::{
    Candidate, Closest, ListenerTable, Match, Outcome, PathMatch, PortTable, Predicate, Rank,
    Recorder, RequestView, RuleEntry, Table, Verdict,
    index::{Bucket, PathRank, condition_rank},
    limits::CLOSEST_CANDIDATES_MAX,
    matching::Request,
};

/// Tells the recorder of every candidate: those of the request's listener first, hostnames that
/// take the Host before others, in order of precedence; then those of the port's other listeners.
pub(crate) fn record<V: RequestView, R: Recorder>(
    port: &PortTable,
    table: &Table,
    outcome: Outcome<'_>,
    request: &Request<'_, V>,
    recorder: &mut R,
) {
    let own = match outcome {
        Outcome::Found(found) => Some(found.listener),
        Outcome::NoRoute(listener) => Some(listener),
        Outcome::Misdirected(_) | Outcome::NoListener => None,
    };
    if let Some(listener) = own {
        let mut winner: Option<Candidate<'_>> = None;
        for candidate in candidates(listener, table, request.view.host()) {
            let verdict = match request.first_failed(candidate.host, candidate.matched) {
                Some(predicate) => Verdict::Failed(predicate),
                None => winner.as_ref().map_or(Verdict::Won, |winner| {
                    Verdict::Outranked(first_difference(winner, &candidate))
                }),
            };
            if verdict == Verdict::Won {
                debug_assert!(outcome.is(&candidate), "the explanation agrees with the matcher");
                winner = Some(candidate);
            }
            recorder.candidate(candidate, verdict);
        }
    }
    for listener in port.listeners() {
        if own.is_some_and(|own| own.index == listener.index) {
            continue;
        }
        for candidate in candidates(listener, table, request.view.host()) {
            recorder.candidate(candidate, Verdict::Failed(Predicate::Listener));
        }
    }
}

fn candidates<'t>(
    listener: &'t ListenerTable,
    table: &'t Table,
    host: &str,
) -> impl Iterator<Item = Candidate<'t>> {
    listener.routes.ordered_buckets(host).into_iter().flat_map(move |bucket| {
        bucket.paths.slots.iter().filter_map(move |slot| {
            let (entry, matched) = listener.candidate(table, *slot)?;
            let host = bucket.host.as_ref();
            Some(Candidate { entry, matched, match_index: slot.matched as usize, host })
        })
    })
}

/// The first criterion by which `winner` precedes `other`.
fn first_difference(winner: &Candidate<'_>, other: &Candidate<'_>) -> Rank {
    if winner.host != other.host {
        return Rank::Host;
    }
    if PathRank::of(&winner.matched.path) != PathRank::of(&other.matched.path) {
        return Rank::Path;
    }
    let (method, headers, query) = condition_rank(winner.matched);
    let (other_method, other_headers, other_query) = condition_rank(other.matched);
    if method != other_method {
        Rank::Method
    } else if headers != other_headers {
        Rank::Headers
    } else if query != other_query {
        Rank::Query
    } else if winner.entry.route.created != other.entry.route.created {
        Rank::Age
    } else if winner.entry.route.object != other.entry.route.object {
        Rank::Name
    } else if winner.entry.index != other.entry.index {
        Rank::Rule
    } else {
        Rank::Match
    }
}

/// The candidate of the most specific hostname that came furthest: one whose path matches and
/// whose failing condition is the last, else the one whose path agrees longest.
pub(crate) fn closest<'t, V: RequestView>(
    listener: &'t ListenerTable,
    table: &'t Table,
    request: &Request<'_, V>,
) -> Option<Closest<'t>> {
    let bucket = listener.routes.buckets_for(request.view.host()).next()?;
    let path = request.view.path();
    let by_condition = bucket
        .paths
        .each(path)
        .take(CLOSEST_CANDIDATES_MAX)
        .filter_map(|slot| {
            let (entry, matched) = listener.candidate(table, slot)?;
            let predicate = request.first_condition_failed(matched)?;
            Some(Closest { entry, match_index: slot.matched as usize, predicate })
        })
        .fold(None, |best: Option<Closest<'t>>, next| match best {
            Some(best) if progress(&best.predicate) >= progress(&next.predicate) => Some(best),
            Some(_) | None => Some(next),
        });
    by_condition.or_else(|| closest_path(listener, table, bucket, request))
}

fn closest_path<'t, V: RequestView>(
    listener: &'t ListenerTable,
    table: &'t Table,
    bucket: &Bucket,
    request: &Request<'_, V>,
) -> Option<Closest<'t>> {
    let path = request.view.path();
    let slots = bucket.paths.slots.iter().take(CLOSEST_CANDIDATES_MAX);
    let (_, entry, match_index, matched) = slots
        .filter_map(|slot| {
            let (entry, matched) = listener.candidate(table, *slot)?;
            Some((agreement(&matched.path, path), entry, slot.matched as usize, matched))
        })
        .fold(None, |best: Option<(usize, &Arc<RuleEntry>, usize, &Match)>, next| match best {
            Some(best) if best.0 >= next.0 => Some(best),
            Some(_) | None => Some(next),
        })?;
    Some(Closest { entry, match_index, predicate: request.path_failed(matched) })
}

/// Bytes from the start that a path and a condition share.
fn agreement(wanted: &PathMatch, path: &str) -> usize {
    match wanted {
        PathMatch::Exact(text) | PathMatch::Prefix(text) => {
            text.bytes().zip(path.bytes()).take_while(|(a, b)| a == b).count()
        }
        PathMatch::Regex(_) | PathMatch::Call(_) => 0,
    }
}

fn progress(predicate: &Predicate) -> u8 {
    match predicate {
        Predicate::Listener => 0,
        Predicate::Host { .. } => 1,
        Predicate::Path { .. } => 2,
        Predicate::Method { .. } => 3,
        Predicate::Header { .. } => 4,
        Predicate::Query { .. } => 5,
    }
}
