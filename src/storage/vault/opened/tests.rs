use super::*;

fn key(text: &str) -> ApiKey {
    ApiKey::stored(text)
}

fn record(id: u8) -> KeyRecord {
    KeyRecord {
        key_id: KeyId::from_random([id; 16]),
        provider: "openai".parse().expect("a provider"),
        label: "default".parse().expect("a label"),
        origin: "https://api.openai.com".to_owned(),
        description: None,
        created_at: Timestamp::UNIX_EPOCH,
        expires_at: None,
        rotation_count: 0,
        removed_at: None,
        versions: Vec::new(),
    }
}

fn keys(vault_id: u8) -> VaultKeys {
    VaultKeys::new(Hex([vault_id; 16]), SealKey::from_slice(&[1; 32]).expect("32 bytes"))
}

#[test]
fn a_sealed_secret_opens_only_as_what_it_was_sealed() {
    let keys_of_vault = keys(1);
    let sealed = keys_of_vault
        .seal(&record(1), 1, &key("sk-0123456789abcdef"))
        .expect("sealed");
    let open = |keys: &VaultKeys, record: &KeyRecord, version| keys.open(record, version, &sealed).err();
    assert_eq!(open(&keys_of_vault, &record(1), 1), None);
    let other_provider = KeyRecord {
        provider: "anthropic".parse().expect("a provider"),
        ..record(1)
    };
    let other_origin = KeyRecord {
        origin: "https://evil.example".to_owned(),
        ..record(1)
    };
    for (what, failure) in [
        ("another vault", open(&keys(2), &record(1), 1)),
        ("another key", open(&keys_of_vault, &record(2), 1)),
        ("another provider", open(&keys_of_vault, &other_provider, 1)),
        ("another origin", open(&keys_of_vault, &other_origin, 1)),
        ("another version", open(&keys_of_vault, &record(1), 2)),
    ] {
        assert_eq!(failure, Some(SealError::NotAuthentic), "{what}");
    }
}

#[test]
fn the_length_of_a_sealed_secret_does_not_tell_the_provider() {
    let sealed = |length| {
        keys(1)
            .seal(&record(1), 1, &key(&"k".repeat(length)))
            .expect("sealed")
            .bytes()
    };
    let lengths: Vec<_> = [16, 39, 108, 164, 254]
        .map(|length| sealed(length).expect("bytes").len())
        .into();
    assert_eq!(lengths, [256 + seal::OVERHEAD; 5]);
    assert_eq!(sealed(255).expect("bytes").len(), 512 + seal::OVERHEAD);
    assert_eq!(sealed(4096).expect("bytes").len(), 4352 + seal::OVERHEAD);
}

/// Computed by hand with HKDF-SHA256 of another implementation: changing any of it makes every vault unreadable.
#[test]
fn the_key_schedule_stays_what_it_is() {
    let keys = VaultKeys::new(
        Hex(std::array::from_fn(|at| u8::try_from(at).expect("small"))),
        SealKey::from_slice(&[0x42; 32]).expect("32 bytes"),
    );
    let lasting = Lasting::new(&keys.vault_id, SealKey::from_slice(&[0x43; 32]).expect("32 bytes"));
    let found = [
        &keys.records,
        &keys.manifest,
        &keys.mac,
        &lasting.audit,
        &lasting.fingerprints,
    ];
    let found: Vec<_> = found.iter().map(|key| HEXLOWER.encode(key.as_bytes())).collect();
    assert_eq!(found, SCHEDULE);
    assert_eq!(keys.id.to_string(), COMMITMENT);
    assert_eq!(lasting.fingerprint("key", "sk-0123456789abcdef"), FINGERPRINT);
}

const SCHEDULE: [&str; 5] = [
    "422fdd018c66b8e7fa18f4babf039a3e81ca897ac6d03fa568c2c8b3ae0a030b",
    "7e6ee5836dd503fd5308f291a0cc232f8b51d9599e3c608bdb75470083fd5654",
    "2326cd6a935241ddbd90386c2ff5f391017a33427629e7ca54f9f383ca1c3446",
    "ccc631ae0a0375343d2ea60a29626e72d6740ff113535ec6b90bc35731fdd860",
    "4dd4b432763d5894c172b402518cac7ea82bbdccfc6ca972eb7fcff601655759",
];
const COMMITMENT: &str = "191eafa766896003f932fde669637d92ca3b0e8fdf9f7c9237c5b78c5cbdc672";
const FINGERPRINT: &str = "e9c021bdf152bcf133435e8bf50eb4e92fe64886782020f4b6d22308fbf55a35";
