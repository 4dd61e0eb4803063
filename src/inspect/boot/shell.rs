//! Shell scripts, as far as lines tell that stand for themselves: what loads modules by plain words,
//! and what is read in. Of loops those through plain words and `*` are followed; what other variables, conditions
//! and functions do is left untold.

use super::words::{text, unquoted, words};

/// A module that a line loads.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// A path, or a name.
    pub module: String,
    /// Whether it is a file that is loaded alone.
    pub is_file: bool,
    /// Its parameters.
    pub options: String,
}

/// The most calls that are told of one script.
const CALL_LIMIT: usize = 4096;

/// The words of the loops around a command, the innermost last: `for NAME in WORDS`. Those of other loops
/// have no name.
type Loops<'s> = Vec<(&'s [u8], Vec<&'s [u8]>)>;

/// The modules that a script's lines load, and files by a pattern where a loop goes through those.
pub(super) fn calls(script: &[u8]) -> Vec<Call> {
    let lines = script.split(|&byte| byte == b'\n');
    let commands = lines.flat_map(|line| line.split(|byte| b";&|".contains(byte)));
    let mut loops = Loops::new();
    let calls = commands.flat_map(|line| command(line, &mut loops));
    calls.take(CALL_LIMIT).collect()
}

fn command<'s>(line: &'s [u8], loops: &mut Loops<'s>) -> Vec<Call> {
    let mut words = words(line).take_while(|word| !word.starts_with(b"#") && !is_redirection(word));
    let mut program = words.next();
    while let Some(b"busybox" | b"then" | b"do" | b"else" | b"exec") = program.map(base) {
        program = words.next();
    }
    let words: Vec<&[u8]> = words.map(unquoted).collect();
    match (program.map(base), words.as_slice()) {
        (Some(b"for"), [name, b"in", items @ ..]) => loops.push((name, items.to_vec())),
        (Some(b"for" | b"while" | b"until"), _) => loops.push((b"", Vec::new())),
        (Some(b"done"), _) => {
            loops.pop();
        }
        (Some(b"insmod"), words) => return insmod(words, loops),
        (Some(b"modprobe"), words) => return modprobe(words, loops),
        _ => {}
    }
    Vec::new()
}

/// What a word stands for: itself, or all that the loop of its name goes through.
fn expanded<'s>(word: &'s [u8], loops: &Loops<'s>) -> Vec<&'s [u8]> {
    let name = word.strip_prefix(b"$").unwrap_or_default();
    let braced = name
        .strip_prefix(b"{")
        .and_then(|name| name.strip_suffix(b"}"));
    let name = braced.unwrap_or(name);
    let is_named = |(other, _): &&(&[u8], Vec<&'s [u8]>)| !name.is_empty() && *other == name;
    match loops.iter().rev().find(is_named) {
        Some((_, items)) => items.clone(),
        None => vec![word],
    }
}

fn insmod<'s>(words: &[&'s [u8]], loops: &Loops<'s>) -> Vec<Call> {
    let at = words.iter().position(|word| !word.starts_with(b"-"));
    let Some((module, options)) = at.and_then(|at| words.get(at..)?.split_first()) else {
        return Vec::new();
    };
    let files = expanded(module, loops).into_iter();
    let files = files.filter(|file| is_plain(file) || file != module && pattern(file).is_some());
    let call = |file: &[u8]| Call {
        module: text(file),
        is_file: true,
        options: joined(options),
    };
    files.map(call).collect()
}

fn modprobe<'s>(words: &[&'s [u8]], loops: &Loops<'s>) -> Vec<Call> {
    let is_option = |word: &&[u8]| word.starts_with(b"-") && !word.starts_with(b"--");
    let takes_all = words
        .iter()
        .any(|word| *word == b"--all" || is_option(word) && word.contains(&b'a'));
    let removes = words
        .iter()
        .any(|word| *word == b"--remove" || is_option(word) && word.contains(&b'r'));
    let names: Vec<&[u8]> = words
        .iter()
        .copied()
        .filter(|word| !word.starts_with(b"-"))
        .collect();
    let (modules, options) = match names.split_first() {
        _ if removes => return Vec::new(),
        _ if takes_all => (names.as_slice(), &[][..]),
        Some((_, options)) => (names.get(..1).unwrap_or_default(), options),
        None => return Vec::new(),
    };
    let names = modules.iter().flat_map(|name| expanded(name, loops));
    let call = |module: &[u8]| Call {
        module: text(module),
        is_file: false,
        options: joined(options),
    };
    names.filter(|name| is_plain(name)).map(call).collect()
}

/// A path with one `*` in its last part: the directory, and what stands before and behind the `*`.
pub(super) fn pattern(word: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let slash = word.iter().rposition(|&byte| byte == b'/')?;
    let (directory, part) = word.split_at(slash);
    let star = part.iter().position(|&byte| byte == b'*')?;
    let (start, end) = (part.get(1..star)?, part.get(star + 1..)?);
    let is_literal = |part: &[u8]| part.is_empty() || is_plain(part);
    let is_one = [directory, start, end].into_iter().all(is_literal);
    is_one.then_some((directory, start, end))
}

/// The files that a script reads in at its beginning and everywhere else where nothing but the line
/// itself decides: without one of them a POSIX shell ends (`.` is a special built-in). What lies where
/// an init mounts or writes something is left out.
pub fn sourced(script: &[u8]) -> impl Iterator<Item = (usize, String)> {
    let lines = script.split(|&byte| byte == b'\n').enumerate();
    lines.filter_map(|(number, line)| {
        let words: Vec<&[u8]> = words(line.strip_prefix(b". ")?).collect();
        let [path] = words.as_slice() else {
            return None;
        };
        let path = unquoted(path);
        let is_kept = path.starts_with(b"/") && is_plain(path);
        (is_kept && !is_made_at_boot(path)).then(|| (number + 1, text(path)))
    })
}

/// Whether a path lies where inits mount or write something.
#[must_use]
pub fn is_made_at_boot(path: &[u8]) -> bool {
    let places: [&[u8]; 8] = [
        b"/dev/",
        b"/mnt/",
        b"/new_root/",
        b"/proc/",
        b"/root/",
        b"/run/",
        b"/sys",
        b"/tmp/",
    ];
    places.iter().any(|place| path.starts_with(place))
}

/// Whether a word is meant as it stands.
fn is_plain(word: &[u8]) -> bool {
    !word.is_empty() && !word.iter().any(|byte| b"$`*?[{(\\\"'".contains(byte))
}

fn is_redirection(word: &[u8]) -> bool {
    let word = word.trim_ascii_start();
    let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
    matches!(word.get(digits), Some(b'>' | b'<'))
}

fn base(word: &[u8]) -> &[u8] {
    word.rsplit(|&byte| byte == b'/').next().unwrap_or(word)
}

fn joined(words: &[&[u8]]) -> String {
    text(&words.join(&b' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_in_plain_words_are_told() {
        let script = b"#!/bin/sh\nmount -t proc p /proc\n\
            insmod /lib/virtio.ko\n  /bin/busybox insmod /lib/b.ko debug=1 2>/dev/null\n\
            if x; then modprobe -q xen-blkfront; fi\n\
            modprobe -a loop 'ext4' # twice\nmodprobe dummy numdummies=2 || echo no\n\
            modprobe -r floppy\ninsmod /lib/$m.ko\nmodprobe $names\nmodprobe\ninsmod\n\
            for m in /lib/a.ko \"/lib/b.ko\" $more; do insmod \"$m\" x=1; done\n\
            for f in /lib/*.ko\ndo\n  while read y; do :; done\n  insmod ${f}\ndone\n\
            insmod $f\nfor n in one two; do modprobe $n; done; insmod /lib/*.ko\n";
        let told: Vec<(String, bool, String)> = calls(script)
            .into_iter()
            .map(|call| (call.module, call.is_file, call.options))
            .collect();
        let expected = [
            ("/lib/virtio.ko", true, ""),
            ("/lib/b.ko", true, "debug=1"),
            ("xen-blkfront", false, ""),
            ("loop", false, ""),
            ("ext4", false, ""),
            ("dummy", false, "numdummies=2"),
            ("/lib/a.ko", true, "x=1"),
            ("/lib/b.ko", true, "x=1"),
            ("/lib/*.ko", true, ""),
            ("one", false, ""),
            ("two", false, ""),
        ];
        let expected = expected
            .map(|(module, is_file, options)| (module.to_owned(), is_file, options.to_owned()));
        assert_eq!(told, expected);
    }

    #[test]
    fn files_that_are_read_in_whatever_happens_are_told() {
        let script = b". /conf/arch.conf\n  . /conf/param.conf\n. \"/scripts/local\"\n. \"$x\"\n\
            . /tmp/export 2>/dev/null || :\n. /run/x\n[ -e /y ] && . /y\n. relative\n";
        let told: Vec<(usize, String)> = sourced(script).collect();
        let expected = [(1, "/conf/arch.conf"), (3, "/scripts/local")];
        assert_eq!(told, expected.map(|(line, path)| (line, path.to_owned())));
    }
}
