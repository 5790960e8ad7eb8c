use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use super::*;

const MAX: Duration = Duration::from_secs(10);
const MOMENT: Duration = Duration::from_millis(200);

/// A line, both ends of one connection over it, and where further ones come out.
fn connected() -> (Line, TcpStream, TcpStream, TcpListener) {
    let target = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let line = Line::to(target.local_addr().unwrap().port()).unwrap();
    let mut near = TcpStream::connect((Ipv4Addr::LOCALHOST, line.port())).unwrap();
    let (mut far, _) = target.accept().unwrap();
    near.set_read_timeout(Some(MAX)).unwrap();
    far.set_read_timeout(Some(MAX)).unwrap();
    near.write_all(b"a").unwrap();
    far.read_exact(&mut [0]).unwrap();
    (line, near, far, target)
}

#[test]
fn an_open_line_carries_both_ways_and_passes_the_end_on() {
    let (_line, mut near, mut far, _target) = connected();
    far.write_all(b"back").unwrap();
    let mut four = [0; 4];
    near.read_exact(&mut four).unwrap();
    assert_eq!(&four, b"back");
    near.shutdown(Shutdown::Write).unwrap();
    assert_eq!(far.read(&mut four).unwrap(), 0);
}

#[test]
fn a_stalled_line_keeps_what_it_has_until_it_is_open() {
    let (line, mut near, mut far, _target) = connected();
    line.set(Flow::Stalled);
    near.write_all(b"late").unwrap();
    far.set_read_timeout(Some(MOMENT)).unwrap();
    let mut four = [0; 4];
    let kind = far.read(&mut four).unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{kind:?}");
    line.set(Flow::Open);
    far.set_read_timeout(Some(MAX)).unwrap();
    far.read_exact(&mut four).unwrap();
    assert_eq!(&four, b"late");
}

#[test]
fn a_refused_line_resets_what_is_there_and_what_comes() {
    let (line, mut near, mut far, _target) = connected();
    line.set(Flow::Refused);
    assert_eq!(near.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(far.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    let mut next = TcpStream::connect((Ipv4Addr::LOCALHOST, line.port())).unwrap();
    next.set_read_timeout(Some(MAX)).unwrap();
    assert_eq!(next.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_reset_ends_what_is_there_only() {
    let (line, mut near, _far, target) = connected();
    line.reset();
    assert_eq!(near.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    let mut next = TcpStream::connect((Ipv4Addr::LOCALHOST, line.port())).unwrap();
    let (mut beyond, _) = target.accept().unwrap();
    beyond.write_all(b"b").unwrap();
    next.set_read_timeout(Some(MAX)).unwrap();
    next.read_exact(&mut [0]).unwrap();
}
