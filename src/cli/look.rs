//! How answers look, as far as the options say.

use std::ffi::OsString;

use clap::ColorChoice;

/// The form of answers and errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) json: bool,
    pub(super) color: ColorChoice,
}

impl Look {
    /// What the options in `arguments` ask for, even where the rest is not understood: errors need a form too.
    pub(super) fn of(arguments: &[OsString]) -> Self {
        let mut look = Self {
            json: false,
            color: ColorChoice::Auto,
        };
        let mut before = None;
        for argument in ours(arguments).filter_map(|argument| argument.to_str()) {
            look.json |= argument == "--json";
            let color = argument
                .strip_prefix("--color=")
                .or((before == Some("--color")).then_some(argument));
            look.color = color.and_then(|when| when.parse().ok()).unwrap_or(look.color);
            before = Some(argument);
        }
        look
    }
}

/// The arguments that are for this program: those before `--`.
pub(super) fn ours(arguments: &[OsString]) -> impl Iterator<Item = &OsString> {
    arguments.iter().skip(1).take_while(|argument| *argument != "--")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_look_is_known_even_where_the_rest_is_nonsense() {
        let line = ["api-keys", "nonsense", "--json", "--color", "never"].map(OsString::from);
        let asked = Look {
            json: true,
            color: ColorChoice::Never,
        };
        assert_eq!(Look::of(&line), asked);
        let line = ["api-keys", "run", "--", "jq", "--json"].map(OsString::from);
        assert!(!Look::of(&line).json);
    }
}
