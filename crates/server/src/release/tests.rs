use super::*;

#[test]
fn the_own_platform_is_found_beside_the_server_and_others_in_their_folders() {
    let folder = tempfile::tempdir().unwrap();
    let touch = |path: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "program").unwrap();
    };
    assert!(matches!(find(folder.path(), own_platform()), Err(Missing::Program { .. })));
    touch("sallyport-agent");
    touch("sallyport-wrapper");
    assert_eq!(find(folder.path(), own_platform()).unwrap().agent, folder.path().join("sallyport-agent"));

    touch("windows-x86_64/sallyport-agent.exe");
    let missing = find(folder.path(), "windows-x86_64").unwrap_err().to_string();
    assert!(missing.contains("sallyport-wrapper.exe") && missing.contains("windows-x86_64"), "{missing}");
    touch("windows-x86_64/sallyport-wrapper.exe");
    assert_eq!(find(folder.path(), "windows-x86_64").unwrap().suffix, ".exe");
    assert_eq!(find(folder.path(), "../etc"), Err(Missing::Unknown("../etc".into())));
}

#[test]
fn archives_serve_as_they_lie_there_and_the_newest_version_counts() {
    let folder = tempfile::tempdir().unwrap();
    let (release, data) = (folder.path().join("release"), folder.path().join("data"));
    std::fs::create_dir_all(&release).unwrap();
    let platform = "windows-x86_64";
    let archive = |program: &str, version: &str, text: &str| {
        let file = std::fs::File::create(release.join(format!("{program}-{version}-{platform}.zip"))).unwrap();
        let mut zip = zip::ZipWriter::new(file);
        zip.start_file(format!("{program}.exe"), zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, text.as_bytes()).unwrap();
        zip.finish().unwrap();
    };
    let agent = || std::fs::read_to_string(programs(&release, &data, platform).unwrap().agent).unwrap();
    let pair = |version: &str, text: &str| {
        archive("sallyport-agent", version, text);
        archive("sallyport-wrapper", version, text);
    };
    assert!(matches!(programs(&release, &data, platform), Err(Missing::Program { .. })));
    pair("0.9.0", "old");
    assert_eq!(agent(), "old");
    pair("0.10.0", "new");
    // Half of a version is none.
    archive("sallyport-agent", "0.11.0", "newest");
    assert_eq!(agent(), "new");
    pair("0.10.0", "new, built again");
    assert_eq!(agent(), "new, built again");
    assert_eq!(std::fs::read_dir(data.join("programs")).unwrap().count(), 1, "earlier ones are still there");

    std::fs::write(release.join(format!("sallyport-wrapper-0.10.0-{platform}.zip")), "no zip").unwrap();
    let error = programs(&release, &data, platform).unwrap_err().to_string();
    assert!(error.contains("sallyport-wrapper-0.10.0") && error.contains("no zip"), "{error}");
}
