//! Any file is a configuration or a mistake, and a key in it is never repeated.

#![no_main]

use api_keys::{providers, settings::Config};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = providers::looks_like_key(text);
    match Config::parse(text) {
        Ok(config) => assert!(!config.providers().is_empty()),
        Err(why) => {
            assert!(!providers::looks_like_key(&why.to_string()), "a key is repeated");
            assert!(why.line <= text.lines().count() + 1);
        }
    }
});
