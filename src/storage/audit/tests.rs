use std::time::Duration;

use super::*;
use crate::storage::lock;

/// Not a real MAC, but it hangs on every byte of every part.
fn mac(parts: &[&[u8]]) -> [u8; 32] {
    let mut state = [7_u8; 32];
    for part in parts {
        for (at, byte) in part.len().to_be_bytes().iter().chain(*part).enumerate() {
            let mixed = state[at % 32] ^ byte;
            state[at % 32] = mixed.wrapping_mul(31).wrapping_add(state[(at + 1) % 32]);
            state[(at + 7) % 32] = state[(at + 7) % 32].rotate_left(3) ^ mixed;
        }
    }
    state
}

struct Trail {
    _home: tempfile::TempDir,
    folder: Folder,
    lock: Lock,
}

impl Trail {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::create(&home.path().join("data")).unwrap();
        let lock = lock::acquire(&folder, "lock", Duration::ZERO).unwrap();
        Self {
            _home: home,
            folder,
            lock,
        }
    }

    fn of(length: usize) -> (Self, Vec<TrailHead>) {
        let trail = Self::new();
        let heads = (0..length).map(|at| trail.add(&format!("entry {at}"))).collect();
        (trail, heads)
    }

    fn add(&self, detail: &str) -> TrailHead {
        append(&self.lock, &self.folder, &mac, None, &entry(detail)).unwrap()
    }

    fn bytes(&self) -> Vec<u8> {
        self.folder.read(FILE, 1 << 24).unwrap().unwrap().0.to_vec()
    }

    fn put(&self, bytes: &[u8]) {
        let _durable = self.folder.replace(FILE, bytes).unwrap();
    }

    fn fault(&self, known: Option<&TrailHead>) -> Option<(String, u64, BreakKind)> {
        let fault = verify(&self.folder, &mac, known).unwrap().fault?;
        Some((fault.file, fault.line, fault.why))
    }
}

fn entry(detail: &str) -> AuditEntry {
    AuditEntry {
        at: Timestamp::UNIX_EPOCH,
        actor: "cli".to_owned(),
        action: Action::AddKey,
        provider: Some("openai".parse().unwrap()),
        label: Some("work".parse().unwrap()),
        key_id: Some(KeyId::from_random([1; 16])),
        outcome: AuditOutcome::Done,
        detail: Some(detail.to_owned()),
    }
}

fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}

#[test]
fn a_line_says_who_did_what_to_which_key_and_how_it_ended() {
    let trail = Trail::new();
    let head = trail.add("a \"quoted\" word\nand a second line");
    let line = String::from_utf8(trail.bytes()).unwrap();
    assert_eq!(line.matches('\n').count(), 1, "control characters are escaped");
    assert_eq!(
        line,
        format!(
            concat!(
                r#"{{"seq":1,"at":"1970-01-01T00:00:00Z","actor":"cli","action":"add_key","provider":"openai","#,
                r#""label":"work","key_id":"key_01010101010101010101010101010101","outcome":"done","#,
                r#""detail":"a \"quoted\" word\nand a second line","mac":"{}"}}"#,
                "\n"
            ),
            head.mac
        )
    );
    let records = recent(&trail.folder, 10).unwrap();
    assert_eq!((records.len(), records[0].seq), (1, 1));
    assert_eq!(records[0].mac, head.mac);
}

#[test]
fn an_untouched_trail_is_whole() {
    let (trail, heads) = Trail::of(20);
    let report = verify(&trail.folder, &mac, heads.last()).unwrap();
    assert_eq!(
        (report.entries, report.head.as_ref(), report.fault, report.torn),
        (20, heads.last(), None, false)
    );
    assert_eq!(verify(&trail.folder, &mac, heads.first()).unwrap().fault, None);
    let empty = Trail::new();
    assert_eq!(verify(&empty.folder, &mac, None).unwrap().head, None);
}

#[test]
fn every_changed_byte_is_found_in_its_line() {
    let (trail, heads) = Trail::of(3);
    let whole = trail.bytes();
    let mut line = 1;
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        trail.put(&changed);
        let found = trail.fault(heads.last());
        let (file, reported, _) = found.unwrap_or_else(|| panic!("byte {at} was changed unseen"));
        // A changed line end joins two lines, or leaves a last line that looks torn.
        assert_eq!((file.as_str(), reported), (FILE, line), "byte {at}");
        line += u64::from(whole[at] == b'\n');
    }
}

#[test]
fn lines_taken_out_doubled_or_swapped_are_found() {
    let (trail, heads) = Trail::of(5);
    let whole = lines(&trail.bytes());
    for at in 0..4 {
        let expected = u64::try_from(at).unwrap() + 1;
        let mut without = whole.clone();
        without.remove(at);
        let mut doubled = whole.clone();
        doubled.insert(at, whole[at].clone());
        let mut swapped = whole.clone();
        swapped.swap(at, at + 1);
        for (changed, line) in [(without, expected), (doubled, expected + 1), (swapped, expected)] {
            trail.put(&changed.concat());
            let found = trail.fault(heads.last());
            assert_eq!(found, Some((FILE.to_owned(), line, BreakKind::WrongMac)));
        }
    }
}

#[test]
fn a_trail_cut_at_a_line_is_found_through_the_head_kept_elsewhere() {
    let (trail, heads) = Trail::of(5);
    let whole = lines(&trail.bytes());
    trail.put(&whole[..3].concat());
    assert_eq!(trail.fault(heads.get(2)), None, "what is known elsewhere is all there");
    assert_eq!(
        trail.fault(heads.last()),
        Some((FILE.to_owned(), 4, BreakKind::Shortened))
    );
    assert!(trail.folder.remove(FILE).unwrap());
    assert_eq!(
        trail.fault(heads.last()),
        Some((FILE.to_owned(), 1, BreakKind::Shortened))
    );
    trail.add("another trail");
    assert_eq!(
        trail.fault(heads.first()),
        Some((FILE.to_owned(), 1, BreakKind::OtherTrail))
    );
}

#[test]
fn a_torn_last_line_is_repaired_and_noted() {
    let (trail, _) = Trail::of(3);
    let whole = trail.bytes();
    let last = lines(&whole)[2].len();
    for torn in 1..last {
        trail.put(&whole[..whole.len() - torn]);
        let report = verify(&trail.folder, &mac, None).unwrap();
        assert_eq!(
            (report.entries, report.torn, report.fault),
            (2, true, None),
            "cut by {torn}"
        );
        let head = trail.add("after the crash");
        let report = verify(&trail.folder, &mac, Some(&head)).unwrap();
        assert_eq!((report.entries, report.torn, report.fault), (4, false, None));
        let noted = &recent(&trail.folder, 2).unwrap()[0];
        assert_eq!((noted.seq, noted.action.as_str()), (3, "repair_trail"));
        assert_eq!(
            noted.detail.as_deref(),
            Some(format!("took off {} bytes of a line cut short by a crash", last - torn).as_str())
        );
    }
}

#[test]
fn a_trail_that_somebody_changed_goes_on_and_stays_reported() {
    let (trail, _) = Trail::of(3);
    let mut changed = trail.bytes();
    changed.extend_from_slice(b"this is not ours\n");
    trail.put(&changed);
    let head = trail.add("life goes on");
    assert_eq!(head.seq, 4);
    let broken = Some((FILE.to_owned(), 4, BreakKind::Unreadable));
    assert_eq!(trail.fault(Some(&head)), broken);
    let head = trail.add("and on");
    assert_eq!(trail.fault(Some(&head)), broken);
    assert_eq!(recent(&trail.folder, 9).unwrap().len(), 5);
}

#[test]
fn a_full_file_is_closed_and_the_chain_goes_on_in_a_new_one() {
    let trail = Trail::new();
    let heads: Vec<TrailHead> = (0..30)
        .map(|at| append_rotating(&trail.folder, &mac, None, &entry(&at.to_string()), 1000).unwrap())
        .collect();
    let names = names(&trail.folder).unwrap();
    assert!(names.len() > 5, "{names:?}");
    assert_eq!(names[0], "audit.1.jsonl");
    let report = verify(&trail.folder, &mac, heads.last()).unwrap();
    assert_eq!((report.entries, report.fault), (30, None));
    let newest: Vec<u64> = recent(&trail.folder, 25).unwrap().iter().map(|line| line.seq).collect();
    assert_eq!(newest, (6..=30).collect::<Vec<_>>());

    // A crash right after the rename leaves no newest file; the chain goes on all the same.
    let next = format!("audit.{}.jsonl", names.len());
    trail.folder.rename_to_free(FILE, &next).unwrap();
    assert_eq!(trail.fault(heads.last()), None);
    assert_eq!(trail.add("after the crash").seq, 31);
    assert_eq!(trail.fault(heads.last()), None);

    // A whole file taken out shows in the next one.
    assert!(trail.folder.remove("audit.2.jsonl").unwrap());
    assert_eq!(
        trail.fault(heads.last()),
        Some(("audit.3.jsonl".to_owned(), 1, BreakKind::WrongMac))
    );
}

#[test]
fn long_words_are_cut_and_a_line_without_end_is_not_swallowed() {
    let trail = Trail::new();
    let head = trail.add(&"x".repeat(100_000));
    assert!(trail.bytes().len() < MAX_LINE);
    let mut changed = trail.bytes();
    changed.extend(std::iter::repeat_n(b'x', 5 * MAX_LINE));
    trail.put(&changed);
    assert_eq!(
        trail.fault(Some(&head)),
        Some((FILE.to_owned(), 2, BreakKind::Unreadable))
    );
}

#[test]
fn the_newest_file_taken_out_after_a_rotation_is_a_break_for_good() {
    let trail = Trail::new();
    let add = |known| append_rotating(&trail.folder, &mac, known, &entry("use"), 1000).unwrap();
    let heads: Vec<TrailHead> = (0..6).map(|_| add(None)).collect();
    assert!(trail.folder.remove(FILE).unwrap());
    let next = add(heads.last());
    assert_eq!(next.seq, 8, "after the note of the repair");
    assert_eq!(add(Some(&next)).seq, 9);
    let expected = Some((FILE.to_owned(), 1, BreakKind::WrongMac));
    assert_eq!(trail.fault(Some(&next)), expected);
}

#[test]
fn another_last_line_of_the_same_number_is_a_break_for_good() {
    let (trail, heads) = Trail::of(3);
    let whole = lines(&trail.bytes());
    trail.put(&whole[..2].concat());
    assert_eq!(trail.add("another third").seq, 3);
    let next = append(&trail.lock, &trail.folder, &mac, heads.last(), &entry("fourth")).unwrap();
    assert_eq!(next.seq, 5);
    assert_eq!(
        trail.fault(Some(&next)),
        Some((FILE.to_owned(), 4, BreakKind::WrongMac))
    );
}
