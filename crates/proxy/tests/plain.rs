//! The plain way: a request in, a response out.

mod common;

#[test]
fn a_request_reaches_the_backend_and_its_response_the_client() {
    let (plane, recorder) = common::plain();
    let mut client = plane.client();
    for path in ["/a", "/b?c=d"] {
        let response = client.get("shop.example", path);
        assert_eq!(response.status, 200);
        assert_eq!(response.json()["path"], path);
        assert_eq!(response.json()["host"], "shop.example");
    }
    let requests = recorder.wait_for(2);
    assert_eq!(requests[1].connection, 0, "the upstream connection is reused");
    assert_eq!(requests[0].field("x-forwarded-for"), Some("127.0.0.1"));
}
