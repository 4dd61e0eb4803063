//! Words of the lists and scripts that inits read.

/// The lines of a text that say something: without blanks around them, empty ones and comments.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"))
}

/// The words of a line.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let words = line.split(|byte| byte.is_ascii_whitespace());
    words.filter(|word| !word.is_empty())
}

/// The first word of a line, and the rest of it.
pub(super) fn first(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(u8::is_ascii_whitespace);
    let (word, rest) = line.split_at(end.unwrap_or(line.len()));
    (word, rest.trim_ascii())
}

/// Bytes as a text, for people: what is no UTF-8 is marked as such.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `value` without the quotes around it.
pub(super) fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner,
        _ => value,
    }
}

/// The name of a program or file without its directories.
pub fn base(word: &[u8]) -> &[u8] {
    word.rsplit(|&byte| byte == b'/').next().unwrap_or(word)
}

/// What may stand before a command's name, and leaves it what it is: a shell's own words, and programs that start
/// another.
pub(super) const PREFIXES: [&[u8]; 16] = [
    b"!",
    b"busybox",
    b"command",
    b"cttyhack",
    b"do",
    b"elif",
    b"else",
    b"exec",
    b"if",
    b"nohup",
    b"setsid",
    b"then",
    b"time",
    b"until",
    b"while",
    b"{",
];

/// Whether a word gives a variable of the command that follows: `NAME=VALUE`.
pub(super) fn is_assignment(word: &[u8]) -> bool {
    let name = word.split(|&byte| byte == b'=').next().unwrap_or_default();
    let is_in_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    name.len() < word.len() && !name.is_empty() && name.iter().all(is_in_name)
}
