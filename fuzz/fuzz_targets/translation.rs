//! Any request and any response is translated or refused without a panic, and a stream alike in any pieces.

#![no_main]

use api_keys::translation::{AnswerTranslator, TargetModel, WireFormat, translate};
use libfuzzer_sys::fuzz_target;

const FORMATS: [WireFormat; 3] = [WireFormat::Chat, WireFormat::Responses, WireFormat::Messages];

fuzz_target!(|input: (u8, u8, u8, u16, &[u8], &[u8])| {
    let (from, to, piece, status, request, response) = input;
    let (from, to) = (FORMATS[usize::from(from) % 3], FORMATS[usize::from(to) % 3]);
    let target = TargetModel {
        provider: "openai",
        model: "m",
        max_output: Some(1_000),
        efforts: &[],
        input_estimate: 7,
        now: 0,
    };
    if let Ok(translated) = translate(from, to, request, &target) {
        assert!(serde_json::from_slice::<serde_json::Value>(&translated.body).is_ok());
        assert!(!translated.losses.to_string().contains(['\r', '\n']));
    }
    let Ok(asked) = translate(from, to, br#"{"messages":[],"stream":true}"#, &target) else {
        return;
    };
    let at_once = streamed(asked.answer.clone(), [response]);
    let in_pieces = streamed(asked.answer.clone(), response.chunks(usize::from(piece.max(1))));
    assert_eq!(in_pieces, at_once);
    let _ = asked.answer.translate_whole(status, response);
});

fn streamed<'b>(mut answer: AnswerTranslator, pieces: impl IntoIterator<Item = &'b [u8]>) -> Vec<u8> {
    let mut out: Vec<u8> = pieces.into_iter().flat_map(|piece| answer.pass(piece)).collect();
    out.extend(answer.finish());
    out
}
