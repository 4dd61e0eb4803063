//! The commands of a shell script, each as its words (POSIX.1-2017, Shell Command Language 2.2, 2.3, 2.7).
//!
//! In: a script. Out: its commands in order, without comments, redirections and here-documents; that one is fed by
//! these is told. Quotes keep a
//! word together and are gone from it; a backslash stays in its word, and so does what stands in `$(...)`.

use std::collections::VecDeque;

/// A command.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Command {
    /// Its words, the first of which may be a reserved one.
    pub words: Vec<Vec<u8>>,
    /// Whether it is the first of its line; what follows `&&` or `|` at a line's end belongs to that line.
    pub starts_line: bool,
    /// Whether it reads something else than the script's own input or a terminal: what stands before a `|`, a file, a
    /// here-document. A group of commands that does so is a command without words where its `(` or `)` stands.
    pub is_fed: bool,
}

/// The most words that are kept of a command.
const WORDS_LIMIT: usize = 4096;
/// The most here-documents that a line begins.
const TEXTS_LIMIT: usize = 64;
/// The most bytes that are kept of a word (`PATH_MAX`).
const WORD_LIMIT: usize = 4096;

/// The commands of `script`.
pub(super) fn commands(script: &[u8]) -> Commands<'_> {
    Commands {
        rest: script,
        separator: b'\n',
        texts: VecDeque::new(),
        is_piped: false,
        is_redirected: false,
    }
}

/// What reads a script.
pub(super) struct Commands<'s> {
    rest: &'s [u8],
    /// What stands before the command: an operator that a line goes on behind, or a line's end.
    separator: u8,
    /// The here-documents that begin behind the line.
    texts: VecDeque<HereDocument>,
    /// Whether a `|` stands before the command.
    is_piped: bool,
    /// Whether its input is redirected.
    is_redirected: bool,
}

/// A here-document that is to come.
struct HereDocument {
    end: Vec<u8>,
    /// Whether tabs at the beginning of a line do not count: `<<-`.
    is_indented: bool,
}

impl Iterator for Commands<'_> {
    type Item = Command;

    fn next(&mut self) -> Option<Command> {
        while !self.rest.is_empty() {
            let words = self.words();
            let starts_line = self.separator == b'\n';
            let is_group = self.is_redirected || self.is_piped && self.rest.starts_with(b"(");
            let is_fed = self.is_piped || self.is_redirected;
            self.separate(words.is_empty());
            if !words.is_empty() || is_group {
                return Some(Command {
                    words,
                    starts_line,
                    is_fed,
                });
            }
        }
        None
    }
}

impl Commands<'_> {
    /// The words up to what separates the command from the next.
    fn words(&mut self) -> Vec<Vec<u8>> {
        let mut words = Vec::new();
        loop {
            self.skip_blanks();
            match self.rest {
                [] | [b'\n' | b';' | b'&' | b'|' | b'(' | b')', ..] => return words,
                [b'#', ..] => self.skip_while(|byte| byte != b'\n'),
                [b'<' | b'>', ..] => self.redirection(),
                _ => {
                    let word = self.word();
                    let is_descriptor = matches!(self.rest, [b'<' | b'>', ..])
                        && word.iter().all(u8::is_ascii_digit);
                    if words.len() < WORDS_LIMIT && !is_descriptor {
                        words.push(word);
                    }
                }
            }
        }
    }

    fn separate(&mut self, is_empty: bool) {
        self.is_redirected = false;
        let Some((&separator, rest)) = self.rest.split_first() else {
            return;
        };
        self.rest = rest;
        if separator == b'\n' {
            self.skip_texts();
        }
        // The second of `||` takes back what the first said; the second of `|&` and a line's end do not.
        self.is_piped = match separator {
            b'|' => !(is_empty && self.is_piped),
            b'&' | b'\n' => is_empty && self.is_piped,
            _ => false,
        };
        // Neither an empty line nor a line's end behind an operator ends a list of commands.
        let goes_on = separator == b'\n' && is_empty && b"&|".contains(&self.separator);
        if !goes_on {
            self.separator = separator;
        }
    }

    /// Goes past `>` or `<` and what stands behind it.
    fn redirection(&mut self) {
        let (is_text, is_indented) = match self.rest {
            [b'<', b'<', b'<', ..] => (false, false),
            [b'<', b'<', behind @ ..] => (true, behind.starts_with(b"-")),
            _ => (false, false),
        };
        let operator = self.rest.split(|byte| !b"<>&|".contains(byte)).next();
        let is_input = operator.is_some_and(|operator| operator.contains(&b'<'));
        self.skip_while(|byte| b"<>&|".contains(&byte));
        if is_indented {
            self.skip(1);
        }
        self.skip_blanks();
        let mut end = self.word();
        self.is_redirected |= is_input && (is_text || !is_terminal(&end));
        if is_text && self.texts.len() < TEXTS_LIMIT {
            end.retain(|byte| *byte != b'\\');
            self.texts.push_back(HereDocument { end, is_indented });
        }
    }

    /// Goes past the here-documents that begin here.
    fn skip_texts(&mut self) {
        while let Some(text) = self.texts.pop_front() {
            while !self.rest.is_empty() {
                let end = self.rest.iter().position(|&byte| byte == b'\n');
                let (mut line, _) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                self.skip(line.len() + 1);
                while let (true, [b'\t', behind @ ..]) = (text.is_indented, line) {
                    line = behind;
                }
                if line == text.end {
                    break;
                }
            }
        }
    }

    /// The word that begins here.
    fn word(&mut self) -> Vec<u8> {
        let mut word = Vec::new();
        let (mut quote, mut depth) = (None, 0_usize);
        while let Some(&byte) = self.rest.first() {
            let mut taken = 1;
            let mut is_kept = true;
            match (quote, byte) {
                (Some(b'\''), b'\'') => (quote, is_kept) = (None, false),
                (Some(b'\''), _) => {}
                (_, b'\\') => (taken, is_kept) = (2, !self.rest.starts_with(b"\\\n")),
                (Some(_), b'"') => (quote, is_kept) = (None, false),
                (None, b'"' | b'\'') => (quote, is_kept) = (Some(byte), false),
                (_, b'$') if self.rest.starts_with(b"$(") => (taken, depth) = (2, depth + 1),
                (_, b'(') if depth > 0 => depth += 1,
                (_, b')') if depth > 0 => depth -= 1,
                (None, _) if depth == 0 && ends_word(byte) => break,
                _ => {}
            }
            let bytes = self.rest.get(..taken).unwrap_or(self.rest);
            if is_kept && word.len() < WORD_LIMIT {
                word.extend_from_slice(bytes);
            }
            self.skip(taken);
        }
        word
    }

    fn skip_blanks(&mut self) {
        loop {
            self.skip_while(|byte| byte != b'\n' && byte.is_ascii_whitespace());
            if !self.rest.starts_with(b"\\\n") {
                return;
            }
            self.skip(2);
        }
    }

    fn skip_while(&mut self, is_skipped: impl Fn(u8) -> bool) {
        let end = self.rest.iter().position(|&byte| !is_skipped(byte));
        self.skip(end.unwrap_or(self.rest.len()));
    }

    fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }
}

/// Whether a file gives what somebody types, or nothing.
fn is_terminal(path: &[u8]) -> bool {
    matches!(path, b"/dev/console" | b"/dev/null") || path.starts_with(b"/dev/tty")
}

fn ends_word(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b";&|()<>".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commands of a script, a line each, its words with bars between them.
    fn said(script: &str) -> Vec<String> {
        let commands = commands(script.as_bytes());
        let said = commands.map(|command| {
            let words = command
                .words
                .iter()
                .map(|word| String::from_utf8_lossy(word));
            words.collect::<Vec<_>>().join("|")
        });
        said.collect()
    }

    #[test]
    fn a_script_is_taken_apart_as_a_shell_does_it() {
        let cases: [(&str, &[&str]); 12] = [
            ("a b; c&&d|e &\nf", &["a|b", "c", "d", "e", "f"]),
            ("for m in \\\n  a \\\n  b; do", &["for|m|in|a|b", "do"]),
            (
                "echo \"a; b\" 'c & d' e\"f\"g \"\"",
                &["echo|a; b|c & d|efg|"],
            ),
            ("a # b; c\n#d\ne#f", &["a", "e#f"]),
            ("a>/dev/null 2>&1 b <c 2 >d", &["a|b|2"]),
            ("cat <<E x; b\na; c\nE\nd", &["cat|x", "b", "d"]),
            ("cat <<-\"E\" <<'F'\n\ta\n\t\tE\nb\nF\nd", &["cat", "d"]),
            ("cat <<E\nb\nc", &["cat"]),
            ("cat <<<E\nb", &["cat", "b"]),
            (
                "a $(b; c \"d\") \"$(e f)\"; (g)",
                &["a|$(b; c d)|$(e f)", "g"],
            ),
            ("x) a;; y|z) b", &["x", "a", "y", "z", "b"]),
            ("a 'b", &["a|b"]),
        ];
        for (script, expected) in cases {
            assert_eq!(said(script), expected, "{script}");
        }
    }

    #[test]
    fn what_feeds_a_command_is_told() {
        let cases: [(&str, &[bool]); 12] = [
            ("a | b || c", &[false, true, false]),
            ("a |\n\nb && c; d & e", &[false, true, false, false, false]),
            ("a |& b", &[false, true]),
            ("a < b; c > d", &[true, false]),
            ("a </dev/console >/dev/tty1", &[false]),
            ("a 2>&1 <&3", &[true]),
            ("a <<E\nb\nE\nc", &[true, false]),
            ("a <<< b", &[true]),
            ("a | (b; c)", &[false, true, false, false]),
            ("(a) < b", &[false, true]),
            ("{ a; } < b", &[false, true]),
            ("a\n| b", &[false, true]),
        ];
        for (script, expected) in cases {
            let fed: Vec<bool> = commands(script.as_bytes())
                .map(|command| command.is_fed)
                .collect();
            assert_eq!(fed, expected, "{script}");
        }
    }

    #[test]
    fn a_line_goes_on_behind_an_operator() {
        let commands = commands(b"a &&\n\n  b || c\n\nd; e;\nf");
        let starts: Vec<bool> = commands.map(|command| command.starts_line).collect();
        assert_eq!(starts, [true, false, false, true, false, true]);
    }
}
