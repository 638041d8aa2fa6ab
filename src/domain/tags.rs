//! What a caller marks requests with, to tell them apart later: `team=search,ticket=K-7`.

use std::{collections::BTreeMap, str::FromStr};

/// The most tags of one request.
const MAX_TAGS: usize = 10;
/// The longest name or value, in characters.
const MAX_LENGTH: usize = 80;

/// The tags of a request, as one text: `name=value` pairs, sorted by name, with commas between them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tags(String);

/// Why a text is not a list of tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TagsError {
    #[error("a tag is not of the form name=value")]
    NotAPair,
    #[error("a tag has two values")]
    Twice,
    #[error("a tag's name or value is longer than {MAX_LENGTH} characters")]
    TooLong,
    #[error("there are more than {MAX_TAGS} tags")]
    TooMany,
}

impl Tags {
    /// The text; nothing where there are no tags.
    pub fn text(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(self.0.as_str())
    }
}

impl FromStr for Tags {
    type Err = TagsError;

    fn from_str(text: &str) -> Result<Self, TagsError> {
        let mut tags = BTreeMap::new();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or(TagsError::NotAPair)?;
            let (name, value) = (name.trim(), value.trim());
            let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/');
            if name.is_empty() || value.is_empty() || !name.chars().all(is_name) || value.chars().any(char::is_control)
            {
                return Err(TagsError::NotAPair);
            }
            if name.chars().count() > MAX_LENGTH || value.chars().count() > MAX_LENGTH {
                return Err(TagsError::TooLong);
            }
            if tags.insert(name, value).is_some() {
                return Err(TagsError::Twice);
            }
        }
        if tags.len() > MAX_TAGS {
            return Err(TagsError::TooMany);
        }
        let pairs: Vec<String> = tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Ok(Self(pairs.join(",")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_sorted_and_spelled_one_way() {
        for (text, spelled) in [
            ("", None),
            (" , ", None),
            ("b=2,a=1", Some("a=1,b=2")),
            (" team = search team , ticket=K-7", Some("team=search team,ticket=K-7")),
            ("x=a=b", Some("x=a=b")),
        ] {
            let tags: Tags = text.parse().expect(text);
            assert_eq!(tags.text(), spelled, "{text}");
            assert_eq!(
                tags.text().unwrap_or_default().parse(),
                Ok(tags.clone()),
                "its own text"
            );
        }
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        for (text, why) in [
            ("a", TagsError::NotAPair),
            ("a=", TagsError::NotAPair),
            ("=b", TagsError::NotAPair),
            ("a b=c", TagsError::NotAPair),
            ("a=b\u{7}", TagsError::NotAPair),
            ("a=1,a=2", TagsError::Twice),
        ] {
            assert_eq!(text.parse::<Tags>(), Err(why), "{text}");
        }
        assert_eq!(format!("a={}", "x".repeat(81)).parse::<Tags>(), Err(TagsError::TooLong));
        let many: Vec<String> = (0..11).map(|number| format!("t{number}=x")).collect();
        assert_eq!(many.join(",").parse::<Tags>(), Err(TagsError::TooMany));
    }
}
