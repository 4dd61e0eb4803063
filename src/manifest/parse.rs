//! Reading a manifest: TOML text to [`Manifest`], or every fault of the text.
//!
//! The format is in docs/manifests.md; the syntax is TOML 1.1. A text that is no TOML is answered
//! with its errors of syntax alone, for what they leave readable proves nothing.

use std::collections::BTreeMap;

use toml::de::DeTable;

use super::fault::{Claim, FaultKind, ManifestFault, Notes, Occupant};
use super::fields::Fields;
use super::{
    Binary, Content, Directory, Driver, File, InitKind, KernelRange, Link, Manifest, ModuleLayout,
    Modules, Node, NodeKind, When,
};

/// The kernel's `dev_t` has twelve bits of major number (`include/linux/kdev_t.h`).
const MAJOR_LIMIT: u32 = (1 << 12) - 1;
/// And twenty of minor number.
const MINOR_LIMIT: u32 = (1 << 20) - 1;
/// The kernel's `PATH_MAX` less the final NUL.
const TARGET_LIMIT: usize = 4095;

const INITS: [(&str, InitKind); 3] = [
    ("nash-4.2", InitKind::Nash42),
    ("nash-5.1", InitKind::Nash51),
    ("busybox", InitKind::Busybox),
];
const LAYOUTS: [(&str, ModuleLayout); 2] =
    [("flat", ModuleLayout::Flat), ("tree", ModuleLayout::Tree)];
const NODE_KINDS: [(&str, NodeKind); 2] = [("char", NodeKind::Char), ("block", NodeKind::Block)];
const WHENS: [(&str, When); 2] = [("always", When::Always), ("lvm-root", When::LvmRoot)];

/// Reads a manifest's text, of at most a few MiB (the caller's bound).
///
/// # Errors
/// Every fault of the text, in its order.
pub fn parse(text: &str) -> Result<Manifest, Vec<ManifestFault>> {
    let notes = Notes::default();
    let manifest = read(text, &notes);
    let faults = notes.into_faults(text);
    manifest.filter(|_| faults.is_empty()).ok_or(faults)
}

fn read(text: &str, notes: &Notes) -> Option<Manifest> {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        notes.fault(at, FaultKind::Syntax(error.message().to_owned()));
    }
    if !errors.is_empty() {
        return None;
    }
    let manifest = manifest(Fields::new(document.get_ref(), &(0..0), notes));
    judge_claims(&notes.take_claims(), notes);
    manifest
}

fn manifest(mut fields: Fields<'_>) -> Option<Manifest> {
    let name = fields.name("name", "manifest's name", is_name_char);
    let summary = fields.word("summary");
    let kernels = kernel_range(&mut fields);
    let init = fields.required_choice("init", &INITS);
    let modules = fields.required_table("modules").and_then(modules);
    let directories = fields.tables("directories", directory);
    let links = fields.tables("links", link);
    let nodes = fields.tables("nodes", node);
    let files = fields.tables("files", file);
    let binaries = fields.tables("binaries", binary);
    fields.done();
    Some(Manifest {
        name: name?,
        summary: summary?.1.to_owned(),
        kernels,
        init: init?,
        modules: modules?,
        directories,
        links,
        nodes,
        files,
        binaries,
    })
}

fn kernel_range(fields: &mut Fields<'_>) -> KernelRange {
    let Some(mut range) = fields.table("kernels") else {
        return KernelRange::default();
    };
    let from = range.version("from");
    let before_at = range.text("before").map_or(0, |(at, _)| at);
    let before = range.version("before");
    if let (Some(from), Some(before)) = (from, before)
        && from >= before
    {
        range.fault(before_at, FaultKind::EmptyRange { from, before });
    }
    range.done();
    KernelRange { from, before }
}

fn modules(mut fields: Fields<'_>) -> Option<Modules> {
    let layout = fields.required_choice("layout", &LAYOUTS);
    let rootfs = fields.name("rootfs", "file system's name", is_name_char);
    let include = fields.patterns("include");
    let drivers = fields.tables("drivers", driver);
    fields.done();
    Some(Modules {
        layout: layout?,
        drivers,
        rootfs: rootfs?,
        include,
    })
}

fn driver(mut fields: Fields<'_>) -> Option<Driver> {
    let role = fields.name("role", "role", is_name_char);
    let kernels = kernel_range(&mut fields);
    let any_of = fields.names("any-of", "module name", is_module_char);
    fields.require_some("any-of");
    fields.done();
    Some(Driver {
        role: role?,
        kernels,
        any_of: any_of.into_iter().map(|(_, name)| name).collect(),
    })
}

fn directory(mut fields: Fields<'_>) -> Option<Directory> {
    let path = fields.place(Occupant::Directory);
    let mode = fields.mode(0o755);
    fields.done();
    Some(Directory {
        path: path?,
        mode: mode?,
    })
}

fn link(mut fields: Fields<'_>) -> Option<Link> {
    let path = fields.place(Occupant::Link);
    let target = fields.word("target");
    if let Some((at, target)) = target {
        judge_target(&fields, at, target);
    }
    fields.done();
    Some(Link {
        path: path?,
        target: target?.1.to_owned(),
    })
}

fn judge_target(fields: &Fields<'_>, at: usize, target: &str) {
    if target.contains('\0') {
        fields.fault(at, FaultKind::TargetNul);
    }
    let (length, limit) = (target.len(), TARGET_LIMIT);
    if length > limit {
        fields.fault(at, FaultKind::TargetTooLong { length, limit });
    }
}

fn node(mut fields: Fields<'_>) -> Option<Node> {
    let path = fields.place(Occupant::Node);
    let kind = fields.required_choice("kind", &NODE_KINDS);
    let major = fields.number("major", MAJOR_LIMIT);
    let minor = fields.number("minor", MINOR_LIMIT);
    let mode = fields.mode(0o644);
    fields.done();
    Some(Node {
        path: path?,
        kind: kind?,
        major: major?,
        minor: minor?,
        mode: mode?,
    })
}

fn file(mut fields: Fields<'_>) -> Option<File> {
    let path = fields.place(Occupant::File);
    let mode = fields.mode(0o644);
    let content = content(&mut fields);
    let when = fields.choice("when", &WHENS).unwrap_or_default();
    fields.done();
    Some(File {
        path: path?,
        mode: mode?,
        content: content?,
        when,
    })
}

fn content(fields: &mut Fields<'_>) -> Option<Content> {
    let text = fields.text("text").map(|(_, text)| text.to_owned());
    let candidates = fields.paths("from-root");
    let otherwise = fields.text("otherwise");
    let from_root = fields.has("from-root");
    if let (Some((at, _)), false) = (otherwise, from_root) {
        fields.fault(at, FaultKind::OtherwiseAlone);
    }
    if fields.has("text") == from_root {
        fields.fault_here(FaultKind::OneContent);
        return None;
    }
    if !from_root {
        return text.map(Content::Text);
    }
    fields.require_some("from-root");
    Some(Content::FromRoot {
        candidates,
        otherwise: otherwise.map(|(_, text)| text.to_owned()),
    })
}

fn binary(mut fields: Fields<'_>) -> Option<Binary> {
    let path = fields.place(Occupant::Binary);
    let file_name = fields.name("file-name", "file name", is_file_name_char);
    let candidates = fields.paths("candidates");
    let package = fields.word("package");
    let when = fields.choice("when", &WHENS).unwrap_or_default();
    let applets = fields.names("applets", "applet's name", is_file_name_char);
    for (at, name) in &applets {
        fields.claim_applet(*at, name);
    }
    fields.done();
    Some(Binary {
        path: path?,
        file_name: file_name?,
        candidates,
        package: package?.1.to_owned(),
        when,
        applets: applets.into_iter().map(|(_, name)| name).collect(),
    })
}

/// Manifests, roles and file systems: words that stand in command lines and scripts.
fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// A module's name, or an alias such as `xen:vbd` or `fs-ext3`.
fn is_module_char(c: char) -> bool {
    c.is_ascii_graphic() && c != '/'
}

fn is_file_name_char(c: char) -> bool {
    !c.is_control() && c != '/'
}

/// Holds that each path is claimed once, and lies under nothing but directories.
fn judge_claims(claims: &[Claim], notes: &Notes) {
    let mut taken: BTreeMap<&[u8], &Claim> = BTreeMap::new();
    for claim in claims {
        if claim.path.as_bytes() == b"init" {
            notes.fault(claim.at, FaultKind::Reserved(claim.path.clone()));
        }
        match taken.get(claim.path.as_bytes()) {
            Some(first) => notes.fault(claim.at, duplicate(first, claim)),
            None => drop(taken.insert(claim.path.as_bytes(), claim)),
        }
    }
    for claim in claims {
        if let Some(parent) = blocked_by(claim, &taken) {
            notes.fault(claim.at, under(claim, parent));
        }
    }
}

fn duplicate(first: &Claim, claim: &Claim) -> FaultKind {
    FaultKind::Duplicate {
        path: claim.path.clone(),
        first: first.occupant,
    }
}

fn under(claim: &Claim, parent: &Claim) -> FaultKind {
    FaultKind::ParentNoDirectory {
        path: claim.path.clone(),
        parent: parent.path.clone(),
        occupant: parent.occupant,
    }
}

/// The uppermost claim above this one that is no directory.
fn blocked_by<'c>(claim: &Claim, taken: &BTreeMap<&[u8], &'c Claim>) -> Option<&'c Claim> {
    let path = claim.path.as_bytes();
    let slashes = path.iter().enumerate().filter(|&(_, &byte)| byte == b'/');
    slashes
        .filter_map(|(end, _)| taken.get(path.get(..end)?).copied())
        .find(|above| above.occupant != Occupant::Directory)
}
