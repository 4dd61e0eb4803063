//! A path inside an image, or inside a foreign root: normalised bytes, relative, never climbing.

use std::fmt;

/// A normalised path: components joined by single slashes, no leading one, no `.` or `..`.
///
/// The empty path is the root itself. Bytes are free but for NUL, as the kernel has them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ImagePath(Vec<u8>);

/// The kernel's `PATH_MAX` less the leading slash and the final NUL: a cpio `namesize` counts the
/// NUL and may be at most 4096 (`buffer-format`), and the path is opened under `/`.
pub const PATH_LIMIT: usize = 4094;
/// The kernel's `NAME_MAX`.
pub const NAME_LIMIT: usize = 255;

/// Why some bytes are no [`ImagePath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// A component is `..`.
    #[error("it climbs with `..`")]
    Climbs,
    /// A NUL byte stands in it.
    #[error("it holds a NUL byte")]
    Nul,
    /// A component is longer than [`NAME_LIMIT`].
    #[error("a component is longer than {NAME_LIMIT} bytes")]
    LongName,
    /// The whole is longer than [`PATH_LIMIT`].
    #[error("it is longer than {PATH_LIMIT} bytes")]
    LongPath,
}

impl ImagePath {
    /// Normalises `bytes`: leading, doubled and trailing slashes and `.` components go.
    ///
    /// # Errors
    /// When the path climbs, holds a NUL, or is longer than the kernel takes.
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, BadPath> {
        let mut path = ImagePath(Vec::with_capacity(bytes.as_ref().len()));
        for component in bytes.as_ref().split(|&b| b == b'/') {
            match component {
                b"" | b"." => {}
                b".." => return Err(BadPath::Climbs),
                name => path.push(name)?,
            }
        }
        Ok(path)
    }

    /// The path of `name`, one component, under this one.
    ///
    /// # Errors
    /// When `name` holds a NUL or is too long, or the whole becomes so.
    pub fn join(&self, name: &[u8]) -> Result<Self, BadPath> {
        let mut path = ImagePath(Vec::with_capacity(self.0.len() + 1 + name.len()));
        path.0.extend_from_slice(&self.0);
        path.push(name)?;
        Ok(path)
    }

    /// Appends one component.
    fn push(&mut self, name: &[u8]) -> Result<(), BadPath> {
        if name.contains(&0) {
            return Err(BadPath::Nul);
        }
        if name.len() > NAME_LIMIT {
            return Err(BadPath::LongName);
        }
        if !self.0.is_empty() {
            self.0.push(b'/');
        }
        self.0.extend_from_slice(name);
        if self.0.len() > PATH_LIMIT {
            Err(BadPath::LongPath)
        } else {
            Ok(())
        }
    }

    /// The path's bytes, without a leading slash: a cpio entry's name.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The components, first to last.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|&b| b == b'/').filter(|c| !c.is_empty())
    }

    /// The last component; empty for the root.
    #[must_use]
    pub fn file_name(&self) -> &[u8] {
        self.0.rsplit(|&b| b == b'/').next().unwrap_or_default()
    }

    /// The directory the path lies in; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<ImagePath> {
        if self.is_root() {
            return None;
        }
        let end = self.0.iter().rposition(|&b| b == b'/').unwrap_or(0);
        Some(ImagePath(self.0.get(..end).unwrap_or_default().to_vec()))
    }
}

impl fmt::Display for ImagePath {
    /// With a leading slash, and with whatever a terminal or a log could misread escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", Shown(&self.0))
    }
}

/// Bytes as a person may read them: UTF-8 as it is; what a terminal would obey, or show as nothing, and bytes
/// that are not UTF-8, escaped.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a>(pub &'a [u8]);

impl Shown<'_> {
    /// A text that may quote a file's own words, likewise: it stays one line.
    #[must_use]
    pub fn words(text: &dyn fmt::Display) -> String {
        Shown(text.to_string().as_bytes()).to_string()
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\n' | '\r' | '\t' => write!(f, "{}", c.escape_default())?,
                    _ if c.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(c))?,
                    _ if c.is_control() || is_unseen(c) => write!(f, "{}", c.escape_unicode())?,
                    _ => write!(f, "{c}")?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Whether a character shows nothing, but moves or turns what stands beside it: marks and overrides of
/// direction (Unicode's annex 9), separators of lines and paragraphs, spaces of no width, hyphens that may
/// be, and what its chapter 23 has for notes between the lines and for tags.
const fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0001}'
            | '\u{e0020}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_and_dots_are_normalised_away() {
        let path = ImagePath::new("//usr/./lib//modules/").unwrap();
        assert_eq!(path.as_bytes(), b"usr/lib/modules");
        assert_eq!(path.file_name(), b"modules");
        assert_eq!(path.parent().unwrap().as_bytes(), b"usr/lib");
        assert_eq!(path.parent().unwrap().parent().unwrap().as_bytes(), b"usr");
        assert!(ImagePath::new("/").unwrap().is_root());
    }

    #[test]
    fn what_the_kernel_could_not_open_is_refused() {
        assert_eq!(ImagePath::new("a/../b"), Err(BadPath::Climbs));
        assert_eq!(ImagePath::new(b"a\0b"), Err(BadPath::Nul));
        assert_eq!(ImagePath::new(vec![b'a'; 256]), Err(BadPath::LongName));
        assert_eq!(ImagePath::new("abc/".repeat(1024)), Err(BadPath::LongPath));
    }

    #[test]
    fn a_name_is_shown_without_anything_a_terminal_would_obey() {
        let path = ImagePath::new(b"a b\n\x1b[1m\xff\xc3\xa9").unwrap();
        assert_eq!(path.to_string(), "/a b\\n\\x1b[1m\\xffé");
        let turned = "ok\u{202e}gpj\u{2028}\u{9b}2J\u{feff}".as_bytes();
        assert_eq!(
            Shown(turned).to_string(),
            "ok\\u{202e}gpj\\u{2028}\\u{9b}2J\\u{feff}"
        );
        for unseen in ["\u{ad}", "\u{180e}", "\u{fff9}", "\u{e0001}", "\u{e0041}"] {
            let shown = Shown(unseen.as_bytes()).to_string();
            assert!(shown.is_ascii(), "{shown}");
        }
    }
}
