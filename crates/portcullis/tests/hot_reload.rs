//! Changes of files while traffic flows: certificates, swaps under load, listeners, odd names.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod support;

use std::{
    ffi::OsStr,
    fs,
    net::{SocketAddr, TcpStream},
    os::unix::{ffi::OsStrExt, fs::symlink},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use support::{BASE, OFFSET, Server, route, serve};
use testkit::{
    certs::{Authority, Issued},
    eventually,
    folder::Folder,
    process::get_status,
    raw::{Client, get},
    recorder::Recorder,
};

/// A Secret with the certificate, in `stringData`.
fn secret(issued: &Issued) -> String {
    let indented = |pem: &str| pem.trim().replace('\n', "\n    ");
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: certificate}}\ntype: kubernetes.io/tls\n\
         stringData:\n  tls.crt: |\n    {}\n  tls.key: |\n    {}\n",
        indented(&issued.cert_pem),
        indented(&issued.key_pem)
    )
}

#[test]
fn a_new_certificate_is_for_new_handshakes_and_old_connections_live_on() {
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let backend = Recorder::named("one");
    let base = format!(
        "{BASE}    - name: https\n      port: 8443\n      protocol: HTTPS\n      tls: \
         {{certificateRefs: [{{name: certificate}}]}}\n"
    );
    let folder = Folder::with(&[
        ("base.yaml", &base),
        ("one.yaml", &route("one", "/", &backend)),
        ("secret.yaml", &secret(&before.issue(&["a.example"]))),
    ]);
    let server = serve(&folder);
    let address = server.listener(8443);
    let (only_before, only_after) = (before.client_config(), after.client_config());
    let connect = |config| Client::connect_tls(address, "a.example", config);
    let mut old = connect(&only_before).expect("the first certificate is trusted");
    assert_eq!(old.get("a.example", "/").status, 200);
    assert!(connect(&only_after).is_err(), "the second certificate is not there yet");

    folder.replace("secret.yaml", &secret(&after.issue(&["a.example"])));
    let mut new = eventually("the second certificate", || connect(&only_after).ok());
    assert_eq!(new.get("a.example", "/").status, 200);
    assert!(connect(&only_before).is_err(), "the first certificate is gone for new handshakes");
    assert_eq!(old.get("a.example", "/").status, 200, "an old connection is not disturbed");

    // A key that does not belong to the certificate is an error of one listener alone.
    let other = after.issue(&["a.example"]);
    let mixed = Issued { key_pem: other.key_pem, ..after.issue(&["a.example"]) };
    folder.replace("secret.yaml", &secret(&mixed));
    server.process.wait_for_line("PC0605");
    eventually("the listener without certificate to close", || {
        TcpStream::connect(address).is_err().then_some(())
    });
    assert_eq!(get(server.listener(8080), "a.example", "/").status, 200);
}

/// Each swap removes one Service and route target and adds another, in one file.
#[test]
fn under_load_every_response_is_whole_and_of_one_revision() {
    let (one, two) = (Recorder::named("one"), Recorder::named("two"));
    let marked = |name: &str, backend: &Recorder| {
        let filter = format!(
            "      filters: [{{type: ResponseHeaderModifier, responseHeaderModifier: {{set: \
             [{{name: x-revision, value: {name}}}]}}}}]\n      backendRefs"
        );
        route(name, "/", backend).replace("      backendRefs", &filter)
    };
    let texts = [marked("one", &one), marked("two", &two)];
    let folder = Folder::with(&[("base.yaml", BASE), ("route.yaml", &texts[0])]);
    let server = serve(&folder);
    let address = server.listener(8080);
    let stop = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
            thread::spawn(move || {
                let mut client = Client::connect(address);
                while !stop.load(Ordering::Relaxed) {
                    let response = client.get("a.example", "/x");
                    assert_eq!(response.status, 200, "{}", response.text());
                    let backend = response.json()["backend"].as_str().map(str::to_owned);
                    assert_eq!(backend.as_deref(), response.field("x-revision"));
                    served.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut watcher = Client::connect(address);
    for round in 1..=50 {
        let wanted = ["one", "two"][round % 2];
        folder.replace("route.yaml", &texts[round % 2]);
        eventually("the swap", || {
            (watcher.get("a.example", "/x").field("x-revision") == Some(wanted)).then_some(())
        });
        let dead = clients.iter().any(thread::JoinHandle::is_finished);
        assert!(!dead, "a client lost a request in round {round}");
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().expect("no request was lost");
    }
    assert!(served.load(Ordering::Relaxed) > 100);
    let revision = get(server.health, "localhost", "/metrics").text();
    assert!(revision.contains("portcullis_revision 51"), "each swap is one revision");
}

#[test]
fn a_listener_is_added_and_removed_while_its_neighbour_serves() {
    let backend = Recorder::named("one");
    let folder = Folder::with(&[("base.yaml", BASE), ("one.yaml", &route("one", "/", &backend))]);
    let server = serve(&folder);
    let mut idle = Client::connect(server.listener(8080));
    assert_eq!(idle.get("a.example", "/").status, 200);
    assert!(TcpStream::connect(server.listener(8081)).is_err());

    let more = format!("{BASE}    - {{name: more, port: 8081, protocol: HTTP}}\n");
    folder.replace("base.yaml", &more);
    eventually("the new listener", || {
        (get_status(server.listener(8081), "/") == Some(200)).then_some(())
    });
    let mut leaving = Client::connect(server.listener(8081));
    assert_eq!(leaving.get("a.example", "/").status, 200);

    folder.replace("base.yaml", BASE);
    assert!(leaving.is_closed_by_peer(), "an idle connection of the old listener ends");
    eventually("the old listener to close", || {
        TcpStream::connect(server.listener(8081)).is_err().then_some(())
    });
    assert_eq!(idle.get("a.example", "/").status, 200, "the neighbour noticed nothing");
}

#[test]
fn two_gateways_on_one_port_take_an_address_each() {
    let (one, two) = (Recorder::named("one"), Recorder::named("two"));
    let second =
        BASE.rsplit("---").next().expect("the Gateway").replace("{name: web}", "{name: wide}");
    let folder = Folder::with(&[
        ("base.yaml", &format!("{BASE}---{second}")),
        ("one.yaml", &route("one", "/", &one)),
        ("two.yaml", &route("two", "/", &two).replace("{name: web}", "{name: wide}")),
    ]);
    let id = std::process::id();
    let network = format!("127.{}.{}.0/24", 192 + (id >> 8) % 32, id % 256);
    let server = Server::start_on(&network, &[folder.path().to_str().expect("a path")]);
    let status = server.admin_json("/status");
    let address = |name: &str| {
        let items = status["items"].as_array().expect("items");
        let item = items
            .iter()
            .find(|item| item["kind"] == "Gateway" && item["metadata"]["name"] == name)
            .expect("the Gateway");
        let value = item["status"]["addresses"][0]["value"].as_str().expect("an address");
        SocketAddr::new(value.parse().expect("an IP address"), 8080 + OFFSET)
    };
    let (web, wide) = (address("web"), address("wide"));
    assert_ne!(web, wide);
    assert_eq!(get(web, "a.example", "/").json()["backend"], "one");
    assert_eq!(get(wide, "a.example", "/").json()["backend"], "two");
}

#[test]
fn a_gateway_keeps_its_address_when_another_goes() {
    let backend = Recorder::named("one");
    // "another" comes before "web", so it gets the first address of the network.
    let second =
        BASE.rsplit("---").next().expect("the Gateway").replace("{name: web}", "{name: another}");
    let folder = Folder::with(&[
        ("base.yaml", BASE),
        ("another.yaml", &second),
        ("one.yaml", &route("one", "/", &backend)),
    ]);
    let id = std::process::id();
    let network = format!("127.{}.{}.0/24", 224 + (id >> 8) % 16, id % 256);
    let server = Server::start_on(&network, &[folder.path().to_str().expect("a path")]);
    let gateways = || {
        let status = server.admin_json("/status");
        let items = status["items"].as_array().expect("items").clone();
        items.into_iter().filter(|item| item["kind"] == "Gateway").collect::<Vec<_>>()
    };
    let address_of_web = || {
        let all = gateways();
        let web = all.iter().find(|item| item["metadata"]["name"] == "web").expect("it").clone();
        let value = web["status"]["addresses"][0]["value"].as_str().expect("it").to_owned();
        SocketAddr::new(value.parse().expect("an IP address"), 8080 + OFFSET)
    };
    let address = address_of_web();
    let mut idle = Client::connect(address);
    assert_eq!(idle.get("a.example", "/").status, 200);
    folder.remove("another.yaml");
    eventually("the other Gateway to go", || (gateways().len() == 1).then_some(()));
    assert_eq!(address_of_web(), address);
    assert_eq!(idle.get("a.example", "/").status, 200, "on the connection from before");
}

#[test]
fn the_younger_of_two_gateways_is_told_when_no_address_is_left() {
    let backend = Recorder::named("one");
    let second =
        BASE.rsplit("---").next().expect("the Gateway").replace("{name: web}", "{name: wide}");
    let folder = Folder::with(&[
        ("base.yaml", &format!("{BASE}---{second}")),
        ("one.yaml", &route("one", "/", &backend)),
    ]);
    let server = serve(&folder);
    assert_eq!(get(server.listener(8080), "a.example", "/").status, 200);
    let status = server.admin_json("/status");
    let items = status["items"].as_array().expect("items");
    let wide = items.iter().find(|item| item["metadata"]["name"] == "wide").expect("the Gateway");
    let conditions = wide["status"]["conditions"].as_array().expect("conditions");
    let programmed = conditions.iter().find(|one| one["type"] == "Programmed").expect("it");
    assert_eq!(
        (&programmed["status"], &programmed["reason"]),
        (&"False".into(), &"AddressNotUsable".into())
    );
}

#[test]
fn files_of_any_name_are_read_and_hidden_ones_are_not() {
    let backend = Recorder::named("any");
    let folder = Folder::with(&[
        ("base.yaml", BASE),
        ("wörld ☃ – one.yaml", &route("one", "/one", &backend)),
        ("with 'quotes' & $dollar.yml", &route("two", "/two", &backend)),
        ("deep/er/three.yaml", &route("three", "/three", &backend)),
        (".hidden.yaml", &route("four", "/four", &backend)),
        ("five.yaml~", &route("five", "/five", &backend)),
    ]);
    let odd = folder.path().join(OsStr::from_bytes(b"latin-\xe9.yaml"));
    fs::write(odd, route("six", "/six", &backend)).expect("a written file");
    let server = serve(&folder);
    let mut client = Client::connect(server.listener(8080));
    for (path, status) in [
        ("/one", 200),
        ("/two", 200),
        ("/three", 200),
        ("/four", 404),
        ("/five", 404),
        ("/six", 200),
    ] {
        assert_eq!(client.get("a.example", path).status, status, "{path}");
    }
}

/// The kubelet writes a mounted ConfigMap into a new folder and moves one link over.
#[test]
fn a_mounted_config_map_is_followed_through_its_links() {
    let (one, two) = (Recorder::named("one"), Recorder::named("two"));
    let folder = Folder::with(&[
        ("..2026_01/base.yaml", BASE),
        ("..2026_01/route.yaml", &route("one", "/", &one)),
    ]);
    symlink("..2026_01", folder.file("..data")).expect("a link");
    for name in ["base.yaml", "route.yaml"] {
        symlink(format!("..data/{name}"), folder.file(name)).expect("a link");
    }
    let server = serve(&folder);
    let address = server.listener(8080);
    assert_eq!(get(address, "a.example", "/").json()["backend"], "one");

    folder.write("..2026_02/base.yaml", BASE);
    folder.write("..2026_02/route.yaml", &route("two", "/", &two));
    symlink("..2026_02", folder.file("..data_tmp")).expect("a link");
    fs::rename(folder.file("..data_tmp"), folder.file("..data")).expect("a moved link");
    fs::remove_dir_all(folder.file("..2026_01")).expect("a removed folder");
    eventually("the new content", || {
        (get(address, "a.example", "/").json()["backend"] == "two").then_some(())
    });
}

#[test]
fn many_edits_of_many_files_end_in_the_last_state() {
    let backend = Recorder::named("any");
    let folder = Folder::with(&[("base.yaml", BASE)]);
    let server = serve(&folder);
    for round in 0..5 {
        for number in 0..20 {
            let name = format!("r{number}");
            let path = format!("/{round}/{number}/");
            folder.write(&format!("{name}.yaml"), &route(&name, &path, &backend));
        }
    }
    let mut client = Client::connect(server.listener(8080));
    for number in 0..20 {
        eventually("the last state", || {
            let path = format!("/4/{number}/x");
            (client.get("a.example", &path).status == 200).then_some(())
        });
        assert_eq!(client.get("a.example", &format!("/3/{number}/x")).status, 404);
    }
}
