//! What `/init` is.

use std::fmt;

use crate::archive::FileType;
use crate::image_path::{ImagePath, Shown};
use crate::inspect::picture::{Content, Item};
use crate::inspect::tree::Tree;

use super::shebang::Shebang;

/// The file that `/init` leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Init {
    /// Where it really lies, all links resolved.
    pub path: ImagePath,
    /// What it is.
    pub kind: InitKind,
    /// Its text, where it is a script.
    pub script: Option<Vec<u8>>,
}

/// What an init is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InitKind {
    /// systemd, whose units say the rest.
    Systemd,
    /// busybox, which as `/init` is its own init, whatever its file is called.
    Busybox {
        /// Whether there is an `/etc/inittab` or `/etc/init.d/rcS`, without which it asks for a shell
        /// (`parse_inittab` in its `init/init.c`).
        has_work: bool,
    },
    /// The program that xinitrd puts into images, whatever its file is called.
    Native,
    /// Another program.
    Program {
        /// Whether it needs neither a loader nor libraries.
        is_static: bool,
    },
    /// A script.
    Script(Shebang),
    /// Nothing that a kernel can run.
    Other,
}

impl Init {
    /// What `/init` leads to in `tree`.
    #[must_use]
    pub fn of(tree: &Tree) -> Option<Init> {
        let (path, item) = tree.find(&ImagePath::new("init").ok()?).ok()?;
        let content = tree.content(item);
        let kind = match is_busybox(&path, content) {
            true => InitKind::Busybox {
                has_work: tree.has("etc/inittab") || tree.has("etc/init.d/rcS"),
            },
            false => kind(&path, item, content),
        };
        let script = match (&kind, content) {
            (InitKind::Script(_), Content::Text(text)) => Some(text.clone()),
            _ => None,
        };
        Some(Init { path, kind, script })
    }

    /// Whether it is xinitrd's own program.
    #[must_use]
    pub fn is_native(&self) -> bool {
        self.kind == InitKind::Native
    }

    /// Whether it is a script for nash, which is no shell.
    #[must_use]
    pub fn is_nash(&self) -> bool {
        matches!(&self.kind, InitKind::Script(line) if line.name() == b"nash")
    }
}

fn is_busybox(path: &ImagePath, content: &Content) -> bool {
    let Content::Program(facts) = content else {
        return false;
    };
    let facts = facts.as_ref().as_ref().ok();
    facts.is_some_and(|facts| facts.busybox.is_some() || path.file_name() == b"busybox")
}

fn kind(path: &ImagePath, item: &Item, content: &Content) -> InitKind {
    match (item.file_type(), content) {
        (FileType::Regular, Content::Program(_)) if path.file_name() == b"systemd" => {
            InitKind::Systemd
        }
        (FileType::Regular, Content::Program(facts)) => match facts.as_ref() {
            Ok(facts) if facts.is_native_init => InitKind::Native,
            Ok(facts) => InitKind::Program {
                is_static: !facts.is_dynamic(),
            },
            Err(_) => InitKind::Other,
        },
        (FileType::Regular, Content::Text(text)) => match Shebang::of(text, None) {
            Ok(line) => InitKind::Script(line),
            Err(_) => InitKind::Other,
        },
        _ => InitKind::Other,
    }
}

impl fmt::Display for InitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InitKind::Systemd => f.write_str("systemd"),
            InitKind::Busybox { .. } => f.write_str("busybox's own init"),
            InitKind::Native => f.write_str("xinitrd's own program"),
            InitKind::Program { is_static: true } => f.write_str("a static program"),
            InitKind::Program { is_static: false } => f.write_str("a program"),
            InitKind::Script(line) => match line.name() {
                b"nash" => f.write_str("a nash script"),
                b"busybox" => f.write_str("a busybox script"),
                _ => write!(f, "a script for {}", Shown(&line.interpreter)),
            },
            InitKind::Other => f.write_str("no program and no script"),
        }
    }
}
