//! A depfile: the one rule, in the syntax of make, that says what a file was made of.
//!
//! GNU make and ninja read it differently (make's `read.c`, ninja's `depfile_parser.in.cc`): what is written here is
//! what both take for the same path, and a path that they cannot agree on is refused. Each input has a rule
//! without anything after it, as a compiler writes with `-MP`: make would stop where an input is gone, and then
//! takes it for changed.

use std::collections::BTreeSet;

use crate::image_path::Shown;

/// A path that cannot stand in a depfile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{character} in a path, which make and ninja read differently or not at all")]
pub struct Unwritable {
    /// The path.
    pub path: Vec<u8>,
    /// What is in it, for people.
    pub character: String,
}

/// The text by which `output` depends on `inputs`, which are paths of the host.
///
/// # Errors
/// Every path that cannot be written.
pub fn text(output: &[u8], inputs: &BTreeSet<Vec<u8>>) -> Result<Vec<u8>, Vec<Unwritable>> {
    let mut bad = Vec::new();
    let mut keep = |path: &[u8]| escaped(path).map_err(|error| bad.push(error)).ok();
    let target = keep(output);
    let inputs: Vec<_> = inputs.iter().filter_map(|path| keep(path)).collect();
    let Some(target) = target.filter(|_| bad.is_empty()) else {
        return Err(bad);
    };
    let mut text = target;
    text.push(b':');
    for input in &inputs {
        text.extend_from_slice(b" \\\n  ");
        text.extend_from_slice(input);
    }
    text.push(b'\n');
    for input in inputs {
        text.push(b'\n');
        text.extend_from_slice(&input);
        text.extend_from_slice(b":\n");
    }
    Ok(text)
}

/// The path as both read it.
fn escaped(path: &[u8]) -> Result<Vec<u8>, Unwritable> {
    let unwritable = |byte: u8| Unwritable {
        path: path.to_vec(),
        character: format!("`{}`", Shown(&[byte])),
    };
    let is_member = path.ends_with(b")") && path.iter().skip(1).any(|&byte| byte == b'(');
    match path {
        [b'~', ..] => return Err(unwritable(b'~')),
        // A member of an archive, to make.
        _ if is_member => return Err(unwritable(b')')),
        [.., b'\\'] => return Err(unwritable(b'\\')),
        _ => {}
    }
    let mut text = Vec::with_capacity(path.len());
    let next = path.iter().skip(1).map(Some).chain([None]);
    for (&byte, next) in path.iter().zip(next) {
        match byte {
            b'$' => text.extend_from_slice(b"$$"),
            b' ' | b'#' | b':' => text.extend_from_slice(&[b'\\', byte]),
            // Before what is escaped they count differently.
            b'\\' if matches!(next, Some(b' ' | b'#' | b':' | b'\\')) => {
                return Err(unwritable(byte));
            }
            _ if is_plain(byte) => text.push(byte),
            _ => return Err(unwritable(byte)),
        }
    }
    Ok(text)
}

/// Whether both take the byte for itself.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || byte >= 0x80
        || matches!(byte, b'!' | b'('..=b')'
            | b'+'..=b'/'
            | b'@'
            | b'\\'
            | b'_'
            | b'{'
            | b'}'
            | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(paths: &[&str]) -> BTreeSet<Vec<u8>> {
        paths.iter().map(|path| path.as_bytes().to_vec()).collect()
    }

    #[test]
    fn every_input_is_listed_and_has_a_rule_of_its_own() {
        let written = text(b"out/a b.img", &inputs(&["root/b$c", "a#", "x:y"])).unwrap();
        let want = "out/a\\ b.img: \\\n  a\\# \\\n  root/b$$c \\\n  x\\:y\n\na\\#:\n\nroot/b$$c:\n\nx\\:y:\n";
        assert_eq!(String::from_utf8(written).unwrap(), want);
    }

    #[test]
    fn every_path_that_cannot_be_written_is_refused() {
        let paths = ["a\nb", "good", "a%b", "~a", "a(b)", "a\\", "a\\ b", "a=b"];
        let bad = text(b"out", &inputs(&paths)).unwrap_err();
        assert_eq!(bad.len(), paths.len() - 1, "{bad:?}");
        assert!(text(b"a;b", &BTreeSet::new()).is_err());
    }
}
