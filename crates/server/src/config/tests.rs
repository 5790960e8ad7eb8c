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
