//! Any file of prices is read or refused; what is taken from one can be stored, read back and laid over the rest.

#![no_main]

use api_keys::catalog::{Catalog, Overlay, sets};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let built_in = Catalog::built_in();
    if let Ok(overlay) = Overlay::parse(text) {
        assert_eq!(Overlay::parse(&overlay.to_text()).as_ref(), Ok(&overlay));
        let _ = built_in.with(Some(&overlay), &[]);
    }
    let day = "2026-11-25".parse().expect("a day");
    if let Ok(taken) = sets::read(text, day, &built_in) {
        let _ = built_in.with(Some(&taken.overlay), &[]);
        let _ = Overlay::parse(&taken.overlay.to_text());
    }
});
