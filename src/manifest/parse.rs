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

/// The reader goes on after an error; a text that is no TOML at all would have one a byte.
const SYNTAX_FAULT_LIMIT: usize = 64;

const INITS: [(&str, InitKind); 4] = [
    ("nash-4.2", InitKind::Nash42),
    ("nash-5.1", InitKind::Nash51),
    ("busybox", InitKind::Busybox),
    ("native", InitKind::Native),
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
    for error in errors.iter().take(SYNTAX_FAULT_LIMIT) {
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
    let from = range.version("from").map(|(_, version)| version);
    let before = range.version("before");
    if let (Some(from), Some((at, before))) = (from, before)
        && from >= before
    {
        range.fault(at, FaultKind::EmptyRange { from, before });
    }
    range.done();
    KernelRange {
        from,
        before: before.map(|(_, version)| version),
    }
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
        if let Some(path) = &path {
            fields.claim_applet(*at, path, name);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_path::ImagePath;
    use crate::kernel_version::KernelVersion;

    /// The least a manifest must have; three lines, and a table that a test may go on with.
    const LEAST: &str = "name = \"m\"\nsummary = \"s\"\ninit = \"busybox\"\n\
                         modules = { layout = \"flat\", rootfs = \"ext4\" }\n";

    /// The faults of [`LEAST`] with `more` after it, as a person reads them.
    fn faults(more: &str) -> Vec<String> {
        let found = parse(&format!("{LEAST}{more}")).unwrap_err();
        found.iter().map(said).collect()
    }

    /// What a user is told: the place, what was found, and what was expected.
    fn said(fault: &ManifestFault) -> String {
        format!("{fault}; {}", fault.what.expected())
    }

    #[test]
    fn the_least_manifest_reads_and_leaves_the_rest_at_its_defaults() {
        let manifest = parse(LEAST).unwrap();
        let expected = Manifest {
            name: "m".to_owned(),
            summary: "s".to_owned(),
            kernels: KernelRange::default(),
            init: InitKind::Busybox,
            modules: Modules {
                layout: ModuleLayout::Flat,
                drivers: Vec::new(),
                rootfs: "ext4".to_owned(),
                include: Vec::new(),
            },
            directories: Vec::new(),
            links: Vec::new(),
            nodes: Vec::new(),
            files: Vec::new(),
            binaries: Vec::new(),
        };
        assert_eq!(manifest, expected);
    }

    const EVERY_KEY: &str = r#"
            name = "all"
            summary = "Everything"
            init = "nash-5.1"
            kernels = { from = "2.6.18", before = "6.1" }
            [modules]
            layout = "tree"
            rootfs = "xfs"
            include = ["nf_*", "{a,b}?"]
            [[modules.drivers]]
            role = "block"
            kernels = { from = "2.6.24" }
            any-of = ["xen:vbd", "xen-blkfront"]
            [[directories]]
            path = "/tmp/"
            mode = 0o1777
            [[links]]
            path = "sbin"
            target = "bin"
            [[nodes]]
            path = "dev/sda"
            kind = "block"
            major = 0xfff
            minor = 1048575
            mode = 0o600
            [[files]]
            path = "etc/a"
            mode = 0o640
            text = ""
            [[files]]
            path = "etc/b"
            from-root = ["b", "c"]
            otherwise = "d"
            when = "lvm-root"
            [[binaries]]
            path = "bin/busybox"
            file-name = "busybox"
            candidates = ["bin/busybox"]
            package = "busybox-static"
            when = "always"
            applets = ["sh"]
        "#;

    fn path(text: &str) -> ImagePath {
        ImagePath::new(text).unwrap()
    }

    /// What [`EVERY_KEY`] says.
    fn every_key() -> Manifest {
        let from = Some(KernelVersion::new(2, 6, 24));
        Manifest {
            name: "all".to_owned(),
            summary: "Everything".to_owned(),
            kernels: KernelRange {
                from: Some(KernelVersion::new(2, 6, 18)),
                before: Some(KernelVersion::new(6, 1, 0)),
            },
            init: InitKind::Nash51,
            modules: Modules {
                layout: ModuleLayout::Tree,
                drivers: vec![Driver {
                    role: "block".to_owned(),
                    kernels: KernelRange { from, before: None },
                    any_of: vec!["xen:vbd".to_owned(), "xen-blkfront".to_owned()],
                }],
                rootfs: "xfs".to_owned(),
                include: vec!["nf_*".to_owned(), "{a,b}?".to_owned()],
            },
            directories: vec![Directory {
                path: path("tmp"),
                mode: 0o1777,
            }],
            links: vec![Link {
                path: path("sbin"),
                target: "bin".to_owned(),
            }],
            nodes: vec![Node {
                path: path("dev/sda"),
                kind: NodeKind::Block,
                major: 4095,
                minor: 1_048_575,
                mode: 0o600,
            }],
            files: vec![
                File {
                    path: path("etc/a"),
                    mode: 0o640,
                    content: Content::Text(String::new()),
                    when: When::Always,
                },
                File {
                    path: path("etc/b"),
                    mode: 0o644,
                    content: Content::FromRoot {
                        candidates: vec![path("b"), path("c")],
                        otherwise: Some("d".to_owned()),
                    },
                    when: When::LvmRoot,
                },
            ],
            binaries: vec![Binary {
                path: path("bin/busybox"),
                file_name: "busybox".to_owned(),
                candidates: vec![path("bin/busybox")],
                package: "busybox-static".to_owned(),
                when: When::Always,
                applets: vec!["sh".to_owned()],
            }],
        }
    }

    #[test]
    fn every_key_comes_through() {
        assert_eq!(parse(EVERY_KEY), Ok(every_key()));
    }

    /// Each fault alone, after the four lines of [`LEAST`]: the text, and the answer.
    const FAULTS: &[(&str, &str)] = &[
        (
            "links = [{ path = \"a\" }]",
            "5:10: the key `target` is missing; `target`, which must be said",
        ),
        (
            "nodez = []",
            "5:1: unknown key `nodez`; a key that manifests have",
        ),
        (
            "\"é\" = 1\n",
            "5:1: unknown key `é`; a key that manifests have",
        ),
        (
            "quite-another-thing = 1",
            "5:1: unknown key `quite-another-thing`; a key that manifests have",
        ),
        ("links = 1", "5:9: `links` is a whole number; a list"),
        ("links = [true]", "5:10: `links` is true or false; a table"),
        (
            "kernels = { from = 2.6 }",
            "5:20: `from` is a fraction; a string",
        ),
        ("kernels = []", "5:11: `kernels` is a list; a table"),
        (
            "directories = [{ path = \"a\", mode = \"755\" }]",
            "5:37: `mode` is a string; a whole number",
        ),
        (
            "directories = [{ path = \"a\", mode = 755 }]",
            "5:37: `mode` is 755; a mode in octal, as 0o755",
        ),
        (
            "directories = [{ path = \"a\", mode = 0o10000 }]",
            "5:37: `mode` is 0o10000; a number from 0 to 0o7777",
        ),
        (
            "directories = [{ path = \"\" }]",
            "5:25: `path` is empty; a text that says something",
        ),
        (
            "directories = [{ path = \"/./\" }]",
            "5:25: `path` is the root itself, which is no entry; a path inside the image, without `..`",
        ),
        (
            "directories = [{ path = \"a/../b\" }]",
            "5:25: `path` is no path of an image: it climbs with `..`; a path inside the image, without `..`",
        ),
        (
            "directories = [{ path = \"a\\u0000\" }]",
            "5:25: `path` is no path of an image: it holds a NUL byte; a path inside the image, without `..`",
        ),
        (
            "directories = [{ path = \"a\" }, { path = \"/a/\" }]",
            "5:41: /a is here twice: it is a directory already; one entry a path",
        ),
        (
            "directories = [{ path = \"sbin/x\" }]\nlinks = [{ path = \"sbin\", target = \"bin\" }]",
            "5:25: /sbin/x lies under /sbin, which is a link; a directory above each entry",
        ),
        (
            "files = [{ path = \"é\", text = \"\" }, { path = \"é/b/c\", text = \"\" }]",
            "5:46: /é/b/c lies under /é, which is a file; a directory above each entry",
        ),
        (
            "files = [{ path = \"init\", text = \"\" }]",
            "5:19: /init is written by the builder, and has no place in a manifest; a path that the builder leaves free",
        ),
        (
            "files = [{ path = \"a\" }]",
            "5:10: a file without content, or with two; either `text` or `from-root`",
        ),
        (
            "files = [{ path = \"a\", text = \"\", from-root = [\"b\"] }]",
            "5:10: a file without content, or with two; either `text` or `from-root`",
        ),
        (
            "files = [{ path = \"a\", text = \"\", otherwise = \"\" }]",
            "5:47: `otherwise` stands in for `from-root`, which is not here; `from-root` beside it",
        ),
        (
            "files = [{ path = \"a\", from-root = [] }]",
            "5:36: `from-root` is empty; a text that says something",
        ),
        (
            "files = [{ path = \"a\", text = \"\", when = \"lvm\" }]",
            "5:42: `when` is `lvm`; one of always, lvm-root",
        ),
        (
            "links = [{ path = \"a\", target = \"\" }]",
            "5:33: `target` is empty; a text that says something",
        ),
        (
            "links = [{ path = \"a\", target = \"b\\u0000\" }]",
            "5:33: the target holds a NUL byte; a target that a link can have",
        ),
        (
            "nodes = [{ path = \"a\", kind = \"c\", major = 1, minor = 1 }]",
            "5:31: `kind` is `c`; one of char, block",
        ),
        (
            "nodes = [{ path = \"a\", kind = \"char\", major = 4096, minor = 1 }]",
            "5:47: `major` is 4096; a number from 0 to 4095",
        ),
        (
            "nodes = [{ path = \"a\", kind = \"char\", major = 1, minor = 1048576 }]",
            "5:58: `minor` is 1048576; a number from 0 to 1048575",
        ),
        (
            "nodes = [{ path = \"a\", kind = \"char\", major = -1, minor = 1 }]",
            "5:47: `major` is -1; a number from 0 to 4095",
        ),
        (
            "kernels = { from = \"2.6.9-67.EL\" }",
            "5:20: `2.6.9-67.EL` does not begin with a kernel version such as 2.6.9 or 6.1; a kernel\'s version, as \"2.6.9\" or \"6.1\"",
        ),
        (
            "kernels = { from = \"2.6.18\", before = \"2.6.18\" }",
            "5:39: no kernel is both from 2.6.18 on and before 2.6.18; `from` below `before`",
        ),
        (
            "binaries = [{ path = \"a\", file-name = \"b/c\", package = \"p\" }]",
            "5:39: `b/c` is no file name; a file name: letters, digits, `-`, `_`, `.`",
        ),
        (
            "binaries = [{ path = \"a\", file-name = \"a\", package = \"p\", applets = [\"..\"] }]",
            "5:70: `..` is no applet's name; an applet's name: letters, digits, `-`, `_`, `.`",
        ),
        (
            "binaries = [{ path = \"bin/sh\", file-name = \"a\", package = \"p\", applets = [\"sh\"] }]",
            "5:75: /bin/sh is here twice: it is a binary already; one entry a path",
        ),
    ];

    #[test]
    fn each_fault_is_named_with_its_line_and_column() {
        for (more, fault) in FAULTS {
            assert_eq!(faults(more), [*fault], "{more}");
        }
    }

    #[test]
    fn a_mistyped_key_is_answered_with_the_one_that_was_meant() {
        let advice = |more: &str| {
            let found = parse(&format!("{LEAST}{more}")).unwrap_err();
            found[0].what.advice()
        };
        let show = "change it; `xinitrd manifests busybox` prints a manifest that is right";
        assert_eq!(advice("nodez = []"), "did you mean `nodes`?");
        assert_eq!(advice("quite-another-thing = 1"), show);
        assert_eq!(advice("links = 1"), show);
        let mend = "mend the line; what else is wrong is said then";
        assert_eq!(advice("links = "), mend);
    }

    #[test]
    fn an_applet_has_its_link_beside_its_binary() {
        let manifest = |directory: &str, file: &str| {
            format!(
                "{LEAST}binaries = [{{ path = \"{directory}busybox\", file-name = \"b\", package = \"p\", applets = [\"sh\"] }}]
                files = [{{ path = \"{file}\", text = \"\" }}]"
            )
        };
        for directory in ["bin/", "sbin/", "usr/local/bin/", ""] {
            let taken = parse(&manifest(directory, &format!("{directory}sh"))).unwrap_err();
            let [ManifestFault { line: 6, what, .. }] = taken.as_slice() else {
                panic!("{directory}: {taken:?}");
            };
            let (path, first) = (path(&format!("{directory}sh")), Occupant::Applet);
            assert_eq!(*what, FaultKind::Duplicate { path, first });
            assert!(parse(&manifest(directory, "lib/sh")).is_ok(), "{directory}");
        }
    }

    #[test]
    fn the_faults_of_modules_are_named_likewise() {
        let cases = [
            (
                "include = [\"a[\"]",
                "5:12: `include` has a pattern that cannot be read: ",
            ),
            (
                "include = [\"\"]",
                "5:12: `` is no module name's pattern; a module name's pattern: letters, digits, `-`, `_`, `.`",
            ),
            (
                "drivers = [{ role = \"block\" }]",
                "5:12: the key `any-of` is missing; `any-of`, which must be said",
            ),
            (
                "drivers = [{ role = \"b\", any-of = [] }]",
                "5:35: `any-of` is empty; a text that says something",
            ),
            (
                "drivers = [{ role = \"b\", any-of = [\"a b\"] }]",
                "5:36: `a b` is no module name; a module name: letters, digits, `-`, `_`, `.`",
            ),
            (
                "layout = \"deep\"",
                "5:10: `layout` is `deep`; one of flat, tree",
            ),
            (
                "rootfs = \"ext3 x\"",
                "5:10: `ext3 x` is no file system's name; a file system's name: letters, digits, `-`, `_`, `.`",
            ),
        ];
        for (line, fault) in cases {
            let mut keys = vec!["layout = \"flat\"", "rootfs = \"ext4\""];
            keys.retain(|key| key.split(' ').next() != line.split(' ').next());
            let text = format!(
                "name = \"m\"\nsummary = \"s\"\ninit = \"busybox\"\n[modules]\n{line}\n{}",
                keys.join("\n")
            );
            let found: Vec<String> = parse(&text).unwrap_err().iter().map(said).collect();
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with(fault), "{} / {fault}", found[0]);
        }
    }

    #[test]
    fn an_empty_manifest_lacks_four_keys_and_they_are_named_at_once() {
        let found: Vec<String> = parse("").unwrap_err().iter().map(said).collect();
        let missing = ["name", "summary", "init", "modules"];
        assert_eq!(
            found,
            missing
                .map(|key| format!("1:1: the key `{key}` is missing; `{key}`, which must be said"))
        );
    }

    #[test]
    fn many_faults_come_at_once_in_the_order_of_the_text() {
        let more = "nodes = [\n  { path = \"\", kind = \"x\", major = 5000 },\n  {},\n]\nx = 1";
        let expected = [
            "6:3: the key `minor` is missing; `minor`, which must be said",
            "6:12: `path` is empty; a text that says something",
            "6:23: `kind` is `x`; one of char, block",
            "6:36: `major` is 5000; a number from 0 to 4095",
            "7:3: the key `path` is missing; `path`, which must be said",
            "7:3: the key `kind` is missing; `kind`, which must be said",
            "7:3: the key `major` is missing; `major`, which must be said",
            "7:3: the key `minor` is missing; `minor`, which must be said",
            "9:1: unknown key `x`; a key that manifests have",
        ];
        assert_eq!(faults(more), expected);
    }

    #[test]
    fn a_text_that_is_no_toml_is_answered_with_its_errors_of_syntax() {
        let found = parse("name = \nx = \"a\ny = 1 2\nnodez = 1\n").unwrap_err();
        let lines: Vec<usize> = found.iter().map(|fault| fault.line).collect();
        assert!(
            found
                .iter()
                .all(|fault| matches!(fault.what, FaultKind::Syntax(_))),
            "{found:?}"
        );
        assert!(
            [1, 2, 3].iter().all(|line| lines.contains(line)),
            "{found:?}"
        );
    }

    #[test]
    fn too_long_is_too_long_by_one() {
        let link = |length| {
            format!(
                "links = [{{ path = \"a\", target = \"{}\" }}]",
                "t".repeat(length)
            )
        };
        assert!(parse(&format!("{LEAST}{}", link(4095))).is_ok());
        assert_eq!(
            faults(&link(4096)),
            ["5:33: the target is 4096 bytes long; 4095 bytes at most"]
        );
        let patterns = |count| format!("include = [{}]", "\"a\",".repeat(count));
        let inside = |count| LEAST.replace("layout", &format!("{}, layout", patterns(count)));
        assert!(parse(&inside(256)).is_ok());
        let fault = said(&parse(&inside(257)).unwrap_err()[0]);
        assert_eq!(fault, "4:11: `include` has 257 values; 256 at most");
    }

    /// What a reader that calls itself, or that looks at all it has read again, would die of.
    #[test]
    fn a_hostile_mebibyte_is_answered_like_any_other() {
        let hostile = [
            "a.".repeat(500_000) + "a = 1",
            format!("[{}a]", "a.".repeat(500_000)),
            "a = ".to_owned() + &"[".repeat(1_000_000),
            "a = ".to_owned() + &"{a=".repeat(300_000),
            "\n=".repeat(500_000),
            LEAST.to_owned() + "links = [" + &"{},".repeat(300_000) + "]",
            LEAST.to_owned() + &format!("{} = 1", "k".repeat(1_000_000)),
            LEAST.to_owned() + &format!("directories = [{{path=\"{}\"}}]", "a/".repeat(500_000)),
        ];
        for text in hostile {
            assert!(!parse(&text).unwrap_err().is_empty());
        }
    }
}
