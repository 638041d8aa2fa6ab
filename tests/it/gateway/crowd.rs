//! More connections than anybody needs, and requests that are answered all the same.

use std::{io::Read, net::TcpStream, time::Duration};

use super::*;
use crate::support::outside::not_possible;

/// How many kilobytes of memory process `id` has.
#[cfg(target_os = "linux")]
fn resident(id: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn ten_thousand_connections_that_say_nothing_keep_no_request_from_its_answer() {
    const MANY: usize = 10_000;
    // This process needs one file for each, and the gateway what it does not keep for requests.
    let files = api_keys::process::allow_many_files();
    if files < 14_000 {
        assert!(!not_possible(&format!(
            "{files} files may be open, and 14,000 are needed"
        )));
        return;
    }
    let scene = Scene::new(StandIn::answering(Reply::json(200, &completion())));
    assert_eq!(scene.chat(chat()).status, 200);
    let before = resident(scene.gateway.child.id());
    let connections: Vec<TcpStream> = (0..MANY)
        .map(|_| TcpStream::connect(&scene.gateway.address).expect("it listens"))
        .collect();
    for _ in 0..8 {
        assert_eq!(scene.chat(chat()).status, 200);
    }
    // All were accepted before these: the system hands connections on in their order.
    let each = || resident(scene.gateway.child.id()).saturating_sub(before) * 1024 / MANY;
    crate::support::outside::remark(&format!("an idle connection has {} bytes", each()));
    eventually(|| each() < 4 * 1024, "less than 4 kB for each");
    for stream in [&connections[0], &connections[MANY - 1]] {
        stream.set_nonblocking(true).unwrap();
        let why = (&mut &*stream).read(&mut [0]).unwrap_err();
        assert_eq!(why.kind(), std::io::ErrorKind::WouldBlock, "still open");
    }
}

#[cfg(unix)]
#[test]
fn where_files_are_few_the_connection_that_was_idle_longest_makes_room() {
    let mut scene = Scene::new(StandIn::answering(Reply::json(200, &completion())));
    scene.gateway = scene.home.gateway_with_files(128);
    let connections: Vec<TcpStream> = (0..300)
        .map(|_| TcpStream::connect(&scene.gateway.address).expect("it listens"))
        .collect();
    for _ in 0..4 {
        let answer = scene.chat(chat());
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let is_closed = |mut stream: &TcpStream| {
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        matches!(stream.read(&mut [0]), Ok(0))
    };
    // Each worker may hold one that it has accepted while another one goes on.
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let kept = connections[..200].iter().filter(|one| !is_closed(one)).count();
    assert!(kept <= workers, "{kept} of the oldest are kept");
    connections[299].set_nonblocking(true).unwrap();
    let why = (&mut &connections[299]).read(&mut [0]).unwrap_err();
    assert_eq!(why.kind(), std::io::ErrorKind::WouldBlock, "the newest stays");
}

#[cfg(target_os = "linux")]
#[test]
fn who_reads_slowly_holds_up_nobody_and_fills_no_memory() {
    const EVENTS: usize = 40_000;
    let event = |at: usize| {
        let words = format!("{at} {}", "word ".repeat(200));
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{words}\"}}}}]}}\n\n")
    };
    let scene = Scene::new(StandIn::start(move |request| {
        if request.json()["stream"] == true {
            let all: Vec<String> = (0..EVENTS).map(event).collect();
            Reply::stream(all.chunks(64).map(<[String]>::concat).collect::<Vec<_>>())
        } else {
            Reply::json(200, &completion())
        }
    }));
    assert_eq!(scene.chat(chat()).status, 200);
    let before = resident(scene.gateway.child.id());
    let mut body = chat();
    body["stream"] = true.into();
    let bearer = format!("Bearer {}", scene.client);
    let headers = [("authorization", bearer.as_str())];
    let unread = scene
        .gateway
        .begin("POST", "/v1/chat/completions", &headers, body.to_string().as_bytes());
    for _ in 0..20 {
        assert_eq!(scene.chat(chat()).status, 200);
    }
    eventually(|| scene.provider.written() > 1 << 20, "the stream flows");
    let grown = || resident(scene.gateway.child.id()).saturating_sub(before);
    eventually(
        || grown() < 8_000,
        "less than 8 MB more, of a stream of 40 MB that nobody takes",
    );
    let answer = Answer::read(unread);
    assert!(answer.is_whole);
    let expected: usize = (0..EVENTS).map(|at| event(at).len()).sum();
    assert_eq!(answer.body.len(), expected);
    scene.home.totals(22);
}

#[cfg(unix)]
#[test]
fn bodies_that_arrive_byte_by_byte_take_no_place_from_others() {
    use std::io::Write;

    const DRIPPING: usize = 532;
    let mut scene = Scene::new(StandIn::answering(Reply::json(200, &completion())));
    scene.gateway = scene.home.gateway_with_files(4_096);
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {}\r\nx-api-key: {}\r\ncontent-length: 1000000\r\n\r\n{{",
        scene.gateway.address, scene.client
    );
    let dripping: Vec<TcpStream> = (0..DRIPPING)
        .map(|_| {
            let mut stream = TcpStream::connect(&scene.gateway.address).expect("it listens");
            stream.write_all(head.as_bytes()).expect("written");
            stream
        })
        .collect();
    let mut took = Vec::new();
    for round in 0..100 {
        let mut one = &dripping[round * 5];
        one.write_all(b" ").expect("written");
        let began = std::time::Instant::now();
        assert_eq!(scene.chat(chat()).status, 200);
        took.push(began.elapsed());
    }
    took.sort_unstable();
    crate::support::outside::remark(&format!(
        "beside {DRIPPING} slow bodies the slowest of 100 took {:?}",
        took[99]
    ));
    let text = scene.gateway.get("/metrics", "").text();
    let under_way = text
        .lines()
        .find(|line| line.starts_with("api_keys_gateway_requests_under_way"));
    assert_eq!(
        under_way,
        Some("api_keys_gateway_requests_under_way 0"),
        "none of them has a place"
    );
}
