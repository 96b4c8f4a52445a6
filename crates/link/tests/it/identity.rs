//! Who may have what.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use link::{Authority, Client, ClientError, ClientOptions, Event, Identity, Lifetimes, ProxyName};

use crate::support::{
    Pod, ack, authority, config, event, gateway, issue, leader, next_update, revision, status, uid,
};

/// Long enough for a handshake, short enough to be due within a test.
const SHORT: Lifetimes =
    Lifetimes { authority: Duration::from_secs(3600), leaf: Duration::from_secs(600) };

/// As of a clock that is behind, so that what is issued is old already.
fn long_ago() -> SystemTime {
    SystemTime::now() - Duration::from_secs(500)
}

#[tokio::test]
async fn a_proxy_of_another_authority_is_refused() {
    let (ours, theirs) = (authority(), authority());
    let (server, _events) = leader(&ours).await;
    server.publish(&uid("uid-1"), config(revision(1, 1), &gateway("one", &[]))).expect("published");
    // It trusts our server, but nobody we trust says who it is.
    let mut data = issue(&theirs, "uid-1").to_secret();
    data.extend(issue(&ours, "uid-1").to_secret().remove_entry("ca.crt"));
    let pod = Pod::new("proxy-1", &Identity::from_secret(&data).expect("an identity"));
    let client = pod.start(&[server.local_addr()]);
    let status = status(&client, "failures", |status| status.failures >= 2).await;
    assert_eq!((status.holds, server.entities_sent()), (None, 0));
}

#[tokio::test]
async fn a_controller_of_another_authority_is_refused() {
    let (ours, theirs) = (authority(), authority());
    let (server, _events) = leader(&theirs).await;
    server.publish(&uid("uid-1"), config(revision(1, 1), &gateway("one", &[]))).expect("published");
    let pod = Pod::new("proxy-1", &issue(&ours, "uid-1"));
    let client = pod.start(&[server.local_addr()]);
    let status = status(&client, "failures", |status| status.failures >= 2).await;
    assert_eq!((status.holds, status.connections), (None, 0));
    assert!(status.error.is_some_and(|error| error.contains("certificate")));
}

#[tokio::test]
async fn an_identity_is_no_certificate_for_a_controller() {
    let authority = authority();
    let identity = issue(&authority, "uid-1");
    let secret = identity.to_secret();
    // Whoever steals an identity cannot stand in for the controller: the name differs.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let config = server_with(&secret["tls.crt"], &secret["tls.key"]);
    let serving = std::thread::spawn(move || {
        let (mut tcp, _) = listener.accept().expect("a client");
        let mut tls = connection(config);
        while tls.is_handshaking() {
            if tls.complete_io(&mut tcp).is_err() {
                return true;
            }
        }
        false
    });
    let pod = Pod::new("proxy-1", &identity);
    let client = pod.start(&[address]);
    status(&client, "a failure", |status| status.failures >= 1).await;
    assert!(serving.join().expect("the server"), "the handshake was refused");
}

fn server_with(certificate: &[u8], key: &[u8]) -> Arc<rustls::ServerConfig> {
    use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = vec![CertificateDer::from_pem_slice(certificate).expect("pem")];
    let key = PrivateKeyDer::from_pem_slice(key).expect("pem");
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate");
    config.alpn_protocols = vec![b"portcullis-link/1".to_vec()];
    Arc::new(config)
}

fn connection(config: Arc<rustls::ServerConfig>) -> rustls::ServerConnection {
    rustls::ServerConnection::new(config).expect("a connection")
}

#[test]
fn a_folder_without_an_identity_is_refused_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = ClientOptions {
        controllers: vec!["127.0.0.1:1".to_owned()],
        identity: folder.path().to_owned(),
        proxy: ProxyName::new("proxy-1").expect("a name"),
        state: None,
    };
    let error = Client::start(options).err().expect("no client");
    assert!(matches!(error, ClientError::Identity { .. }), "{error}");
    assert!(error.to_string().contains("tls.crt is missing"), "{error}");
}

#[test]
fn an_authority_survives_its_secret() {
    let now = SystemTime::now();
    let made = Authority::new(now, SHORT).and_then(|made| made.rotate(now)).expect("an authority");
    let read = Authority::from_secret(&made.to_secret(), SHORT).expect("an authority");
    assert_eq!(read.to_secret(), made.to_secret());
    let identity = made.issue(&uid("uid-1"), now).expect("an identity");
    assert!(!read.is_due(&identity, now));
    assert_eq!(identity.gateway().expect("a name"), uid("uid-1"));
}

#[test]
fn an_authority_is_replaced_with_an_overlap() {
    let start = SystemTime::now();
    let first = Authority::new(start, SHORT).expect("an authority");
    let identity = first.issue(&uid("uid-1"), start).expect("an identity");
    let after = |seconds| start + Duration::from_secs(seconds);
    assert!(first.maintain(after(60)).expect("time").is_none());
    let second = first.maintain(after(2500)).expect("time").expect("another authority");
    assert!(second.is_due(&identity, start), "it does not bring the new authority");
    assert!(second.maintain(after(2560)).expect("time").is_none());
    let third = second.maintain(after(4000)).expect("time").expect("another authority");
    assert!(!third.to_secret().contains_key("previous.crt"));
}

#[tokio::test]
async fn an_identity_that_grows_old_is_renewed_over_the_stream() {
    let authority = Authority::new(long_ago(), SHORT).expect("an authority");
    let (server, mut events) = leader(&authority).await;
    server.publish(&uid("uid-1"), config(revision(1, 1), &gateway("one", &[]))).expect("published");
    let old = authority.issue(&uid("uid-1"), long_ago()).expect("an identity");
    let (_, ends) = old.validity().expect("a certificate");
    let pod = Pod::new("proxy-1", &old);
    let mut client = pod.start(&[server.local_addr()]);
    let update = next_update(&mut client).await;
    client.ack(ack(&update));
    // Another stream is opened with the new identity.
    let status = status(&client, "another identity", |status| {
        status.controller.is_some() && status.identity_until.is_some_and(|until| until > ends)
    });
    assert_eq!(status.await.failures, 0);
    let connected = |event: &Event| matches!(event, Event::Connected { .. }).then_some(());
    event(&mut events, "the first stream", connected).await;
    event(&mut events, "the second stream", connected).await;
}

#[tokio::test]
async fn a_new_authority_reaches_proxies_that_are_connected() {
    let now = SystemTime::now();
    let old = authority();
    let (server, mut events) = leader(&old).await;
    let ir = gateway("one", &[("a", "/a")]);
    server.publish(&uid("uid-1"), config(revision(1, 1), &ir)).expect("published");
    let pod = Pod::new("proxy-1", &issue(&old, "uid-1"));
    let mut client = pod.start(&[server.local_addr()]);
    let update = next_update(&mut client).await;
    client.ack(ack(&update));
    let both = old.rotate(now).expect("an authority");
    server.set_authority(both.clone()).expect("an authority");
    let again = |event: &Event| match event {
        Event::Connected { holds: Some(_), session, .. } => Some(*session),
        _ => None,
    };
    event(&mut events, "the identity of the new authority", again).await;
    // Only the new one is trusted now, and the server shows a certificate of it.
    server.set_authority(both.retire()).expect("an authority");
    let changed = gateway("one", &[("a", "/b")]);
    server.publish(&uid("uid-1"), config(revision(1, 2), &changed)).expect("published");
    assert_eq!(*next_update(&mut client).await.ir, changed);
    let fresh = Pod::new("proxy-2", &issue(&both.retire(), "uid-1"));
    let mut second = fresh.start(&[server.local_addr()]);
    assert_eq!(*next_update(&mut second).await.ir, changed);
    assert_eq!(client.status().borrow().failures, 0);
}

#[tokio::test]
async fn an_identity_that_changes_in_its_folder_is_used() {
    let authority = authority();
    let (server, mut events) = leader(&authority).await;
    server.publish(&uid("uid-1"), config(revision(1, 1), &gateway("one", &[]))).expect("published");
    let pod = Pod::new("proxy-1", &issue(&authority, "uid-1"));
    let mut client = pod.start(&[server.local_addr()]);
    let update = next_update(&mut client).await;
    client.ack(ack(&update));
    let later = SystemTime::now() + Duration::from_secs(60);
    let next = authority.issue(&uid("uid-1"), later).expect("an identity");
    let (_, until) = next.validity().expect("a certificate");
    pod.give(&next);
    let again =
        |event: &Event| matches!(event, Event::Connected { holds: Some(_), .. }).then_some(());
    event(&mut events, "the stream with the new identity", again).await;
    assert_eq!(client.status().borrow().identity_until, Some(until));
}
