//! The busybox manifest's init, run function by function in a real busybox ash, and read by
//! shellcheck; its boots are in `tests/boot`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use xinitrd::init::Boot;
use xinitrd::init::busybox::{APPLETS, INIT, texts};

use crate::scene::{assert_built, assert_refused};
use crate::support::{Tool, fed, fetched, text, utf8};

const BUSYBOX: Tool = Tool::of("busybox", "busybox-static");
const SHELLCHECK: Tool = Tool::of("shellcheck", "shellcheck");
const MKE2FS: Tool = Tool::of("mke2fs", "e2fsprogs");
const MKFS_XFS: Tool = Tool::of("mkfs.xfs", "xfsprogs");
const MKFS_BTRFS: Tool = Tool::of("mkfs.btrfs", "btrfs-progs");
const MKFS_VFAT: Tool = Tool::of("mkfs.vfat", "dosfstools");
const SFDISK: Tool = Tool::of("sfdisk", "fdisk");

fn run(tool: &Tool, arguments: &[&str], input: &str) -> Output {
    fed(Command::new(tool.path()).args(arguments), input.as_bytes())
}

/// The script without its last line, which would start it, and then `body`: what that prints.
fn ash(body: &str) -> String {
    let functions = INIT.strip_suffix("\nmain \"$@\"\n").unwrap();
    let script = format!("{functions}\nPATH=/nonexistent\n{body}\n");
    let output = run(&BUSYBOX, &["ash"], &script);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{body}");
    utf8(output.stdout)
}

#[test]
fn ash_and_shellcheck_find_no_fault_in_the_script() {
    for (tool, arguments) in [
        (BUSYBOX, &["ash", "-n"][..]),
        (SHELLCHECK, &["-s", "sh", "-"]),
    ] {
        let output = run(&tool, arguments, INIT);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{arguments:?}: {said}"
        );
    }
}

/// A line's code: without its comment and without quoted text, but for command substitutions.
fn code(line: &str) -> String {
    let line = if line.trim().starts_with('#') {
        ""
    } else {
        line
    };
    let bare: String = line.split('\'').step_by(2).collect();
    let pieces = bare.split('"').enumerate();
    pieces
        .filter(|(i, piece)| i % 2 == 0 || piece.contains("$("))
        .map(|(_, p)| p)
        .collect()
}

#[test]
fn the_script_calls_the_applets_that_it_lists_and_no_other() {
    // What ash does itself, and busybox, which the script calls by its own name.
    const OTHERS: &[&str] = &["[", "busybox", "printf", "true", "false"];
    let list = utf8(BUSYBOX.run(&["--list"], b""));
    let applets: BTreeSet<&str> = list.lines().filter(|name| !OTHERS.contains(name)).collect();
    let called: BTreeSet<String> = INIT
        .lines()
        .flat_map(|line| {
            let code = code(line).replace("${", "$");
            let words = code.split(|c: char| !(c.is_alphanumeric() || "_$=/".contains(c)));
            words.map(str::to_owned).collect::<Vec<_>>()
        })
        .filter(|word| applets.contains(word.as_str()))
        .collect();
    assert_eq!(
        called,
        APPLETS.iter().map(|name| (*name).to_owned()).collect()
    );
}

/// A tree for the manifest that docs/manifests.md has as its example, and that manifest; the
/// argument is a busybox, or nothing for one that has no applet.
fn lab(busybox: &str) -> String {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/manifests.md");
    format!(
        r#"
text = open({docs:?}).read()
put("lab.toml", text.split("```toml\n")[1].split("```")[0])
os.remove(DEP)
for name in ["xen-blkfront", "xen-netfront", "xfs", "dm-mod"]:
    put(f"{{D}}/{{name}}.ko", m.module(name, V))
put("root/etc/localtime", b"TZif")
put("root/bins/busybox", open({busybox:?}, "rb").read() if {busybox:?} else m.executable("busybox"))
"#
    )
}

#[test]
fn the_manifest_of_the_docs_has_every_applet_of_the_script_and_its_own() {
    let busybox = fetched("busybox-amd64").join("bin/busybox");
    let scene = assert_built(&lab(text(&busybox)), &["--manifest", "./lab.toml"]);
    scene.unpacked("bin/*");
    for name in APPLETS.iter().chain(&["modprobe", "vi"]) {
        let link = fs::read_link(scene.path(&format!("unpacked/bin/{name}")));
        assert_eq!(link.unwrap(), Path::new("busybox"), "{name}");
    }
}

#[test]
fn the_applets_are_found_where_bin_leads() {
    let busybox = fetched("busybox-amd64").join("bin/busybox");
    let merged = lab(text(&busybox))
        + r#"
text = open("lab.toml").read().replace('path = "bin"', 'path = "usr/bin"').replace("bin/busybox", "usr/bin/busybox", 1)
put("lab.toml", text.replace("links = [", 'links = [{ path = "bin", target = "usr/bin" }, '))
"#;
    let scene = assert_built(&merged, &["--manifest", "./lab.toml"]);
    scene.unpacked("usr/bin/*");
    let link = fs::read_link(scene.path("unpacked/usr/bin/hexdump"));
    assert_eq!(link.unwrap(), Path::new("busybox"));
}

#[test]
fn a_busybox_without_the_applets_is_refused_with_their_names() {
    let called = format!("no applet {}\n", APPLETS.join(", "));
    let says = &[
        "xinitrd: root/bins/busybox\n",
        "no applet modprobe, vi\n",
        &called,
    ];
    assert_refused(&[(&lab(""), &["--manifest", "./lab.toml"], 1, says)]);
}

#[test]
fn the_command_line_is_read_as_the_kernel_reads_it() {
    let show = r#"printf '%s' "root=<$root> types=<$rootfstype> flags=<$rootflags> $mode"
        printf ' init=<%s> wait=%s,%s %s<%s>' "$init" "$patience" "$rootdelay" "$onfail" "$parameters""#;
    let rest = "types=<> flags=<> ro init=<> wait=10,0 panic<>";
    for (line, read) in [
        ("", format!("root=<> {rest}")),
        ("root=/dev/a  quiet\troot=/dev/b", format!("root=</dev/b> {rest}")),
        ("root=\"LABEL=a b\" x", format!("root=<LABEL=a b> {rest}")),
        ("\"root=LABEL=a b\" x", format!("root=<LABEL=a b> {rest}")),
        ("root=LABEL=a\"b c\"", format!("root=<LABEL=a\"b c\"> {rest}")),
        ("root=\"LABEL=open end", format!("root=<LABEL=open end> {rest}")),
        ("root=LABEL=* notroot=1 roots=2", format!("root=<LABEL=*> {rest}")),
        ("root=/dev/a -- root=/dev/b rw", format!("root=</dev/a> {rest}")),
        (
            "rw ro rw rootfstype=a,b rootflags=c=d,e init=/x rootwait=5 rootdelay=2",
            "root=<> types=<a,b> flags=<c=d,e> rw init=</x> wait=5,2 panic<>".to_owned(),
        ),
        (
            "rootwait rootdelay=x rootwait=-1 xinitrd.onfail=shell",
            "root=<> types=<> flags=<> ro init=<> wait=forever,0 shell<>".to_owned(),
        ),
        (
            "xen-blkfront.max=8 a.b=\"c d\"",
            "root=<> types=<> flags=<> ro init=<> wait=10,0 panic<xen_blkfront max=8\na b=\"c d\"\n>"
                .to_owned(),
        ),
    ] {
        assert_eq!(ash(&format!("defaults; read_words '{line}'; {show}")), read, "{line}");
    }
}

#[test]
fn a_module_gets_the_parameters_of_the_command_line_after_its_own() {
    let said = ash(r#"
        insmod() { printf '<%s>' "$@" >&9; [ "$1" != /lib/b.ko ] || { echo why: so; return 1; }; }
        defaults
        quiet=yes loaded='' failed=''
        read_words 'a-x.p=1 a_x.q="2 3" b.r=4 c.s=5'
        exec 9>&1
        load_module lib/a_x.ko.xz 'o=0'
        load_module lib/b.ko ''
        load_module lib/d.ko ''
        printf '%s' "$loaded|$failed""#);
    let calls = "</lib/a_x.ko.xz><o=0 p=1 q=\"2 3\"></lib/b.ko>< r=4></lib/d.ko><>";
    assert_eq!(said, format!("{calls} a_x d|b: so\n"));
}

#[test]
fn a_root_is_understood_in_each_of_its_forms() {
    for (root, understood) in [
        ("/dev/xvda1", "node /dev/xvda1"),
        ("UUID=ABCD-12", "UUID abcd-12"),
        ("PARTUUID=0BADCAFE-01", "PARTUUID 0badcafe-01"),
        ("LABEL=A=B c", "LABEL A=B c"),
        ("PARTLABEL=Root", "PARTLABEL Root"),
        ("202:1", "number 202:1"),
        ("ca01", "number 202:1"),
        ("10ca05", "number 202:261"),
        ("", "no: the command line has no root="),
        ("/dev/nfs", "no: a root on NFS is not supported"),
        ("UUID=", "no: root=UUID= is of no kind that this init knows"),
        ("xvda1", "no: root=xvda1 is of no kind that this init knows"),
        ("8:x", "no: root=8:x is of no kind that this init knows"),
    ] {
        let body = format!(
            "defaults; root='{root}'; if understand_root; then echo \"$kind $wanted\"; else echo \"no: $fault\"; fi"
        );
        assert_eq!(ash(&body), format!("{understood}\n"), "{root}");
        // What the script does not understand, no image is made for.
        let boot = Boot {
            root_device: Some(root.to_owned()),
            ..Boot::default()
        };
        let is_understood = !understood.starts_with("no:");
        assert_eq!(texts(&boot).is_ok(), is_understood, "{root}");
    }
}

/// An empty file of `mebibytes` in `directory`.
fn blank(directory: &Path, name: &str, mebibytes: u64) -> String {
    let path = directory.join(name);
    fs::File::create(&path)
        .unwrap()
        .set_len(mebibytes << 20)
        .unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn superblocks_that_the_real_mkfs_wrote_are_read() {
    const UUID: &str = "5bd1e995-a3c0-4d2e-9f10-0b1c2d3e4f50";
    let directory = tempfile::tempdir().unwrap();
    for (tool, arguments, mebibytes, read) in [
        (
            MKE2FS,
            &["-q", "-t", "ext2", "-L", "a b", "-U", UUID][..],
            8,
            format!("ext {UUID} a b"),
        ),
        (
            MKE2FS,
            &["-q", "-t", "ext4", "-L", "sixteen bytes ok", "-U", UUID],
            8,
            format!("ext {UUID} sixteen bytes ok"),
        ),
        (
            MKFS_XFS,
            &[
                "-q",
                "-f",
                "-L",
                "twelve bytes",
                "-m",
                &format!("uuid={UUID}"),
            ],
            300,
            format!("xfs {UUID} twelve bytes"),
        ),
        (
            MKFS_BTRFS,
            &["-q", "-L", "any number of bytes", "-U", UUID],
            128,
            format!("btrfs {UUID} any number of bytes"),
        ),
        (
            MKFS_VFAT,
            &["-F", "32", "-n", "A B", "-i", "0badcafe"],
            64,
            "vfat 0bad-cafe A B".to_owned(),
        ),
        (
            MKFS_VFAT,
            &["-F", "16", "-i", "0badcafe"],
            32,
            "vfat 0bad-cafe ".to_owned(),
        ),
        (Tool::of("true", "coreutils"), &[], 1, "  ".to_owned()),
    ] {
        let disk = blank(directory.path(), "disk", mebibytes);
        tool.run(&[arguments, &[&disk]].concat(), b"");
        assert_eq!(
            ash(&format!(
                "superblock {disk}; printf '%s' \"$type $uuid $label\""
            )),
            read,
            "{arguments:?}"
        );
    }
}

#[test]
fn partition_tables_that_sfdisk_wrote_are_read() {
    const GUID: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
    let directory = tempfile::tempdir().unwrap();
    let gpt = format!("label: gpt\nsize=1M\nsize=1M, uuid={GUID}, name=\"guest root\"\n");
    let mbr = "label: dos\nlabel-id: 0x00adcafe\nsize=1M\nsize=1M\n";
    for (table, second) in [
        (gpt.as_str(), format!("{GUID} guest root")),
        (mbr, "00adcafe-02 ".to_owned()),
    ] {
        let disk = blank(directory.path(), "disk", 8);
        SFDISK.run(&["--quiet", &disk], table.as_bytes());
        let body = format!("table_entry {disk} 2 512; printf '%s' \"$partuuid $partlabel\"");
        assert_eq!(ash(&body), second, "{table}");
    }
}

#[test]
fn links_in_the_new_root_lead_nowhere_outside_it() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    fs::create_dir_all(root.join("usr/lib/systemd")).unwrap();
    fs::write(root.join("usr/lib/systemd/systemd"), "").unwrap();
    for (name, target) in [
        ("lib", "usr/lib"),
        ("sbin", "/usr/lib"),
        ("usr/lib/init", "/lib/systemd/systemd"),
        ("climber", "../../../../usr/lib/init"),
        ("circle", "circle"),
        ("outside", "/proc/self/exe"),
    ] {
        symlink(target, root.join(name)).unwrap();
    }
    for (path, leads) in [
        ("/sbin/init", "/usr/lib/systemd/systemd\n"),
        (
            "//lib/./systemd/../systemd/systemd",
            "/usr/lib/systemd/systemd\n",
        ),
        ("/climber", "/usr/lib/systemd/systemd\n"),
        ("/circle", ""),
        ("/outside", ""),
        ("/nonesuch", ""),
    ] {
        let body = format!(
            "newroot={}; inside {path} && echo \"$real\"",
            root.display()
        );
        assert_eq!(ash(&body), leads, "{path}");
    }
}
