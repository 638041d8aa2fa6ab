//! Any answer of any provider is read without a panic, and nothing of the key comes out.

#![no_main]

use api_keys::{
    domain::{ApiKey, KeyStatus, Secret},
    providers::{ProviderResponse, PROVIDERS},
};
use libfuzzer_sys::fuzz_target;

const KEY: &str = "Zk3q9Lw7Xv2Nb8Ty4Rm6Pc1Hd5Jf0GsFuzz";

fuzz_target!(|input: (u8, u16, bool, &[u8])| {
    let (row, http_status, is_cut, body) = input;
    let def = &PROVIDERS[usize::from(row) % PROVIDERS.len()];
    let http_status = 100 + http_status % 900;
    let key = ApiKey::parse(&Secret::new(KEY)).expect("well formed");
    let verdict = (def.read)(&ProviderResponse::new(def.title, http_status, body, is_cut, Some(&key)));
    let account = verdict.account.as_ref().map(|account| account.as_str().to_owned());
    let shown = format!("{verdict:?} {account:?}").to_lowercase();
    assert!(!shown.contains(&KEY.to_lowercase()), "the key came out");
    assert!(verdict.message.starts_with(def.title), "our own words");
    if matches!(http_status, 403 | 429 | 500..) && def.id != "voyage" {
        assert_ne!(verdict.status, KeyStatus::Invalid, "{http_status} says nothing of the key");
    }
});
