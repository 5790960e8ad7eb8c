use sallyport_protocol::{AgentId, Timestamp};

use super::*;

#[test]
fn a_key_is_made_once_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    assert_eq!(shown(&path), None);
    let first = OwnKey::open(&path).unwrap().fingerprint();
    assert_eq!((OwnKey::open(&path).unwrap().fingerprint(), shown(&path)), (first.clone(), Some(first.clone())));
    assert!(first.starts_with("SHA256:") && first.len() == 50, "{first}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    std::fs::write(&path, "nonsense").unwrap();
    assert!(OwnKey::open(&path).unwrap_err().to_string().contains("remove it"));
}

#[test]
fn the_first_key_counts_until_it_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peers.json");
    let (peers, agent, now) = (Peers::at(&path), AgentId::new(), Timestamp(5));
    assert_eq!(peers.meet(agent, "north", "SHA256:a", now).unwrap(), Met::First);
    assert_eq!(peers.meet(agent, "renamed", "SHA256:a", now).unwrap(), Met::Again);
    let changed = peers.meet(agent, "north", "SHA256:b", now).unwrap_err().to_string();
    assert!(changed.contains(&format!("keys forget {agent}")) && changed.contains("SHA256:a"), "{changed}");
    assert_eq!(peers.meet(AgentId::new(), "south", "SHA256:b", now).unwrap(), Met::First);
    // By another process, as the wrapper does.
    assert_eq!(Peers::at(&path).forget("nobody").unwrap(), 0);
    assert_eq!(Peers::at(&path).forget("north").unwrap(), 1);
    assert_eq!(peers.meet(agent, "north", "SHA256:b", now).unwrap(), Met::First);
    assert_eq!(peers.known().unwrap().len(), 2);
    std::fs::write(&path, "nonsense").unwrap();
    assert!(matches!(peers.meet(agent, "north", "SHA256:b", now), Err(Unfit::File { .. })));
}
