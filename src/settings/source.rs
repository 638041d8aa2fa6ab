//! The configuration file: read when it changes, and only as far as a configuration can be long.

use std::{
    fs::File,
    io::Read,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use super::{Config, ConfigError};

/// The longest configuration that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The file, and what was last read from it.
#[derive(Debug)]
pub(super) struct ConfigFile {
    path: PathBuf,
    state: Mutex<ConfigState>,
}

#[derive(Debug)]
struct ConfigState {
    /// What the file looked like when it was read; nothing before the first time.
    seen: Option<ConfigStamp>,
    config: Arc<Config>,
    problem: Option<ConfigError>,
    /// Whether `config` was the file's once; no longer when the file is gone.
    is_of_file: bool,
}

/// Tells whether a file changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConfigStamp {
    Missing,
    Present {
        modified: Option<SystemTime>,
        length: u64,
        place: (u64, u64, i64, i64),
    },
}

impl ConfigFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            state: Mutex::new(ConfigState {
                seen: None,
                config: Arc::new(Config::default()),
                problem: None,
                is_of_file: false,
            }),
        }
    }

    /// The configuration in force, and what is wrong with the file as it stands.
    pub(super) fn current(&self) -> (Arc<Config>, Option<ConfigError>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh(&mut state);
        (Arc::clone(&state.config), state.problem.clone())
    }

    /// The configuration in force, unless it stands in for a file that has not been good since it is there.
    pub(super) fn required(&self) -> Result<Arc<Config>, ConfigError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh(&mut state);
        match &state.problem {
            Some(problem) if !state.is_of_file => Err(problem.clone()),
            _ => Ok(Arc::clone(&state.config)),
        }
    }

    fn refresh(&self, state: &mut ConfigState) {
        // The stamp is taken first: a change in between is seen the next time.
        let stamp = self.stamp();
        let seen = stamp.as_ref().ok().copied();
        if seen.is_some() && seen == state.seen {
            return;
        }
        match stamp.and_then(|stamp| self.read(stamp)) {
            Ok(config) => {
                if state.problem.take().is_some() {
                    tracing::info!("config.toml is good again");
                }
                state.config = Arc::new(config);
                state.is_of_file = seen != Some(ConfigStamp::Missing);
            }
            Err(problem) => {
                if state.problem.as_ref() != Some(&problem) {
                    tracing::warn!(%problem, "the configuration file is broken; the last good one, if there was one, stays in force");
                }
                state.problem = Some(problem);
            }
        }
        state.seen = seen;
    }

    fn stamp(&self) -> Result<ConfigStamp, ConfigError> {
        match std::fs::metadata(&self.path) {
            Ok(found) if found.is_file() => Ok(ConfigStamp::Present {
                modified: found.modified().ok(),
                length: found.len(),
                place: place(&found),
            }),
            Ok(_) => Err(whole("is not a regular file")),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(ConfigStamp::Missing),
            Err(why) => Err(whole(format!("cannot be read: {}", why.kind()))),
        }
    }

    fn read(&self, stamp: ConfigStamp) -> Result<Config, ConfigError> {
        if stamp == ConfigStamp::Missing {
            return Ok(Config::default());
        }
        let unreadable = |why: std::io::Error| whole(format!("cannot be read: {}", why.kind()));
        let file = File::open(&self.path).map_err(unreadable)?;
        let mut bytes = zeroize::Zeroizing::new(Vec::new());
        file.take(MAX_FILE_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(whole(format!("is longer than {MAX_FILE_BYTES} bytes")));
        }
        let text = str::from_utf8(&bytes).map_err(|_| whole("is not UTF-8 text"))?;
        Config::parse(text)
    }
}

/// A problem of the file as a whole.
fn whole(problem: impl Into<String>) -> ConfigError {
    ConfigError {
        line: 0,
        field: String::new(),
        problem: format!("the file {}", problem.into()),
    }
}

#[cfg(unix)]
fn place(found: &std::fs::Metadata) -> (u64, u64, i64, i64) {
    use std::os::unix::fs::MetadataExt;
    (found.dev(), found.ino(), found.ctime(), found.ctime_nsec())
}

#[cfg(not(unix))]
fn place(_: &std::fs::Metadata) -> (u64, u64, i64, i64) {
    (0, 0, 0, 0)
}
