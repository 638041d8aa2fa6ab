//! What of a model's name is not the name: dates, folders and owners that providers let it be written with.

use jiff::civil::Date;

use crate::domain::{ModelId, ModelRef};

/// The name that the provider documents as meaning the same: without Gemini's folder, the ARN around a Bedrock id, and
/// the owner of a fine-tuned OpenAI model, which is charged by what it was tuned from.
pub(super) fn plain(name: &ModelRef) -> Option<ModelId> {
    let text = name.model.as_str();
    match name.provider.as_str() {
        "google" => text.strip_prefix("models/")?.parse().ok(),
        "bedrock" => {
            let resource = text.strip_prefix("arn:")?.rsplit(':').find(|part| part.contains('/'));
            let (_, after) = text.split_once(resource?)?;
            let (kind, id) = resource?.split_once('/')?;
            let is_model = matches!(kind, "foundation-model" | "inference-profile");
            is_model.then(|| format!("{id}{after}").parse().ok())?
        }
        "openai" | "azure-openai" => {
            let base = text.strip_prefix("ft:")?.split(':').next()?;
            let tuned = format!("ft:{base}");
            (tuned != text).then(|| tuned.parse().ok())?
        }
        _ => None,
    }
}

/// `name` without a day at its end, as `-20251101`, `@20251101` or `-2025-11-01`.
pub(super) fn without_date(name: &ModelId) -> Option<ModelId> {
    let name = name.as_str();
    let ends = |length: usize| {
        let (rest, day) = name.split_at_checked(name.len().checked_sub(length)?)?;
        let day = day.strip_prefix(['-', '@'])?;
        let plain = day.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        (plain && day.parse::<Date>().is_ok()).then(|| rest.parse().ok())?
    };
    ends("-2025-11-01".len()).or_else(|| ends("-20251101".len()))
}
