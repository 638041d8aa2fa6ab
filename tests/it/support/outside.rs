//! Tools of the system that some tests need, and this test binary as its own child.

use std::process::Command;

/// Whether all `programs` are installed. In CI a missing one fails the test; elsewhere the test says so and passes.
pub(crate) fn installed(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let missing: Vec<&str> = programs
        .iter()
        .copied()
        .filter(|program| !std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
        .collect();
    missing.is_empty() || not_possible(&format!("not installed: {}", missing.join(", ")))
}

/// Says why a test cannot run here; in CI it fails instead.
pub(crate) fn not_possible(why: &str) -> bool {
    assert!(std::env::var_os("CI").is_none(), "CI must be able to do this: {why}");
    remark(&format!("nothing was tested: {why}"));
    false
}

/// The test binary as a child process that runs only the test `name`, which reads its orders from the environment.
pub(crate) fn this_test(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the test binary"));
    command.args([name, "--exact", "--nocapture", "--test-threads=1", "--quiet"]);
    command
}

/// What a child sent by [`tell`], without the test harness's own output.
#[cfg(all(target_os = "linux", feature = "keychain"))]
pub(crate) fn told(stdout: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(stdout)
        .lines()
        .filter_map(|line| line.split_once("told: ").map(|(_, told)| told.to_owned()))
        .collect()
}

/// Sends a line to the test that started this process.
#[expect(clippy::print_stdout, reason = "a pipe to the parent test")]
pub(crate) fn tell(what: &str) {
    println!("told: {what}");
}

/// Prints a line for people who run the tests with `--nocapture`.
#[expect(clippy::print_stderr, reason = "for people; captured otherwise")]
pub(crate) fn remark(what: &str) {
    eprintln!("{what}");
}

/// Whether the file `path`, or a file below the folder `path`, contains `needle`.
#[cfg(all(target_os = "linux", feature = "keychain"))]
pub(crate) fn holds(path: &std::path::Path, needle: &[u8]) -> bool {
    if path.is_dir() {
        let mut entries = std::fs::read_dir(path).expect("a folder");
        entries.any(|entry| holds(&entry.expect("readable").path(), needle))
    } else {
        let bytes = std::fs::read(path).unwrap_or_default();
        bytes.windows(needle.len()).any(|window| window == needle)
    }
}
