//! `portcullis lint`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use analyze::lint::{
    self, Baseline, Finding, Level, LintConfig, LintOptions, Location, Suppression,
};
use anyhow::{Context, Result, bail};
use ir::{ObjectRef, Origin};
use serde::Deserialize;
use source::{Place, SourceIssue};
use translate::{Code, Settings};

use super::load::{self, Loaded};
use crate::{
    cli::{LintArgs, LintFormat},
    render::{
        self, counted,
        report::{self, Report},
    },
};

/// Read from the current folder when no `--config` is given.
const CONFIG_FILE: &str = "portcullis-lint.toml";

/// The file form of levels and suppressions.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    #[serde(default)]
    severity: BTreeMap<String, String>,
    #[serde(default)]
    suppress: Vec<SuppressEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SuppressEntry {
    code: String,
    object: String,
    field: Option<String>,
    #[serde(default)]
    reason: String,
}

/// Exit code 1 when an error is found.
pub(crate) fn run(args: &LintArgs) -> Result<ExitCode> {
    let config = read_config(args.config.as_deref())?;
    let settings = load::settings(args.class.as_deref(), &args.controller_name);
    let mut checked = check(args, &config, &settings)?;
    if args.fix {
        let fixed = apply_fixes(&checked)?;
        if fixed > 0 {
            render::note(&format!("fixed {}", counted(fixed, "finding")));
            checked = check(args, &config, &settings)?;
        }
    }
    let findings = with_baseline(args, std::mem::take(&mut checked.findings))?;
    print(args.output, &checked, &findings)?;
    let failed = findings.iter().any(|finding| finding.level == Level::Error);
    Ok(load::exit(failed))
}

/// What is found, and where.
struct Checked {
    loaded: Loaded,
    findings: Vec<Finding>,
    /// Places of findings about texts, which no object has.
    places: BTreeMap<Origin, Place>,
}

fn check(args: &LintArgs, config: &LintConfig, settings: &Settings) -> Result<Checked> {
    let inputs = load::Inputs {
        paths: &args.inputs.paths,
        with: &args.with,
        open: !args.complete,
        demo: false,
    };
    let loaded = load::load(&inputs, settings)?;
    let endpoints = loaded.endpoints(settings);
    let options = LintOptions {
        complete: args.complete,
        now: Some(jiff::Timestamp::now().as_second()),
        endpoints: Some(&endpoints),
    };
    let mut places = BTreeMap::new();
    let mut findings: Vec<Finding> =
        loaded.issues.iter().map(|issue| from_issue(issue, &loaded, &mut places)).collect();
    findings.extend(lint::lint(&loaded.snapshot, settings, &loaded.translation, &options));
    let mut findings = config.apply(findings, &loaded.snapshot);
    let checked = Checked { loaded, findings: Vec::new(), places };
    // What `--with` supplies is there to be referred to, not to be judged.
    findings.retain(|finding| {
        let place = checked.place(&finding.origin);
        !place.is_some_and(|place| checked.loaded.supplied.contains(&place.file))
    });
    Ok(Checked { findings, ..checked })
}

fn from_issue(
    issue: &SourceIssue,
    loaded: &Loaded,
    places: &mut BTreeMap<Origin, Place>,
) -> Finding {
    let origin = match &issue.object {
        Some(object) => Origin::new(Arc::new(object.clone()), issue.field.as_str()),
        None => {
            let file = ObjectRef::new("", "File", "", &issue.place.file);
            Origin::new(Arc::new(file), format!("line {}", issue.place.line))
        }
    };
    places.insert(origin.clone(), issue.place.clone());
    let mut finding = Finding::new(issue.code, origin, issue.message.clone());
    finding.level = issue.severity.into();
    finding.hint = issue.hint.clone().or_else(|| variable_hint(issue, loaded));
    for (place, why) in &issue.related {
        let file = ObjectRef::new("", "File", "", &place.file);
        let origin = Origin::new(Arc::new(file), format!("line {}", place.line));
        places.insert(origin.clone(), place.clone());
        finding.related.push((origin, why.clone()));
    }
    if issue.code == Code::DeprecatedVersion
        && let Some(object) = &issue.object
        && let Some(conversion) = loaded.store.conversion(object)
    {
        finding.fix = lint::version_fix(object, conversion);
    }
    finding
}

/// Why a value is refused that another tool was to fill in first.
fn variable_hint(issue: &SourceIssue, loaded: &Loaded) -> Option<String> {
    let text = loaded.store.text(&issue.place.file)?;
    let value = text.get(issue.place.start..issue.place.end)?;
    let refused = matches!(issue.code, Code::SchemaViolation | Code::RuleViolation);
    (refused && !value.contains('\n') && value.contains("${")).then(|| {
        "this looks like a variable of another tool; fill it in before the objects are read"
            .to_owned()
    })
}

impl Checked {
    fn place(&self, origin: &Origin) -> Option<Place> {
        let known = self.places.get(origin).cloned();
        known.or_else(|| self.loaded.store.locate(&origin.object, &origin.field))
    }

    fn location(&self, origin: &Origin) -> Option<Location> {
        let place = self.place(origin)?;
        let text = self.loaded.store.text(&place.file)?;
        let end = Place::new(&place.file, text, place.end..place.end);
        Some(Location {
            file: place.file.to_string(),
            line: place.line,
            column: place.column,
            end_line: end.line,
            end_column: end.column,
        })
    }

    fn report(&self, finding: &Finding) -> Report {
        let related = finding.related.iter();
        Report {
            code: finding.code.id(),
            level: finding.level,
            message: finding.message.clone(),
            origin: (!self.is_file(&finding.origin)).then(|| finding.origin.clone()),
            place: self.place(&finding.origin),
            related: related
                .map(|(origin, why)| {
                    let why = match self.is_file(origin) {
                        true => why.clone(),
                        false => format!("{origin}: {why}"),
                    };
                    (self.place(origin), why)
                })
                .collect(),
            effect: finding.effect.clone(),
            hint: finding
                .hint
                .clone()
                .or_else(|| Some(finding.fix.as_ref()?.title.clone() + " (--fix does it)")),
        }
    }

    fn is_file(&self, origin: &Origin) -> bool {
        &*origin.object.kind == "File" && self.places.contains_key(origin)
    }
}

fn with_baseline(args: &LintArgs, findings: Vec<Finding>) -> Result<Vec<Finding>> {
    let Some(path) = &args.baseline else { return Ok(findings) };
    if args.write_baseline {
        fs::write(path, Baseline::new(&findings).to_text())
            .with_context(|| format!("the baseline {} cannot be written", path.display()))?;
        render::note(&format!(
            "{} accepted in {}",
            counted(findings.len(), "finding"),
            path.display()
        ));
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(path).with_context(|| {
        format!("the baseline {} cannot be read; make it with --write-baseline", path.display())
    })?;
    let accepted = Baseline::from_text(&text).apply(findings);
    if accepted.accepted > 0 {
        render::note(&format!("{} in the baseline", counted(accepted.accepted, "finding")));
    }
    for stale in &accepted.stale {
        render::note(&format!("no longer found, remove it from {}: {stale}", path.display()));
    }
    Ok(accepted.findings)
}

fn print(format: LintFormat, checked: &Checked, findings: &[Finding]) -> Result<()> {
    let locate = |origin: &Origin| checked.location(origin);
    match format {
        LintFormat::Json => render::json(&lint::findings_json(findings, locate)),
        LintFormat::Sarif => {
            render::json(&lint::sarif(findings, env!("CARGO_PKG_VERSION"), locate))
        }
        LintFormat::Text => {
            let reports: Vec<Report> =
                findings.iter().map(|finding| checked.report(finding)).collect();
            render::print(&report::text(&reports, &checked.loaded.texts()))?;
            render::note(&summary(findings));
            Ok(())
        }
    }
}

fn summary(findings: &[Finding]) -> String {
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    match (count(Level::Error), count(Level::Warning), count(Level::Note)) {
        (0, 0, 0) => "nothing found".to_owned(),
        (errors, warnings, notes) => {
            let (errors, warnings) = (counted(errors, "error"), counted(warnings, "warning"));
            format!("{errors}, {warnings}, {}", counted(notes, "note"))
        }
    }
}

/// Writes the safe fixes into their files, each byte outside of them as it was.
fn apply_fixes(checked: &Checked) -> Result<usize> {
    let mut edits: BTreeMap<Arc<str>, BTreeMap<usize, (usize, String)>> = BTreeMap::new();
    let mut fixed = 0_usize;
    for fix in checked.findings.iter().filter_map(|one| one.fix.as_ref()).filter(|fix| fix.safe) {
        let places: Option<Vec<Place>> =
            fix.edits.iter().map(|edit| checked.place(&edit.origin)).collect();
        let Some(places) = places else { continue };
        for (edit, place) in fix.edits.iter().zip(places) {
            let value = edit.value.as_str().map_or_else(|| edit.value.to_string(), str::to_owned);
            edits.entry(place.file).or_default().insert(place.start, (place.end, value));
        }
        fixed = fixed.saturating_add(1);
    }
    for (file, edits) in edits {
        let path = PathBuf::from(&*file);
        let Some(text) = checked.loaded.store.text(&file).filter(|_| path.is_file()) else {
            bail!("{file} cannot be fixed in place; give it as a file");
        };
        let mut text = text.to_string();
        // From the end, so that earlier places stay where they are.
        for (start, (end, value)) in edits.iter().rev() {
            let quoted = text.get(*start..*end).is_some_and(|old| old.starts_with(['"', '\'']));
            let value = if quoted { format!("\"{value}\"") } else { value.clone() };
            if text.is_char_boundary(*start) && text.is_char_boundary(*end) {
                text.replace_range(*start..*end, &value);
            }
        }
        fs::write(&path, text).with_context(|| format!("{file} cannot be written"))?;
    }
    Ok(fixed)
}

fn read_config(path: Option<&Path>) -> Result<LintConfig> {
    let path = match path {
        Some(path) => path,
        None if Path::new(CONFIG_FILE).is_file() => Path::new(CONFIG_FILE),
        None => return Ok(LintConfig::default()),
    };
    let text = fs::read_to_string(path)
        .with_context(|| format!("lint configuration {} cannot be read", path.display()))?;
    let file: ConfigFile = toml::from_str(&text)
        .with_context(|| format!("lint configuration {} is not valid", path.display()))?;
    let suppress = file.suppress.into_iter().map(|entry| Suppression {
        code: entry.code,
        object: entry.object,
        field: entry.field,
        reason: entry.reason,
    });
    LintConfig::new(file.severity, suppress.collect()).map_err(|errors| {
        let list: Vec<String> = errors.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("lint configuration {}: {}", path.display(), list.join("; "))
    })
}
