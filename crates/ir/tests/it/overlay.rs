//! The overlay by itself.

use ir::Overlay;

use crate::support::{field, text};

#[test]
fn an_overlay_is_empty_until_something_is_put_in_and_after_it_is_cleared() {
    let mut overlay = Overlay::default();
    assert!(overlay.is_empty());
    overlay.add(&field("X-A"), &text("1"));
    overlay.remove(&field("X-B"));
    overlay.set_path("/".to_owned());
    overlay.set_host("a".into());
    assert!(!overlay.is_empty());
    overlay.clear();
    assert!(overlay.is_empty());
    assert!(overlay.keeps(b"x-b"));
    assert_eq!((overlay.path(), overlay.host()), (None, None));
}

#[test]
fn an_overlay_knows_which_fields_a_filter_touched() {
    let mut overlay = Overlay::default();
    overlay.add(&field("X-Added"), &text("1"));
    overlay.set(&field("X-Set"), &text("1"));
    overlay.remove(&field("X-Removed"));
    for name in ["x-added", "X-SET", "x-removed"] {
        assert!(overlay.touches(name.as_bytes()), "{name}");
    }
    assert!(!overlay.touches(b"x-other"));
}

#[test]
fn removing_a_field_takes_back_what_was_added_before() {
    let mut overlay = Overlay::default();
    overlay.add(&field("X-A"), &text("1"));
    overlay.remove(&field("x-a"));
    assert_eq!(overlay.fields().count(), 0);
    overlay.add(&field("X-A"), &text("2"));
    assert_eq!(overlay.fields().count(), 1);
    assert!(!overlay.keeps(b"x-a"));
}

#[test]
fn fields_of_the_connection_are_not_edited() {
    let names = ["Connection", "content-length", "Transfer-Encoding", "TE", "Trailer", "Upgrade"];
    let mut overlay = Overlay::default();
    for name in names {
        assert!(field(name).is_of_connection(), "{name}");
        overlay.set(&field(name), &text("x"));
        overlay.add(&field(name), &text("x"));
        overlay.remove(&field(name));
    }
    assert!(overlay.is_empty());
    assert!(!field("Content-Type").is_of_connection());
}

#[test]
fn the_host_cannot_be_removed() {
    let mut overlay = Overlay::default();
    overlay.remove(&field("Host"));
    assert!(overlay.is_empty() && overlay.keeps(b"host"));
}
