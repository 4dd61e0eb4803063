//! Shell scripts, as far as lines tell that stand for themselves: what loads modules by plain words,
//! and what is read in. Of loops those through plain words and `*` are followed; what other variables, conditions
//! and functions do is left untold.

use super::script::{Command, commands};
use super::words::{PREFIXES, base, is_assignment, text, unquoted, words};

/// A module that a line loads.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ModuleCall {
    /// A path, or a name.
    pub module: String,
    /// Whether it is a file that is loaded alone.
    pub is_file: bool,
    /// Whether the script asks first if the file is there.
    pub is_tested: bool,
    /// Its parameters.
    pub options: String,
}

/// The most words of one script that are looked at as modules.
const CALL_LIMIT: usize = 4096;
/// The most loops around a command whose words are kept, and the most files that a condition asks for.
const DEPTH_LIMIT: usize = 32;
/// The most bytes that are kept of a module's parameters.
const OPTIONS_LIMIT: usize = 1024;

/// The modules that a script's lines load, and files by a pattern where a loop goes through those.
pub(super) fn calls(script: &[u8]) -> Vec<ModuleCall> {
    let mut reader = Reader::default();
    for command in commands(script) {
        reader.read(&command);
        if reader.looked_at >= CALL_LIMIT {
            break;
        }
    }
    reader.calls
}

/// What is known of a script up to where it is read.
#[derive(Default)]
struct Reader {
    calls: Vec<ModuleCall>,
    /// How many words were looked at as modules.
    looked_at: usize,
    /// The loops around a command, the innermost last: `for NAME in WORDS`. Those of other loops have no name.
    loops: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
    /// How many loops more there are inside of those.
    deeper: usize,
    /// The words that this line, or the `if` around it, asks of whether they are files.
    tested: Vec<Vec<u8>>,
    is_in_if: bool,
}

impl Reader {
    fn read(&mut self, command: &Command) {
        if command.starts_line && !self.is_in_if {
            self.tested.clear();
        }
        let mut words = command.words.as_slice();
        while let Some((whole, rest)) = words.split_first() {
            let word = base(whole);
            self.reserved(word);
            if !PREFIXES.contains(&word) && !is_assignment(whole) {
                break;
            }
            words = rest;
        }
        let Some((program, words)) = words.split_first() else {
            return;
        };
        match base(program) {
            b"for" => self.enter(words),
            b"done" => self.leave(),
            b"[" | b"[[" | b"test" => self.test(words),
            b"insmod" => self.insmod(words),
            b"modprobe" => self.modprobe(words),
            _ => {}
        }
    }

    fn reserved(&mut self, word: &[u8]) {
        match word {
            b"while" | b"until" => self.enter(&[]),
            b"if" | b"elif" | b"else" | b"fi" => {
                self.tested.clear();
                self.is_in_if = matches!(word, b"if" | b"elif");
            }
            _ => {}
        }
    }

    fn enter(&mut self, words: &[Vec<u8>]) {
        if self.loops.len() >= DEPTH_LIMIT {
            self.deeper += 1;
            return;
        }
        self.loops.push(match words {
            [name, word, items @ ..] if word == b"in" => (name.clone(), items.to_vec()),
            _ => Default::default(),
        });
    }

    fn leave(&mut self) {
        match self.deeper.checked_sub(1) {
            Some(deeper) => self.deeper = deeper,
            None => drop(self.loops.pop()),
        }
    }

    fn test(&mut self, words: &[Vec<u8>]) {
        for pair in words.windows(2) {
            let [test, file] = pair else { continue };
            let is_test = matches!(test.as_slice(), b"-e" | b"-f" | b"-r" | b"-s");
            if is_test && self.tested.len() < DEPTH_LIMIT {
                self.tested.push(file.clone());
            }
        }
    }

    fn insmod(&mut self, words: &[Vec<u8>]) {
        let at = words.iter().position(|word| !word.starts_with(b"-"));
        let Some((module, options)) = at.and_then(|at| words.get(at..)?.split_first()) else {
            return;
        };
        self.call(module, true, &joined(options));
    }

    fn modprobe(&mut self, words: &[Vec<u8>]) {
        let asked = Modprobe::of(words);
        match asked.words.split_first() {
            _ if !asked.loads => {}
            _ if asked.takes_all => asked
                .words
                .iter()
                .for_each(|module| self.call(module, false, "")),
            Some((module, options)) => self.call(module, false, &joined(options)),
            None => {}
        }
    }

    /// Tells what `word` loads: itself, or all that the loop of its name goes through.
    fn call(&mut self, word: &[u8], is_file: bool, options: &str) {
        let is_tested = self.tested.iter().any(|tested| tested == word);
        let items = self.items(word);
        let count = items.map_or(1, <[Vec<u8>]>::len);
        let words = items.into_iter().flatten().map(Vec::as_slice);
        let words = words.chain(items.is_none().then_some(word));
        let left = CALL_LIMIT.saturating_sub(self.looked_at);
        let modules = words.take(left).filter(|module| {
            is_plain(module) || is_file && items.is_some() && pattern(module).is_some()
        });
        let call = |module: &[u8]| ModuleCall {
            module: text(module),
            is_file,
            is_tested,
            options: options.to_owned(),
        };
        let calls: Vec<ModuleCall> = modules.map(call).collect();
        self.calls.extend(calls);
        self.looked_at += count.max(1);
    }

    /// What the loop goes through that `word` is the variable of.
    fn items(&self, word: &[u8]) -> Option<&[Vec<u8>]> {
        let name = word.strip_prefix(b"$")?;
        let braced = name
            .strip_prefix(b"{")
            .and_then(|name| name.strip_suffix(b"}"));
        let name = braced.unwrap_or(name);
        let mut loops = self.loops.iter().rev();
        let found = loops.find(|(other, _)| !name.is_empty() && other == name);
        found.map(|(_, items)| items.as_slice())
    }
}

/// What modprobe is asked for (modprobe(8) of kmod and of module-init-tools, and busybox's).
struct Modprobe<'w> {
    /// A module and its parameters, or modules.
    words: Vec<&'w [u8]>,
    takes_all: bool,
    /// Whether it loads anything.
    loads: bool,
}

impl<'w> Modprobe<'w> {
    fn of(arguments: &'w [Vec<u8>]) -> Modprobe<'w> {
        let mut asked = Modprobe {
            words: Vec::new(),
            takes_all: false,
            loads: true,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let takes_next = match argument.as_slice() {
                b"--" => break,
                [b'-', b'-', name @ ..] => asked.long(name),
                [b'-', letters @ ..] => asked.short(letters),
                word => {
                    asked.words.push(word);
                    false
                }
            };
            if takes_next {
                arguments.next();
            }
        }
        asked.words.extend(arguments.map(Vec::as_slice));
        asked
    }

    /// Whether the next word is the option's.
    fn long(&mut self, name: &[u8]) -> bool {
        match name {
            b"all" => self.takes_all = true,
            b"dry-run" | b"help" | b"list" | b"remove" | b"remove-holders" | b"resolve-alias"
            | b"show" | b"show-config" | b"show-depends" | b"show-exports"
            | b"show-modversions" | b"showconfig" | b"dump-modversions" | b"version" => {
                self.loads = false;
            }
            _ => {}
        }
        matches!(
            name,
            b"config" | b"dirname" | b"name" | b"set-version" | b"type" | b"wait"
        )
    }

    fn short(&mut self, letters: &[u8]) -> bool {
        for (number, letter) in letters.iter().enumerate() {
            match letter {
                b'a' => self.takes_all = true,
                b'D' | b'R' | b'V' | b'c' | b'h' | b'l' | b'n' | b'r' => self.loads = false,
                // What follows in the word is the option's, or else the next word.
                b'C' | b'S' | b'd' | b'o' | b't' | b'w' => return number + 1 == letters.len(),
                _ => {}
            }
        }
        false
    }
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
/// an init mounts or writes something is left out, and what stands behind the first few thousand.
pub fn sourced(script: &[u8]) -> impl Iterator<Item = (usize, String)> {
    let lines = script.split(|&byte| byte == b'\n').enumerate();
    let sourced = lines.filter_map(|(number, line)| {
        let words: Vec<&[u8]> = words(line.strip_prefix(b". ")?).collect();
        let [path] = words.as_slice() else {
            return None;
        };
        let path = unquoted(path);
        let is_kept = path.starts_with(b"/") && is_plain(path);
        (is_kept && !is_made_at_boot(path)).then(|| (number + 1, text(path)))
    });
    sourced.take(CALL_LIMIT)
}

/// Whether no shell reads on behind `line`: it is `exit`, or `exec` of a program, and not indented, as in a
/// condition. `exec` of redirections alone comes back (POSIX, special built-ins).
#[must_use]
pub fn ends_script(line: &[u8]) -> bool {
    let command = commands(line)
        .next()
        .filter(|_| !line.starts_with(b" ") && !line.starts_with(b"\t"));
    let words = command.map_or_else(Vec::new, |command| command.words);
    match words.split_first() {
        Some((name, _)) if name == b"exit" => true,
        Some((name, arguments)) => name == b"exec" && !arguments.is_empty(),
        None => false,
    }
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

/// The parameters of a module, as one text.
pub(super) fn joined<T: AsRef<[u8]>>(words: &[T]) -> String {
    let mut joined = Vec::new();
    for word in words {
        if !joined.is_empty() {
            joined.push(b' ');
        }
        joined.extend_from_slice(word.as_ref());
        if joined.len() > OPTIONS_LIMIT {
            joined.truncate(OPTIONS_LIMIT);
            break;
        }
    }
    text(&joined)
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

    /// What a script loads: names as they are, files in brackets, tested ones in braces.
    fn told(script: &str) -> Vec<String> {
        let told = calls(script.as_bytes()).into_iter().map(|call| {
            let options = match call.options.as_str() {
                "" => String::new(),
                options => format!(" {options}"),
            };
            match (call.is_file, call.is_tested) {
                (false, _) => format!("{}{options}", call.module),
                (true, false) => format!("[{}{options}]", call.module),
                (true, true) => format!("{{{}{options}}}", call.module),
            }
        });
        told.collect()
    }

    #[test]
    fn calls_are_found_wherever_a_command_may_stand() {
        let cases: [(&str, &[&str]); 12] = [
            (
                "if insmod a.ko; then insmod b.ko\nelif ! insmod c.ko; then :",
                &["[a.ko]", "[b.ko]", "[c.ko]"],
            ),
            ("while insmod a.ko; do modprobe b; done", &["[a.ko]", "b"]),
            (
                "for m in a; do while x; do :; done; modprobe $m; done",
                &["a"],
            ),
            (
                "{ modprobe a; }; (modprobe b); command time exec modprobe c; setsid nohup modprobe d",
                &["a", "b", "c", "d"],
            ),
            (
                "MODPROBE_OPTIONS=-q X= modprobe a\ncase $x in y) modprobe b;; esac",
                &["a", "b"],
            ),
            (
                "for m in \\\n  a \\\n  b\ndo\n  modprobe $m\ndone",
                &["a", "b"],
            ),
            ("cat <<E\nmodprobe a\nE\nmodprobe b", &["b"]),
            (
                "echo \"a; modprobe later now\"; modprobe foo>/dev/null 2>&1",
                &["foo"],
            ),
            ("insmod a.ko x=\"1 2\" y", &["[a.ko x=1 2 y]"]),
            (
                "[ -e /a.ko ] && insmod /a.ko\ninsmod /a.ko; insmod /b.ko",
                &["{/a.ko}", "[/a.ko]", "[/b.ko]"],
            ),
            (
                "if test -f /a.ko; then\n  x\n  insmod /a.ko\nelse\n  insmod /a.ko\nfi",
                &["{/a.ko}", "[/a.ko]"],
            ),
            (
                "for m in /a /b; do [ -r \"$m\" ] && insmod $m; done",
                &["{/a}", "{/b}"],
            ),
        ];
        for (script, expected) in cases {
            assert_eq!(told(script), expected, "{script}");
        }
    }

    #[test]
    fn options_of_modprobe_are_no_modules() {
        let cases: [(&str, &[&str]); 9] = [
            (
                "-d /x a; modprobe -C conf b p=1; modprobe -S 5.1 c",
                &["a", "b p=1", "c"],
            ),
            (
                "--dirname /x a; modprobe --config=c b; modprobe --set-version 5 c",
                &["a", "b", "c"],
            ),
            (
                "-qd /x a; modprobe -d/arn b; modprobe -bq c",
                &["a", "b", "c"],
            ),
            (
                "-n a; modprobe -D b; modprobe --dry-run c; modprobe --show-depends d",
                &[],
            ),
            (
                "-r a; modprobe -l b; modprobe -qr c; modprobe --remove d; modprobe -c",
                &[],
            ),
            (
                "-a a b; modprobe -qa c d; modprobe --all e f",
                &["a", "b", "c", "d", "e", "f"],
            ),
            ("-q -- a p=1", &["a p=1"]),
            ("-d", &[]),
            ("a -q", &["a"]),
        ];
        for (words, expected) in cases {
            assert_eq!(told(&format!("modprobe {words}")), expected, "{words}");
        }
    }

    #[test]
    fn loops_past_the_depth_that_is_kept_are_counted() {
        let (enter, leave) = ("for a in x; do\n".repeat(40), "done\n".repeat(40));
        let script =
            format!("for m in y; do\n{enter}modprobe $m\n{leave}modprobe $m\ndone\nmodprobe $m");
        assert_eq!(told(&script), ["y", "y"]);
    }

    #[test]
    fn files_that_are_read_in_whatever_happens_are_told() {
        let script = b". /conf/arch.conf\n  . /conf/param.conf\n. \"/scripts/local\"\n. \"$x\"\n\
            . /tmp/export 2>/dev/null || :\n. /run/x\n[ -e /y ] && . /y\n. relative\n";
        let told: Vec<(usize, String)> = sourced(script).collect();
        let expected = [(1, "/conf/arch.conf"), (3, "/scripts/local")];
        assert_eq!(told, expected.map(|(line, path)| (line, path.to_owned())));
        let many = b". /conf/arch.conf\n".repeat(2 * CALL_LIMIT);
        assert_eq!(sourced(&many).count(), CALL_LIMIT);
    }
}
