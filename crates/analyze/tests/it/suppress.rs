//! Levels, suppressions, baselines.

use analyze::{Baseline, Level, LintConfig, Suppression};

use crate::support::{BASE, found, route, world};

const REGEX: &str = "  rules:\n  - matches: [{ path: { type: RegularExpression, value: /a/b } }]\n    backendRefs: [{ name: cart, port: 8080 }]";

fn suppression(code: &str, object: &str, field: Option<&str>) -> Suppression {
    Suppression {
        code: code.to_owned(),
        object: object.to_owned(),
        field: field.map(str::to_owned),
        reason: "we only run Portcullis".to_owned(),
    }
}

fn levels(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(code, level)| ((*code).to_owned(), (*level).to_owned())).collect()
}

const CODES: [&str; 3] = ["PC0806", "PC0812", "PC0813"];

#[test]
fn a_level_can_be_set_and_off_takes_the_finding_away() {
    let world = world(&format!("{BASE}{}", route("one", REGEX)));
    let config = LintConfig::new(levels(&[("PC0806", "error")]), Vec::new()).unwrap();
    let findings = config.apply(world.lint(false), &world.snapshot);
    let finding = findings.iter().find(|one| one.code.id() == "PC0806").unwrap();
    assert_eq!(finding.level, Level::Error);
    let config = LintConfig::new(levels(&[("PC0806", "off")]), Vec::new()).unwrap();
    assert_eq!(found(&config.apply(world.lint(false), &world.snapshot), &CODES), [""; 0]);
}

#[test]
fn a_suppression_of_the_file_fits_object_and_field() {
    let world = world(&format!("{BASE}{}", route("one", REGEX)));
    let apply = |one: Suppression| {
        let config = LintConfig::new(Vec::new(), vec![one]).unwrap();
        found(&config.apply(world.lint(false), &world.snapshot), &CODES)
    };
    let object = "HTTPRoute default/one";
    let finding = "PC0806 spec.rules[0].matches[0].path";
    assert_eq!(apply(suppression("PC0806", object, None)), [""; 0]);
    assert_eq!(apply(suppression("PC0806", object, Some("spec.rules[0]"))), [""; 0]);
    assert_eq!(apply(suppression("PC0806", object, Some("spec.rules[1]"))), ["PC0813 ", finding]);
    assert_eq!(apply(suppression("PC0806", "HTTPRoute default/two", None)), [finding, "PC0813 "]);
    assert_eq!(apply(suppression("PC0801", object, None)), ["PC0813 ", finding]);
}

#[test]
fn a_configuration_is_refused_with_everything_that_is_wrong_in_it() {
    let mut no_reason = suppression("PC0806", "HTTPRoute default/one", None);
    no_reason.reason = " ".to_owned();
    let errors = LintConfig::new(
        levels(&[("PC0896", "error"), ("PC0801", "fatal"), ("nonsense", "off")]),
        vec![no_reason, suppression("PC0806", "one", None)],
    )
    .unwrap_err();
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "\"PC0896\" is not a code; did you mean PC0806?",
            "PC0801 has level \"fatal\"; use error, warning, note or off",
            "\"nonsense\" is not a code",
            "suppression of PC0806 for HTTPRoute default/one gives no reason; say why in reason",
            "suppression of PC0806 names object \"one\"; write \"Kind namespace/name\"",
        ]
    );
}

fn annotated(text: &str) -> Vec<String> {
    let yaml = route("one", REGEX).replace(
        "{ name: one }",
        &format!("{{ name: one, annotations: {{ portcullis.dev/lint-ignore: '{text}' }} }}"),
    );
    let world = world(&format!("{BASE}{yaml}"));
    found(&LintConfig::default().apply(world.lint(false), &world.snapshot), &CODES)
}

const ANNOTATION: &str = "metadata.annotations[portcullis.dev/lint-ignore]";
const FINDING: &str = "PC0806 spec.rules[0].matches[0].path";

#[test]
fn an_annotation_suppresses_with_a_reason_only() {
    assert_eq!(annotated("PC0806: one gateway; no other"), [""; 0]);
    assert_eq!(annotated("PC0806"), [format!("PC0812 {ANNOTATION}"), FINDING.to_owned()]);
    assert_eq!(annotated("PC0806: fine; PC0801: nothing there"), [format!("PC0813 {ANNOTATION}")]);
    assert_eq!(annotated("PC9806: fine"), [format!("PC0813 {ANNOTATION}"), FINDING.to_owned()]);
}

#[test]
fn a_gateway_may_carry_the_annotation_without_another_finding() {
    let base = BASE.replace(
        "metadata: { name: web }",
        "metadata: { name: web, annotations: { portcullis.dev/lint-ignore: 'PC0807: trusted' } }",
    );
    let selector = "from: Selector, selector: { matchLabels: { team: shop } }";
    let world = world(&base.replace("from: All", selector));
    let findings = LintConfig::default().apply(world.lint(false), &world.snapshot);
    assert_eq!(found(&findings, &["PC0303", "PC0807", "PC0813"]), [""; 0]);
}

#[test]
fn a_baseline_accepts_what_is_there_and_reports_what_is_new_or_gone() {
    let before = world(&format!("{BASE}{}", route("one", REGEX))).lint(false);
    let text = Baseline::new(&before).to_text();
    assert!(
        text.contains("PC0806 HTTPRoute default/one spec.rules[0].matches[0].path\n"),
        "{text}"
    );
    let baseline = Baseline::from_text(&text);
    assert_eq!(baseline, Baseline::new(&before));
    let same = baseline.apply(before.clone());
    assert_eq!((same.findings.len(), same.accepted, same.stale.len()), (0, before.len(), 0));
    let more = format!("{BASE}{}{}", route("one", REGEX), route("two", REGEX));
    let now = baseline.apply(world(&more).lint(false));
    assert!(now.findings.iter().all(|one| &*one.origin.object.name == "two"));
    assert!(!now.findings.is_empty());
    let fixed = baseline.apply(Vec::new());
    assert_eq!(fixed.stale.len(), before.len());
}
