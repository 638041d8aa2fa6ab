use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::*;
use crate::{
    domain::{Passphrase, Secret},
    storage::{
        files::Folder,
        vault::{DataKey, SlotKind},
    },
};

const CANARY: &[u8] = b"sk-proj-MadeUpForTheTests0123456789";

/// A backup with a file of `length` bytes in it, and the recovery code that opens it without stretching anything.
fn backup(length: usize) -> (Vec<u8>, Secret) {
    let passphrase = Passphrase::new(Secret::new("correct horse"));
    let slots = BackupSlots {
        passphrase: &passphrase,
        recovery: true,
    };
    let (writer, _, code) = BackupWriter::begin(Vec::new(), Timestamp::UNIX_EPOCH, slots).expect("a header");
    let mut packer = Packer::new(writer);
    let bytes: Vec<u8> = CANARY.iter().copied().cycle().take(length).collect();
    packer
        .add(BackupPart::Config, length as u64, &mut bytes.as_slice(), &mut |_| ())
        .expect("packed");
    let key = DataKey::from_slice(&[7; 32]).expect("a key");
    packer.add_key(&key).expect("packed");
    let manifest = BackupManifest::new("1.2.3", Timestamp::UNIX_EPOCH);
    let (bytes, _) = packer.finish(manifest).expect("finished");
    (bytes, code.expect("a code"))
}

/// What a backup holds, read to its end.
fn read(bytes: &[u8], with: UnlockBackup<'_>) -> Result<(Unpacked, Vec<u8>), BackupError> {
    let home = tempfile::tempdir().expect("a folder");
    let folder = Folder::create(&home.path().join("data")).expect("a folder");
    let mut from = bytes;
    let header = read_header(&mut from)?;
    let unpacked = unpack(BackupReader::open(from, &header, with)?, &folder, &mut |_| ())?;
    let file = folder
        .read("config.toml", 1 << 30)
        .expect("readable")
        .expect("a file")
        .0;
    assert!(
        !home.path().join("data/vault.key").exists(),
        "the vault's key is never a file"
    );
    Ok((unpacked, file.to_vec()))
}

/// Where the chunks begin.
fn body_of(bytes: &[u8]) -> usize {
    12 + usize::try_from(u32::from_le_bytes(bytes[8..12].try_into().expect("four"))).expect("short")
}

#[test]
fn what_was_backed_up_comes_back_by_passphrase_and_by_recovery_code() {
    for length in [0, 1, 65_000, 200_000] {
        let (bytes, code) = backup(length);
        assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY));
        let right = Passphrase::new(Secret::new("correct horse"));
        for with in [UnlockBackup::Passphrase(&right), UnlockBackup::Recovery(&code)] {
            let (unpacked, file) = read(&bytes, with).expect("whole");
            assert_eq!(file.len(), length);
            assert_eq!(unpacked.manifest.size(), length as u64 + 32);
            assert_eq!(unpacked.vault_key.expect("a key").as_bytes(), &[7; 32]);
        }
    }
}

#[test]
fn another_passphrase_or_code_opens_nothing() {
    let (bytes, _) = backup(10);
    let (_, other) = backup(10);
    let wrong = Passphrase::new(Secret::new("battery staple"));
    let typo = Secret::new("0000-0000-0000-0000-0000-0000-0000-0000");
    assert!(matches!(
        read(&bytes, UnlockBackup::Passphrase(&wrong)),
        Err(BackupError::WrongPassphrase)
    ));
    assert!(matches!(
        read(&bytes, UnlockBackup::Recovery(&other)),
        Err(BackupError::WrongRecoveryCode)
    ));
    assert!(matches!(
        read(&bytes, UnlockBackup::Recovery(&typo)),
        Err(BackupError::MistypedRecoveryCode)
    ));
    let header = read_header(&mut bytes.as_slice()).expect("a header");
    assert_eq!(header.slot_kinds(), [SlotKind::Passphrase, SlotKind::Recovery]);
}

#[test]
fn every_truncation_is_refused() {
    let (bytes, code) = backup(50);
    for length in 0..bytes.len() {
        assert!(
            read(&bytes[..length], UnlockBackup::Recovery(&code)).is_err(),
            "cut to {length} of {}",
            bytes.len()
        );
    }
    // A file that is longer is refused just the same.
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(read(&longer, UnlockBackup::Recovery(&code)).is_err());
}

#[test]
fn a_cut_between_chunks_is_refused() {
    let (bytes, code) = backup(200_000);
    let sealed = 64 * 1024 + 16;
    let body = body_of(&bytes);
    for chunks in 0..=3 {
        assert!(read(&bytes[..body + chunks * sealed], UnlockBackup::Recovery(&code)).is_err());
    }
    // Two chunks that changed places.
    let mut swapped = bytes.clone();
    swapped[body..body + 2 * sealed].rotate_left(sealed);
    assert!(read(&swapped, UnlockBackup::Recovery(&code)).is_err());
    // One that is left out.
    let without = [&bytes[..body + sealed], &bytes[body + 2 * sealed..]].concat();
    assert!(read(&without, UnlockBackup::Recovery(&code)).is_err());
}

#[test]
fn a_thousand_flipped_bits_are_refused() {
    let (bytes, code) = backup(2_000);
    let bits = bytes.len() * 8;
    let since = Instant::now();
    for flip in 0..1_000 {
        // Spread over the whole file, at every place in a byte.
        let bit = flip * (bits - 1) / 999;
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        // A slot that was changed and is not used is noticed too: everything before the chunks is bound to them.
        assert!(
            read(&changed, UnlockBackup::Recovery(&code)).is_err(),
            "bit {} of byte {}",
            bit % 8,
            bit / 8
        );
    }
    assert!(since.elapsed() < Duration::from_mins(5));
}

#[test]
fn a_newer_format_is_refused_as_such() {
    let (bytes, code) = backup(10);
    let body = body_of(&bytes);
    let header = String::from_utf8(bytes[12..body].to_vec()).expect("text");
    let newer = header.replace(
        "\"version\":1,\"min_reader\":1",
        "\"version\":3,\"min_reader\":2,\"more\":true",
    );
    let length = u32::try_from(newer.len()).expect("short").to_le_bytes();
    let changed = [&bytes[..8], &length, newer.as_bytes(), &bytes[body..]].concat();
    assert!(matches!(
        read(&changed, UnlockBackup::Recovery(&code)),
        Err(BackupError::TooNew(2))
    ));
    let foreign = [b"PK\x03\x04".as_slice(), &bytes].concat();
    assert!(matches!(
        read(&foreign, UnlockBackup::Recovery(&code)),
        Err(BackupError::NotABackup)
    ));
}

#[test]
fn only_our_own_names_are_written() {
    for name in [
        "vault.json",
        "audit.jsonl",
        "audit.12.jsonl",
        "ledger.db",
        "config.toml",
    ] {
        let part = BackupPart::of_name(name).expect("ours");
        assert_eq!(part.file_name(), name);
    }
    for name in [
        "../vault.json",
        "audit.012.jsonl",
        "audit..jsonl",
        "audit.-1.jsonl",
        "/etc/passwd",
        "",
    ] {
        assert_eq!(BackupPart::of_name(name), None, "{name}");
    }
}
