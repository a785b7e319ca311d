//! SIGTERM: what is under way is finished, new connections are not taken.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use super::daemon::Daemon;
use crate::support::folder::Folder;
use crate::support::{DEMO_API, basic};

#[test]
fn no_request_that_is_under_way_is_cut_by_a_stop() {
    let folder = Folder::new();
    let daemon = Daemon::start(&folder.path().join("data"), &[]);
    let body = "grant_type=client_credentials";
    let head = format!(
        "POST /token HTTP/1.1\r\nhost: localhost:{}\r\nauthorization: {}\r\nexpect: 100-continue\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n",
        daemon.port,
        basic(DEMO_API),
        body.len()
    );
    let begin = |_| {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, daemon.port)).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut go_on = [0; 25];
        stream.read_exact(&mut go_on).unwrap();
        assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n", "the server waits for the body");
        stream
    };
    let under_way: Vec<_> = (0..50).map(begin).collect();
    daemon.terminate();
    let log = folder.path().join("data.log");
    while !std::fs::read_to_string(&log).unwrap().contains("stopping") {
        std::thread::yield_now();
    }
    for mut stream in under_way {
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("oat_"), "{answer}");
    }
    assert!(daemon.ended().success());
}
