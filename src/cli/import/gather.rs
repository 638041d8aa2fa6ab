//! Where keys are looked for: a file or program that was named, a command's output, or all known places.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use clap::ArgMatches;
use zeroize::Zeroizing;

use crate::{
    cli::{command::Session, env_file, named_file},
    error::{Code, Error, Result},
    imports::sources::{FoundSecret, ImportSource, SOURCES, guess, source_named},
    services::scan,
};

/// The longest file or output that is read, in bytes.
const MAX_BYTES: usize = 1 << 20;
/// How long a command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_mins(1);
const HINT: &str = "`--format` names the form; `api-keys import --help` lists the forms that are read";

/// Where a key was found.
#[derive(Debug, Clone)]
pub(super) struct SourcePlace {
    /// The source whose form it is.
    pub(super) source: &'static str,
    /// As people read it.
    pub(super) shown: String,
    /// The variable or field.
    pub(super) name: String,
    /// The file, where its line can be replaced.
    pub(super) file: Option<PathBuf>,
    pub(super) line: Option<usize>,
    /// Whether it was in clear text on the disk.
    pub(super) is_clear: bool,
}

/// What was found.
#[derive(Default)]
pub(super) struct GatheredKeys {
    pub(super) found: Vec<(SourcePlace, FoundSecret)>,
    /// What cannot or must not be imported, in sentences.
    pub(super) left_out: Vec<String>,
    /// Files that could not be read, in sentences.
    pub(super) unreadable: Vec<String>,
}

/// Looks where the command line says.
pub(super) fn gather(session: &Session, matches: &ArgMatches) -> Result<GatheredKeys> {
    let form = matches.get_one::<String>("format").and_then(|name| source_named(name));
    let mut gathered = GatheredKeys::default();
    if let Some(words) = matches.get_many::<String>("from-command") {
        let words: Vec<&String> = words.collect();
        let bytes = output(&words)?;
        let program = words.first().map_or("", |word| word.as_str());
        gathered.read(&bytes, form, &format!("the output of {program}"), None)?;
        return Ok(gathered);
    }
    let machine = session.app.settings().machine()?;
    match matches.get_one::<PathBuf>("from") {
        Some(named) => {
            // A program by its name, unless there is a file of that name.
            let source = named.to_str().filter(|_| !named.exists()).and_then(source_named);
            if let Some(source) = source {
                gathered.read_source(source, machine.home());
            } else {
                let bytes = named_file::read(named, MAX_BYTES, "the file to import", HINT)?;
                gathered.read(&bytes, form, &shown(named, machine.home()), Some(named))?;
            }
        }
        None => return known_places(session, true),
    }
    Ok(gathered)
}

/// Looks into the `.env` files of this folder, and with `deep` where known programs keep their keys.
pub(super) fn known_places(session: &Session, deep: bool) -> Result<GatheredKeys> {
    let machine = session.app.settings().machine()?;
    let mut gathered = GatheredKeys::default();
    for path in env_file::in_folder(machine.working()) {
        gathered.read_place(source_named("env"), &path, machine.home());
    }
    for source in SOURCES.iter().filter(|_| deep) {
        gathered.read_source(source, machine.home());
    }
    Ok(gathered)
}

impl GatheredKeys {
    /// Reads the places of a program that are there.
    fn read_source(&mut self, source: &'static ImportSource, home: &Path) {
        for place in source.places {
            self.read_place(Some(source), &home.join(place), home);
        }
    }

    fn read_place(&mut self, source: Option<&'static ImportSource>, path: &Path, home: &Path) {
        // In the user's own folder, `.env` is a place of its own.
        let is_read = self.found.iter().any(|(place, _)| place.file.as_deref() == Some(path));
        if is_read || !fs::metadata(path).is_ok_and(|found| found.is_file()) {
            return;
        }
        let shown = shown(path, home);
        let read = named_file::read(path, MAX_BYTES, "the file", HINT)
            .and_then(|bytes| self.read(&bytes, source, &shown, Some(path)));
        if let Err(why) = read {
            self.unreadable.push(format!("{shown}: {}", why.message()));
        }
    }

    fn read(
        &mut self,
        bytes: &[u8],
        form: Option<&'static ImportSource>,
        shown: &str,
        file: Option<&Path>,
    ) -> Result<()> {
        let unknown = || Error::new(Code::InvalidArgument, format!("the form of {shown} is unknown")).hint(HINT);
        let source = form.or_else(|| guess(bytes)).ok_or_else(unknown)?;
        let contents = (source.read)(bytes)
            .map_err(|why| Error::new(Code::InvalidArgument, format!("{shown} {why}")).hint(HINT))?;
        for found in contents.secrets {
            let at = found.line.map(|line| format!(":{line}")).unwrap_or_default();
            let place = SourcePlace {
                source: source.name,
                shown: format!("{shown}{at}"),
                name: found.name.clone(),
                file: file.map(Path::to_owned),
                line: found.line,
                is_clear: file.is_some(),
            };
            self.found.push((place, found));
        }
        for left in contents.left_out {
            self.left_out
                .push(format!("{} in {shown}: {}", left.name, left.why.as_str()));
        }
        Ok(())
    }
}

/// A path as people know it.
fn shown(path: &Path, home: &Path) -> String {
    let shown = scan::shown(path);
    match path.strip_prefix(home) {
        Ok(below) if !below.as_os_str().is_empty() => format!("~/{}", scan::shown(below)),
        Ok(_) | Err(_) => shown,
    }
}

/// What a command prints: run without a shell and without input, for at most a minute.
fn output(words: &[&String]) -> Result<Zeroizing<Vec<u8>>> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(Error::new(Code::InvalidArgument, "no command was named"));
    };
    let failed = |what: &str| {
        Error::new(Code::CommandFailed, format!("{program} {what}"))
            .hint("run it by itself to see what it says; it is run without a shell, and without input")
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|why| failed("could not be started").caused_by(why))?;
    let stdout = child.stdout.take();
    let reader = thread::spawn(move || {
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
        let read = stdout.map(|stdout| stdout.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes));
        read.transpose().map(|_| bytes)
    });
    let since = Instant::now();
    while !reader.is_finished() && since.elapsed() < COMMAND_TIMEOUT {
        thread::sleep(Duration::from_millis(10));
    }
    if !reader.is_finished() {
        let _ = child.kill();
        let _ = child.wait();
        return Err(failed("took longer than a minute"));
    }
    let bytes = reader
        .join()
        .map_err(|_| Error::new(Code::Internal, "reading a command's output was cut short"))?
        .map_err(|why| failed("could not be read").caused_by(why))?;
    if bytes.len() > MAX_BYTES {
        let _ = child.kill();
        let _ = child.wait();
        return Err(failed("printed more than 1 MiB"));
    }
    match child.wait() {
        Ok(status) if status.success() => Ok(bytes),
        Ok(_) | Err(_) => Err(failed("failed")),
    }
}
