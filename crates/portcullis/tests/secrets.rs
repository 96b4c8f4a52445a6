//! Key bytes never leave: not in a status, a dump, a metric, a log line or a finding, whether the
//! Secret is good or broken.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by a panic"
)]

mod support;

use std::process::Command;

use support::{BASE, Server, binary};
use testkit::{
    certs::Authority,
    eventually,
    folder::Folder,
    raw::{Client, get},
    recorder::Recorder,
};

/// In every text of a Secret below, and nowhere else.
const CANARY: &str = "CanaryKeyBytes0123456789abcdef";

/// More listeners of the Gateway of [`BASE`], and a route.
const LISTENERS: &str = "    - {name: good, port: 8443, protocol: HTTPS, hostname: shop.example.com, tls: {certificateRefs: [{name: good}]}}
    - {name: foreign, port: 8443, protocol: HTTPS, hostname: foreign.example.com, tls: {certificateRefs: [{name: foreign}]}}
    - {name: broken, port: 8443, protocol: HTTPS, hostname: broken.example.com, tls: {certificateRefs: [{name: broken}]}}
    - {name: base64, port: 8443, protocol: HTTPS, hostname: base64.example.com, tls: {certificateRefs: [{name: base64}]}}
    - {name: typed, port: 8443, protocol: HTTPS, hostname: typed.example.com, tls: {certificateRefs: [{name: typed}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app}
spec:
  parentRefs: [{name: web}]
  rules: [{backendRefs: [{name: app, port: 80}]}]
";

/// A Secret whose values are written as text, each line of `key` indented.
fn secret(name: &str, certificate: &str, key: &str) -> String {
    let block = |text: &str| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\ntype: kubernetes.io/tls\nstringData:\n  tls.crt: |\n{}  tls.key: |\n{}",
        block(certificate),
        block(key)
    )
}

/// A good Secret, and one broken in each way that is reported: the key of another certificate, no
/// key at all, no base64, wrong types, fields that do not exist, and text that is no YAML.
fn secrets(good_key: &str, certificate: &str, foreign_key: &str) -> Vec<(&'static str, String)> {
    let head = |name| format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\n");
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n");
    vec![
        ("good.yaml", secret("good", certificate, good_key)),
        ("foreign.yaml", secret("foreign", certificate, foreign_key)),
        ("broken.yaml", secret("broken", certificate, &pem)),
        (
            "base64.yaml",
            head("base64")
                + &format!(
                    "type: kubernetes.io/tls\ndata: {{tls.crt: '!{CANARY}', tls.key: '!{CANARY}'}}\n"
                ),
        ),
        (
            "typed.yaml",
            head("typed")
                + &format!(
                    "type: kubernetes.io/tls\ndata: {{tls.key: [{CANARY}]}}\nstringData: {CANARY}\n"
                ),
        ),
        (
            "unknown.yaml",
            head("unknown") + &format!("data: {{}}\nkey: {CANARY}\ntls.key: {CANARY}\n"),
        ),
        (
            "unnamed.yaml",
            format!(
                "apiVersion: v1\nkind: Secret\nmetadata: {{}}\nstringData: {{tls.key: {CANARY}}}\n"
            ),
        ),
        (
            "syntax.yaml",
            head("syntax") + &format!("stringData:\n  tls.key: {CANARY}\n tls.crt: \"{CANARY}\n"),
        ),
        ("tab.yaml", head("tab") + &format!("data:\n\ttls.key: {CANARY}\n")),
        ("twice.yaml", head("twice") + &format!("stringData: {{a: {CANARY}, a: {CANARY}}}\n")),
        (
            "cut.json",
            format!(
                "{{\"apiVersion\": \"v1\", \"kind\": \"Secret\", \"metadata\": {{\"name\": \"cut\"}}, \"stringData\": {{\"tls.key\": \"{CANARY}\""
            ),
        ),
    ]
}

/// Every piece of a PEM key that must not be seen: its lines, and parts of them.
fn pieces(key: &str) -> Vec<String> {
    let lines = key.lines().filter(|line| !line.starts_with("-----") && line.len() > 16);
    let mut pieces: Vec<String> =
        lines.map(|line| line[8..24.min(line.len())].to_owned()).collect();
    pieces.push(CANARY[6..20].to_owned());
    pieces
}

fn assert_clean(name: &str, text: &str, pieces: &[String]) {
    for piece in pieces {
        if let Some(at) = text.find(piece.as_str()) {
            let around: String = text[..at].chars().rev().take(300).collect();
            let around: String = around.chars().rev().collect();
            panic!("{name} shows {piece:?} after:\n{around}");
        }
    }
}

fn folder(authority: &Authority) -> (Folder, Recorder, Vec<String>) {
    let backend = Recorder::named("app");
    let service = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: app, annotations: {{portcullis.dev/endpoints: '{}'}}}}\nspec: {{ports: [{{port: 80}}]}}\n",
        backend.addr()
    );
    let good = authority.issue(&["shop.example.com", "foreign.example.com"]);
    let other = authority.issue(&["other.example.com"]);
    let folder = Folder::with(&[
        ("gateway.yaml", &format!("{BASE}{LISTENERS}")),
        ("service.yaml", &service),
    ]);
    for (name, text) in secrets(&good.key_pem, &good.cert_pem, &other.key_pem) {
        folder.write(name, &text);
    }
    let mut all = pieces(&good.key_pem);
    all.extend(pieces(&other.key_pem));
    (folder, backend, all)
}

#[test]
fn no_command_prints_key_bytes() {
    let (folder, _backend, pieces) = folder(&Authority::new("test"));
    for arguments in [
        &["status", "."][..],
        &["status", "-o", "json", "."],
        &["lint", "."],
        &["lint", "--complete", "-o", "json", "."],
        &["lint", "-o", "sarif", "."],
        &["explain", "-f", ".", "https://shop.example.com:8443/"],
        &["explain", "--all", "-o", "json", "-f", ".", "https://broken.example.com:8443/"],
    ] {
        let mut command = Command::new(binary());
        let output =
            command.current_dir(folder.path()).args(arguments).output().expect("the binary runs");
        let name = arguments.join(" ");
        assert!(!output.stdout.is_empty(), "{name}");
        assert_clean(&name, &String::from_utf8_lossy(&output.stdout), &pieces);
        assert_clean(&name, &String::from_utf8_lossy(&output.stderr), &pieces);
    }
}

#[test]
fn a_server_shows_key_bytes_nowhere() {
    let authority = Authority::new("test");
    let (folder, _backend, pieces) = folder(&authority);
    let server = Server::start(&[folder.path().to_str().expect("a path"), "--log-level", "trace"]);
    let config = authority.client_config();
    let address = server.listener(8443);
    let mut client =
        Client::connect_tls(address, "shop.example.com", &config).expect("a handshake");
    assert_eq!(client.get("shop.example.com", "/").json()["backend"], "app");
    assert!(Client::connect_tls(address, "foreign.example.com", &config).is_err());

    // A good Secret that breaks while it is served.
    folder.replace("good.yaml", &secret("good", "nothing", CANARY));
    eventually("the broken edit to be seen", || {
        let status = get(server.admin, "localhost", "/findings").text();
        (status.matches("default/good").count() > 0).then_some(())
    });
    for path in ["/config", "/status", "/endpoints", "/findings"] {
        let text = get(server.admin, "localhost", path).text();
        assert!(text.len() > 10, "{path}");
        assert_clean(path, &text, &pieces);
    }
    assert_clean("/metrics", &get(server.health, "localhost", "/metrics").text(), &pieces);
    assert_clean("standard output", &server.process.stdout().join("\n"), &pieces);
    assert_clean("standard error", &server.process.stderr().join("\n"), &pieces);
}
