//! Any response is read without a panic, passes alike in any pieces, and reports no usage that cannot be true.

#![no_main]

use api_keys::{
    domain::ProviderId,
    providers::{self, Framing, Meter, PROVIDERS, Provider, UsageReader},
};
use libfuzzer_sys::fuzz_target;

const MAX_TOKENS: u64 = 1_000_000_000;

fuzz_target!(|input: (u8, bool, u8, u8, u16, &[u8])| {
    let (framing, strips, piece, row, status, bytes) = input;
    let framing = match framing % 6 {
        0 => Framing::Whole,
        1 => Framing::Lines,
        2 => Framing::Unread,
        3 => Framing::Unknown,
        4 => Framing::Frames,
        _ => Framing::Events,
    };
    let (at_once, meter) = read(framing, strips, [bytes]);
    let (in_pieces, _) = read(framing, strips, bytes.chunks(usize::from(piece.max(1))));
    assert_eq!(in_pieces, at_once);
    if !strips {
        assert_eq!(at_once, bytes, "nothing is changed");
    }
    for tokens in [
        meter.tokens().unwrap_or_default(),
        meter.tokens_of_refusal(),
        meter.tokens_so_far(7),
    ] {
        assert!(tokens.input() <= MAX_TOKENS && tokens.output() <= MAX_TOKENS);
    }
    assert!(meter.is_trusted() || meter.tokens().is_none());

    let id: ProviderId = PROVIDERS[usize::from(row) % PROVIDERS.len()]
        .id
        .parse()
        .expect("a name");
    let provider = Provider::built_in(&id).expect("built in");
    let now = "2026-11-29T12:00:00Z".parse().expect("a time");
    if let Some(refused) = providers::read_refusal(&provider, status, bytes, now) {
        assert!((400..=599).contains(&refused.status()) || status >= 600);
        assert!(refused.retry_after.is_none_or(|wait| wait.as_secs() <= 86_400));
    }
    assert_eq!(
        meter.is_error(),
        meter
            .error()
            .is_some_and(|error| providers::refusal_in(provider.def, 200, error, now).is_some())
    );
});

/// What passes to the client, and what is known in the end.
fn read<'b>(framing: Framing, strips: bool, pieces: impl IntoIterator<Item = &'b [u8]>) -> (Vec<u8>, Meter) {
    let mut reader = UsageReader::new(framing, strips);
    let mut passed = Vec::new();
    for piece in pieces {
        passed.extend_from_slice(&reader.pass(piece.to_vec().into()));
    }
    passed.extend_from_slice(&reader.finish());
    (passed, reader.meter().clone())
}
