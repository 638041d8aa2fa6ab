//! A `.env` file as lines: one variable is put in or taken out, and every other line stays.

use serde_json::{Map, Value};

/// The variables, each with the text of its line: how a value is quoted differs between readers, and is kept as it is.
pub(super) fn value(text: &str) -> Value {
    let found = text.lines().filter_map(variable);
    Value::Object(
        found
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect::<Map<_, _>>(),
    )
}

/// The text with `name=value`, in place of the line that sets `name`.
pub(super) fn with(text: &str, name: &str, value: &str) -> String {
    let line = format!("{name}={value}");
    let (mut changed, mut is_set) = (String::new(), false);
    for known in text.split_inclusive('\n') {
        if variable(known.trim_end()).is_some_and(|(known, _)| known == name) {
            // The last one counts where there are several, so there is only one afterwards.
            if !std::mem::replace(&mut is_set, true) {
                changed.push_str(&line);
                changed.push('\n');
            }
        } else {
            changed.push_str(known);
        }
    }
    if !is_set {
        if !changed.is_empty() && !changed.ends_with('\n') {
            changed.push('\n');
        }
        changed.push_str(&line);
        changed.push('\n');
    }
    changed
}

/// The text without the lines that set `name`.
pub(super) fn without(text: &str, name: &str) -> String {
    let is_other = |line: &&str| variable(line.trim_end()).is_none_or(|(known, _)| known != name);
    text.split_inclusive('\n').filter(is_other).collect()
}

/// The variable that a line sets, and its value, without quotes around it.
fn variable(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
    let (name, value) = line.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let bare = ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    is_name.then(|| (name, bare.unwrap_or(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_put_in_and_taken_out_and_every_other_line_stays() {
        let before = "# mine\nexport A='1'\n\nB = 2";
        let after = with(before, "KEY", "akc_1");
        assert_eq!(after, "# mine\nexport A='1'\n\nB = 2\nKEY=akc_1\n");
        assert_eq!(with(&after, "KEY", "akc_2"), after.replace("akc_1", "akc_2"));
        assert_eq!(without(&after, "KEY"), format!("{before}\n"));
        assert_eq!(value(before), serde_json::json!({"A": "1", "B": "2"}));
        assert_eq!(without("KEY=1\n#KEY=2\n", "KEY"), "#KEY=2\n");
    }
}
