//! Any bytes are a vault file in its one spelling, or refused before a slot may cost anything.

#![no_main]

use api_keys::storage::vault::inspect;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(outline) = inspect(bytes) {
        assert!((1..=16).contains(&outline.slots.len()));
        let file: serde_json::Value = serde_json::from_slice(bytes).expect("JSON");
        let mut spelled = serde_json::to_vec_pretty(&file).expect("JSON");
        spelled.push(b'\n');
        assert_eq!(spelled, bytes, "one spelling only");
    }
});
