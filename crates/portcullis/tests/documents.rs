//! What the papers say is so: commands run, links lead somewhere, named tests exist.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use support::{Server, Step, binary, check, steps, workspace};
use testkit::folder::Folder;

/// Commands of guides that are not run here, by their beginning, and why.
const NOT_RUN: &[(&str, &str)] = &[
    ("cargo run --release -- serve examples/quickstart --demo", "the quickstart example runs it"),
    ("cargo xtask test", "it runs this very test"),
    ("kubectl ", "needs a cluster; a file stands in for what it would write"),
];

/// What readers have in `./routes`: nothing to complain about.
const ROUTES: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: portcullis}
spec: {controllerName: portcullis.dev/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: web, namespace: shop}
spec:
  gatewayClassName: portcullis
  listeners:
    - {name: http, port: 80, protocol: HTTP}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop, namespace: shop}
spec:
  parentRefs: [{name: web}]
  hostnames: [shop.example.com]
  rules:
    - matches: [{path: {type: PathPrefix, value: /cart}}]
      backendRefs: [{name: cart, port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {ports: [{port: 80}]}
";

/// A reader who follows one page from top to bottom, in a folder with `examples` and `routes`.
struct Reader {
    folder: Folder,
    server: Option<Server>,
}

impl Reader {
    fn new() -> Self {
        let folder = Folder::with(&[("routes/all.yaml", ROUTES), ("cluster.yaml", "")]);
        let examples = workspace().join("examples");
        std::os::unix::fs::symlink(examples, folder.file("examples")).expect("a link");
        Self { folder, server: None }
    }

    fn follow(&mut self, page: &str, step: &Step) {
        // A comment behind the command, as in a list of commands.
        let command = step.command.split(" #").next().unwrap_or_default().trim();
        if NOT_RUN.iter().any(|(beginning, _)| command.starts_with(beginning)) {
            return;
        }
        if let Some(arguments) = command.strip_prefix("portcullis serve ") {
            let folder = self.folder.path().display().to_string();
            let arguments = arguments.replace("./routes", &format!("{folder}/routes"));
            // The page may set its own offset; this server has one already.
            let arguments = arguments.replace("--port-offset 8000", "");
            self.server = None;
            self.server = Some(Server::start(&arguments.split_whitespace().collect::<Vec<_>>()));
            return;
        }
        let text = self.adapt(command);
        let output = Command::new("bash")
            .args(["-c", &text])
            .current_dir(self.folder.path())
            .output()
            .expect("bash runs");
        let out = String::from_utf8_lossy(&output.stdout);
        let err = String::from_utf8_lossy(&output.stderr);
        // Findings that the page shows come with the exit code of findings.
        let shows_errors = step.expected.iter().any(|line| line.starts_with("error["));
        assert_eq!(output.status.success(), !shows_errors, "{page}: $ {command}\n{out}{err}");
        check(step, &text, &out);
    }

    /// With the binary under test and the addresses of the running server.
    fn adapt(&self, command: &str) -> String {
        let text = match command.strip_prefix("portcullis ") {
            Some(rest) => return format!("'{}' {rest}", binary()),
            None => command,
        };
        assert!(text.starts_with("curl "), "$ {text} is neither run nor listed in NOT_RUN");
        let server = self.server.as_ref().expect("the page starts a server first");
        server.adapt(text)
    }
}

#[test]
fn commands_of_the_guides_do_what_the_page_says() {
    let mut pages = vec![workspace().join("README.md")];
    pages.extend(files(&workspace().join("docs/guides")));
    let mut run = 0;
    for page in pages {
        let name = page.strip_prefix(workspace()).unwrap_or(&page).display().to_string();
        let text = fs::read_to_string(&page).expect("a page");
        let mut reader = Reader::new();
        for step in steps(&text) {
            reader.follow(&name, &step);
            run += 1;
        }
    }
    assert!(run > 12, "{run} commands were found");
}

#[test]
fn every_reason_not_to_run_a_command_is_still_needed() {
    let mut commands = Vec::new();
    for page in pages() {
        commands.extend(steps(&fs::read_to_string(page).expect("a page")));
    }
    for (beginning, _) in NOT_RUN {
        let used = commands.iter().any(|step| step.command.starts_with(beginning));
        assert!(used, "no page has {beginning:?} any more");
    }
}

#[test]
fn links_lead_to_files_and_headings_that_exist() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        for target in links(&text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((&target, ""));
            let path = match file {
                "" => page.clone(),
                file => page.parent().expect("a folder").join(file),
            };
            let found = path.exists()
                && (heading.is_empty()
                    || headings(&fs::read_to_string(&path).unwrap_or_default())
                        .iter()
                        .any(|known| known == heading));
            if !found {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn each_test_in_the_table_of_features_exists() {
    let table = fs::read_to_string(workspace().join("docs/features.md")).expect("the table");
    let mut wrong = Vec::new();
    let mut named = 0;
    for line in table.lines().filter(|line| line.starts_with("| ")) {
        let Some((_, tests)) = line.rsplit_once(" | ") else { continue };
        let mut text = String::new();
        for word in tests.split('`').skip(1).step_by(2) {
            if word.ends_with(".rs") {
                text = fs::read_to_string(workspace().join(word)).unwrap_or_default();
                if text.is_empty() {
                    wrong.push(format!("there is no {word}"));
                }
            } else {
                named += 1;
                // A function, a module, or a line of a macro that makes functions.
                let forms = [format!("fn {word}("), format!("mod {word};"), format!("{word} \"")];
                if !forms.iter().any(|form| text.contains(form)) {
                    wrong.push(word.to_owned());
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(named > 100, "{named} tests are named");
}

/// Every page of the repository that is not generated by a build.
fn pages() -> Vec<PathBuf> {
    let root = workspace();
    let mut pages: Vec<PathBuf> = fs::read_dir(&root)
        .expect("the workspace")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_file())
        .collect();
    for folder in ["bench", "docs", "examples", "crates", "fuzz"] {
        pages.extend(files(&root.join(folder)));
    }
    pages.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.sort();
    pages
}

/// All files below, folders of builds and of fuzzing left out.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return all };
    for entry in entries {
        let path = entry.expect("an entry").path();
        let skipped = ["target", "corpus", "artifacts"];
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !skipped.contains(&name.as_str()) {
            all.extend(files(&path));
        } else if path.is_file() {
            all.push(path);
        }
    }
    all.sort();
    all
}

/// The targets of `[text](target)` outside of code.
fn links(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let prose: String = line.split('`').step_by(2).collect();
        for part in prose.split("](").skip(1) {
            targets.extend(part.split(')').next().map(str::to_owned));
        }
    }
    targets
}

/// The anchors of a page, as code hosts make them.
fn headings(text: &str) -> Vec<String> {
    let titles = text.lines().filter(|line| line.starts_with('#'));
    titles
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter(|&c| c.is_alphanumeric() || " -_".contains(c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}
