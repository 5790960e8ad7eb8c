//! The pure parts, then real sockets on loopback.

use std::net::TcpListener;

use sallyport_protocol::Secret;

use super::*;

type Login<'a> = Option<(&'a str, &'a str)>;

#[track_caller]
fn proxy(text: &str, expected: Option<(&str, u16, Login<'_>)>) {
    let parsed = Proxy::parse(text).ok();
    let shown = parsed.as_ref().map(|proxy| {
        let login = proxy.credentials.as_ref().map(|(user, password)| (user.as_str(), password.expose()));
        (proxy.host.as_str(), proxy.port, login)
    });
    assert_eq!(shown, expected, "{text}");
}

#[test]
fn proxies_are_understood_with_and_without_credentials() {
    proxy("http://proxy.example:8080", Some(("proxy.example", 8080, None)));
    proxy("proxy.example", Some(("proxy.example", 3128, None)));
    proxy("http://[::1]:1/", Some(("::1", 1, None)));
    proxy("http://me:p%40ss%3a@proxy:8080/", Some(("proxy", 8080, Some(("me", "p@ss:")))));
    proxy("me:a@b@proxy:8080", Some(("proxy", 8080, Some(("me", "a@b")))));
    proxy("http://me@proxy:8080", Some(("proxy", 8080, Some(("me", "")))));
    for bad in [
        "",
        "http://",
        "https://proxy:1",
        "socks5://proxy:1",
        "ftp://x",
        "http://proxy:99999",
        "http://a%zz:b@proxy",
        "http://a%2:b@proxy",
    ] {
        proxy(bad, None);
    }
    let error = Proxy::parse("socks5://me:hunter2@x").unwrap_err().of("HTTPS_PROXY").to_string();
    assert!(error.starts_with("HTTPS_PROXY: ") && !error.contains("hunter2"), "{error}");
}

#[test]
fn no_proxy_matches_names_addresses_networks_and_ports() {
    let rules = NoProxy::parse(
        "example.com, .inner.test,*.wild.test 10.0.0.0/8,192.168.1.5,[::1]:8443,port.test:81,fe80::/10,/,x/99",
    );
    for (host, port, expected) in [
        ("example.com", 443, true),
        ("EXAMPLE.com.", 443, true),
        ("a.example.com", 443, true),
        ("notexample.com", 443, false),
        ("inner.test", 1, true),
        ("a.inner.test", 1, true),
        ("b.wild.test", 1, true),
        ("10.1.2.3", 1, true),
        ("11.1.2.3", 1, false),
        ("192.168.1.5", 9, true),
        ("192.168.1.6", 9, false),
        ("::1", 8443, true),
        ("::1", 8444, false),
        ("port.test", 81, true),
        ("port.test", 82, false),
        ("fe80::5", 1, true),
    ] {
        assert_eq!(rules.matches(host, port), expected, "{host}:{port}");
    }
    assert!(NoProxy::parse("*").matches("anything", 1));
    assert!(NoProxy::parse("0.0.0.0/0").matches("1.2.3.4", 1));
    assert!(!NoProxy::parse("").matches("anything", 1));
}

/// Feeds the bytes one by one, and all at once: both must give the same.
#[track_caller]
fn answer(bytes: &[u8]) -> Option<Answer> {
    let mut slow = Exchange::default();
    let single = bytes.iter().find_map(|byte| slow.feed(&[*byte]));
    let whole = Exchange::default().feed(bytes);
    if !matches!(whole, Some(Answer::Malformed(_))) {
        assert_eq!(single, whole);
    }
    whole
}

#[test]
fn answers_of_proxies_are_told_apart() {
    assert_eq!(answer(b"HTTP/1.1 200 Connection established\r\n\r\n"), Some(Answer::Open));
    assert_eq!(answer(b"HTTP/1.0 200\r\nVia: x\r\n\r\n"), Some(Answer::Open));
    assert_eq!(answer(b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\n\r\n"), Some(Answer::NeedsCredentials));
    let refused = Answer::Refused { status: 403, reason: "Forbidden".to_owned() };
    assert_eq!(answer(b"HTTP/1.1 403 Forbidden\r\n\r\n"), Some(refused));
    assert_eq!(answer(b"HTTP/1.1 200 OK\r\nVia"), None);
    for bad in [
        &b"SSH-2.0-OpenSSH\r\n"[..],
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nsurplus",
        b"HTTP/1.1\r\n\r\n",
    ] {
        assert!(matches!(answer(bad), Some(Answer::Malformed(_))), "{bad:?}");
    }
    let endless = [&b"HTTP/1.1 200 OK\r\nX: "[..], &[b'x'; 20_000]].concat();
    assert!(matches!(answer(&endless), Some(Answer::Malformed(_))));
}

/// A proxy that answers one `CONNECT` with `reply` and gives what it was asked.
fn fake_proxy(reply: &'static str) -> (u16, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let handle = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
            request.extend_from_slice(&byte);
        }
        stream.write_all(reply.as_bytes()).unwrap();
        String::from_utf8(request).unwrap()
    });
    (port, handle)
}

fn through(reply: &'static str, login: Login<'_>) -> (Result<Route, Kind>, String) {
    let (port, handle) = fake_proxy(reply);
    let credentials = login.map(|(user, password)| (user.to_owned(), Secret::new(password)));
    let proxy = Proxy { host: "127.0.0.1".to_owned(), port, credentials };
    let dialer = Dialer::new(Some(proxy), NoProxy::default(), Duration::from_secs(5));
    let result = dialer.dial("server.test", 8443).map(|dialled| dialled.route).map_err(|error| {
        assert!(error.to_string().contains("server.test:8443") && !error.to_string().contains("hunter2"), "{error}");
        error.kind
    });
    (result, handle.join().unwrap())
}

#[test]
fn a_proxy_is_asked_to_connect_with_the_credentials_it_needs() {
    let (route, request) = through("HTTP/1.1 200 OK\r\n\r\n", Some(("me", "hunter2")));
    assert!(matches!(route, Ok(Route::Proxy { authenticated: true, .. })));
    assert!(request.starts_with("CONNECT server.test:8443 HTTP/1.1\r\nHost: server.test:8443\r\n"), "{request}");
    assert!(request.contains("Proxy-Authorization: Basic bWU6aHVudGVyMg==\r\n"), "{request}");
    let (route, request) = through("HTTP/1.1 200 OK\r\n\r\n", None);
    assert!(matches!(route, Ok(Route::Proxy { authenticated: false, .. })) && !request.contains("Authorization"));
}

#[test]
fn refusals_of_a_proxy_have_their_words() {
    assert_eq!(through("HTTP/1.1 407 X\r\n\r\n", None).0, Err(Kind::ProxyNeedsCredentials));
    assert_eq!(through("HTTP/1.1 407 X\r\n\r\n", Some(("me", "hunter2"))).0, Err(Kind::ProxyWrongCredentials));
    assert_eq!(through("HTTP/1.1 403 Forbidden\r\n\r\n", None).0, Err(Kind::ProxyRefused));
    assert_eq!(through("hello\r\n\r\n", None).0, Err(Kind::ProxyProtocol));
    assert_eq!(through("", None).0, Err(Kind::ProxyProtocol));
}

#[test]
fn a_direct_dial_names_what_failed() {
    let dialer = Dialer::new(None, NoProxy::default(), Duration::from_secs(5));
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let dialled = dialer.dial("127.0.0.1", port).unwrap();
    assert!(dialled.stream.nodelay().unwrap() && matches!(dialled.route, Route::Direct { .. }));
    drop((dialled, listener));
    assert_eq!(dialer.dial("127.0.0.1", port).unwrap_err().kind, Kind::Refused);
    let unknown = dialer.dial("no-such-host.invalid", 1).unwrap_err();
    assert!(unknown.kind == Kind::Dns && unknown.kind.is_no_internet(), "{unknown}");

    let dead = Proxy { host: "127.0.0.1".to_owned(), port, credentials: None };
    let proxied = Dialer::new(Some(dead.clone()), NoProxy::parse("direct.test"), Duration::from_secs(5));
    assert_eq!(proxied.dial("server.test", 1).unwrap_err().kind, Kind::ProxyUnreachable);
    assert_eq!((proxied.proxy_for("x", 1), proxied.proxy_for("direct.test", 1)), (Some(&dead), None));
}

#[test]
fn the_settings_proxy_wins_over_the_environments() {
    let environment = Environment {
        proxy: Some(crate::config::ProxyVariable { name: "HTTPS_PROXY", text: "http://env:1".to_owned() }),
        no_proxy: Some("exempt.test".to_owned()),
        ..Environment::default()
    };
    let text =
        |proxy: &str| format!(r#"{{"Settings":{{"Username":"u","Password":"p","ServerAddress":"https://s"{proxy}}}}}"#);
    let dialer = |proxy: &str| {
        Dialer::from_settings(&Settings::parse(&text(proxy), "f").unwrap().settings, &environment).unwrap()
    };
    let shown = |dialer: &Dialer, host: &str| dialer.proxy_for(host, 443).map(ToString::to_string);
    let from_environment = dialer("");
    assert_eq!(shown(&from_environment, "s").as_deref(), Some("env:1"));
    assert_eq!(shown(&from_environment, "exempt.test"), None);
    let from_settings = dialer(r#","ProxyServerAddress":"set:2""#);
    assert_eq!(shown(&from_settings, "exempt.test").as_deref(), Some("set:2"));
}
