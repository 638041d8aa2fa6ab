//! Lines of a log, read in chunks: only those that a word stands in are looked at.

use std::{
    cell::Cell,
    fs::File,
    io::{ErrorKind, Read, Seek, SeekFrom},
    path::Path,
};

use memchr::{memchr, memmem, memrchr};

use super::fault::LogFault;

/// How much is read at once: what fits into a core's own cache is searched while it is there.
const CHUNK: usize = 256 << 10;
/// How much of a beginning is read at once, and at most.
const HEAD: usize = 32 << 10;
const MOST_HEAD: usize = 4 << 20;
/// The longest line that is read: images are in some.
const LONGEST: usize = 256 << 20;

thread_local! {
    /// What this thread reads into. Memory that is given back is wiped, so a buffer for each file would be expensive.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Where a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogLine<'a> {
    /// The line without its end.
    pub(super) bytes: &'a [u8],
    /// Where it begins in the file.
    pub(super) at: u64,
    /// Whether it ends with a newline: the last line may still be written.
    pub(super) is_whole: bool,
}

/// Gives the lines of the file from the byte `from` on in which one of `words` stands to `each`; returns where the last
/// whole line ends.
///
/// An empty word stands in every line.
pub(super) fn each_with(
    path: &Path,
    from: u64,
    words: &[&[u8]],
    mut each: impl FnMut(LogLine<'_>),
) -> Result<u64, LogFault> {
    let mut file = File::open(path)?;
    if from > 0 {
        file.seek(SeekFrom::Start(from))?;
    }
    let finders: Vec<memmem::Finder<'_>> = words.iter().map(|word| memmem::Finder::new(*word)).collect();
    let mut buffer = BUFFER.take();
    buffer.resize(CHUNK, 0);
    let end = scan(&mut file, from, &finders, &mut buffer, &mut each);
    // One that has grown for a long line is not kept.
    if buffer.len() == CHUNK {
        BUFFER.set(buffer);
    }
    end
}

fn scan(
    file: &mut File,
    from: u64,
    finders: &[memmem::Finder<'_>],
    buffer: &mut Vec<u8>,
    each: &mut impl FnMut(LogLine<'_>),
) -> Result<u64, LogFault> {
    // Where the buffer begins in the file, and how much of it is read.
    let (mut at, mut filled) = (from, 0);
    loop {
        if filled == buffer.len() {
            if filled >= LONGEST {
                return Err(LogFault::TooLong);
            }
            buffer.resize(2 * filled, 0);
        }
        let read = match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => read,
            Err(why) if why.kind() == ErrorKind::Interrupted => continue,
            Err(why) => return Err(why.into()),
        };
        let fresh = filled;
        filled += read;
        let Some(end) = memrchr(b'\n', &buffer[fresh..filled]).map(|end| fresh + end + 1) else {
            continue;
        };
        matching(&buffer[..end], at, finders, each);
        buffer.copy_within(end..filled, 0);
        at += end as u64;
        filled -= end;
    }
    let rest = &buffer[..filled];
    if filled > 0 && finders.iter().any(|finder| finder.find(rest).is_some()) {
        each(LogLine {
            bytes: rest,
            at,
            is_whole: false,
        });
    }
    Ok(at)
}

/// The first line in which `word` stands, whole.
pub(super) fn first_with(path: &Path, word: &[u8]) -> Result<Option<Vec<u8>>, LogFault> {
    let mut file = File::open(path)?;
    let mut bytes = Vec::new();
    let mut searched = 0;
    loop {
        let read = (&mut file).take(HEAD as u64).read_to_end(&mut bytes)?;
        while let Some(end) = memchr(b'\n', &bytes[searched..]).map(|end| searched + end) {
            if memmem::find(&bytes[searched..end], word).is_some() {
                return Ok(Some(bytes[searched..end].to_vec()));
            }
            searched = end + 1;
        }
        if read == 0 || bytes.len() > MOST_HEAD {
            return Ok(None);
        }
    }
}

/// Gives the lines of `block` that one of the words stands in to `each`; the block ends with a newline.
fn matching(block: &[u8], at: u64, finders: &[memmem::Finder<'_>], each: &mut impl FnMut(LogLine<'_>)) {
    let find = |finder: &memmem::Finder<'_>, from: usize| finder.find(&block[from..]).map(|hit| from + hit);
    let mut hits: Vec<Option<usize>> = finders.iter().map(|finder| find(finder, 0)).collect();
    while let Some(hit) = hits.iter().flatten().min().copied() {
        let start = memrchr(b'\n', &block[..hit]).map_or(0, |before| before + 1);
        let Some(end) = memchr(b'\n', &block[hit..]).map(|end| hit + end) else {
            return;
        };
        each(LogLine {
            bytes: &block[start..end],
            at: at + start as u64,
            is_whole: true,
        });
        for (hit, finder) in hits.iter_mut().zip(finders) {
            if hit.is_some_and(|hit| hit <= end) {
                *hit = if end + 1 < block.len() {
                    find(finder, end + 1)
                } else {
                    None
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, from: u64, word: &str) -> (Vec<(u64, String, bool)>, u64) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut lines = Vec::new();
        let end = each_with(file.path(), from, &[word.as_bytes()], |line| {
            lines.push((line.at, String::from_utf8(line.bytes.to_vec()).unwrap(), line.is_whole));
        });
        (lines, end.unwrap())
    }

    #[test]
    fn only_lines_with_the_word_are_given_and_a_last_one_without_an_end_is_marked() {
        let text = "no\nyes x\nno\nxyes\n\nlast x";
        let (lines, end) = found(text, 0, "x");
        let expected = [(3, "yes x", true), (12, "xyes", true), (18, "last x", false)];
        assert_eq!(lines, expected.map(|(at, line, whole)| (at, line.to_owned(), whole)));
        assert_eq!(end, 18);
        assert_eq!(found(text, end, "x").0.len(), 1);
        assert_eq!(found("", 0, "x"), (Vec::new(), 0));
    }

    #[test]
    fn lines_longer_than_a_chunk_are_whole() {
        let long = "y".repeat(3 * CHUNK) + "x";
        let text = format!("x1\n{long}\nx2\n");
        let (lines, end) = found(&text, 0, "x");
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1].1.len(), long.len());
        assert_eq!(end, text.len() as u64);
    }

    #[test]
    fn a_line_with_two_of_the_words_is_given_once() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "ab\nb\nc\na b a\na\n").unwrap();
        let mut lines = Vec::new();
        each_with(file.path(), 0, &[b"a", b"b"], |line| lines.push(line.at)).unwrap();
        assert_eq!(lines, [0, 3, 7, 13]);
    }

    #[test]
    fn an_empty_word_stands_in_every_line() {
        assert_eq!(found("a\n\nb\nc", 0, "").0.len(), 4);
    }
}
