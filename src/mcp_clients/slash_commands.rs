//! The slash commands of a coding client: files in a folder of its own, kept current unless they were changed.

use std::path::{Path, PathBuf};

use super::{Intent, McpClient, Scope};
use crate::{
    error::{Error, Result},
    prompts::{PROMPTS, PromptDef},
    settings::Machine,
    storage::files::{FileContents, FileError, ForeignFolder},
};

/// The longest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// What stands before and behind the sum in the last line of a file of ours.
const MARK: (&str, &str) = (
    "<!-- `api-keys setup` keeps this file current while it is unchanged: ",
    " -->\n",
);

/// One slash command in a client's folder.
#[derive(Debug)]
pub struct SlashCommand {
    prompt: &'static PromptDef,
    pub client: &'static McpClient,
    pub file: PathBuf,
}

/// How a file stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandState {
    Absent,
    Current,
    /// Ours, of another version, and unchanged.
    Outdated,
    /// Changed by the user, or never ours.
    Foreign,
}

impl SlashCommand {
    /// The slash commands that `client` takes, in the order of the prompts; none where it takes none.
    pub fn all(client: &'static McpClient, machine: &Machine, scope: Scope) -> Vec<Self> {
        let Some(folder) = client.slash_commands(machine, scope) else {
            return Vec::new();
        };
        let command = |prompt: &'static PromptDef| Self {
            prompt,
            client,
            file: folder.join(format!("{}.md", prompt.name)),
        };
        PROMPTS.iter().map(command).collect()
    }

    /// What people type.
    pub fn name(&self) -> String {
        format!("/{}", self.prompt.name)
    }

    /// How it stands now.
    pub fn state(&self) -> Result<CommandState> {
        Ok(self.judge(self.read()?.as_ref()))
    }

    /// Whether `intent` would change the file.
    pub fn is_to_change(&self, intent: Intent) -> Result<bool> {
        Ok(match (intent, self.state()?) {
            (Intent::Register, CommandState::Absent | CommandState::Outdated)
            | (Intent::Remove, CommandState::Current | CommandState::Outdated) => true,
            (Intent::Register, CommandState::Current | CommandState::Foreign)
            | (Intent::Remove, CommandState::Absent | CommandState::Foreign) => false,
        })
    }

    /// Writes the file or takes it away, unless it was changed meanwhile.
    pub fn apply(&self, intent: Intent) -> Result<bool> {
        let refused = |why| self.refused(why);
        let folder = ForeignFolder::create(self.folder()).map_err(refused)?;
        let seen = self.read()?;
        let name = format!("{}.md", self.prompt.name);
        match (intent, self.judge(seen.as_ref())) {
            (Intent::Register, CommandState::Absent | CommandState::Outdated) => {
                let put = folder.put(&name, seen.as_ref(), marked(self.prompt.file).as_bytes());
                let _ = put.map_err(refused)?;
            }
            (Intent::Remove, CommandState::Current | CommandState::Outdated) => {
                if let Some(seen) = &seen {
                    folder.remove(&name, seen).map_err(refused)?;
                }
            }
            (Intent::Register, CommandState::Current | CommandState::Foreign)
            | (Intent::Remove, CommandState::Absent | CommandState::Foreign) => return Ok(false),
        }
        Ok(true)
    }

    fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new("."))
    }

    fn read(&self) -> Result<Option<FileContents>> {
        match ForeignFolder::open(self.folder()).map_err(|why| self.refused(why))? {
            Some(folder) => {
                let name = format!("{}.md", self.prompt.name);
                folder.read(&name, MAX_FILE_BYTES).map_err(|why| self.refused(why))
            }
            None => Ok(None),
        }
    }

    /// A failure of another program's folder: its way out is not the one for our own.
    fn refused(&self, why: FileError) -> Error {
        let is_read_only = self.file.metadata().is_ok_and(|found| found.permissions().readonly());
        let why = match why {
            // Not the file's doing, and the same for all of them.
            FileError::ReadOnly { source, .. } if !is_read_only => FileError::ReadOnly {
                path: self.folder().to_owned(),
                source,
            },
            why => why,
        };
        Error::from(why).hint(format!(
            "make {} a folder that you can write to, and run `api-keys setup` again",
            self.folder().display()
        ))
    }

    fn judge(&self, contents: Option<&FileContents>) -> CommandState {
        let Some((bytes, _)) = contents else {
            return CommandState::Absent;
        };
        match str::from_utf8(bytes) {
            Ok(text) if text == marked(self.prompt.file) => CommandState::Current,
            Ok(text) if unmarked(text).is_some() => CommandState::Outdated,
            Ok(_) | Err(_) => CommandState::Foreign,
        }
    }
}

/// `text` with a last line that shows later whether it was changed.
fn marked(text: &str) -> String {
    format!("{text}\n{}{:016x}{}", MARK.0, sum(text), MARK.1)
}

/// The text of a file of ours that was not changed.
fn unmarked(text: &str) -> Option<&str> {
    let (text, mark) = text.rsplit_once(MARK.0)?;
    let text = text.strip_suffix('\n')?;
    let found = mark.strip_suffix(MARK.1)?;
    (found == format!("{:016x}", sum(text))).then_some(text)
}

/// FNV-1a: the same in every version, and forging it gains nothing.
fn sum(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_tells_whether_it_was_changed() {
        let file = marked("---\na: b\n---\n\ntext\n");
        assert_eq!(unmarked(&file), Some("---\na: b\n---\n\ntext\n"));
        for changed in [
            file.replace("text", "other text"),
            format!("{file}more\n"),
            file.replace(MARK.0, "<!-- "),
            "---\na: b\n---\n".to_owned(),
            String::new(),
        ] {
            assert_eq!(unmarked(&changed), None, "{changed}");
        }
    }
}
