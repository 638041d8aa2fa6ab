//! The name that a mistyped one was probably meant for.

/// How alike two names must be for one to be suggested for the other, from 0 to 1.
const MIN_LIKENESS: f64 = 0.75;

/// The name among `names` that is most like `typed`; nothing where none is like it.
#[expect(clippy::float_arithmetic, reason = "likeness is a ratio; no money is counted here")]
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |name: &str| {
        if typed.len() > 1 && name.starts_with(typed) {
            1.0
        } else {
            // What is begun alike is more alike, as Winkler has it, but without his threshold: `expires` is meant for
            // `expiration-date`.
            let alike = strsim::jaro(typed, name);
            let begun = typed
                .chars()
                .zip(name.chars())
                .take(4)
                .take_while(|(one, other)| one == other);
            begun.fold(alike, |likeness, _| likeness + 0.1 * (1.0 - alike))
        }
    };
    names
        .into_iter()
        .map(|name| (likeness(name), name))
        .filter(|(likeness, _)| *likeness >= MIN_LIKENESS)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_finds_the_one_that_was_meant() {
        let names = [
            "anthropic",
            "openai",
            "azure-openai",
            "google",
            "groq",
            "mistral",
            "local",
        ];
        for (typed, meant) in [
            ("opnai", Some("openai")),
            ("antropic", Some("anthropic")),
            ("gogle", Some("google")),
            ("mis", Some("mistral")),
            ("x", None),
            ("something-else", None),
        ] {
            assert_eq!(nearest(typed, names), meant, "{typed}");
        }
    }
}
