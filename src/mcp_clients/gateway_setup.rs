//! An agent's way to the gateway in its own settings: planned, written, and undone as it was before.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    document::{Broken, EntryPath},
    gateway_settings::{AgentEntry, AgentSettingsFile, EntryValue, GatewayAccess, GatewayAgent},
};
use crate::{
    domain::Secret,
    error::{Code, Error, Result},
    services::gateway_clients,
    settings::Machine,
    storage::files::{FileContents, FileError, Folder, ForeignFolder},
};

/// The longest settings that are read, in bytes.
const MAX_FILE_BYTES: u64 = 4 << 20;
const NOTE: &str = "setup.json";
const NOTE_FORMAT: &str = "api-keys agent setup";
const NOTE_VERSION: u32 = 1;
/// What stands for a client key where it is shown.
const MASK: &str = "akc_…";

/// An agent's settings, and what is to be in them.
#[derive(Debug)]
pub struct GatewaySetup<'a> {
    pub agent: &'static GatewayAgent,
    machine: &'a Machine,
    access: GatewayAccess,
    /// The private folder in which we note what we wrote.
    folder: PathBuf,
}

/// What would change.
#[derive(Debug, Default)]
pub struct GatewayPlan {
    pub files: Vec<FilePlan>,
    /// Entries of ours that were changed by hand since, by file and name, and stay.
    pub left: Vec<String>,
}

/// What would change in one file.
#[derive(Debug)]
pub struct FilePlan {
    pub file: PathBuf,
    /// The entries as they will be written, or the names of those that are taken out.
    pub lines: Vec<String>,
    /// Choices of the user's that are replaced.
    pub before: Vec<String>,
    /// Whether a client key will stand in it.
    pub holds_key: bool,
}

/// What we wrote into an agent's settings, and what was there before.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetupNote {
    format: String,
    version: u32,
    entries: Vec<NotedEntry>,
    /// The files that were not there.
    made: Vec<PathBuf>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NotedEntry {
    file: PathBuf,
    path: Vec<String>,
    /// Nothing for a client key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    written: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    /// How many of the tables around it were not there.
    tables_made: usize,
}

/// One file as it is now.
struct FoundSettings {
    folder: Option<ForeignFolder>,
    contents: Option<FileContents>,
    text: String,
}

impl NotedEntry {
    /// Whether the value is still what we wrote.
    fn is_unchanged(&self, value: &Value) -> bool {
        match &self.written {
            Some(written) => written == value,
            None => value.as_str().is_some_and(gateway_clients::is_client_key),
        }
    }
}

impl<'a> GatewaySetup<'a> {
    /// The settings of `agent`; `folder` is where we note what we do.
    pub fn new(agent: &'static GatewayAgent, machine: &'a Machine, access: GatewayAccess, folder: PathBuf) -> Self {
        Self {
            agent,
            machine,
            access,
            folder,
        }
    }

    /// The client key in the settings, if there is one of ours.
    pub fn key(&self) -> Result<Option<Secret>> {
        for file in self.agent.files {
            let settings = self.read(file)?;
            for entry in file
                .entries
                .iter()
                .filter(|entry| matches!(entry.value, EntryValue::Key))
            {
                let value = self.value(file, &settings, entry)?;
                let text = value.as_ref().and_then(Value::as_str);
                if let Some(text) = text.filter(|text| gateway_clients::is_client_key(text)) {
                    return Ok(Some(Secret::new(text)));
                }
            }
        }
        Ok(None)
    }

    /// What would be written; `key_works` says whether the client key in the settings can stay.
    pub fn plan(&self, key_works: bool) -> Result<GatewayPlan> {
        let note = self.note()?;
        let mut plan = GatewayPlan::default();
        for file in self.agent.files {
            let path = (file.path)(self.machine);
            let settings = self.read(file)?;
            self.expect_no_rival(file, &settings)?;
            let mut changes = FilePlan {
                file: path.clone(),
                lines: Vec::new(),
                before: Vec::new(),
                holds_key: false,
            };
            let mut text = String::new();
            for entry in file.entries {
                changes.holds_key |= matches!(entry.value, EntryValue::Key);
                let current = self.value(file, &settings, entry)?;
                if self.stands(entry, current.as_ref(), key_works) {
                    continue;
                }
                if let Some(current) = current {
                    let noted = note.of(&path, entry.path);
                    let is_ours = noted.is_some_and(|noted| noted.is_unchanged(&current));
                    if !is_ours && !entry.replaces {
                        return Err(self.taken(&path, entry));
                    }
                    if !is_ours {
                        changes.before.push(format!("{} = {current}", entry.path.join(".")));
                    }
                }
                let wanted = self.wanted(entry).unwrap_or_else(|| MASK.into());
                text = file
                    .format
                    .with(&text, EntryPath(entry.path), &wanted)
                    .map_err(|why| self.broken(&path, &why))?;
            }
            if text.is_empty() {
                continue;
            }
            if let Some(folder) = &settings.folder {
                folder.check_writable(&name(&path)).map_err(|why| self.refused(why))?;
            }
            // Without the braces around the whole of it.
            let lines = text.lines().filter(|line| !matches!(*line, "" | "{" | "}"));
            changes.lines = lines
                .map(|line| line.strip_prefix("  ").unwrap_or(line).to_owned())
                .collect();
            plan.files.push(changes);
        }
        Ok(plan)
    }

    /// Writes it, with a backup of each file that was there; `key` is for the settings that hold one.
    pub fn apply(&self, key: Option<&Secret>) -> Result<()> {
        let mut note = self.note()?;
        for file in self.agent.files {
            let path = (file.path)(self.machine);
            let settings = self.read(file)?;
            self.expect_no_rival(file, &settings)?;
            let mut text = settings.text.clone();
            let is_new = settings.contents.is_none();
            for entry in file.entries {
                let current = self.value(file, &settings, entry)?;
                if self.stands(entry, current.as_ref(), key.is_none()) {
                    continue;
                }
                let noted = note.of(&path, entry.path).cloned();
                let is_ours = matches!((&noted, &current), (Some(noted), Some(current)) if noted.is_unchanged(current));
                if current.is_some() && !is_ours && !entry.replaces {
                    return Err(self.taken(&path, entry));
                }
                let wanted = self.wanted(entry);
                // EXPOSE: written to the agent's settings, which are private from then on
                let value = wanted.clone().or_else(|| key.map(|key| key.expose().into()));
                let Some(value) = value else { continue };
                note.set(NotedEntry {
                    tables_made: match &noted {
                        Some(noted) if is_ours => noted.tables_made,
                        _ => tables_made(file, &text, entry.path),
                    },
                    before: match noted {
                        Some(noted) if is_ours => noted.before,
                        _ => current,
                    },
                    file: path.clone(),
                    path: entry.path.iter().map(|&name| name.to_owned()).collect(),
                    written: wanted,
                });
                text = file
                    .format
                    .with(&text, EntryPath(entry.path), &value)
                    .map_err(|why| self.broken(&path, &why))?;
            }
            if text == settings.text {
                continue;
            }
            if is_new && !note.made.contains(&path) {
                note.made.push(path.clone());
            }
            // First the note: without it, what is written could not be undone.
            self.keep(&note)?;
            let folder =
                ForeignFolder::create(path.parent().unwrap_or(Path::new("."))).map_err(|why| self.refused(why))?;
            let is_private = file.entries.iter().any(|entry| matches!(entry.value, EntryValue::Key));
            let (name, seen) = (name(&path), settings.contents.as_ref());
            let written = if is_private {
                folder.replace_private(&name, seen, text.as_bytes())
            } else {
                folder.replace(&name, seen, text.as_bytes())
            };
            let _ = written.map_err(|why| self.refused(why))?;
        }
        Ok(())
    }

    /// What would be taken out, or set back to what it was.
    pub fn plan_undo(&self) -> Result<GatewayPlan> {
        let note = self.note()?;
        let mut plan = GatewayPlan::default();
        for (path, undone) in self.undone(&note)? {
            plan.left.extend(undone.left);
            if undone.text != undone.settings.text {
                plan.files.push(FilePlan {
                    file: path,
                    lines: undone.lines,
                    before: undone.before,
                    holds_key: false,
                });
            }
        }
        Ok(plan)
    }

    /// Takes out what is still as we wrote it, sets back what we replaced, and forgets the note.
    pub fn undo(&self) -> Result<()> {
        let note = self.note()?;
        for (path, undone) in self.undone(&note)? {
            let (Some(folder), Some(seen)) = (&undone.settings.folder, &undone.settings.contents) else {
                continue;
            };
            if undone.text == undone.settings.text {
                continue;
            }
            let is_empty = matches!(undone.text.trim(), "" | "{}") && note.made.contains(&path);
            let name = name(&path);
            let done = if is_empty {
                folder.remove(&name, seen).map(drop)
            } else {
                folder.replace(&name, Some(seen), undone.text.as_bytes()).map(drop)
            };
            done.map_err(|why| self.refused(why))?;
        }
        if let Some(folder) = Folder::open(&self.folder)? {
            folder.remove(NOTE)?;
        }
        Ok(())
    }

    /// Each file as it will be without what we wrote.
    fn undone(&self, note: &SetupNote) -> Result<BTreeMap<PathBuf, UndoneFile>> {
        let mut files = BTreeMap::new();
        for file in self.agent.files {
            let path = (file.path)(self.machine);
            let settings = self.read(file)?;
            let mut undone = UndoneFile {
                text: settings.text.clone(),
                settings,
                lines: Vec::new(),
                before: Vec::new(),
                left: Vec::new(),
            };
            for noted in note.entries.iter().filter(|noted| noted.file == path) {
                let names: Vec<&str> = noted.path.iter().map(String::as_str).collect();
                let shown = names.join(".");
                let broken = |why| self.broken(&path, &why);
                let Some(current) = file.format.entry(&undone.text, EntryPath(&names)).map_err(broken)? else {
                    continue;
                };
                if !noted.is_unchanged(&current) {
                    undone.left.push(format!("{shown} in {}", path.display()));
                    continue;
                }
                if let Some(before) = &noted.before {
                    undone.before.push(format!("{shown} = {before}"));
                    undone.text = file
                        .format
                        .with(&undone.text, EntryPath(&names), before)
                        .map_err(broken)?;
                } else {
                    undone.text = file.format.without(&undone.text, EntryPath(&names)).map_err(broken)?;
                    undone.lines.push(shown);
                }
            }
            // The innermost last: a table is empty once all that is in it is gone.
            for noted in note.entries.iter().rev().filter(|noted| noted.file == path) {
                let names: Vec<&str> = noted.path.iter().map(String::as_str).collect();
                for depth in (1..names.len()).rev().take(noted.tables_made) {
                    let table = EntryPath(names.get(..depth).unwrap_or_default());
                    let broken = |why| self.broken(&path, &why);
                    let inside = file.format.entry(&undone.text, table).map_err(broken)?;
                    if inside.is_some_and(|it| it.as_object().is_some_and(serde_json::Map::is_empty)) {
                        undone.text = file.format.without(&undone.text, table).map_err(broken)?;
                    }
                }
            }
            files.insert(path, undone);
        }
        Ok(files)
    }

    /// Whether the entry is as it should be.
    fn stands(&self, entry: &AgentEntry, current: Option<&Value>, key_works: bool) -> bool {
        match (self.wanted(entry), current) {
            (Some(wanted), Some(current)) => wanted == *current,
            (None, Some(current)) => key_works && current.as_str().is_some_and(gateway_clients::is_client_key),
            (_, None) => false,
        }
    }

    /// The value of an entry; nothing for a client key.
    fn wanted(&self, entry: &AgentEntry) -> Option<Value> {
        match entry.value {
            EntryValue::Known(value) => Some(value(&self.access)),
            EntryValue::Key => None,
        }
    }

    fn value(&self, file: &AgentSettingsFile, settings: &FoundSettings, entry: &AgentEntry) -> Result<Option<Value>> {
        let found = file.format.entry(&settings.text, EntryPath(entry.path));
        found.map_err(|why| self.broken(&(file.path)(self.machine), &why))
    }

    fn expect_no_rival(&self, file: &AgentSettingsFile, settings: &FoundSettings) -> Result<()> {
        let path = (file.path)(self.machine);
        for rival in file.rivals {
            let found = file.format.entry(&settings.text, EntryPath(rival));
            if found.map_err(|why| self.broken(&path, &why))?.is_some() {
                let rival = rival.join(".");
                return Err(self.in_the_way(&path, &rival));
            }
        }
        Ok(())
    }

    fn read(&self, file: &AgentSettingsFile) -> Result<FoundSettings> {
        let path = (file.path)(self.machine);
        let refused = |why| self.refused(why);
        let folder = ForeignFolder::open(path.parent().unwrap_or(Path::new("."))).map_err(refused)?;
        let contents = match &folder {
            Some(folder) => folder.read(&name(&path), MAX_FILE_BYTES).map_err(refused)?,
            None => None,
        };
        let text = match &contents {
            Some((bytes, _)) => str::from_utf8(bytes).map_err(|_| self.broken(&path, &Broken::Syntax { line: 1 }))?,
            None => "",
        };
        Ok(FoundSettings {
            text: text.to_owned(),
            folder,
            contents,
        })
    }

    fn note(&self) -> Result<SetupNote> {
        let found = match Folder::open(&self.folder)? {
            Some(folder) => folder.read(NOTE, MAX_FILE_BYTES)?,
            None => None,
        };
        let Some((bytes, _)) = found else {
            return Ok(SetupNote::default());
        };
        let path = self.folder.join(NOTE);
        let note: Option<SetupNote> = serde_json::from_slice(&bytes).ok();
        let is_known = |note: &SetupNote| note.format == NOTE_FORMAT && note.version == NOTE_VERSION;
        note.filter(is_known).ok_or_else(|| {
            Error::new(
                Code::ClientConfigInvalid,
                format!("{} is damaged, or of a newer version", path.display()),
            )
            .hint(format!(
                "it notes what was changed in the settings of {}: undo that by hand, and delete it",
                self.agent.title
            ))
        })
    }

    fn keep(&self, note: &SetupNote) -> Result<()> {
        let note = SetupNote {
            format: NOTE_FORMAT.to_owned(),
            version: NOTE_VERSION,
            entries: note.entries.clone(),
            made: note.made.clone(),
        };
        let text = serde_json::to_vec_pretty(&note).expect("plain values with names");
        let _ = Folder::create(&self.folder)?.replace(NOTE, &text)?;
        Ok(())
    }

    fn taken(&self, path: &Path, entry: &AgentEntry) -> Error {
        self.in_the_way(path, &entry.path.join("."))
    }

    fn in_the_way(&self, path: &Path, what: &str) -> Error {
        let Self { agent, .. } = self;
        Error::new(
            Code::SettingTaken,
            format!("{} already has `{what}` in {}", agent.title, path.display()),
        )
        .hint(format!(
            "remove it and run `api-keys setup --gateway --client {}`, or start it with `api-keys run --gateway -- {}`",
            agent.id, agent.program
        ))
    }

    fn broken(&self, path: &Path, why: &Broken) -> Error {
        Error::new(
            Code::ClientConfigInvalid,
            format!("{} cannot be changed safely: {why}", path.display()),
        )
        .hint(format!(
            "correct it, or start {} with `api-keys run --gateway -- {}`",
            self.agent.title, self.agent.program
        ))
    }

    /// A failure of another program's file.
    fn refused(&self, why: FileError) -> Error {
        let hint = match &why {
            FileError::Unsafe { .. } | FileError::TooLarge { .. } | FileError::ReadOnly { .. } => format!(
                "check the file, or start {} with `api-keys run --gateway -- {}`",
                self.agent.title, self.agent.program
            ),
            FileError::Changed { .. } | FileError::Locked { .. } | FileError::NoSpace { .. } | FileError::Io { .. } => {
                return why.into();
            }
        };
        Error::from(why).hint(hint)
    }
}

/// A file without what we wrote.
struct UndoneFile {
    settings: FoundSettings,
    text: String,
    lines: Vec<String>,
    before: Vec<String>,
    left: Vec<String>,
}

impl SetupNote {
    fn of(&self, file: &Path, path: &[&str]) -> Option<&NotedEntry> {
        self.entries
            .iter()
            .find(|noted| noted.file == file && noted.path == path)
    }

    fn set(&mut self, entry: NotedEntry) {
        self.entries
            .retain(|noted| noted.file != entry.file || noted.path != entry.path);
        self.entries.push(entry);
    }
}

fn name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// How many of the tables around the entry are not in the text.
fn tables_made(file: &AgentSettingsFile, text: &str, path: &[&str]) -> usize {
    let tables = (1..path.len()).filter_map(|depth| path.get(..depth));
    tables
        .filter(|table| !matches!(file.format.entry(text, EntryPath(table)), Ok(Some(_))))
        .count()
}
