//! What can be wrong with a manifest, and where.
//!
//! In: byte offsets into the text, as the TOML reader gives them. Out: lines and columns as an
//! editor shows them.

use std::cell::RefCell;
use std::fmt;

use crate::image_path::{BadPath, ImagePath};
use crate::kernel_version::{KernelVersion, NotAVersion};

/// One fault of a manifest's text.
///
/// Shown as `LINE:COLUMN: found`, so that the file's name and a colon in front make the usual form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFault {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub what: FaultKind,
}

impl fmt::Display for ManifestFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.what)
    }
}

impl std::error::Error for ManifestFault {}

/// What a manifest gives a path to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occupant {
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A device node.
    Node,
    /// A plain file.
    File,
    /// An executable.
    Binary,
    /// The link of an applet.
    Applet,
}

impl fmt::Display for Occupant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Occupant::Directory => "directory",
            Occupant::Link => "link",
            Occupant::Node => "node",
            Occupant::File => "file",
            Occupant::Binary => "binary",
            Occupant::Applet => "link of an applet",
        })
    }
}

/// The kinds of fault, shown as what was found. Every text in them is as the manifest has it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    /// The text is no TOML.
    #[error("{0}")]
    Syntax(String),
    /// A key that must be there is not.
    #[error("the key `{0}` is missing")]
    Missing(&'static str),
    /// A key the format does not know.
    #[error("unknown key `{}`", .key.escape_debug())]
    UnknownKey {
        /// The key.
        key: String,
        /// The known key that looks most like it, if one does.
        nearest: Option<&'static str>,
    },
    /// A value of another type.
    #[error("`{key}` is {found}")]
    WrongType {
        /// The key, or that of the list the value is in.
        key: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A word that is none of those the key takes.
    #[error("`{key}` is `{}`", .value.escape_debug())]
    UnknownWord {
        /// The key.
        key: &'static str,
        /// The word.
        value: String,
        /// The words it takes.
        known: Vec<&'static str>,
    },
    /// A text that must say something is empty.
    #[error("`{0}` is empty")]
    Empty(&'static str),
    /// More values than a list takes.
    #[error("`{key}` has {count} values")]
    TooMany {
        /// The key.
        key: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Not a path an image can have.
    #[error("`{key}` is no path of an image: {why}")]
    Path {
        /// The key.
        key: &'static str,
        /// Why.
        why: BadPath,
    },
    /// The path is the root itself.
    #[error("`{0}` is the root itself, which is no entry")]
    Root(&'static str),
    /// The path is one that the builder fills.
    #[error("{0} is written by the builder, and has no place in a manifest")]
    Reserved(ImagePath),
    /// Two entries have one path.
    #[error("{path} is here twice: it is a {first} already")]
    Duplicate {
        /// The path.
        path: ImagePath,
        /// What the entry written first is.
        first: Occupant,
    },
    /// An entry's parent is no directory. Through a link, it would come to lie elsewhere, or
    /// nowhere.
    #[error("{path} lies under {parent}, which is a {occupant}")]
    ParentNoDirectory {
        /// The entry.
        path: ImagePath,
        /// What it lies under.
        parent: ImagePath,
        /// What that is.
        occupant: Occupant,
    },
    /// A link's target holds a NUL.
    #[error("the target holds a NUL byte")]
    TargetNul,
    /// A link's target is longer than the kernel takes.
    #[error("the target is {length} bytes long")]
    TargetTooLong {
        /// Its length in bytes.
        length: usize,
        /// The most.
        limit: usize,
    },
    /// A number outside its range.
    #[error("`{key}` is {value}")]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// The number, as written.
        value: String,
        /// The largest it may be, written likewise.
        limit: String,
    },
    /// A mode in another base than eight, which is hardly ever what was meant.
    #[error("`mode` is {value}")]
    ModeNotOctal {
        /// The number, as written.
        value: String,
    },
    /// A glob pattern that is none.
    #[error("`{key}` has a pattern that cannot be read: {why}")]
    Pattern {
        /// The key.
        key: &'static str,
        /// The matcher's own words.
        why: String,
    },
    /// Not a kernel's version.
    #[error(transparent)]
    Version(#[from] NotAVersion),
    /// A range of kernels with none inside.
    #[error("no kernel is both from {from} on and before {before}")]
    EmptyRange {
        /// The first kernel inside.
        from: KernelVersion,
        /// The first kernel past the end.
        before: KernelVersion,
    },
    /// A text that cannot be the name of what the key names.
    #[error("`{}` is no {what}", .value.escape_debug())]
    BadName {
        /// What it should name: `module name`, `file name`.
        what: &'static str,
        /// The text.
        value: String,
    },
    /// A file with no content, or with two.
    #[error("a file without content, or with two")]
    OneContent,
    /// `otherwise` without the `from-root` it stands in for.
    #[error("`otherwise` stands in for `from-root`, which is not here")]
    OtherwiseAlone,
}

impl FaultKind {
    /// What was expected instead.
    #[must_use]
    pub fn expected(&self) -> String {
        match self {
            FaultKind::Syntax(_) => "TOML 1.1".to_owned(),
            FaultKind::Missing(key) => format!("`{key}`, which must be said"),
            FaultKind::UnknownKey { .. } => "a key that manifests have".to_owned(),
            FaultKind::WrongType { expected, .. } => (*expected).to_owned(),
            FaultKind::UnknownWord { known, .. } => format!("one of {}", known.join(", ")),
            FaultKind::Empty(_) => "a text that says something".to_owned(),
            FaultKind::TooMany { limit, .. } => format!("{limit} at most"),
            FaultKind::Path { .. } | FaultKind::Root(_) => {
                "a path inside the image, without `..`".to_owned()
            }
            FaultKind::Reserved(_) => "a path that the builder leaves free".to_owned(),
            FaultKind::Duplicate { .. } => "one entry a path".to_owned(),
            FaultKind::ParentNoDirectory { .. } => "a directory above each entry".to_owned(),
            FaultKind::TargetNul => "a target that a link can have".to_owned(),
            FaultKind::TargetTooLong { limit, .. } => format!("{limit} bytes at most"),
            FaultKind::OutOfRange { limit, .. } => format!("a number from 0 to {limit}"),
            FaultKind::ModeNotOctal { .. } => "a mode in octal, as 0o755".to_owned(),
            FaultKind::Pattern { .. } => "a glob pattern, as `dm-*`".to_owned(),
            FaultKind::Version(_) => "a kernel's version, as \"2.6.9\" or \"6.1\"".to_owned(),
            FaultKind::EmptyRange { .. } => "`from` below `before`".to_owned(),
            FaultKind::BadName { what, .. } => {
                let article = if what.starts_with('a') { "an" } else { "a" };
                format!("{article} {what}: letters, digits, `-`, `_`, `.`")
            }
            FaultKind::OneContent => "either `text` or `from-root`".to_owned(),
            FaultKind::OtherwiseAlone => "`from-root` beside it".to_owned(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> String {
        match self {
            FaultKind::UnknownKey {
                nearest: Some(known),
                ..
            } => format!("did you mean `{known}`?"),
            FaultKind::Syntax(_) => "mend the line; what else is wrong is said then".to_owned(),
            _ => {
                "change it; `xinitrd manifests busybox` prints a manifest that is right".to_owned()
            }
        }
    }
}

/// What has been found while reading: faults, and the paths that entries claim.
#[derive(Debug, Default)]
pub(super) struct Notes {
    faults: RefCell<Vec<(usize, FaultKind)>>,
    claims: RefCell<Vec<Claim>>,
}

/// A path, and the entry that is to lie there.
#[derive(Debug)]
pub(super) struct Claim {
    /// Where in the text the path stands.
    pub(super) at: usize,
    pub(super) path: ImagePath,
    pub(super) occupant: Occupant,
}

impl Notes {
    pub(super) fn fault(&self, at: usize, what: FaultKind) {
        self.faults.borrow_mut().push((at, what));
    }

    pub(super) fn claim(&self, at: usize, path: &ImagePath, occupant: Occupant) {
        let path = path.clone();
        self.claims.borrow_mut().push(Claim { at, path, occupant });
    }

    /// The claims in the order of the text.
    pub(super) fn take_claims(&self) -> Vec<Claim> {
        let mut claims = self.claims.take();
        claims.sort_by_key(|claim| claim.at);
        claims
    }

    /// The faults in the order of the text, with their places in it.
    pub(super) fn into_faults(self, text: &str) -> Vec<ManifestFault> {
        let mut faults = self.faults.into_inner();
        faults.sort_by_key(|&(at, _)| at);
        let mut cursor = Cursor::new(text);
        let place = |(at, what)| {
            let (line, column) = cursor.advance(at);
            ManifestFault { line, column, what }
        };
        faults.into_iter().map(place).collect()
    }
}

/// A place in a text that only moves on: many faults in a long line cost one reading of it.
struct Cursor<'t> {
    rest: std::str::CharIndices<'t>,
    line: usize,
    column: usize,
}

impl<'t> Cursor<'t> {
    fn new(text: &'t str) -> Self {
        Cursor {
            rest: text.char_indices(),
            line: 1,
            column: 1,
        }
    }

    /// Moves to the byte offset `to`, which is not before the last one, and gives line and column.
    fn advance(&mut self, to: usize) -> (usize, usize) {
        while self.rest.offset() < to {
            match self.rest.next() {
                Some((_, '\n')) => (self.line, self.column) = (self.line + 1, 1),
                Some(_) => self.column += 1,
                None => break,
            }
        }
        (self.line, self.column)
    }
}
