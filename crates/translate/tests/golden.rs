//! Golden cases: objects in, findings, statuses and IR out.
//!
//! The first line of a file is the sentence under test. Lines `# key: value` after it set:
//! `with` (fixtures of tests/fixtures to read too), `addresses`, `port-offset`,
//! `pattern-budget` (in bytes), `class`,
//! `capabilities: all` or `http` or `https` (nothing but HTTP, with or
//! without TLS), `open: yes`, `show` (any of
//! class, ir, status; findings always show),
//! `placement: provisioned` (then `given` is what each request gets: an address, `-` or `!`, and
//! `obstacle` what is in the way),
//! `facts: bound`, `facts: pending` or `facts: failed PORT...` (or ADDRESS...).

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use ir::PortKey;
use translate::{
    AddressFact, Code, Facts, GatewayFacts, GivenAddress, PortFact, Snapshot, Translation,
    translate,
};

fn directives(input: &str) -> Vec<(&str, &str)> {
    let lines = input.lines().skip(1).take_while(|line| line.starts_with("# "));
    lines.filter_map(|line| line.trim_start_matches("# ").split_once(": ")).collect()
}

fn read(input: &str) -> (Snapshot, Vec<(&str, &str)>) {
    assert!(input.starts_with("# "), "the first line is the sentence under test");
    let directives = directives(input);
    let mut snapshot = Snapshot::default();
    for (key, value) in &directives {
        match *key {
            "with" => {
                for name in value.split_whitespace() {
                    let path = Path::new("tests/fixtures").join(format!("{name}.yaml"));
                    common::add(&mut snapshot, &std::fs::read_to_string(path).unwrap());
                }
            }
            "open" => snapshot.open = true,
            _ => {}
        }
    }
    common::add(&mut snapshot, input);
    (snapshot, directives)
}

fn facts(translation: &Translation, wanted: &str, directives: &[(&str, &str)]) -> Facts {
    let failing: Vec<u16> =
        wanted.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let absent: Vec<std::net::IpAddr> =
        wanted.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let mut facts = Facts { acknowledged: true, ..Facts::default() };
    facts.machine_addresses.push("192.0.2.7".parse().unwrap());
    for listener in translation.ir.listeners.values() {
        for address in &listener.addresses {
            let transport = ir::PortKind::of(&listener.protocol).transport();
            let key = PortKey { address: *address, port: listener.bind_port, transport };
            let gone = matches!(address, ir::BindAddress::Ip(ip) if absent.contains(ip));
            let fact = if wanted == "pending" {
                PortFact::Pending
            } else if gone && wanted.contains("absent") {
                PortFact::Failed(ir::BindFailure::NotLocal)
            } else if gone || failing.contains(&listener.bind_port) {
                PortFact::Failed(ir::BindFailure::Other("address already in use".to_owned()))
            } else {
                PortFact::Bound
            };
            facts.ports.insert(key, fact);
        }
    }
    for gateway in translation.plans.keys() {
        let pods = pods(&facts, wanted, directives);
        facts.gateways.insert(std::sync::Arc::clone(gateway), pods);
    }
    facts
}

fn pods(facts: &Facts, wanted: &str, directives: &[(&str, &str)]) -> GatewayFacts {
    let find =
        |name: &str| directives.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let given = |word: &str| match word {
        "-" => AddressFact::NotAssigned("the Service has no address".to_owned()),
        "!" => AddressFact::NotUsable("the load balancer gives another one".to_owned()),
        ip => AddressFact::Given(vec![GivenAddress::Ip(ip.parse().unwrap())]),
    };
    GatewayFacts {
        ports: facts.ports.clone(),
        acknowledged: wanted != "pending",
        obstacle: find("obstacle").map(str::to_owned),
        addresses: find("given").unwrap_or_default().split_whitespace().map(given).collect(),
    }
}

fn run(input: &str) -> String {
    let (snapshot, directives) = read(input);
    let find =
        |name: &str| directives.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let settings = common::settings(&directives);
    let translation = translate(&snapshot, &settings);
    let mut statuses = translation.statuses.clone();
    let mut diagnostics = translation.diagnostics.clone();
    if let Some(wanted) = find("facts") {
        let facts = facts(&translation, wanted, &directives);
        statuses = translate::finish(&translation, &facts);
        diagnostics.extend(translate::runtime_diagnostics(&translation, &facts));
    }
    let show = find("show").unwrap_or("status");
    let mut output = String::new();
    for diagnostic in &diagnostics {
        output.push_str(&diagnostic.to_string());
        output.push('\n');
    }
    if show.contains("status") || show.contains("class") {
        output.push_str("--- statuses\n");
        output.push_str(&common::show(&statuses, show.contains("class")));
    }
    if show.contains("ir") {
        output.push_str("--- ir\n");
        output.push_str(&ir::dump(&translation.ir));
    }
    output
}

#[test]
fn golden_cases_come_out_as_they_are_written() {
    testkit::golden::run("tests/golden", run);
}

fn all_inputs() -> Vec<String> {
    let mut inputs = Vec::new();
    for topic in std::fs::read_dir("tests/golden").unwrap() {
        for case in std::fs::read_dir(topic.unwrap().path()).unwrap() {
            let text = std::fs::read_to_string(case.unwrap().path()).unwrap();
            inputs.push(testkit::golden::split(&text).0.to_owned());
        }
    }
    inputs
}

#[test]
fn every_code_that_shows_in_a_status_has_a_golden_case() {
    let mut seen: BTreeSet<Code> = BTreeSet::new();
    for input in all_inputs() {
        let (snapshot, directives) = read(&input);
        let translation = translate(&snapshot, &common::settings(&directives));
        seen.extend(translation.diagnostics.iter().map(|diagnostic| diagnostic.code));
        seen.extend(
            translate::runtime_diagnostics(&translation, &Facts::default()).iter().map(|d| d.code),
        );
        let facts = directives.iter().find(|(key, _)| *key == "facts");
        if let Some((_, wanted)) = facts {
            let facts = facts_of(&translation, wanted, &directives);
            seen.extend(
                translate::runtime_diagnostics(&translation, &facts).iter().map(|d| d.code),
            );
        }
    }
    let missing: Vec<&str> = Code::ALL
        .iter()
        .filter(|code| !translate::condition::conditions(**code).is_empty() && !seen.contains(code))
        .map(|code| code.name())
        .collect();
    assert!(missing.is_empty(), "no golden case for {missing:?}");
}

fn facts_of(translation: &Translation, wanted: &str, directives: &[(&str, &str)]) -> Facts {
    facts(translation, wanted, directives)
}

#[test]
fn the_answer_does_not_depend_on_the_order_of_the_input_and_repeats() {
    for input in all_inputs() {
        let (snapshot, directives) = read(&input);
        let settings = common::settings(&directives);
        let first = translate(&snapshot, &settings);
        assert_eq!(first, translate(&snapshot, &settings));
        let mut reversed = Snapshot { open: snapshot.open, ..Snapshot::default() };
        let objects = snapshot.objects();
        for object in objects.iter().rev() {
            let reference = ir::ObjectRef::new(
                object.group(),
                object.kind(),
                &object.name().namespace,
                &object.name().name,
            );
            let issues = snapshot.issues.get(&reference).cloned();
            reversed.insert(object, issues.as_deref().unwrap_or_default());
        }
        reversed.others.clone_from(&snapshot.others);
        let again = translate(&reversed, &settings);
        assert_eq!(ir::dump(&first.ir), ir::dump(&again.ir));
        assert_eq!(first, again);
    }
}

#[test]
fn no_message_shows_private_keys_or_breaks_a_line() {
    for input in all_inputs() {
        let (snapshot, directives) = read(&input);
        let translation = translate(&snapshot, &common::settings(&directives));
        for diagnostic in &translation.diagnostics {
            let text = diagnostic.to_string();
            assert!(!text.contains("PRIVATE KEY") && !text.contains('\n'), "{text}");
            let first = diagnostic.message.chars().next().unwrap();
            let named = diagnostic.message.split(' ').next().unwrap().contains(char::is_uppercase);
            assert!(!first.is_uppercase() || named, "{text}");
            assert!(!diagnostic.message.ends_with('.'), "{text}");
        }
    }
}
