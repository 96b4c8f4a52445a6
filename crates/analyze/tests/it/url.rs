//! URLs and headers as a user types them.

use analyze::{Request, RequestError, explain::Scheme};

#[test]
fn a_url_is_read_as_a_client_reads_it() {
    let request = Request::from_url("HTTPS://Shop.Example.com:8443/a/b?c=d#e").unwrap();
    assert_eq!(request.scheme, Scheme::Https);
    assert_eq!((request.host.as_str(), request.port), ("shop.example.com", 8443));
    assert_eq!(request.authority, "shop.example.com:8443");
    assert_eq!(request.path_and_query, "/a/b?c=d");
    let request = Request::from_url("http://shop.example.com?x=1").unwrap();
    assert_eq!((request.port, request.authority.as_str()), (80, "shop.example.com"));
    assert_eq!(request.path_and_query, "/?x=1");
    let request = Request::from_url("http://[::1]:8080").unwrap();
    assert_eq!((request.host.as_str(), request.port), ("[::1]", 8080));
    assert_eq!(request.url(), "http://[::1]:8080/");
}

#[test]
fn what_is_no_url_is_refused_with_a_reason() {
    let error = |url: &str| Request::from_url(url).unwrap_err().to_string();
    assert_eq!(
        error("shop.example.com/a"),
        "\"shop.example.com/a\" is not a URL; write http://, https://, grpc://, grpcs://, tls://, tcp:// or udp:// before the host"
    );
    assert!(error("ftp://a/").contains("ftp"));
    assert!(error("http://user:pw@a/").contains("user information"));
    assert!(error("http://a:99999/").contains("65535"));
    assert!(error("http://a:0/").contains("65535"));
    assert!(error("http:///a").contains("not valid"));
    assert!(error("http://a/ b").contains("percent-encoded"));
    assert!(error("http://a/\u{e9}").contains("percent-encoded"));
}

#[test]
fn a_host_header_replaces_the_host_of_the_url_and_not_its_port() {
    let request = Request::from_url("http://127.0.0.1:8080/").unwrap();
    let request = request.with_header("Host: shop.example.com").unwrap();
    assert_eq!((request.host.as_str(), request.port), ("127.0.0.1", 8080));
    assert_eq!(request.authority, "shop.example.com");
    assert!(request.headers.is_empty());
}

#[test]
fn headers_and_methods_are_checked() {
    let request = || Request::from_url("http://a/").unwrap();
    assert_eq!(
        request().with_header("X-A").unwrap_err(),
        RequestError::HeaderColon("X-A".to_owned())
    );
    assert!(request().with_header("a b: c").is_err());
    assert!(request().with_header("a: b\nc").is_err());
    assert!(request().with_method("GE T").is_err());
    let headers = request().with_header("X-A:  b:c ").unwrap().headers;
    assert_eq!(headers, [("X-A".to_owned(), "b:c".to_owned())]);
}

#[test]
fn a_grpc_url_is_the_call_that_a_grpc_client_makes() {
    let request = Request::from_url("grpcs://api.example.com/shop.Cart/Add").unwrap();
    assert_eq!(
        (request.method.as_str(), request.scheme, request.port),
        ("POST", Scheme::Https, 443)
    );
    assert_eq!(request.url(), "https://api.example.com/shop.Cart/Add");
    assert!(request.headers.contains(&("content-type".to_owned(), "application/grpc".to_owned())));
}

#[test]
fn a_connection_has_a_port_and_no_path() {
    let error = |url: &str| Request::from_url(url).unwrap_err().to_string();
    assert_eq!(Request::from_url("tls://a.example.com").unwrap().port, 443);
    assert_eq!(Request::from_url("tcp://a:9000/").unwrap().url(), "tcp://a:9000");
    assert_eq!(error("udp://a"), "udp has no usual port; write it behind the host");
    assert!(error("tcp://a:9000/path").contains("leave out /path"));
}
