//! What the gateway does when its own machine fails it: a full disk, a ledger that was cut, an end that is asked for.

use std::{io::Read, time::Duration};

use super::*;
use crate::support::outside::not_possible;

/// The end of `gateway`, after SIGTERM.
fn ended(gateway: &mut Gateway) -> Option<i32> {
    ask_to_end(gateway);
    gateway.child.wait().unwrap().code()
}

#[test]
fn the_gateway_ends_within_its_grace_period_whatever_a_provider_does() {
    let scene = Scene::with(StandIn::answering(Reply::silence()), "", &["--grace", "1"], &[]);
    let headers = [("x-api-key", scene.client.as_str())];
    let body = chat().to_string();
    let mut waiting = scene
        .gateway
        .begin("POST", "/v1/chat/completions", &headers, body.as_bytes());
    eventually(|| scene.provider.requests().len() == 1, "it is under way");
    let Scene { home, mut gateway, .. } = scene;
    let began = std::time::Instant::now();
    assert_eq!(ended(&mut gateway), Some(0));
    assert!(began.elapsed() >= Duration::from_secs(1), "it has its time");
    let _ = waiting.read(&mut [0]);
    assert_eq!(home.totals(1)["errors"], 1, "it may have been worked on");
    let record = home.run(["usage", "--export", "jsonl"]).json();
    assert_eq!(record["status_code"], 499, "which says nothing about the key: {record}");
}

#[test]
fn a_ledger_that_is_cut_while_it_is_in_use_is_noticed() {
    let scene = Scene::new(StandIn::answering(Reply::json(200, &completion())));
    assert_eq!(scene.chat(chat()).status, 200);
    scene.home.totals(1);
    let wal = std::fs::OpenOptions::new()
        .write(true)
        .open(scene.home.path().join("ledger.db-wal"))
        .unwrap();
    wal.set_len(0).unwrap();
    for _ in 0..3 {
        let refused = scene.chat(chat());
        assert_eq!(refused.status, 503, "{}", refused.text());
    }
    assert_eq!(scene.provider.requests().len(), 1, "the provider is not asked");
}

/// A file system of so many kilobytes, for as long as it is not dropped.
#[cfg(target_os = "linux")]
struct SmallDisk(std::path::PathBuf);

#[cfg(target_os = "linux")]
impl SmallDisk {
    fn mount(path: std::path::PathBuf, kilobytes: u32) -> Option<Self> {
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kilobytes}k,mode=0700"), "tmpfs"])
            .arg(&path)
            .output();
        mounted.is_ok_and(|done| done.status.success()).then_some(Self(path))
    }

    /// Takes all room that is left.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("filling")).unwrap();
        let zeros = [0; 4096];
        while std::io::Write::write_all(&mut file, &zeros).is_ok() {}
    }

    fn empty(&self) {
        std::fs::remove_file(self.0.join("filling")).unwrap();
    }
}

#[cfg(target_os = "linux")]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// The journal has room for the end of what has begun; nothing begins where it has none.
#[cfg(target_os = "linux")]
#[test]
fn on_a_full_disk_nothing_is_sent_that_could_not_be_recorded_and_nothing_is_lost() {
    let (release, wait) = std::sync::mpsc::channel();
    let wait = std::sync::Mutex::new(wait);
    let scene = Scene::new(StandIn::start(move |request| {
        if request.json()["user"] == "slow" {
            let _ = wait.lock().unwrap().recv();
        }
        Reply::json(200, &completion())
    }));
    let Scene {
        home,
        provider,
        gateway,
        client,
    } = scene;
    drop(gateway);
    // The same files on a small disk.
    let away = home.beside("files");
    std::fs::rename(home.path(), &away).unwrap();
    crate::support::private_folder(&home.path());
    let Some(disk) = SmallDisk::mount(home.path(), 16 << 10) else {
        assert!(!not_possible("no file system can be mounted"));
        return;
    };
    for entry in std::fs::read_dir(&away).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            crate::support::private_file(
                &home.path().join(entry.file_name()),
                &std::fs::read(entry.path()).unwrap(),
            );
        }
    }
    let mut gateway = home.gateway(&[]);
    let post = |gateway: &Gateway, body: &Value| gateway.post("/v1/chat/completions", &client, body);
    assert_eq!(post(&gateway, &chat()).status, 200);
    home.totals(1);
    let mut slow = chat();
    slow["user"] = "slow".into();
    let headers = [("x-api-key", client.as_str())];
    let under_way = gateway.begin("POST", "/v1/chat/completions", &headers, slow.to_string().as_bytes());
    eventually(|| provider.requests().len() == 2, "it is under way");
    disk.fill();
    release.send(()).unwrap();
    assert_eq!(Answer::read(under_way).status, 200, "there is room for its end");
    eventually(|| post(&gateway, &chat()).status != 200, "nothing more is sent");
    let asked = provider.requests().len();
    assert_eq!(post(&gateway, &chat()).status, 503);
    assert_eq!(provider.requests().len(), asked, "before the provider is asked");
    // What was answered is in the journal, whatever becomes of the process.
    assert_eq!(ended(&mut gateway), Some(0));
    disk.empty();
    let totals = home.totals(asked as u64);
    assert_eq!(totals["errors"], 0, "{totals}");
    drop(disk);
}
