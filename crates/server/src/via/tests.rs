use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use proptest::prelude::*;
use sallyport_protocol::{ConnectionId, EnvironmentId, Secret, Timestamp};

use super::answer::{Answer, Framing, Parsed, parse};
use super::ask::Sends;
use super::body::Decoder;
use super::exchange::Done;
use super::*;
use crate::secrets::Secrets;

fn place(url: &str) -> Place {
    Place::new(url.parse().unwrap(), "/via/erp/".to_owned())
}

fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
    given.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
}

fn asked(method: Method, given: &[(&'static str, &str)]) -> Asked {
    Asked::new(&place("https://erp.site/api"), &method, ("orders", Some("id=1")), &headers(given)).unwrap()
}

fn sent<'a>(asked: &'a Asked, name: &str) -> Option<&'a str> {
    let mut found = asked.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let first = found.next();
    assert_eq!(found.next(), None, "{name} is there twice");
    first
}

#[test]
fn what_is_the_persons_or_the_connections_stays_here() {
    let asked = asked(
        Method::POST,
        &[
            ("authorization", "Bearer api_1"),
            ("cookie", "theme=dark; sallyport_login=login_1; Sallyport_Login=x"),
            ("host", "sallyport.example"),
            ("connection", "keep-alive, x-hop"),
            ("x-hop", "1"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("origin", "null"),
            ("referer", "https://sallyport.example/view/secret/"),
            ("sec-fetch-site", "cross-site"),
            ("x-forwarded-for", "10.0.0.1"),
            ("sallyport-environment", "production"),
            ("transfer-encoding", "chunked"),
            ("expect", "100-continue"),
            ("accept", "*/*"),
        ],
    );
    assert_eq!(
        (asked.target.as_str(), asked.sends, asked.expects, asked.upgrades),
        ("/api/orders?id=1", Sends::Chunked, true, false)
    );
    assert_eq!(sent(&asked, "cookie"), Some("theme=dark"));
    assert_eq!(sent(&asked, "origin"), Some("https://erp.site"));
    assert_eq!(sent(&asked, "transfer-encoding"), Some("chunked"));
    assert_eq!(sent(&asked, "accept"), Some("*/*"));
    for gone in [
        "authorization",
        "host",
        "connection",
        "x-hop",
        "te",
        "upgrade",
        "referer",
        "sec-fetch-site",
        "x-forwarded-for",
        "sallyport-environment",
    ] {
        assert_eq!(sent(&asked, gone), None, "{gone}");
    }
}

#[test]
fn a_websocket_is_asked_for_and_other_protocols_are_not() {
    let upgraded = asked(
        Method::GET,
        &[("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket"), ("sec-websocket-key", "x")],
    );
    assert!(upgraded.upgrades && sent(&upgraded, "upgrade") == Some("websocket"));
    assert_eq!(sent(&upgraded, "sec-websocket-key"), Some("x"));
    let other = asked(Method::GET, &[("connection", "upgrade"), ("upgrade", "h2c")]);
    assert!(!other.upgrades && sent(&other, "upgrade").is_none());
    let unnamed = asked(Method::GET, &[("upgrade", "websocket")]);
    assert!(!unnamed.upgrades && sent(&unnamed, "upgrade").is_none());
}

#[test]
fn methods_and_paths_that_are_not_passed_on() {
    let ask = |method: Method, rest: &str| {
        Asked::new(&place("https://erp.site/api"), &method, (rest, None), &HeaderMap::new())
    };
    assert_eq!(ask(Method::TRACE, ""), Err(NotAsked::Method));
    for rest in ["..", "../admin", "a/../../x", "a/%2e%2E/x", "a/.%2e", "a\\..\\x", "./x"] {
        assert_eq!(ask(Method::GET, rest), Err(NotAsked::Path), "{rest}");
    }
    assert_eq!(ask(Method::GET, "a..b/.hidden").unwrap().target, "/api/a..b/.hidden");
    assert_eq!(ask(Method::GET, "").unwrap().target, "/api/");
}

#[test]
fn redirects_lead_to_where_people_find_the_service() {
    let check = |url: &str, location: &str, expected: &str| {
        assert_eq!(place(url).location(location), expected, "{location}");
    };
    check("http://erp.site", "/login?next=/#top", "/via/erp/login?next=/#top");
    check("http://erp.site", "next", "next");
    check("http://erp.site", "http://ERP.site:80/x", "/via/erp/x");
    check("http://erp.site", "//erp.site/x", "/via/erp/x");
    check("https://erp.site:8443/api", "https://erp.site:8443/api/v2?a=b", "/via/erp/v2?a=b");
    check("https://erp.site:8443/api", "/api", "/via/erp/");
    // Elsewhere is elsewhere: the next request goes there only if the person may.
    check("https://erp.site:8443/api", "/admin", "https://erp.site:8443/admin");
    check("http://erp.site", "https://erp.site/x", "https://erp.site/x");
    check("http://erp.site", "http://169.254.169.254/latest", "http://169.254.169.254/latest");
    check("http://erp.site", "//evil.example/x", "//evil.example/x");
    check("http://erp.site", "javascript:alert(1)", "javascript:alert(1)");
}

#[test]
fn cookies_stay_below_the_connections_address() {
    let check = |cookie: &str, expected: Option<&str>| {
        assert_eq!(place("https://erp.site/api").cookie(cookie).as_deref(), expected, "{cookie}");
    };
    check("id=1; Domain=site; Path=/; HttpOnly; Secure", Some("id=1; HttpOnly; Secure; Path=/via/erp/"));
    check("id=1; path=/api/v2; SameSite=Lax", Some("id=1; SameSite=Lax; Path=/via/erp/v2"));
    check("id=1", Some("id=1; Path=/via/erp/"));
    check("sallyport_login=x; Path=/", None);
    check(" Sallyport_Login =x", None);
    check("=sallyport_login=x", None);
    check("sallyport_login", None);
}

fn whole(bytes: &[u8], bodiless: bool, upgrades: bool) -> Result<Answer, String> {
    match parse(bytes, bodiless, upgrades)? {
        Parsed::Whole { answer, .. } => Ok(*answer),
        other => Err(format!("{other:?}")),
    }
}

#[test]
fn bodies_end_as_heads_say() {
    let check = |head: &str, expected: Framing| {
        assert_eq!(
            whole(format!("HTTP/1.1 {head}\r\n\r\n").as_bytes(), false, false).unwrap().framing,
            expected,
            "{head}"
        );
    };
    check("200 OK\r\nContent-Length: 7", Framing::Length(7));
    check("200 OK\r\nContent-Length: 7\r\nContent-Length: 7", Framing::Length(7));
    check("200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Length: 7", Framing::Chunked);
    check("200 OK", Framing::UntilEnd);
    check("204 No Content\r\nContent-Length: 7", Framing::Empty);
    check("304 Not Modified", Framing::Empty);
    assert_eq!(whole(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", true, false).unwrap().framing, Framing::Empty);
    assert_eq!(whole(b"HTTP/1.1 101 Switching\r\n\r\n", false, true).unwrap().framing, Framing::Switched);
    for wrong in [
        "101 Switching",
        "200 OK\r\nContent-Length: 7\r\nContent-Length: 8",
        "200 OK\r\nContent-Length: +7",
        "200 OK\r\nTransfer-Encoding: gzip, chunked",
        "2000 OK",
    ] {
        assert!(whole(format!("HTTP/1.1 {wrong}\r\n\r\n").as_bytes(), false, false).is_err(), "{wrong}");
    }
    assert!(matches!(
        parse(b"HTTP/1.1 100 Continue\r\n\r\nHTTP", false, false),
        Ok(Parsed::Interim { go_on: true, bytes: 25 })
    ));
    assert!(matches!(parse(b"HTTP/1.1 103 Early\r\n\r\n", false, false), Ok(Parsed::Interim { go_on: false, .. })));
    assert!(matches!(parse(b"HTTP/1.1 200 OK\r\nA: b\r\n", false, false), Ok(Parsed::More)));
    let endless = [b"HTTP/1.1 200 OK\r\nA: ".as_slice(), &vec![b'x'; answer::HEAD_BYTES_MAX]].concat();
    assert!(parse(&endless, false, false).unwrap_err().contains("longer than"));
    assert!(parse(b"SSH-2.0-OpenSSH\r\n", false, false).is_err());
}

#[test]
fn a_service_does_not_speak_for_the_consoles_origin() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 3\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n\
        Set-Cookie: sallyport_login=stolen; Path=/\r\nSet-Cookie: id=1; Path=/\r\nClear-Site-Data: \"*\"\r\n\
        Strict-Transport-Security: max-age=0\r\nAlt-Svc: h3=\":443\"\r\nWWW-Authenticate: Basic\r\n\
        Service-Worker-Allowed: /\r\nAccess-Control-Allow-Origin: https://evil.example\r\n\
        Access-Control-Allow-Credentials: true\r\nContent-Security-Policy: default-src 'self'\r\n\
        Location: http://erp.site/x\r\n\r\n";
    let answer = whole(head.as_bytes(), false, false).unwrap();
    let out = answer.outward(&place("http://erp.site"), false);
    let all = |name: &str| out.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(all("set-cookie"), ["id=1; Path=/via/erp/"]);
    assert_eq!(all("location"), ["/via/erp/x"]);
    assert_eq!(all("content-length"), ["3"]);
    let policies = all("content-security-policy");
    assert_eq!(policies[0], "default-src 'self'");
    assert!(policies[1].starts_with("sandbox ") && !policies[1].contains("allow-same-origin"), "{policies:?}");
    for gone in [
        "clear-site-data",
        "strict-transport-security",
        "alt-svc",
        "www-authenticate",
        "service-worker-allowed",
        "access-control-allow-origin",
        "access-control-allow-credentials",
        "connection",
        "x-hop",
    ] {
        assert_eq!(all(gone), Vec::<&str>::new(), "{gone}");
    }
    let open = answer.outward(&place("http://erp.site"), true);
    assert_eq!(open["access-control-allow-origin"], "*");
    assert_eq!(open.get("access-control-allow-credentials"), None);
}

/// Takes a body apart that comes in pieces of `step` bytes; what is left over is an error.
fn decode(framing: Framing, bytes: &[u8], step: usize) -> Result<(Vec<u8>, Decoder), String> {
    let (mut decoder, mut body) = (Decoder::new(framing), Vec::new());
    for mut piece in bytes.chunks(step) {
        while !piece.is_empty() {
            let (part, used) = decoder.take(piece)?;
            body.extend_from_slice(part);
            piece = &piece[used..];
        }
    }
    Ok((body, decoder))
}

#[test]
fn chunks_with_all_that_goes_with_them() {
    let text = b"4;name=value\r\nwiki\r\n5\npedia\n0\r\nTrailer: x\r\n\r\nwhat follows";
    for step in [1, 2, 3, 7, 100] {
        let (body, decoder) = decode(Framing::Chunked, text, step).unwrap();
        assert!(body == b"wikipedia" && decoder.is_over(), "{step}");
    }
    let (_, half) = decode(Framing::Chunked, b"4\r\nwi", 100).unwrap();
    assert!(!half.is_over() && !half.may_end());
    for wrong in [b"x\r\n".as_slice(), b"\r\n", b"-1\r\n", b"+1\r\n", b"4\r\nwikix\r\n", b"fffffffffffffffff\r\n"] {
        assert!(decode(Framing::Chunked, wrong, 100).is_err(), "{wrong:?}");
    }
    assert!(decode(Framing::Chunked, &vec![b'1'; 10_000], 100).is_err());
    let endless = [b"0\r\n".as_slice(), &b"a: b\r\n".repeat(20_000)].concat();
    assert!(decode(Framing::Chunked, &endless, 100).is_err());
}

proptest! {
    #[test]
    fn a_body_comes_out_as_it_went_in(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..8), step in 1..400_usize) {
        let whole = chunks.concat();
        let mut chunked = Vec::new();
        for chunk in &chunks {
            chunked.extend_from_slice(format!("{:X}\r\n", chunk.len()).as_bytes());
            chunked.extend_from_slice(chunk);
            chunked.extend_from_slice(b"\r\n");
        }
        chunked.extend_from_slice(b"0\r\n\r\n");
        let (body, decoder) = decode(Framing::Chunked, &chunked, step).unwrap();
        prop_assert!(body == whole && decoder.is_over());
        let long = [whole.as_slice(), b"more"].concat();
        let (body, decoder) = decode(Framing::Length(whole.len() as u64), &long, step).unwrap();
        prop_assert!(body == whole && decoder.is_over());
    }
}

#[test]
fn addresses_end_and_do_not_pile_up() {
    let secrets = Secrets::from_key(&Secrets::new_key().unwrap()).unwrap();
    let tickets = Tickets::default();
    let of =
        |token: u8| Ticket { token: vec![token], environment: EnvironmentId::new(), connection: ConnectionId::new() };
    let now = Timestamp(1_000_000_000_000_000);
    let (first, ends_at) = tickets.issue(&secrets, of(1), now).unwrap();
    assert!(tickets.find(&secrets, &first, now).is_some());
    assert_eq!(tickets.find(&secrets, &Secret::new("guessed"), now), None);
    assert_eq!(tickets.find(&secrets, &first, ends_at), None);
    let (other, _) = tickets.issue(&secrets, of(2), now).unwrap();
    let later = |seconds: u64| now.plus(std::time::Duration::from_secs(seconds));
    for second in 1..=32 {
        tickets.issue(&secrets, of(1), later(second)).unwrap();
    }
    assert_eq!(tickets.find(&secrets, &first, later(40)), None, "the oldest of one login goes");
    assert!(tickets.find(&secrets, &other, later(40)).is_some(), "and takes no other's with it");
}

mod exchanges {
    use std::future::pending;
    use std::time::Duration;

    use futures_util::StreamExt;
    use sallyport_dataplane::tunnel::{Line, Moved, carry};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::oneshot;

    use super::*;

    fn exchange(body: Body, sends: Sends) -> Exchange {
        let place = place("http://erp.site");
        Exchange {
            body,
            sends,
            expects: false,
            bodiless: false,
            upgrade: None,
            answer_max: Duration::from_secs(30),
            place,
            open: false,
        }
    }

    /// An exchange whose service is `serve`; gives the answer, and how the line came out of it.
    async fn with<F: Future<Output = ()> + Send + 'static>(
        exchange: Exchange,
        serve: impl FnOnce(TcpStream) -> F,
    ) -> (Result<(StatusCode, Result<Vec<u8>, ()>), NoAnswer>, Done) {
        let (ours, theirs) = tokio::io::duplex(16 * 1024);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (dialled, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let serving = serve(accepted.unwrap().0);
        let agent = async {
            let moved = Moved::default();
            carry(Line::new(theirs, b"", true), dialled.unwrap(), &moved, pending(), |_| {}).await;
        };
        let (answered, answer) = oneshot::channel();
        let person = async {
            let response: axum::response::Response = answer.await.unwrap()?;
            let (parts, body) = response.into_parts();
            let (mut all, mut pieces) = (Ok(Vec::new()), body.into_data_stream());
            while let Some(piece) = pieces.next().await {
                match (&mut all, piece) {
                    (Ok(all), Ok(piece)) => all.extend_from_slice(&piece),
                    _ => all = Err(()),
                }
            }
            Ok((parts.status, all))
        };
        let done = run(Line::new(ours, b"", false), exchange, answered, pending());
        let (answer, done, (), ()) = tokio::join!(person, done, agent, serving);
        (answer, done)
    }

    async fn heard(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
        let mut got = Vec::new();
        while !got.ends_with(end) {
            assert!(stream.read_buf(&mut got).await.unwrap() > 0, "it ended before {end:?}");
        }
        got
    }

    #[tokio::test]
    async fn a_body_goes_out_chunked_and_an_answer_comes_back_and_the_line_is_free() {
        let pieces =
            futures_util::stream::iter(["ab", "", "cde"].map(|piece| Ok::<_, std::io::Error>(piece.as_bytes())));
        let (answer, done) = with(exchange(Body::from_stream(pieces), Sends::Chunked), async |mut stream| {
            let got = heard(&mut stream, b"0\r\n\r\n").await;
            assert_eq!(got, b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n");
            stream
                .write_all(b"HTTP/1.1 201 Made\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n0\r\n\r\n")
                .await
                .unwrap();
        })
        .await;
        assert_eq!(answer, Ok((StatusCode::CREATED, Ok(b"yes".to_vec()))));
        assert!(done.line.is_some() && done.sent == 5 && done.reason == "done", "{}", done.reason);
    }

    #[tokio::test]
    async fn an_answer_without_a_length_ends_with_the_connection() {
        let (answer, done) = with(exchange(Body::empty(), Sends::Nothing), async |mut stream| {
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nall there is").await.unwrap();
        })
        .await;
        assert_eq!(answer, Ok((StatusCode::OK, Ok(b"all there is".to_vec()))));
        assert!(done.line.is_some());
    }

    #[tokio::test]
    async fn half_an_answer_does_not_look_whole() {
        for head in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
            let (answer, done) = with(exchange(Body::empty(), Sends::Nothing), async move |mut stream| {
                stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhalf").as_bytes()).await.unwrap();
            })
            .await;
            assert_eq!(answer, Ok((StatusCode::OK, Err(()))), "{head}");
            assert!(done.reason.contains("before it was whole"), "{}", done.reason);
        }
    }

    #[tokio::test]
    async fn a_broken_answer_without_a_length_does_not_look_whole() {
        let (answer, _) = with(exchange(Body::empty(), Sends::Nothing), async |mut stream| {
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nhalf of").await.unwrap();
            stream.set_zero_linger().unwrap();
        })
        .await;
        // The system may drop what came before the break.
        assert!(matches!(answer, Ok((StatusCode::OK, Err(()))) | Err(NoAnswer::Broken(_))), "{answer:?}");
    }

    #[tokio::test]
    async fn no_answer_says_why() {
        let (answer, _) = with(exchange(Body::empty(), Sends::Nothing), async |stream| drop(stream)).await;
        assert!(matches!(&answer, Err(NoAnswer::Broken(why)) if why.contains("without an answer")), "{answer:?}");
        let (answer, done) = with(exchange(Body::empty(), Sends::Nothing), async |mut stream| {
            stream.write_all(b"220 mail.site ESMTP\r\n").await.unwrap();
            while stream.read(&mut [0; 64]).await.is_ok_and(|count| count > 0) {}
        })
        .await;
        assert!(matches!(&answer, Err(NoAnswer::Broken(why)) if why.contains("no HTTP")), "{answer:?}");
        assert!(done.line.is_some(), "the line was lost: {}", done.reason);
        let asked = Exchange { answer_max: Duration::from_millis(50), ..exchange(Body::empty(), Sends::Nothing) };
        let (answer, done) =
            with(asked, async |mut stream| while stream.read(&mut [0; 64]).await.is_ok_and(|count| count > 0) {}).await;
        assert_eq!(answer, Err(NoAnswer::Silent(Duration::from_millis(50))));
        assert!(done.line.is_some(), "the line was lost: {}", done.reason);
    }

    #[tokio::test]
    async fn a_body_that_is_waited_for_is_not_sent_when_the_answer_is_there() {
        let never = Body::from_stream(futures_util::stream::pending::<Result<&[u8], std::io::Error>>());
        let asked = Exchange { expects: true, ..exchange(never, Sends::Length) };
        let (answer, done) = with(asked, async |mut stream| {
            stream.write_all(b"HTTP/1.1 413 Too large\r\nContent-Length: 2\r\n\r\nno").await.unwrap();
            while stream.read(&mut [0; 64]).await.is_ok_and(|count| count > 0) {}
        })
        .await;
        assert_eq!(answer, Ok((StatusCode::PAYLOAD_TOO_LARGE, Ok(b"no".to_vec()))));
        assert!(done.line.is_some() && done.sent == 0, "{}", done.reason);
    }

    #[tokio::test]
    async fn a_body_goes_when_the_service_says_so() {
        let asked = Exchange { expects: true, ..exchange(Body::from("data"), Sends::Length) };
        let (answer, done) = with(asked, async |mut stream| {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
            assert_eq!(heard(&mut stream, b"data").await, b"data");
            stream.write_all(b"HTTP/1.1 204 Done\r\n\r\n").await.unwrap();
        })
        .await;
        assert_eq!(answer, Ok((StatusCode::NO_CONTENT, Ok(Vec::new()))));
        assert!(done.line.is_some());
    }
}
