use std::io::ErrorKind;

use sallyport_domain::licence::Tier;
use sallyport_protocol::{CompanyId, Timestamp};
use sallyport_store::{Company, Environment};
use tokio::io::AsyncReadExt as _;

use super::*;
use crate::rig::{DEADLINE, Rig};

fn company(name: &str) -> Company {
    Company { id: CompanyId::new(), name: name.to_owned(), tier: Tier::Trial, created_at: Timestamp(0) }
}

fn space(company: &Company, name: &str) -> Environment {
    Environment { id: EnvironmentId::new(), company: company.id, name: name.to_owned(), created_at: Timestamp(0) }
}

#[test]
fn an_environment_is_named_as_shortly_as_is_clear() {
    let companies = [company("Acme"), company("Other")];
    let [acme, other] = &companies;
    let all = [space(acme, "production"), space(acme, "sandbox"), space(other, "production")];
    let chosen = |wanted: &str| environment::choose(wanted, &companies, &all);
    assert_eq!(chosen("sandbox"), Ok(all[1].id));
    assert_eq!(chosen("acme/Production"), Ok(all[0].id));
    assert_eq!(chosen("Other/production"), Ok(all[2].id));
    assert_eq!(chosen(&all[2].id.to_string()), Ok(all[2].id));
    let unclear = chosen("production").unwrap_err();
    assert!(unclear.contains("`Acme/production` or `Other/production`"), "{unclear}");
    let missing = chosen("Other/sandbox").unwrap_err();
    assert!(missing.contains("there is no environment `Other/sandbox`"), "{missing}");
}

/// A free port, which nobody else takes in the time that this test needs.
fn free() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn until_listening(entries: &Entries) {
    let waiting = async {
        while entries.all.iter().any(|door| *door.standing() != Standing::Listens) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap();
}

#[tokio::test]
async fn what_leads_nowhere_or_is_not_for_a_peer_is_reset_and_counted() {
    let rig = Rig::start(Tier::Trial, DEADLINE).await;
    let entry = |environment: &str, allow: &[&str]| Entry {
        listen: free(),
        environment: environment.to_owned(),
        connection: "db".to_owned(),
        allow: allow.iter().map(|network| network.parse().unwrap()).collect(),
    };
    let settings = [entry("production", &[]), entry("nowhere", &[]), entry("production", &["192.0.2.0/24"])];
    let entries = Entries::start(&rig.gateway, &settings);
    until_listening(&entries).await;
    let words = ["has no connection `db`", "no environment `nowhere`", "127.0.0.1 is not one"];
    for (door, words) in entries.all.iter().zip(words) {
        let mut socket = TcpStream::connect(door.entry.listen).await.unwrap();
        let got = socket.read(&mut [0]).await;
        assert!(got.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionReset), "{got:?}");
        let said = door.said.lock().unwrap().clone().unwrap().0;
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(rig.gateway.parts().tunnels.figures().refused_total, 3);
    rig.stop.cancel();
    let closed = async {
        while TcpStream::connect(settings[0].listen).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, closed).await.unwrap();
}
