//! The process itself: private files, no core dumps, panics that tell no secrets.

use std::{
    io::{self, Write},
    panic,
};

/// Closes the process up. Called once, first thing in `main`, before another thread runs.
pub fn harden() {
    panic::set_hook(Box::new(|panicked| {
        // The place only: the payload can hold what was being worked on.
        let place = panicked
            .location()
            .map(|at| format!(" at {}:{}", at.file(), at.line()))
            .unwrap_or_default();
        let _ = writeln!(
            io::stderr(),
            "error: internal error{place}\nhint: please report it; `api-keys doctor` checks your files"
        );
    }));
    system::harden();
}

/// Lets this process have as many files and connections open as the system allows it, and says how many.
pub fn allow_many_files() -> u64 {
    system::allow_many_files()
}

/// Runs `start` with the umask and limits that this process was started with, for a child that is not ours to close
/// up. Other threads must not make files meanwhile.
pub fn with_callers_limits<T>(start: impl FnOnce() -> T) -> T {
    let _closed_again = system::open_up();
    start()
}

#[cfg(unix)]
mod system {
    use std::sync::OnceLock;

    use rustix::{
        fs::Mode,
        process::{Resource, Rlimit, getrlimit, setrlimit, umask},
    };

    /// What a child gets back.
    #[derive(Clone, Copy)]
    struct InheritedLimits {
        umask: Mode,
        core: Rlimit,
        files: Rlimit,
    }

    static INHERITED: OnceLock<InheritedLimits> = OnceLock::new();

    pub(super) fn allow_many_files() -> u64 {
        let limit = getrlimit(Resource::Nofile);
        let current = limit.maximum;
        // Where that is refused, it stays as it was.
        let _ = setrlimit(Resource::Nofile, Rlimit { current, ..limit });
        getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
    }

    pub(super) fn harden() {
        let caller = InheritedLimits {
            umask: umask(Mode::RWXG | Mode::RWXO),
            core: getrlimit(Resource::Core),
            files: getrlimit(Resource::Nofile),
        };
        // The first call is the one that saw the caller's values.
        let caller = INHERITED.get_or_init(|| caller);
        limit_core(caller, Some(0));
        // No memory images for debuggers of the same user or for crash reporters.
        #[cfg(target_os = "linux")]
        let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    }

    /// Gives the caller's values back until the guard is dropped.
    pub(super) fn open_up() -> ClosesAgain {
        let files = getrlimit(Resource::Nofile);
        if let Some(caller) = INHERITED.get() {
            umask(caller.umask);
            limit_core(caller, caller.core.current);
            let _ = setrlimit(Resource::Nofile, caller.files);
        }
        ClosesAgain { files }
    }

    pub(super) struct ClosesAgain {
        files: Rlimit,
    }

    impl Drop for ClosesAgain {
        fn drop(&mut self) {
            if let Some(caller) = INHERITED.get() {
                umask(Mode::RWXG | Mode::RWXO);
                limit_core(caller, Some(0));
                let _ = setrlimit(Resource::Nofile, self.files);
            }
        }
    }

    /// Only the soft limit: a child must be able to have its own back.
    fn limit_core(caller: &InheritedLimits, current: Option<u64>) {
        let _ = setrlimit(
            Resource::Core,
            Rlimit {
                current,
                maximum: caller.core.maximum,
            },
        );
    }
}

#[cfg(not(unix))]
mod system {
    pub(super) fn harden() {}

    pub(super) fn allow_many_files() -> u64 {
        1_024
    }

    pub(super) fn open_up() {}
}
