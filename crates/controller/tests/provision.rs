//! What is made in the cluster for a Gateway: objects in, manifests out.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use controller::provision::{self, Settings};
use translate::{Capabilities, Placement, Snapshot, translate};

fn snapshot(text: &str) -> Snapshot {
    let reading = source::yaml::read(text);
    assert!(reading.problems.is_empty(), "test input must be YAML: {:?}", reading.problems);
    let mut snapshot = Snapshot::default();
    for document in &reading.documents {
        let decoded = api::Object::decode(&document.value);
        snapshot.insert(&decoded.object, &decoded.issues);
    }
    snapshot
}

fn settings() -> Settings {
    Settings {
        controller_name: translate::settings::CONTROLLER_NAME.to_owned(),
        image: "localhost/portcullis:test".to_owned(),
        image_pull_policy: None,
        controller: "portcullis-controller.portcullis-system.svc:9443".to_owned(),
    }
}

fn run(input: &str) -> String {
    let snapshot = snapshot(input);
    let wanted = translate::Settings {
        placement: Placement::Provisioned,
        capabilities: Capabilities::ALL,
        ..translate::Settings::default()
    };
    let translation = translate(&snapshot, &wanted);
    let mut output = String::new();
    for (object, plan) in &translation.plans {
        let name = api::ObjectName::new(&*object.namespace, &*object.name);
        let gateway = snapshot.gateways.get(&name).unwrap();
        match plan {
            None => output.push_str(&format!("# {object}: as it is\n")),
            Some(plan) => {
                for made in provision::desired(gateway, plan, &settings()) {
                    assert_eq!(made.value["metadata"]["name"], made.name.as_str());
                    output.push_str(&serde_json::to_string_pretty(&made.value).unwrap());
                    output.push('\n');
                }
            }
        }
    }
    output
}

#[test]
fn manifests_are_as_written() {
    testkit::golden::run("tests/golden/provision", run);
}

#[test]
fn no_pod_has_rights_or_a_token_or_can_write_to_its_image() {
    let text =
        run(include_str!("golden/provision/gateways/plain.yaml").split("# Output").next().unwrap());
    for wanted in [
        "\"runAsNonRoot\": true",
        "\"readOnlyRootFilesystem\": true",
        "\"allowPrivilegeEscalation\": false",
        "\"capabilities\": {\n                \"drop\": [\n                  \"ALL\"",
        "\"RuntimeDefault\"",
        "\"automountServiceAccountToken\": false",
    ] {
        assert!(text.contains(wanted), "{wanted}");
    }
}

#[test]
fn a_pod_drains_before_it_is_told_to_end_and_is_given_the_time_for_it() {
    let text = include_str!("golden/provision/gateways/every-parameter.yaml");
    let input = text.split("# Output").next().unwrap();
    assert!(input.contains("deadline: 90s"), "the parameters of the Gateway have changed");
    let output = run(input);
    let pod = output.find("\"lifecycle\"").map(|at| &output[at..at + 300]).unwrap();
    let hook: String = pod.split_whitespace().collect();
    let wanted = r#""lifecycle":{"preStop":{"exec":{"command":["portcullis","drain","--wait"]}}}"#;
    assert!(hook.starts_with(wanted), "{hook}");
    assert!(output.contains("\"terminationGracePeriodSeconds\": 95"), "deadline and a reserve");
}
