//! What is read of a body that is a form with files, as for the transcription of a recording.

use memchr::memmem;

use crate::error::{Code, Error, Result};

/// The fields of a form that the gateway understands, and its size.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Form<'b> {
    pub(super) model: Option<&'b str>,
    /// Bytes of fields that are no files.
    pub(super) text: u64,
    pub(super) files: u64,
}

impl<'b> Form<'b> {
    /// The form in `body`; nothing where it is none.
    pub(super) fn read(body: &'b [u8]) -> Result<Option<Self>> {
        let Some(boundary) = boundary(body) else {
            return Ok(None);
        };
        let finder = memmem::Finder::new(boundary);
        let mut form = Self::default();
        let mut rest = &body[boundary.len()..];
        while let Some(length) = finder.find(rest) {
            let part = &rest[..length];
            rest = &rest[length + boundary.len()..];
            let Some(end) = memmem::find(part, b"\r\n\r\n") else {
                continue;
            };
            let head = String::from_utf8_lossy(&part[..end]);
            let value = &part[end + 4..];
            let value = value.strip_suffix(b"\r\n").unwrap_or(value);
            if parameter(&head, "filename").is_some() {
                form.files += value.len() as u64;
                continue;
            }
            form.text += value.len() as u64;
            if parameter(&head, "name") == Some("model") {
                let named = std::str::from_utf8(value).ok().map(str::trim);
                if form.model.is_some() && form.model != named {
                    // One of them would be paid for, and perhaps the other one asked.
                    return Err(Error::new(Code::InvalidArgument, "the form names two models")
                        .hint("send the field `model` once"));
                }
                form.model = named;
            }
        }
        Ok(Some(form))
    }
}

/// The line that stands before each part.
fn boundary(body: &[u8]) -> Option<&[u8]> {
    let end = memmem::find(body.get(..200.min(body.len()))?, b"\r\n")?;
    let line = &body[..end];
    (line.len() > 2 && line.starts_with(b"--")).then_some(line)
}

/// The parameter `name` of a part's `Content-Disposition`.
fn parameter<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let is_disposition = |line: &&str| line.to_ascii_lowercase().starts_with("content-disposition:");
    let line = head.lines().find(is_disposition)?;
    let mut parameters = line.split(';').skip(1).map(str::trim);
    parameters.find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(model: &str, file: &str) -> String {
        format!(
            "--x1\r\nContent-Disposition: form-data; name=\"file\"; filename=\"model\"\r\nContent-Type: audio/mpeg\r\n\r\n\
             {file}\r\n--x1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n--x1\r\n\
             content-disposition: form-data; name=prompt\r\n\r\nhello\r\n--x1--\r\n"
        )
    }

    #[test]
    fn a_form_names_its_model_and_its_files_are_measured() {
        let body = form("whisper-1", "a\r\n\r\nname=\"model\"\r\n\r\nother");
        let read = Form::read(body.as_bytes()).expect("one model").expect("a form");
        assert_eq!(read.model, Some("whisper-1"));
        assert_eq!((read.text, read.files), (14, 26));
        for body in ["", "{}", "--", "--x1", "hello\r\n"] {
            assert_eq!(Form::read(body.as_bytes()).expect("no model"), None, "{body}");
        }
    }

    #[test]
    fn a_form_that_names_two_models_is_refused() {
        let twice = form("cheap", "x").replace("name=prompt", "name=model");
        assert!(Form::read(twice.as_bytes()).is_err());
    }
}
