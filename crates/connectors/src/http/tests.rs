use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use sallyport_dataplane::Cancel;
use sallyport_protocol::{ConnectionOrder, ConnectionTest, HttpOrder, Secret};
use serde_json::{Value, json};

use super::*;

fn order(settings: Value, secrets: &[(&str, &str)]) -> ConnectionOrder {
    let secrets = secrets.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value)));
    ConnectionOrder { name: "erp".to_owned(), settings, secrets: secrets.collect::<BTreeMap<_, _>>() }
}

fn head(settings: Value, secrets: &[(&str, &str)], target: &str, headers: &[(&str, &str)]) -> Result<String, String> {
    let connection = order(settings, secrets);
    let service = Target::new(&connection).map_err(|error| error.to_string())?;
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let order = HttpOrder { connection, method: "POST".to_owned(), target: target.to_owned(), headers };
    service.head(&order).map(|head| String::from_utf8(head).unwrap()).map_err(|error| error.to_string())
}

#[test]
fn addresses_are_taken_apart() {
    let check = |text: &str, origin: &str, host: &str, port: u16, base: &str| {
        let address: Address = text.parse().unwrap();
        assert_eq!((address.origin().as_str(), address.host()), (origin, host), "{text}");
        assert_eq!((address.port(), address.base()), (port, base), "{text}");
    };
    check("https://ERP.site", "https://erp.site", "ERP.site", 443, "/");
    check("http://erp.site:8080/api/v2/", "http://erp.site:8080", "erp.site", 8080, "/api/v2/");
    check("https://[::1]:8443/x", "https://[::1]:8443", "::1", 8443, "/x/");
    check("http://10.1.0.4:80", "http://10.1.0.4", "10.1.0.4", 80, "/");
    for wrong in
        ["erp.site", "ftp://erp.site", "http://user@erp.site", "http://", "http://erp.site/?x=1", "/api", "http://a:0"]
    {
        assert!(wrong.parse::<Address>().is_err(), "{wrong}");
    }
}

#[test]
fn credentials_take_the_place_of_what_was_sent() {
    let settings = json!({"url": "https://erp.site/api", "user": "ada", "secret_header": "X-Api-Key", "headers": {"X-Tenant": "7"}});
    let sent = [
        ("authorization", "Bearer of-a-person"),
        ("x-api-key", "guessed"),
        ("accept", "*/*"),
        ("host", "evil"),
        ("connection", "x"),
    ];
    let head = head(settings, &[("password", "pass"), ("header", "k3y")], "/api/orders?id=1", &sent).unwrap();
    let expected = "POST /api/orders?id=1 HTTP/1.1\r\nHost: erp.site\r\naccept: */*\r\nx-tenant: 7\r\n\
        authorization: Basic YWRhOnBhc3M=\r\nx-api-key: k3y\r\nconnection: close\r\n\r\n";
    assert_eq!(head, expected);
}

#[test]
fn an_upgrade_is_asked_for_and_latin_values_keep_their_bytes() {
    let connection = order(json!({"url": "http://erp.site"}), &[("token", "t0ken")]);
    let headers = vec![("upgrade".to_owned(), "websocket".to_owned()), ("x-name".to_owned(), "J\u{fc}rgen".to_owned())];
    let asked = HttpOrder { connection: connection.clone(), method: "GET".into(), target: "/ws".into(), headers };
    let head = Target::new(&connection).unwrap().head(&asked).unwrap();
    let has = |part: &[u8]| head.windows(part.len()).any(|window| window == part);
    assert!(has(b"\r\nconnection: Upgrade\r\n") && has(b"\r\nauthorization: Bearer t0ken\r\n"));
    assert!(has(b"x-name: J\xfcrgen\r\n"));
}

#[test]
fn nothing_becomes_a_second_header_or_request() {
    let settings = || json!({"url": "http://erp.site"});
    for (target, name, value) in [
        ("/ HTTP/1.1\r\nX: y", "a", "b"),
        ("relative", "a", "b"),
        ("/", "a\r\nb", "c"),
        ("/", "a", "b\r\nevil: 1"),
        ("/", "a", "b\nevil: 1"),
        ("/", "a", "\u{20ac}"),
    ] {
        assert!(head(settings(), &[], target, &[(name, value)]).is_err(), "{target:?} {name:?} {value:?}");
    }
    for method in ["TRACE", "CONNECT", "GET /", ""] {
        let connection = order(settings(), &[]);
        let service = Target::new(&connection).unwrap();
        let asked = HttpOrder { connection, method: method.to_owned(), target: "/".to_owned(), headers: Vec::new() };
        assert!(service.head(&asked).is_err(), "{method}");
    }
}

#[test]
fn settings_that_cannot_be_meant_are_named() {
    let check = |settings: Value, secrets: &[(&str, &str)], words: &str| {
        let Err(error) = Target::new(&order(settings, secrets)) else { panic!("{words}: it was taken") };
        assert!(error.to_string().contains(words), "{error}");
    };
    check(json!({"url": "erp.site"}), &[], "`url`");
    check(json!({"url": "http://a", "user": "x"}), &[("token", "t")], "`user`");
    check(json!({"url": "http://a", "secret_header": "x"}), &[], "`header`");
    check(json!({"url": "http://a"}), &[("header", "x")], "`secret_header`");
    check(json!({"url": "http://a", "secret_header": "a b"}), &[("header", "x")], "cannot be the name");
    check(json!({"url": "http://a", "secret_header": "x"}), &[("header", "x\r\ny")], "characters");
    check(json!({"url": "http://a", "headers": {"Host": "b"}}), &[], "set by the agent");
    check(json!({"url": "http://a", "headers": {"X-A": "b", "x-a": "c"}}), &[], "twice");
    check(json!({"url": "http://a", "ca": "pem"}), &[], "`ca`");
}

/// A service that answers each request with the next of these, and the requests it heard.
fn service(answers: &'static [&'static str]) -> (u16, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        answers
            .iter()
            .map(|answer| {
                let (mut stream, _) = listener.accept().unwrap();
                let (mut heard, mut byte) = (Vec::new(), [0]);
                while !heard.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
                    heard.push(byte[0]);
                }
                stream.write_all(answer.as_bytes()).unwrap();
                String::from_utf8(heard).unwrap()
            })
            .collect()
    });
    (port, serving)
}

fn tried(port: u16, secrets: &[(&str, &str)]) -> ConnectionTest {
    let order = order(json!({"url": format!("http://127.0.0.1:{port}/api")}), secrets);
    test(&order, &Site::default(), &Cancel::new())
}

fn last(test: &ConnectionTest) -> (&str, bool, &str) {
    let stage = test.stages.last().unwrap();
    (&stage.stage, stage.ok, &stage.detail)
}

#[test]
fn a_test_asks_for_the_head_of_the_base_address_with_the_credentials() {
    let (port, serving) = service(&["HTTP/1.1 204 No Content\r\n\r\n"]);
    let test = tried(port, &[("token", "t0ken")]);
    assert!(test.passed(), "{test:?}");
    let names: Vec<&str> = test.stages.iter().map(|stage| stage.stage.as_str()).collect();
    assert_eq!(names, ["settings", "name", "policy", "port", "login", "query"]);
    let heard = serving.join().unwrap();
    assert!(
        heard[0].starts_with("HEAD /api/ HTTP/1.1\r\n") && heard[0].contains("authorization: Bearer t0ken"),
        "{heard:?}"
    );
}

#[test]
fn a_service_without_head_is_asked_again_and_refusals_are_told_as_login() {
    let (port, serving) = service(&["HTTP/1.1 405 No\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]);
    assert!(tried(port, &[]).passed());
    assert!(serving.join().unwrap()[1].starts_with("GET /api/ "));
    let (port, _) = service(&["HTTP/1.1 401 Unauthorized\r\n\r\n"]);
    let test = tried(port, &[]);
    assert!(matches!(last(&test), ("login", false, detail) if detail.contains("the connection has none")), "{test:?}");
    let (port, _) = service(&["HTTP/1.1 403 Forbidden\r\n\r\n"]);
    let test = tried(port, &[("token", "wrong")]);
    assert!(matches!(last(&test), ("login", false, detail) if detail.contains("does not take")), "{test:?}");
    let (port, _) = service(&["HTTP/1.1 503 Away\r\n\r\n"]);
    let test = tried(port, &[]);
    assert!(matches!(last(&test), ("query", false, detail) if detail.contains("503 Away")), "{test:?}");
    let (port, _) = service(&["SSH-2.0-OpenSSH_9\r\n\r\n"]);
    let test = tried(port, &[]);
    assert!(matches!(last(&test), ("query", false, detail) if detail.contains("does not speak HTTP")), "{test:?}");
}

#[test]
fn tls_is_checked_as_the_connection_says() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let check = |more: Value, host: &str| {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let config = Arc::clone(&config);
        let serving = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut tls = rustls::StreamOwned::new(rustls::ServerConnection::new(config).unwrap(), stream);
            // One that does not believe the certificate leaves.
            if tls.read(&mut [0; 4096]).is_ok() {
                tls.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            }
        });
        let mut settings = json!({"url": format!("https://{host}:{port}")});
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let test = test(&order(settings, &[]), &Site::default(), &Cancel::new());
        serving.join().unwrap();
        test
    };
    let pem = made.cert.pem();
    assert!(check(json!({"ca": pem}), "localhost").passed());
    assert!(check(json!({"verify": false}), "127.0.0.1").passed());
    let unknown = check(json!({}), "localhost");
    assert!(matches!(last(&unknown), ("tls", false, detail) if detail.contains("check that")), "{unknown:?}");
    let wrong_name = check(json!({"ca": pem}), "127.0.0.1");
    assert!(matches!(last(&wrong_name), ("tls", false, _)), "{wrong_name:?}");
}
