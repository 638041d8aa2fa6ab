//! What is changed in a request's body: the model's name, and the request for counts at a stream's end.

use bytes::Bytes;
use serde_json::{Value, value::RawValue};

use super::fields::{BodyFields, text};
use crate::domain::ModelId;

/// The body with the provider's name of the model, and the request for counts where it is wanted; every other byte as
/// it was. Returns whether the client had not requested the counts itself.
pub(super) fn rewritten(
    body: &Bytes,
    fields: &BodyFields<'_>,
    model: &ModelId,
    asks_for_counts: bool,
) -> (Bytes, bool) {
    let mut changes: Vec<(usize, usize, String)> = Vec::new();
    let mut replace_text = |old: &str, new: String| {
        // The value is a part of the body.
        let start = old.as_ptr().addr() - body.as_ptr().addr();
        changes.push((start, start + old.len(), new));
    };
    if let Some(old) = fields.form_model
        && old != model.as_str()
    {
        replace_text(old, model.as_str().to_owned());
    }
    let mut replace = |old: &RawValue, new: String| replace_text(old.get(), new);
    if let Some(old) = fields.model
        && text(old).is_none_or(|old| old != model.as_str())
    {
        replace(old, Value::from(model.as_str()).to_string());
    }
    let mut strips = false;
    if asks_for_counts {
        let options: Option<Value> = fields
            .stream_options
            .and_then(|raw| serde_json::from_str(raw.get()).ok());
        match (fields.stream_options, options) {
            (Some(old), Some(Value::Object(mut options))) => {
                if options.get("include_usage") != Some(&Value::Bool(true)) {
                    options.insert("include_usage".to_owned(), true.into());
                    replace(old, Value::Object(options).to_string());
                    strips = true;
                }
            }
            (Some(old), Some(Value::Null)) => {
                replace(old, r#"{"include_usage":true}"#.to_owned());
                strips = true;
            }
            (None, _) => {
                let start = body.iter().position(|byte| *byte == b'{').map_or(0, |at| at + 1);
                changes.push((start, start, r#""stream_options":{"include_usage":true},"#.to_owned()));
                strips = true;
            }
            // Something else: the provider will say what.
            (Some(_), _) => {}
        }
    }
    if changes.is_empty() {
        return (body.clone(), strips);
    }
    changes.sort_unstable();
    let mut bytes = Vec::with_capacity(body.len() + 64);
    let mut at = 0;
    for (start, end, new) in changes {
        bytes.extend_from_slice(&body[at..start]);
        bytes.extend_from_slice(new.as_bytes());
        at = end;
    }
    bytes.extend_from_slice(&body[at..]);
    (bytes.into(), strips)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewrite(body: &str, model: &str, asks: bool) -> (String, bool) {
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let fields: BodyFields<'_> = serde_json::from_slice(&bytes).expect("an object");
        let (out, strips) = rewritten(&bytes, &fields, &model.parse().expect("a model"), asks);
        (String::from_utf8(out.to_vec()).expect("text"), strips)
    }

    #[test]
    fn only_the_model_and_the_wish_for_counts_change() {
        for (before, asks, after, strips) in [
            (
                r#"{ "b" : 1.50, "model":"openai/m" ,"a":"\u00e9" }"#,
                false,
                r#"{ "b" : 1.50, "model":"m" ,"a":"\u00e9" }"#,
                false,
            ),
            (
                r#"{"model":"m","stream":true}"#,
                true,
                r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#,
                true,
            ),
            (
                r#"{"model":"m","stream_options":{"include_usage":true}}"#,
                true,
                r#"{"model":"m","stream_options":{"include_usage":true}}"#,
                false,
            ),
            (
                r#"{"stream_options":{"x":1},"model":"openai/m"}"#,
                true,
                r#"{"stream_options":{"x":1,"include_usage":true},"model":"m"}"#,
                true,
            ),
            (
                r#"{"model":"m","stream_options":7}"#,
                true,
                r#"{"model":"m","stream_options":7}"#,
                false,
            ),
        ] {
            assert_eq!(rewrite(before, "m", asks), (after.to_owned(), strips), "{before}");
        }
    }
}
