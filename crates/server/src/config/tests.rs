use super::*;

fn read(flags: &Flags, environment: &[(&str, &str)]) -> Result<Config, Error> {
    let environment: Vec<(String, String)> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::read(flags, &move |name| {
        environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    })
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.toml");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

#[test]
fn flag_before_environment_before_file_before_default() {
    let (_folder, path) = file("listen = \"127.0.0.1:1\"\ndata_dir = \"from-file\"\nlog_level = \"warn\"\n");
    let flags = Flags { config: Some(path), listen: Some("127.0.0.1:3".into()), ..Flags::default() };
    let environment = [("SALLYPORT_LISTEN", "127.0.0.1:2"), ("SALLYPORT_DATA_DIR", "from-environment")];
    let config = read(&flags, &environment).unwrap();
    assert_eq!(config.listen.port(), 3);
    assert_eq!(config.data_dir, Path::new("from-environment"));
    assert_eq!(config.log_level, tracing::Level::WARN);
    assert_eq!(config.public_url, "https://localhost:3");
    assert_eq!(config.tls, Tls::Own);
    let report = config.report();
    assert!(report.contains("flag --listen"), "{report}");
    assert!(report.contains("environment SALLYPORT_DATA_DIR"), "{report}");
    assert!(report.contains("server.toml"), "{report}");
    assert!(report.contains("(default)"), "{report}");
}

#[test]
fn a_mistyped_key_names_the_file() {
    let (_folder, path) = file("listne = \"127.0.0.1:1\"\n");
    let error = read(&Flags { config: Some(path), ..Flags::default() }, &[]).unwrap_err().to_string();
    assert!(error.contains("server.toml") && error.contains("listne"), "{error}");
}

#[test]
fn a_named_file_must_exist() {
    let flags = Flags { config: Some("/nowhere/server.toml".into()), ..Flags::default() };
    assert!(matches!(read(&flags, &[]), Err(Error::File { .. })));
}

#[test]
fn bad_values_say_where_they_came_from_and_what_is_allowed() {
    for (name, value, expected) in [
        ("SALLYPORT_LISTEN", "8443", "address and port"),
        ("SALLYPORT_PUBLIC_URL", "https://host/path", "without a path"),
        ("SALLYPORT_PUBLIC_URL", "host:8443", "https://host"),
        ("SALLYPORT_BEHIND_PROXY", "yes", "true or false"),
        ("SALLYPORT_LOG_LEVEL", "loud", "expected trace"),
    ] {
        let error = read(&Flags::default(), &[(name, value)]).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(value) && error.contains(expected), "{error}");
    }
}

#[test]
fn certificate_key_and_proxy_must_fit_together() {
    let cert = Flags { tls_cert: Some("a.pem".into()), ..Flags::default() };
    assert!(matches!(read(&cert, &[]), Err(Error::Together(_))));
    let proxy = Flags { behind_proxy: true, tls_key: Some("a.key".into()), ..cert };
    assert!(matches!(read(&proxy, &[]), Err(Error::Together(_))));
}

#[test]
fn a_port_that_was_left_open_goes_into_the_public_url() {
    let mut config = read(&Flags { listen: Some("127.0.0.1:0".into()), ..Flags::default() }, &[]).unwrap();
    config.bound_to("127.0.0.1:4711".parse().unwrap());
    assert_eq!(config.public_url, "https://localhost:4711");
}

#[test]
fn the_public_host_is_found_in_every_form() {
    for (url, host) in [
        ("https://example.org", "example.org"),
        ("https://example.org:8443/", "example.org"),
        ("https://192.0.2.1:1", "192.0.2.1"),
        ("https://[2001:db8::1]:8443", "2001:db8::1"),
    ] {
        let config = read(&Flags { public_url: Some(url.into()), ..Flags::default() }, &[]).unwrap();
        assert_eq!(config.public_host(), host);
    }
}

fn entries(text: &str) -> Result<Vec<Entry>, String> {
    let (_folder, path) = file(text);
    let flags = Flags { config: Some(path), ..Flags::default() };
    read(&flags, &[]).map(|config| config.entries).map_err(|error| error.to_string())
}

#[test]
fn entries_come_from_the_file_and_are_reported() {
    let text = "[[entry]]\nlisten = \"127.0.0.1:5433\"\nenvironment = \"production\"\nconnection = \"client-db\"\n\
                [[entry]]\nlisten = \"[::]:5434\"\nenvironment = \"Acme/sandbox\"\nconnection = \"logs\"\n\
                allow = [\"10.0.0.0/8\", \"::1\"]\n";
    let all = entries(text).unwrap();
    let [here, others] = all.as_slice() else { panic!("{all:?}") };
    let from = |address: &str| address.parse::<SocketAddr>().unwrap();
    assert!(here.serves(from("127.0.0.9:1")) && here.serves(from("[::1]:1")) && !here.serves(from("10.1.2.3:1")));
    assert!(others.serves(from("10.1.2.3:1")) && others.serves(from("[::ffff:10.1.2.3]:1")));
    assert!(others.serves(from("[::1]:1")) && !others.serves(from("127.0.0.1:1")), "only what `allow` names");
    let (_folder, path) = file(text);
    let report = read(&Flags { config: Some(path), ..Flags::default() }, &[]).unwrap().report();
    assert!(report.contains("127.0.0.1:5433 to connection client-db of environment production, for this machine"));
    assert!(report.contains("for 10.0.0.0/8, ::1"), "{report}");
}

#[test]
fn a_wrong_entry_says_which_and_what_to_do() {
    let good = "environment = \"production\"\nconnection = \"db\"\n";
    let one = |keys: &str| format!("[[entry]]\n{keys}\n");
    let first = one(&format!("listen = \"127.0.0.1:5433\"\n{good}"));
    for (text, words) in [
        (one(good), "entry 1: `listen` is missing"),
        (one(&format!("listen = \"5433\"\n{good}")), "entry 1: `listen` is `5433`: expected address and port"),
        (one(&format!("listen = \"127.0.0.1:0\"\n{good}")), "expected address and port"),
        (one("listen = \"127.0.0.1:1\"\nconnection = \"db\""), "`environment` is missing"),
        (one("listen = \"127.0.0.1:1\"\nenvironment = \"production\""), "`connection` is missing"),
        (one(&format!("listen = \"127.0.0.1:1\"\n{good}port = 1")), "unknown field `port`"),
        (one(&format!("listen = \"0.0.0.0:5433\"\n{good}")), "`allow` is missing"),
        (one(&format!("listen = \"127.0.0.1:1\"\n{good}allow = [\"10.0.0.0/40\"]")), "`allow` has `10.0.0.0/40`"),
        (format!("{first}{first}"), "entry 2: `listen` is `127.0.0.1:5433`, which entry 1 has already"),
        (format!("listen = \"0.0.0.0:5433\"\n{first}"), "where the server itself listens"),
    ] {
        let error = entries(&text).unwrap_err();
        assert!(error.contains("server.toml") && error.contains(words), "{error}");
    }
}
