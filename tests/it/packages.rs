//! Packages of every kind: what is built of them is what is built of the root that they hold, and what is imported of
//! them is what their own tools unpack.

use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use xinitrd::image_path::ImagePath;
use xinitrd::kmod::module_file::{self, Depth};
use xinitrd::package;
use xinitrd::root::{FileKind, Files, Names, OpenFile, Root, Visit};

use crate::scene::{KERNEL, Scene, run, words};
use crate::support::{Tool, XINITRD, fed, fetched, testdata, text};

const BSDTAR: Tool = Tool::of("bsdtar", "libarchive-tools");
const DPKG_DEB: Tool = Tool::of("dpkg-deb", "dpkg");
const RPM2ARCHIVE: Tool = Tool::of("rpm2archive", "rpm");
const RPMBUILD: Tool = Tool::of("rpmbuild", "rpm");
const TAR: Tool = Tool::of("tar", "tar");
const TIME: Tool = Tool::of("time", "time");

/// rpm's names of its payloads' compressions.
const PAYLOADS: [&str; 6] = [
    "w9.gzdio",
    "w9.bzdio",
    "w6.xzdio",
    "w6.lzdio",
    "w3.zstdio",
    "w.ufdio",
];

/// A recipe for which testdata/packages/pack.py is there as `p`.
pub fn recipe(more: &str) -> String {
    let packer = testdata("packages/pack.py");
    format!(
        "spec = importlib.util.spec_from_file_location('pack', '{}')\n\
         p = importlib.util.module_from_spec(spec)\nspec.loader.exec_module(p)\n{more}",
        text(&packer)
    )
}

/// The command in the scene's directory.
pub fn command(scene: &Scene, args: &[&str]) -> (Option<i32>, String) {
    let done = run(Command::new(XINITRD).args(args).current_dir(&scene.0));
    (done.status.code(), words(&done))
}

/// The image that is built of `layers`, options with their values.
fn image(scene: &Scene, layers: &[&str]) -> Vec<u8> {
    let more = ["--omit-scsi-modules", "--preload", "xenblk", "-qf"];
    let args = [&["build", "-o", "of-layers.img"], layers, &more].concat();
    let (code, said) = command(scene, &args);
    assert_eq!(code, Some(0), "{layers:?}: {said}");
    fs::read(scene.path("of-layers.img")).unwrap()
}

/// What lies below `top`: type, mode, names, and content or target of each.
fn tree(top: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(top).min_depth(1).sort_by_file_name() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        let kind = metadata.file_type();
        let content = match (kind.is_file(), kind.is_symlink()) {
            (true, _) => fs::read(entry.path()).unwrap(),
            (_, true) => fs::read_link(entry.path())
                .unwrap()
                .as_os_str()
                .as_bytes()
                .to_vec(),
            _ => Vec::new(),
        };
        let names = if kind.is_dir() { 0 } else { metadata.nlink() };
        let path = entry.path().strip_prefix(top).unwrap();
        found.push(format!(
            "{} {:o} {names} {:?} {}",
            path.display(),
            metadata.mode(),
            kind.is_fifo(),
            content.escape_ascii()
        ));
    }
    assert!(found.len() > 2);
    found
}

#[test]
fn rpms_of_an_el4_system_make_its_image_whatever_their_payload_is_packed_with() {
    RPMBUILD.path();
    let payloads = PAYLOADS.map(|payload| format!("'{payload}'")).join(",");
    let scene = Scene::new(&recipe(&format!(
        "p.el4_system('root', 'system')\nfor payload in [{payloads}]: p.rpms('system', payload, payload)"
    )));
    // Programs are found where EL4 had them, without --bins.
    let whole = image(&scene, &["--root", "system"]);
    for payload in PAYLOADS {
        let package = |name| format!("{payload}/{name}.rpm");
        let packages = ["kernel-xenU", "mkinitrd", "module-init-tools", "udev"].map(package);
        let layers = packages.iter().flat_map(|path| ["--package", path]);
        assert!(
            image(&scene, &layers.collect::<Vec<_>>()) == whole,
            "{payload}"
        );
        // A shell makes several of one pattern.
        let several: Vec<&str> = packages.iter().map(String::as_str).collect();
        assert!(
            image(&scene, &[&["--package"], &several[..]].concat()) == whole,
            "{payload}"
        );
    }
    let (_, said) = command(
        &scene,
        &[
            "build",
            "--package",
            "w.ufdio/udev.rpm",
            "--package",
            "w.ufdio/mkinitrd.rpm",
        ],
    );
    assert!(said.contains("no kernel"), "{said}");
}

#[test]
fn packages_of_every_kind_and_compression_make_the_image_of_their_tree() {
    let scene = Scene::new(&recipe(
        "p.el4_system('root', 'system')\n\
         for kind in ['gz', 'xz', 'zst', 'bz2', 'lzma', '']: p.deb(f'of-{kind}.deb', 'system', kind, control_kind=kind.replace('lzma', 'gz'))\n\
         p.deb('mixed.deb', 'system', 'xz', control_kind='zst')\n\
         for kind in ['gz', 'xz', 'zst', 'bz2', '']: p.pacman(f'of-{kind}.pkg.tar.{kind}', 'system', kind)\n\
         p.apk('signed.apk', 'system'); p.apk('unsigned.apk', 'system', signed=False, parts=2)\n\
         for kind in ['gz', 'xz', 'zst', 'bz2', 'lzma', '']: p.write(f'of-{kind}.tar', p.compressed(p.run('tar', '-C', 'system', '-c', '.'), kind))\n\
         for kind in ['gnu', 'posix', 'ustar', 'v7']: p.run('tar', f'--format={kind}', '-C', 'system', '-cf', f'format-{kind}.tar', '.')\n\
         for kind in ['gz', 'zst', 'lzma', 'xz', 'bz2', '']:\n\
         \u{20}   for old in [False, True]: p.raw_rpm(f'raw-{kind}{int(old)}.rpm', p.tree_files('system'), payload=kind, old_names=old, stripped=kind=='zst', lead=3+int(old))\n",
    ));
    let whole = image(&scene, &["--root", "system"]);
    let names = fs::read_dir(&scene.0).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let packages: Vec<String> = names
        .filter(|name| {
            [".deb", ".tar", ".apk", ".rpm"]
                .iter()
                .any(|end| name.contains(end))
        })
        .collect();
    assert_eq!(packages.len(), 36, "{packages:?}");
    for package in packages {
        assert!(
            image(&scene, &["--package", &package]) == whole,
            "{package}"
        );
    }
}

/// A tree with all that packages hold of files.
const TREE: &str = "
os.makedirs('tree/etc'); os.makedirs('tree/lib/' + 'd' * 90 + '/' + 'e' * 90)
put('tree/etc/one', b'one' * 1000); os.link('tree/etc/one', 'tree/etc/two'); os.link('tree/etc/one', 'tree/lib/three')
put('tree/etc/empty', b''); os.link('tree/etc/empty', 'tree/etc/void')
put('tree/lib/' + 'd' * 90 + '/' + 'e' * 90 + '/' + 'f' * 200, b'long')
os.symlink('one', 'tree/etc/link'); os.symlink('/etc/' + 'g' * 200, 'tree/etc/far'); os.symlink('../etc', 'tree/lib/etc')
put('tree/etc/su', b'su'); os.chmod('tree/etc/su', 0o755); os.mkfifo('tree/etc/pipe')
put('tree/etc/r\\xe4tsel', b'name'); put('tree/etc/secret', b'secret'); os.chmod('tree/etc/secret', 0o600)
os.chmod('tree/etc', 0o750)
";

#[test]
fn what_is_imported_is_what_the_tools_of_its_kind_unpack() {
    let scene = Scene::new(&recipe(&format!(
        "{TREE}\n\
         p.deb('tree.deb', 'tree', 'xz'); p.pacman('tree.pkg.tar.zst', 'tree')\n\
         for kind in ['gnu', 'posix']: p.run('tar', f'--format={{kind}}', '-C', 'tree', '-cf', f'{{kind}}.tar', '.')\n\
         os.remove('tree/etc/pipe')\n\
         p.rpmbuild(p.SPEC.format(name='built', version=1, release=1, files='/'), 'tree', '.', 'w3.zstdio')\n\
         files = [('/etc', 0o40750, b''), ('/etc/one', 0o100644, b'1' * 999, 7), ('/lib', 0o40755, b''), ('/lib/two', 0o100644, b'1' * 999, 7),\n\
         \u{20}   ('/etc/link', 0o120777, b'one'), ('/lib/last', 0o100755, b'12')]\n\
         for kind, options in dict(v3=dict(old_names=True), v4=dict(), large=dict(stripped=True)).items(): p.raw_rpm(f'{{kind}}.rpm', files, **options)\n",
    )));
    let into = |package: &str| scene.path(&format!("{package}.by-others"));
    for package in ["gnu.tar", "posix.tar", "tree.pkg.tar.zst", "tree.deb"] {
        fs::create_dir(into(package)).unwrap();
        let [file, to] = [scene.path(package), into(package)];
        let [file, to] = [text(&file), text(&to)];
        match package {
            "tree.deb" => DPKG_DEB.run(&["-x", file, to], b""),
            "tree.pkg.tar.zst" => {
                BSDTAR.run(&["-xpf", file, "-C", to, "--exclude", ".[A-Z]*"], b"")
            }
            _ => TAR.run(&["-xpf", file, "-C", to], b""),
        };
    }
    for package in ["built.rpm", "v3.rpm", "v4.rpm", "large.rpm"] {
        fs::create_dir(into(package)).unwrap();
        let unpacked = fed(
            Command::new(RPM2ARCHIVE.path()).args(["-n", "-"]),
            &fs::read(scene.path(package)).unwrap(),
        );
        TAR.run(&["-xpf", "-", "-C", text(&into(package))], &unpacked.stdout);
    }
    for package in [
        "gnu.tar",
        "posix.tar",
        "tree.pkg.tar.zst",
        "tree.deb",
        "built.rpm",
        "v3.rpm",
        "v4.rpm",
        "large.rpm",
    ] {
        let to = format!("{package}.imported");
        let (code, said) = command(&scene, &["import", "--nodes", package, "-C", &to]);
        assert_eq!((code, said.as_str()), (Some(0), ""), "{package}");
        assert_eq!(tree(&scene.path(&to)), tree(&into(package)), "{package}");
    }
    assert_eq!(tree(&scene.path("tree.deb.imported")).len(), 17);
}

#[test]
fn extended_headers_may_say_anything_in_as_many_bytes() {
    // A name with a line's end, too long for a plain header; an owner's number that has no room in one; a value as
    // that of a capability.
    let scene = Scene::new(&recipe(
        r#"
os.mkdir("odd"); put("odd/a\nb" + 150 * "q", b"1"); os.chmod("odd/a\nb" + 150 * "q", 0o6755)
p.run("tar", "--format=posix", "--owner=:3000000", "--group=:4000000", "--pax-option=SCHILY.xattr.x:=1\n\n2",
      "-C", "odd", "-cf", "odd.tar", ".")
"#,
    ));
    let to = scene.path("by-tar");
    fs::create_dir(&to).unwrap();
    TAR.run(
        &[
            "-xf",
            text(&scene.path("odd.tar")),
            "--no-same-owner",
            "-C",
            text(&to),
        ],
        b"",
    );
    let (code, said) = command(&scene, &["import", "odd.tar", "-C", "imported"]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let names = |top: &str| {
        let entries = fs::read_dir(scene.path(top)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names("imported"), names("by-tar"));
    let (code, _) = command(&scene, &["import", "--owners", "odd.tar", "-C", "owned"]);
    // Whoever is not the administrator can give nothing away; nobody is given what is another's.
    if code == Some(0) {
        let metadata = scene.path("owned").join(&names("owned")[0]).metadata();
        let metadata = metadata.unwrap();
        let found = (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777);
        assert_eq!(found, (3_000_000, 4_000_000, 0o6755));
    }
}

#[test]
fn nothing_but_files_of_a_package_is_imported_and_devices_are_counted() {
    let scene = Scene::new(&recipe(
        "os.makedirs('tree/dev'); put('tree/a', b'a')\n\
         p.rpmbuild(p.SPEC.format(name='nodes', version=1, release=1, files='/a\\n%dev(c, 5, 1) /dev/console\\n%dev(b, 8, 1) /dev/disk'), 'tree', '.', 'w9.gzdio')\n\
         p.apk('all.apk', 'root'); p.pacman('all.pkg.tar.zst', 'root')\n",
    ));
    let imported = |package: &str| {
        let (code, said) = command(&scene, &["import", package, "-C", &format!("{package}.d")]);
        assert_eq!(code, Some(0), "{said}");
        said
    };
    assert_eq!(
        imported("nodes.rpm"),
        "xinitrd: devices, pipes and sockets not made: 2; --nodes makes them\n"
    );
    for package in ["all.apk", "all.pkg.tar.zst"] {
        assert_eq!(imported(package), "");
        let names = fs::read_dir(scene.path(&format!("{package}.d"))).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["bins", "etc", "lib"], "{package}");
        let kernel = scene.path(&format!("{package}.d/lib/modules/{KERNEL}"));
        assert!(kernel.is_dir());
    }
}

#[test]
fn a_pipe_is_a_package_too() {
    let scene = Scene::new(&recipe(
        "p.deb('all.deb', 'root'); os.mkdir('there'); put('there/own', b'own')",
    ));
    let package = fs::read(scene.path("all.deb")).unwrap();
    for (args, to) in [
        (&["import", "-", "-C", "new"][..], "new/etc/modprobe.conf"),
        // Into what is there already a package is read twice.
        (&["import", "-", "-C", "there"], "there/etc/modprobe.conf"),
        (
            &[
                "build",
                "--package",
                "-",
                "--bins",
                "root/bins",
                "--omit-scsi-modules",
                "-o",
                "of-pipe.img",
            ],
            "of-pipe.img",
        ),
    ] {
        let done = fed(
            Command::new(XINITRD).args(args).current_dir(&scene.0),
            &package,
        );
        assert!(done.status.success(), "{args:?}: {}", words(&done));
        assert!(scene.path(to).exists(), "{args:?}");
    }
}

#[test]
fn archs_packages_from_before_they_had_a_list_are_read_whatever_they_are_packed_with() {
    let scene = Scene::new(&recipe(
        "put('root/.PKGINFO', b'pkgname = old\\npkgver = 1-1\\narch = i686\\n')\n\
         plain = p.run('bsdtar', '-cf', '-', '.PKGINFO', 'etc', 'lib', cwd='root')\n\
         for kind in ['gz', 'xz', 'zst', 'bz2', '']: p.write(f'old.{kind}', p.compressed(plain, kind))\n\
         halves = plain[:10240], plain[10240:]\n\
         p.write('old.frames', b''.join(p.compressed(half, 'zst') for half in halves))\n",
    ));
    for kind in ["gz", "xz", "zst", "bz2", "", "frames"] {
        let bytes = fs::read(scene.path(&format!("old.{kind}"))).unwrap();
        let read = |bytes: &[u8]| {
            package::read(bytes, &package::LIMITS, &mut |_, _| {
                Ok(ControlFlow::Continue(()))
            })
        };
        let facts = read(&bytes).unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(facts.format, package::Format::Pacman, "{kind}");
        assert_eq!(facts.name.as_deref(), Some("old"), "{kind}");
        assert!(read(&bytes[..bytes.len() / 2]).is_err(), "{kind}");
    }
}

#[test]
fn a_package_that_is_a_file_is_read_once_and_digested_once() {
    const SIZE: u64 = 24 << 20;
    let scene = Scene::new(&recipe(&format!(
        "p.el4_system('root', 'system'); put('system/etc/noise', random.Random(1).randbytes({SIZE}))\n\
         data = p.run('tar', '-C', 'system', '-c', '.'); p.write('data.tar', data)\n\
         p.deb('large.deb', 'system', 'xz', data=p.run('xz', '-0', '-T2', '--block-size=4MiB', '-c', 'data.tar'))\n",
    )));
    // What a shell has waited for counts as its own (proc(5)).
    let script = format!(
        "'{}' build --threads 2 --package large.deb --omit-scsi-modules -qo of-large.img && cat /proc/$$/io",
        XINITRD.path()
    );
    let done = run(Command::new("sh")
        .args(["-c", &script])
        .current_dir(&scene.0));
    let said = String::from_utf8(done.stdout).unwrap();
    let read = said.lines().find_map(|line| line.strip_prefix("rchar: "));
    let read: u64 = read.unwrap().parse().unwrap();
    assert!(read > 2 * SIZE && read < SIZE / 2 * 5, "{read} bytes");
}

/// A store of modules that has extracts of them first, and the whole when it is asked for that.
struct Extracted {
    module: Vec<u8>,
    extract: Vec<u8>,
    count: usize,
}

/// A module of which an extract alone is at hand.
struct Shown<'s>(&'s Extracted, AtomicBool);

impl OpenFile for Shown<'_> {
    fn size(&self) -> u64 {
        400 << 20
    }

    fn extract(&self) -> Option<&[u8]> {
        Some(&self.0.extract)
    }

    fn read_exact_at(&self, buf: &mut [u8], _: u64) -> io::Result<()> {
        assert!(buf.len() < 4096, "{} bytes set aside in vain", buf.len());
        self.1.store(true, Ordering::Relaxed);
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl Files for Extracted {
    fn kind(&self, _: &ImagePath) -> io::Result<Option<FileKind>> {
        Ok(Some(FileKind::Regular))
    }

    fn open(&self, _: &ImagePath) -> io::Result<Box<dyn OpenFile + '_>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn visit(&self, paths: &[ImagePath], _: NonZeroUsize, visit: &Visit<'_>) {
        assert_eq!(paths.len(), self.count);
        for index in 0..paths.len() {
            let shown = Shown(self, AtomicBool::new(false));
            visit(index, Ok(&shown));
            if shown.1.load(Ordering::Relaxed) {
                visit(index, Ok(&self.module.as_slice()));
            }
        }
    }

    fn list(&self, _: &ImagePath) -> io::Result<Names> {
        Ok(Names::new())
    }

    fn shown(&self, path: &ImagePath) -> String {
        path.to_string()
    }
}

#[test]
fn what_is_shown_of_a_module_before_the_whole_takes_nothing_of_what_may_be_kept() {
    let scene = Scene::new("");
    let module = scene.path(&format!("root/lib/modules/{KERNEL}/kernel/fs/ext3/ext3.ko"));
    let module = fs::read(module).unwrap();
    let extract = module_file::extract(&mut module.as_slice()).unwrap();
    // Modules that come to 1.6 GiB, if what is shown first counts.
    let count = 4;
    let store = Extracted {
        module,
        extract,
        count,
    };
    let root = Root::new(Box::new(store));
    let paths: Vec<_> = (0..count).map(|n| ImagePath::new(n.to_string())).collect();
    for loaded in module_file::load(&root, &paths, Depth::Whole, NonZeroUsize::MIN) {
        assert!(loaded.unwrap().content.is_some());
    }
}

/// The packages of an input that was fetched.
fn packages_of(name: &str) -> Vec<String> {
    let entries = fetched(name).read_dir().unwrap();
    let mut packages: Vec<String> = entries
        .map(|entry| text(&entry.unwrap().path()).to_owned())
        .collect();
    packages.sort();
    packages
}

/// Builds of real packages, and of the same unpacked, by the manifest `busybox` where one is named.
fn assert_same_of_packages(kernel: &str, busybox: Option<&str>) {
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("initrd.img");
    let built = |layers: &[String]| {
        let mut build = Command::new(TIME.path());
        build.args(["-f", "%M", XINITRD.path(), "build", "-qf", "--threads", "2"]);
        build.args(["-o", text(&image)]).args(layers);
        if busybox.is_some() {
            build.args(["--manifest", "busybox"]);
        }
        let done = run(&mut build);
        assert!(done.status.success(), "{layers:?}: {}", words(&done));
        let peak: u64 = words(&done).trim().parse().unwrap();
        (fs::read(&image).unwrap(), peak)
    };
    let option = |name: &str, value: &str| [format!("--{name}"), value.to_owned()];
    let mut packages = packages_of(&format!("package-{kernel}"));
    let mut unpacked = option("root", text(&fetched(&format!("unpacked-{kernel}")))).to_vec();
    if let Some(busybox) = busybox {
        let tree = fetched(busybox);
        packages.extend(packages_of(&format!("package-{busybox}")));
        unpacked.extend(option("bins", text(&tree.join("bin"))));
    }
    packages.insert(0, "--package".to_owned());
    let (of_packages, peak) = built(&packages);
    // As much as a 32-bit dom0 has to spare.
    assert!(peak < 64 << 10, "{kernel}: {peak} KiB");
    assert!(of_packages == built(&unpacked).0, "{kernel}");
}

#[test]
fn debians_kernels_make_the_same_images_from_their_packages_as_unpacked() {
    for (kernel, busybox) in [
        ("kernel-6.1-amd64", None),
        ("kernel-6.1-amd64", Some("busybox-amd64")),
        ("kernel-6.1-i386", Some("busybox-i386")),
        ("kernel-6.12-amd64", None),
        ("kernel-6.12-arm64", Some("busybox-arm64")),
    ] {
        assert_same_of_packages(kernel, busybox);
    }
}

#[test]
fn the_packages_that_debians_newest_kernel_is_split_into_make_one() {
    const KERNEL: &str = "kernel-newest-cloud-amd64";
    assert_same_of_packages(KERNEL, None);
    // What is lacking is told by name.
    let all = packages_of(&format!("package-{KERNEL}"));
    let of = |part: &str| {
        let is_called = |path: &&String| path.contains(&format!("/linux-{part}-"));
        all.iter().find(is_called).unwrap().as_str()
    };
    for (given, found, lacking) in [
        (
            &["image"][..],
            "no kernel; given are linux-image-",
            "linux-modules-",
        ),
        (&["binary"], "a kernel without modules", "linux-modules-"),
        (
            &["base", "image"],
            "a kernel without modules",
            "linux-modules-",
        ),
        (
            &["modules"],
            "a kernel without the list of what is built into it",
            "linux-base-",
        ),
    ] {
        let packages = given.iter().flat_map(|part| ["--package", of(part)]);
        let args: Vec<&str> = ["build", "--dry-run"].into_iter().chain(packages).collect();
        let done = run(Command::new(XINITRD).args(&args));
        let said = words(&done);
        assert_eq!(done.status.code(), Some(2), "{said}");
        assert!(said.contains(&format!("found:    {found}")), "{said}");
        let cure = said.lines().find(|line| line.contains("do: ")).unwrap();
        assert!(
            cure.contains("add what belongs to it, with --package: ") && cure.contains(lacking),
            "{said}"
        );
        assert_eq!(said.matches("do: ").count(), 1, "{said}");
    }
}
