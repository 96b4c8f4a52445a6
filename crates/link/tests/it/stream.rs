//! What travels, to whom, and what is answered.

use std::{collections::BTreeSet, sync::Arc};

use link::{Config, Event, PublishError, Role, Source};

use crate::support::{
    Pod, ack, authority, config, endpoints, event, gateway, issue, leader, loopback, next_event,
    next_update, revision, server_at, status, uid,
};

#[tokio::test]
async fn each_proxy_gets_the_configuration_of_its_own_gateway_only() {
    let authority = authority();
    let (server, mut events) = leader(&authority).await;
    let (one, two) = (gateway("one", &[("a", "/a")]), gateway("two", &[("b", "/b")]));
    server.publish(&uid("uid-1"), config(revision(1, 1), &one)).expect("published");
    server.publish(&uid("uid-2"), config(revision(1, 2), &two)).expect("published");
    let pods = [
        Pod::new("proxy-1", &issue(&authority, "uid-1")),
        Pod::new("proxy-2", &issue(&authority, "uid-2")),
    ];
    let mut first = pods[0].start(&[server.local_addr()]);
    let mut second = pods[1].start(&[server.local_addr()]);
    let (to_first, to_second) = (next_update(&mut first).await, next_update(&mut second).await);
    assert_eq!((&*to_first.ir, to_first.revision), (&one, revision(1, 1)));
    assert_eq!((&*to_second.ir, to_second.revision), (&two, revision(1, 2)));
    assert_eq!(*to_first.endpoints, endpoints(&one, 8080));
    assert_eq!(to_first.source, Source::Controller);
    let mut connected = BTreeSet::new();
    while connected.len() < 2 {
        if let Event::Connected { gateway, proxy, holds, .. } = next_event(&mut events).await {
            assert_eq!(holds, None);
            connected.insert((gateway.to_string(), proxy.to_string()));
        }
    }
    let expected = [("uid-1", "proxy-1"), ("uid-2", "proxy-2")];
    assert_eq!(connected, expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into());
}

#[tokio::test]
async fn an_acknowledgement_tells_the_result_for_each_port() {
    let authority = authority();
    let (server, mut events) = leader(&authority).await;
    let pod = Pod::new("proxy-1", &issue(&authority, "uid-1"));
    let mut client = pod.start(&[server.local_addr()]);
    server.publish(&uid("uid-1"), config(revision(3, 7), &gateway("one", &[]))).expect("published");
    let update = next_update(&mut client).await;
    let said = ack(&update);
    client.ack(said.clone());
    let heard = event(&mut events, "an acknowledgement", |event| match event {
        Event::Acked { ack, .. } => Some(ack.clone()),
        _ => None,
    });
    assert_eq!(heard.await, said);
}

#[tokio::test]
async fn a_route_edit_moves_one_entity_and_shares_the_others() {
    let authority = authority();
    let (server, _events) = leader(&authority).await;
    let pod = Pod::new("proxy-1", &issue(&authority, "uid-1"));
    let mut client = pod.start(&[server.local_addr()]);
    let before = gateway("one", &[("a", "/a"), ("b", "/b"), ("c", "/c")]);
    server.publish(&uid("uid-1"), config(revision(1, 1), &before)).expect("published");
    let first = next_update(&mut client).await;
    client.ack(ack(&first));
    let sent = server.entities_sent();
    let after = gateway("one", &[("a", "/a"), ("b", "/other"), ("c", "/c")]);
    server.publish(&uid("uid-1"), config(revision(1, 2), &after)).expect("published");
    let second = next_update(&mut client).await;
    assert_eq!(*second.ir, after);
    assert_eq!(second.changed, 1);
    assert_eq!(server.entities_sent() - sent, 1);
    assert!(Arc::ptr_eq(&first.endpoints, &second.endpoints));
    let shared = first.ir.http_routes.iter().filter(|(object, route)| {
        second.ir.http_routes.get(*object).is_some_and(|new| Arc::ptr_eq(new, route))
    });
    assert_eq!(shared.count(), 2);
}

#[tokio::test]
async fn endpoints_move_without_a_revision() {
    let authority = authority();
    let (server, _events) = leader(&authority).await;
    let pod = Pod::new("proxy-1", &issue(&authority, "uid-1"));
    let mut client = pod.start(&[server.local_addr()]);
    let ir = gateway("one", &[("a", "/a")]);
    server.publish(&uid("uid-1"), config(revision(1, 1), &ir)).expect("published");
    let first = next_update(&mut client).await;
    client.ack(ack(&first));
    let moved = Arc::new(endpoints(&ir, 9090));
    server.publish_endpoints(&uid("uid-1"), Arc::clone(&moved)).expect("published");
    let second = next_update(&mut client).await;
    assert_eq!(second.endpoints, moved);
    assert_eq!(second.revision, first.revision);
    assert!(Arc::ptr_eq(&first.ir, &second.ir));
}

#[tokio::test]
async fn a_slow_proxy_gets_the_latest_revision_and_none_in_between() {
    let authority = authority();
    let (server, _events) = leader(&authority).await;
    let pod = Pod::new("proxy-1", &issue(&authority, "uid-1"));
    let mut client = pod.start(&[server.local_addr()]);
    let publish = |sequence: u64| {
        let path = format!("/{sequence}");
        let ir = gateway("one", &[("a", path.as_str())]);
        server.publish(&uid("uid-1"), config(revision(1, sequence), &ir)).expect("published");
    };
    publish(1);
    let first = next_update(&mut client).await;
    // Not acknowledged yet: nothing further is sent.
    (2..=50).for_each(publish);
    client.ack(ack(&first));
    let second = next_update(&mut client).await;
    assert_eq!(second.revision, revision(1, 50));
    assert_eq!(second.changed, 1);
}

#[tokio::test]
async fn entities_that_are_gone_are_removed() {
    let authority = authority();
    let (server, _events) = leader(&authority).await;
    let pod = Pod::new("proxy-1", &issue(&authority, "uid-1"));
    let mut client = pod.start(&[server.local_addr()]);
    let before = gateway("one", &[("a", "/a"), ("b", "/b")]);
    server.publish(&uid("uid-1"), config(revision(1, 1), &before)).expect("published");
    let first = next_update(&mut client).await;
    client.ack(ack(&first));
    let after = gateway("one", &[("b", "/b")]);
    server.publish(&uid("uid-1"), config(revision(1, 2), &after)).expect("published");
    let second = next_update(&mut client).await;
    assert_eq!((&*second.ir, &*second.endpoints), (&after, &endpoints(&after, 8080)));
}

#[tokio::test]
async fn a_change_without_a_new_revision_is_not_published() {
    let (server, _events) = leader(&authority()).await;
    let (before, after) = (gateway("one", &[]), gateway("one", &[("a", "/a")]));
    server.publish(&uid("uid-1"), config(revision(2, 5), &before)).expect("published");
    for offered in [revision(2, 5), revision(1, 9)] {
        let refused = server.publish(&uid("uid-1"), config(offered, &after));
        let published = revision(2, 5);
        assert_eq!(refused, Err(PublishError::Stale { offered, published }));
    }
    let same = Config { revision: revision(2, 5), ir: Arc::new(before), ..Config::default() };
    assert_eq!(server.publish(&uid("uid-1"), same), Ok(()));
}

#[tokio::test]
async fn a_follower_sends_proxies_to_the_leader() {
    let authority = authority();
    let (leading, _events) = leader(&authority).await;
    let place = leading.local_addr().to_string();
    let role = Role::Follower { leader: Some(place.as_str().into()) };
    let (following, _followed) = server_at(loopback(), &authority, role).await;
    let ir = gateway("one", &[("a", "/a")]);
    leading.publish(&uid("uid-1"), config(revision(1, 1), &ir)).expect("published");
    let pod = Pod::new("proxy-1", &issue(&authority, "uid-1"));
    let mut client = pod.start(&[following.local_addr()]);
    assert_eq!(*next_update(&mut client).await.ir, ir);
    let status = status(&client, "a stream", |status| status.controller.is_some()).await;
    assert!(status.controller.is_some_and(|controller| controller.contains(&place)));
}

#[tokio::test]
async fn a_follower_that_knows_no_leader_is_passed_over() {
    let authority = authority();
    let (leading, _events) = leader(&authority).await;
    let role = Role::Follower { leader: None };
    let (following, _followed) = server_at(loopback(), &authority, role).await;
    let ir = gateway("one", &[("a", "/a")]);
    leading.publish(&uid("uid-1"), config(revision(1, 1), &ir)).expect("published");
    let pod = Pod::new("proxy-1", &issue(&authority, "uid-1"));
    let mut client = pod.start(&[following.local_addr(), leading.local_addr()]);
    assert_eq!(*next_update(&mut client).await.ir, ir);
}

#[tokio::test]
async fn a_leader_that_steps_back_sends_its_proxies_away() {
    let authority = authority();
    let (old, mut of_old) = leader(&authority).await;
    let role = Role::Follower { leader: None };
    let (new, mut of_new) = server_at(loopback(), &authority, role).await;
    let ir = gateway("one", &[("a", "/a")]);
    old.publish(&uid("uid-1"), config(revision(1, 1), &ir)).expect("published");
    let pod = Pod::new("proxy-1", &issue(&authority, "uid-1"));
    let mut client = pod.start(&[old.local_addr(), new.local_addr()]);
    let update = next_update(&mut client).await;
    client.ack(ack(&update));
    new.publish(&uid("uid-1"), config(revision(2, 1), &ir)).expect("published");
    new.set_role(Role::Leader);
    let leader = Some(new.local_addr().to_string().as_str().into());
    old.set_role(Role::Follower { leader });
    event(&mut of_old, "the end", |event| {
        matches!(event, Event::Disconnected { .. }).then_some(())
    })
    .await;
    let holds = event(&mut of_new, "the proxy", |event| match event {
        Event::Connected { holds, .. } => Some(*holds),
        _ => None,
    });
    assert_eq!(holds.await, Some(revision(1, 1)));
    let next = next_update(&mut client).await;
    assert_eq!(next.revision, revision(2, 1));
    assert!(Arc::ptr_eq(&next.ir, &update.ir));
    assert_eq!(new.entities_sent(), 0);
}

#[tokio::test]
async fn a_retracted_gateway_is_served_no_longer_but_its_proxy_keeps_what_it_has() {
    let authority = authority();
    let (server, _events) = leader(&authority).await;
    let pod = Pod::new("proxy-1", &issue(&authority, "uid-1"));
    let mut client = pod.start(&[server.local_addr()]);
    server.publish(&uid("uid-1"), config(revision(1, 1), &gateway("one", &[]))).expect("published");
    let update = next_update(&mut client).await;
    client.ack(ack(&update));
    server.retract(&uid("uid-1"));
    let said = status(&client, "the refusal", |status| {
        status.error.as_ref().is_some_and(|error| error.contains("does not serve this gateway"))
    });
    let said = said.await;
    assert_eq!((said.holds, said.retracted), (Some(revision(1, 1)), true));
    server.publish(&uid("uid-1"), config(revision(1, 2), &gateway("one", &[]))).expect("published");
    let served = status(&client, "another revision", |status| status.holds == Some(revision(1, 2)));
    assert!(!served.await.retracted);
}
