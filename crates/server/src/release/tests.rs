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
