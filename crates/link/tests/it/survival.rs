//! Controllers and proxies that end, come back, or are behind.

use std::{os::unix::fs::PermissionsExt, sync::Arc};

use link::{Event, Role, Source};

use crate::support::{
    Pod, ack, authority, config, endpoints, event, gateway, issue, leader, next_update, revision,
    server_at, status, stored, uid,
};

#[tokio::test]
async fn a_proxy_that_starts_without_a_controller_serves_its_last_good_configuration() {
    let authority = authority();
    let (server, _events) = leader(&authority).await;
    let ir = gateway("one", &[("a", "/a")]);
    server.publish(&uid("uid-1"), config(revision(4, 2), &ir)).expect("published");
    let pod = Pod::new("proxy-1", &issue(&authority, "uid-1"));
    let mut client = pod.start(&[server.local_addr()]);
    let update = next_update(&mut client).await;
    client.ack(ack(&update));
    let path = pod.stored();
    let before = tokio::task::spawn_blocking(move || stored(&path, None)).await.expect("a file");
    let mode = std::fs::metadata(pod.stored()).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Endpoints alone are stored, too.
    let moved = Arc::new(endpoints(&ir, 9090));
    server.publish_endpoints(&uid("uid-1"), Arc::clone(&moved)).expect("published");
    next_update(&mut client).await;
    let path = pod.stored();
    tokio::task::spawn_blocking(move || stored(&path, Some(&before))).await.expect("a file");
    let gone = server.local_addr();
    drop((client, server));
    let mut again = pod.start(&[gone]);
    let last = next_update(&mut again).await;
    assert_eq!((last.source, last.revision), (Source::Stored, revision(4, 2)));
    assert_eq!((&*last.ir, &last.endpoints), (&ir, &moved));
}

#[tokio::test]
async fn a_stored_configuration_that_is_damaged_or_of_another_gateway_is_not_used() {
    let authority = authority();
    let (server, _events) = leader(&authority).await;
    let ir = gateway("one", &[("a", "/a")]);
    server.publish(&uid("uid-1"), config(revision(4, 2), &ir)).expect("published");
    let pod = Pod::new("proxy-1", &issue(&authority, "uid-1"));
    let mut client = pod.start(&[server.local_addr()]);
    let update = next_update(&mut client).await;
    client.ack(ack(&update));
    let path = pod.stored();
    let good = tokio::task::spawn_blocking(move || stored(&path, None)).await.expect("a file");
    drop((client, server));
    let nowhere = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    let mut damaged = good.clone();
    damaged[good.len() / 2] ^= 1;
    for bytes in [&good[..good.len() - 1], &damaged, b"", b"PCLSTATE"] {
        std::fs::write(pod.stored(), bytes).expect("a file");
        let client = pod.start(&[nowhere]);
        assert_eq!(client.status().borrow().holds, None);
    }
    let other = Pod::new("proxy-2", &issue(&authority, "uid-2"));
    std::fs::write(other.stored(), &good).expect("a file");
    assert_eq!(other.start(&[nowhere]).status().borrow().holds, None);
    std::fs::write(pod.stored(), &good).expect("a file");
    assert_eq!(pod.start(&[nowhere]).status().borrow().holds, Some(revision(4, 2)));
}

#[tokio::test]
async fn a_controller_that_comes_back_sends_only_what_changed_meanwhile() {
    let authority = authority();
    let (server, _events) = leader(&authority).await;
    let before = gateway("one", &[("a", "/a"), ("b", "/b")]);
    server.publish(&uid("uid-1"), config(revision(1, 1), &before)).expect("published");
    let pod = Pod::new("proxy-1", &issue(&authority, "uid-1"));
    let place = server.local_addr();
    let mut client = pod.start(&[place]);
    let update = next_update(&mut client).await;
    client.ack(ack(&update));
    server.stop().await;
    status(&client, "the end", |status| status.controller.is_none()).await;
    let (server, mut events) = restarted(place, &authority).await;
    let after = gateway("one", &[("a", "/a"), ("b", "/other")]);
    server.publish(&uid("uid-1"), config(revision(2, 1), &after)).expect("published");
    let next = next_update(&mut client).await;
    assert_eq!((&*next.ir, next.changed), (&after, 1));
    client.ack(ack(&next));
    let acked = event(&mut events, "an acknowledgement", |event| match event {
        Event::Acked { ack, .. } if ack.revision == revision(2, 1) => Some(()),
        _ => None,
    });
    acked.await;
}

/// A server where another one was until now.
async fn restarted(
    place: std::net::SocketAddr,
    authority: &link::Authority,
) -> (link::Server, tokio::sync::mpsc::Receiver<Event>) {
    server_at(place, authority, Role::Leader).await
}

/// A proxy that acknowledged `ir` at `revision`, whose controller then went away; and where it was.
async fn left_alone(
    authority: &link::Authority,
    revision: ir::Revision,
    ir: &ir::IrSet,
) -> (Pod, link::Client, std::net::SocketAddr) {
    let (server, _events) = leader(authority).await;
    server.publish(&uid("uid-1"), config(revision, ir)).expect("published");
    let pod = Pod::new("proxy-1", &issue(authority, "uid-1"));
    let place = server.local_addr();
    let mut client = pod.start(&[place]);
    let update = next_update(&mut client).await;
    client.ack(ack(&update));
    server.stop().await;
    status(&client, "the end", |status| status.controller.is_none()).await;
    (pod, client, place)
}

#[tokio::test]
async fn what_serves_already_is_acknowledged_on_a_new_stream() {
    let authority = authority();
    let ir = gateway("one", &[("a", "/a")]);
    let (_pod, _client, place) = left_alone(&authority, revision(1, 1), &ir).await;
    let (server, mut events) = restarted(place, &authority).await;
    server.publish(&uid("uid-1"), config(revision(1, 1), &ir)).expect("published");
    let acked = event(&mut events, "an acknowledgement", |event| match event {
        Event::Acked { ack, .. } => Some(ack.revision),
        _ => None,
    });
    assert_eq!(acked.await, revision(1, 1));
    assert_eq!(server.entities_sent(), 0);
}

#[tokio::test]
async fn an_older_epoch_is_refused_and_the_controller_learns_why() {
    let authority = authority();
    let ir = gateway("one", &[("a", "/a")]);
    let (_pod, mut client, place) = left_alone(&authority, revision(5, 1), &ir).await;
    let (old, mut events) = restarted(place, &authority).await;
    let stale = gateway("one", &[("a", "/stale")]);
    old.publish(&uid("uid-1"), config(revision(4, 900), &stale)).expect("published");
    let refused = event(&mut events, "the refusal", |event| match event {
        Event::Refused { offered, holds, .. } => Some((*offered, *holds)),
        _ => None,
    });
    assert_eq!(refused.await, (revision(4, 900), revision(5, 1)));
    assert_eq!(client.status().borrow().holds, Some(revision(5, 1)));
    // Knowing what the proxy holds, the controller goes above it.
    old.publish(&uid("uid-1"), config(revision(5, 2), &stale)).expect("published");
    assert_eq!(*next_update(&mut client).await.ir, stale);
}

#[tokio::test]
async fn a_restarted_proxy_refuses_what_is_older_than_what_it_stored() {
    let authority = authority();
    let (server, _events) = leader(&authority).await;
    let ir = gateway("one", &[("a", "/a")]);
    server.publish(&uid("uid-1"), config(revision(5, 1), &ir)).expect("published");
    let pod = Pod::new("proxy-1", &issue(&authority, "uid-1"));
    let place = server.local_addr();
    let mut client = pod.start(&[place]);
    let update = next_update(&mut client).await;
    client.ack(ack(&update));
    let path = pod.stored();
    tokio::task::spawn_blocking(move || stored(&path, None)).await.expect("a file");
    drop(client);
    server.stop().await;
    let (old, _old_events) = restarted(place, &authority).await;
    old.publish(&uid("uid-1"), config(revision(4, 1), &gateway("one", &[]))).expect("published");
    let mut again = pod.start(&[place]);
    assert_eq!(*next_update(&mut again).await.ir, ir);
    let status = status(&again, "the refusal", |status| status.refused >= 1).await;
    assert_eq!(status.holds, Some(revision(5, 1)));
}
