//! Every example is served, linted and exercised by the commands of its own README.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod support;

use std::{fs, path::PathBuf};

use support::{Server, check, shell, shell_in, steps, workspace};
use testkit::folder::Folder;

fn run(name: &str) {
    let folder = workspace().join("examples").join(name);
    let readme = fs::read_to_string(folder.join("README.md")).expect("a README in each example");
    let steps = steps(&readme);
    let (first, rest) = steps.split_first().expect("commands in each README");
    let arguments = first.command.strip_prefix("portcullis serve ").expect("serve comes first");
    let server = Server::start(&arguments.split(' ').collect::<Vec<_>>());
    assert!(!rest.is_empty(), "{name} has nothing to try");
    // Commands may write files, but not into the workspace.
    let place = Folder::with(&[]);
    let examples = workspace().join("examples");
    std::os::unix::fs::symlink(examples, place.file("examples")).expect("a link");
    for step in rest {
        let downloads = step.command.starts_with("curl -s -o ") && step.command.ends_with(".pem");
        assert!(!step.expected.is_empty() || downloads, "{:?} expects nothing", step.command);
        let command = if step.command.starts_with("portcullis ") {
            step.command.clone()
        } else {
            server.adapt(&step.command)
        };
        check(step, &command, &shell_in(place.path(), &command));
    }
    let findings = shell(&format!("portcullis lint -o json examples/{name}"));
    let findings: serde_json::Value = serde_json::from_str(&findings).expect("JSON from lint");
    let errors = findings["findings"].as_array().expect("a list of findings").iter();
    let errors: Vec<_> = errors.filter(|finding| finding["severity"] == "error").collect();
    assert!(errors.is_empty(), "{name}: {errors:#?}");
}

macro_rules! examples {
    ($($test:ident $folder:literal;)*) => {
        $(#[test] fn $test() { run($folder); })*

        /// So that a new example cannot be forgotten here.
        #[test]
        fn every_example_has_a_test() {
            let mut folders: Vec<String> = fs::read_dir(workspace().join("examples"))
                .expect("the examples")
                .map(|entry| entry.expect("an entry").path())
                .filter(|path| path.is_dir())
                .filter_map(|path: PathBuf| Some(path.file_name()?.to_str()?.to_owned()))
                .collect();
            folders.sort();
            let mut tested = vec![$($folder.to_owned()),*];
            tested.sort();
            assert_eq!(folders, tested);
        }
    };
}

examples! {
    backend_tls "backend-tls";
    behind_load_balancer "behind-load-balancer";
    canary_split "canary-split";
    cors "cors";
    cross_namespace "cross-namespace";
    external_auth "external-auth";
    grpc "grpc";
    header_routing "header-routing";
    mirror "mirror";
    mutual_tls "mutual-tls";
    quickstart "quickstart";
    retries "retries";
    rewrite_and_redirect "rewrite-and-redirect";
    role_separation "role-separation";
    sticky_sessions "sticky-sessions";
    tcp_and_udp "tcp-and-udp";
    timeouts "timeouts";
    tls "tls";
    tls_mixed "tls-mixed";
    tls_passthrough "tls-passthrough";
    websocket "websocket";
}
