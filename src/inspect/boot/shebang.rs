//! The first line of a script, as the kernel reads it (`load_script` in its `fs/binfmt_script.c`).

use crate::kernel_version::KernelVersion;

use super::words::base;

/// What a script's first line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shebang {
    /// The interpreter, as it stands.
    pub interpreter: Vec<u8>,
    /// All that stands behind it: one argument.
    pub argument: Option<Vec<u8>>,
}

/// Why a first line names no interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShebangFault {
    /// It does not begin with `#!`.
    #[error("no `#!` at its beginning")]
    None,
    /// A byte order mark stands before it.
    #[error("a byte order mark (EF BB BF) before its `#!`")]
    ByteOrderMark,
    /// Nothing stands behind the `#!`.
    #[error("no interpreter behind `#!`")]
    Empty,
    /// The interpreter does not end where the kernel stops reading.
    #[error("an interpreter that does not end within the first {0} bytes")]
    TooLong(usize),
}

/// Kernels since 5.1 read more of a script, and refuse an interpreter that is cut.
const LONGER_SINCE: KernelVersion = KernelVersion::new(5, 1, 0);

/// What editors of other systems put before a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How many bytes of a file the kernel looks at (`BINPRM_BUF_SIZE`, less a NUL).
fn seen_by(kernel: Option<KernelVersion>) -> usize {
    match kernel {
        Some(kernel) if kernel < LONGER_SINCE => 127,
        _ => 255,
    }
}

impl Shebang {
    /// The first line of `text`, as `kernel` reads it; as today's does where none is said.
    ///
    /// # Errors
    /// When it names no interpreter.
    pub fn of(text: &[u8], kernel: Option<KernelVersion>) -> Result<Shebang, ShebangFault> {
        let limit = seen_by(kernel);
        let seen = text.get(..limit).unwrap_or(text);
        if seen.starts_with(BYTE_ORDER_MARK) {
            return Err(ShebangFault::ByteOrderMark);
        }
        let line = seen.strip_prefix(b"#!").ok_or(ShebangFault::None)?;
        let end = line.iter().position(|&byte| byte == b'\n');
        let is_whole = end.is_some() || text.len() <= limit;
        let line = line.get(..end.unwrap_or(line.len())).unwrap_or(line);
        let line = trimmed(line);
        let blank = line.iter().position(|&byte| is_blank(byte));
        match blank {
            _ if line.is_empty() => Err(ShebangFault::Empty),
            None if !is_whole => Err(ShebangFault::TooLong(limit)),
            None => Ok(Shebang {
                interpreter: line.to_vec(),
                argument: None,
            }),
            Some(blank) => {
                let (interpreter, rest) = line.split_at(blank);
                Ok(Shebang {
                    interpreter: interpreter.to_vec(),
                    argument: Some(trimmed(rest).to_vec()),
                })
            }
        }
    }

    /// The interpreter's name without its directories.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        base(&self.interpreter)
    }
}

/// A carriage return is no blank to the kernel: it becomes part of the interpreter's name.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0)
}

fn trimmed(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t' | 0] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_line_is_read_as_the_kernel_reads_it() {
        let long = |length: usize| format!("#!/{}\n", "i".repeat(length - 4)).into_bytes();
        let old = Some(KernelVersion::new(5, 0, 0));
        let names = |text: &[u8], kernel| {
            Shebang::of(text, kernel).map(|line| {
                let shown = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
                (shown(line.interpreter), line.argument.map(shown))
            })
        };
        let is =
            |name: &str, argument: Option<&str>| Ok((name.to_owned(), argument.map(str::to_owned)));
        for (text, kernel, expected) in [
            (&b"#!/bin/sh\n"[..], None, is("/bin/sh", None)),
            (b"#!/bin/sh", None, is("/bin/sh", None)),
            (
                b"#! \t/bin/busybox  ash -x \n",
                None,
                is("/bin/busybox", Some("ash -x")),
            ),
            (b"#!/bin/sh\r\n", None, is("/bin/sh\r", None)),
            (b"# !/bin/sh\n", None, Err(ShebangFault::None)),
            (b"", None, Err(ShebangFault::None)),
            (
                b"\xef\xbb\xbf#!/bin/sh\n",
                None,
                Err(ShebangFault::ByteOrderMark),
            ),
            (b"#!  \n/bin/sh", None, Err(ShebangFault::Empty)),
            (&long(255), None, is(&format!("/{}", "i".repeat(251)), None)),
            (&long(257), None, Err(ShebangFault::TooLong(255))),
            (&long(127), old, is(&format!("/{}", "i".repeat(123)), None)),
            (&long(130), old, Err(ShebangFault::TooLong(127))),
        ] {
            assert_eq!(names(text, kernel), expected, "{}", text.escape_ascii());
        }
    }
}
