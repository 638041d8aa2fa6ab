//! This server's entry in the settings of one client: read, planned, written.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::{
    Launch, McpClient, SERVER, Scope,
    document::{Broken, EntryPath},
};
use crate::{
    error::{Code, Error, Result},
    settings::{HOME, Machine},
    storage::files::{FileContents, FileError, ForeignFolder, Hazard},
};

/// The longest settings that are read, in bytes: Claude Code keeps histories in the same file.
const MAX_FILE_BYTES: u64 = 32 << 20;

/// This server in the settings of one client.
#[derive(Debug)]
pub struct Registration<'a> {
    pub client: &'static McpClient,
    pub file: PathBuf,
    /// What the entry should start.
    pub launch: Launch,
    pub scope: Scope,
    pub intent: Intent,
    machine: &'a Machine,
}

/// What is wanted of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    Register,
    Remove,
}

/// How a registration stands.
#[derive(Debug, PartialEq, Eq)]
pub enum RegistrationState {
    /// There is no entry.
    Absent,
    /// The entry starts this server; it may say more than we would.
    Registered(Launch),
    /// An entry of the same name starts something else, or this server on other files.
    Different(Option<Launch>),
}

impl RegistrationState {
    /// Whether it is an entry of this program's, perhaps of another place or on other files.
    fn is_ours(&self) -> bool {
        match self {
            Self::Absent => false,
            Self::Registered(_) => true,
            Self::Different(launch) => launch.as_ref().is_some_and(Launch::is_ours),
        }
    }
}

/// Settings as they are, and as text.
struct ClientSettings {
    contents: Option<FileContents>,
    text: String,
}

impl<'a> Registration<'a> {
    /// The registration of `launch` with `client`; nothing where the client has no settings of that scope.
    pub fn new(
        client: &'static McpClient,
        machine: &'a Machine,
        scope: Scope,
        intent: Intent,
        launch: &Launch,
    ) -> Option<Self> {
        Some(Self {
            client,
            file: client.settings(machine, scope)?,
            launch: launch.clone(),
            machine,
            scope,
            intent,
        })
    }

    /// How it stands now.
    pub fn state(&self) -> Result<RegistrationState> {
        let settings = self.read()?;
        self.state_in(&settings.text)
    }

    /// What the entry starts, where another copy of this program wrote it, or this one for other files.
    pub fn outdated(&self) -> Result<Option<Launch>> {
        let state = self.state()?;
        let is_ours = state.is_ours();
        Ok(match state {
            RegistrationState::Different(launch) if is_ours => launch,
            RegistrationState::Absent | RegistrationState::Registered(_) | RegistrationState::Different(_) => None,
        })
    }

    /// What would be put into the settings, or taken out of them; nothing where nothing is to do.
    ///
    /// Only what is ours is in it: a line of the user's may hold a secret.
    pub fn preview(&self) -> Result<Option<String>> {
        let settings = self.read()?;
        if self.changed(&settings.text)?.is_none() {
            return Ok(None);
        }
        if let Some(folder) = self.folder()? {
            folder.check_writable(&self.name()).map_err(|why| self.refused(why))?;
        }
        Ok(Some(match self.intent {
            Intent::Register => self.client.format.lines(EntryPath(&self.path()), &self.entry()),
            Intent::Remove => format!("{}.{SERVER}", self.client.table),
        }))
    }

    /// Makes the change, with a backup of what was there; false where nothing was to do.
    pub fn apply(&self) -> Result<bool> {
        let folder = self.file.parent().unwrap_or(Path::new("."));
        let refused = |why| self.refused(why);
        let folder = match self.intent {
            Intent::Register => ForeignFolder::create(folder).map_err(refused)?,
            Intent::Remove => match self.folder()? {
                Some(folder) => folder,
                None => return Ok(false),
            },
        };
        let _lock = match self.client.lock {
            Some(lock) if self.scope == Scope::User => Some(folder.lock(lock).map_err(refused)?),
            Some(_) | None => None,
        };
        // Read again under the lock: between the question and the answer the client may have written.
        let settings = self.read()?;
        let Some(changed) = self.changed(&settings.text)? else {
            return Ok(false);
        };
        let written = folder.replace(&self.name(), settings.contents.as_ref(), changed.as_bytes());
        written.map(|_| true).map_err(refused)
    }

    /// The text after the change; nothing where it is as wanted already.
    fn changed(&self, text: &str) -> Result<Option<String>> {
        let path = self.path();
        let (format, place) = (self.client.format, EntryPath(&path));
        let state = self.state_in(text)?;
        let changed = match (self.intent, &state) {
            (Intent::Register, RegistrationState::Absent) => format.with(text, place, &self.entry()),
            (Intent::Register, RegistrationState::Different(_)) if state.is_ours() => {
                let before = format.entry(text, place).map_err(|why| self.broken(&why))?;
                format.with(text, place, &self.updated(before))
            }
            (Intent::Register, RegistrationState::Different(_)) => return Err(self.taken(&state)),
            (Intent::Remove, state) if state.is_ours() => format.without(text, place),
            // Another program's entry of the same name stays.
            (Intent::Register, RegistrationState::Registered(_)) | (Intent::Remove, _) => return Ok(None),
        };
        changed.map(Some).map_err(|why| self.broken(&why))
    }

    fn state_in(&self, text: &str) -> Result<RegistrationState> {
        let entry = self.client.format.entry(text, EntryPath(&self.path()));
        let Some(entry) = entry.map_err(|why| self.broken(&why))? else {
            return Ok(RegistrationState::Absent);
        };
        Ok(match Launch::of_entry(&entry) {
            Some(launch) if launch.is_same_server(&self.launch, self.machine) => RegistrationState::Registered(launch),
            launch => RegistrationState::Different(launch),
        })
    }

    fn read(&self) -> Result<ClientSettings> {
        let contents = match self.folder()? {
            Some(folder) => folder
                .read(&self.name(), MAX_FILE_BYTES)
                .map_err(|why| self.refused(why))?,
            None => None,
        };
        let text = match &contents {
            Some((bytes, _)) => str::from_utf8(bytes).map_err(|why| {
                let before = bytes.get(..why.valid_up_to()).unwrap_or_default();
                self.broken(&Broken::Syntax {
                    line: before.split(|byte| *byte == b'\n').count(),
                })
            })?,
            None => "",
        };
        Ok(ClientSettings {
            text: text.to_owned(),
            contents,
        })
    }

    fn folder(&self) -> Result<Option<ForeignFolder>> {
        ForeignFolder::open(self.file.parent().unwrap_or(Path::new("."))).map_err(|why| self.refused(why))
    }

    fn name(&self) -> String {
        self.file
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    /// The entry in place of one that another copy of this program wrote.
    ///
    /// What a user has added to their own entry stays; a project's may be anybody's, and our own program would run with it.
    fn updated(&self, before: Option<Value>) -> Value {
        let entry = self.entry();
        let (Scope::User, Some(Value::Object(mut updated)), Value::Object(ours)) = (self.scope, before, entry.clone())
        else {
            return entry;
        };
        let added = updated.remove("env");
        updated.extend(ours);
        let mut environment = match added {
            Some(Value::Object(added)) => added,
            Some(_) | None => Map::new(),
        };
        environment.remove(HOME.name);
        if let Some(Value::Object(needed)) = updated.remove("env") {
            environment.extend(needed);
        }
        if !environment.is_empty() {
            updated.insert("env".to_owned(), Value::Object(environment));
        }
        Value::Object(updated)
    }

    fn path(&self) -> [&'static str; 2] {
        [self.client.table, SERVER]
    }

    fn entry(&self) -> Value {
        self.launch.entry(self.client.typed)
    }

    /// What a person can do in the settings instead.
    fn by_hand(&self) -> String {
        if self.intent == Intent::Remove {
            return format!("or take `{SERVER}` out by hand");
        }
        let snippet = self.client.format.with("", EntryPath(&self.path()), &self.entry());
        let words: Vec<&str> = snippet.as_deref().unwrap_or_default().split_whitespace().collect();
        format!("or put it in by hand: {}", words.join(" "))
    }

    fn broken(&self, why: &Broken) -> Error {
        Error::new(
            Code::ClientConfigInvalid,
            format!("{} cannot be changed safely: {why}", self.file.display()),
        )
        .hint(format!("correct it and run {}, {}", self.command(), self.by_hand()))
    }

    /// The options with which `setup` means this registration and no other.
    pub fn options(&self) -> String {
        let project = match self.scope {
            Scope::User => "",
            Scope::Project => " --project",
        };
        format!("{project} --client {}", self.client.id)
    }

    /// The command that tries it again.
    fn command(&self) -> String {
        let remove = match self.intent {
            Intent::Register => "",
            Intent::Remove => " --remove",
        };
        format!("`api-keys setup{remove}{}`", self.options())
    }

    /// That the name is taken by something else, and the way out.
    pub fn taken(&self, state: &RegistrationState) -> Error {
        let options = self.options();
        let hint = if state.is_ours() {
            format!("`api-keys setup{options}` updates it")
        } else {
            format!(
                "rename or remove it in {}, and run {}",
                self.file.display(),
                self.command()
            )
        };
        Error::new(
            Code::ServerNameTaken,
            format!(
                "{} has a server `{SERVER}` with other settings; it was left alone",
                self.client.title
            ),
        )
        .hint(hint)
    }

    /// A failure of another program's file: its way out is not the one for our own files.
    fn refused(&self, why: FileError) -> Error {
        let hint = match &why {
            FileError::Unsafe {
                why: Hazard::NotAFile("a symbolic link"),
                ..
            } => format!(
                "links are not followed: change the file that it points to, {}",
                self.by_hand()
            ),
            FileError::Unsafe { .. } => format!("check what is there, {}", self.by_hand()),
            FileError::TooLarge { .. } => format!("see why it is so long, {}", self.by_hand()),
            FileError::ReadOnly { .. } => format!(
                "make it writable (`chmod u+w`) and run {}, {}",
                self.command(),
                self.by_hand()
            ),
            FileError::Changed { .. } | FileError::Locked { .. } | FileError::NoSpace { .. } | FileError::Io { .. } => {
                return why.into();
            }
        };
        Error::from(why).hint(hint)
    }
}
