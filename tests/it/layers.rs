//! Roots of several layers, directories and packages on each other: what is built of them is what is built of
//! the one directory that they would be, had each been unpacked over those before it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use crate::scene::{KERNEL, Scene, assert_built, run, words};
use crate::support::{XINITRD, text};

/// Packs trees: `deb(NAME, TREE, ARCH)` by dpkg-deb, `tar(NAME, TREE)` by tar, and takes trees apart:
/// `parts(COUNT)` makes `part0`, `part1` ... of what is in `root`, each file in one of them.
const PACKERS: &str = r#"
import shutil, subprocess
def deb(name, tree, arch="amd64", how="-Zgzip"):
    os.makedirs(f"{tree}/DEBIAN", exist_ok=True)
    put(f"{tree}/DEBIAN/control", f"""Package: {name}
Version: 1.2-3
Architecture: {arch}
Maintainer: nobody <nobody@example.org>
Description: {name}
""".encode())
    subprocess.run(["dpkg-deb", how, "--root-owner-group", "-b", tree, f"{name}.deb"], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(f"{tree}/DEBIAN")
def tar(name, tree):
    subprocess.run(["tar", "-C", tree, "-cf", name, "."], check=True)
def parts(count):
    files = []
    for top, directories, names in os.walk("root"):
        files += [os.path.join(top, name) for name in sorted(names)]
        files += [os.path.join(top, name) for name in directories if os.path.islink(os.path.join(top, name))]
    for number, path in enumerate(sorted(files)):
        to = path.replace("root", f"part{number % count}", 1)
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy2(path, to, follow_symlinks=False)
"#;

/// A recipe for which these are there.
pub fn recipe(more: &str) -> String {
    format!("{PACKERS}\n{more}")
}

/// The image that is built of `layers`, options with their values.
fn image(scene: &Scene, layers: &[&str]) -> Vec<u8> {
    let output = scene.path("out/of-layers.img");
    let bins = [
        "--bins",
        "root/bins",
        "--omit-scsi-modules",
        "-f",
        "-o",
        text(&output),
    ];
    let mut build = Command::new(XINITRD);
    build
        .arg("build")
        .args(layers)
        .args(bins)
        .current_dir(&scene.0);
    let done = run(&mut build);
    assert!(done.status.success(), "{layers:?}: {}", words(&done));
    fs::read(output).unwrap()
}

#[test]
fn a_root_in_several_layers_makes_the_image_of_the_whole() {
    let scene = assert_built(
        &recipe(
            "parts(3); deb('one', 'part1'); tar('two.tar', 'part2'); deb('all', 'root', how='-Zxz'); tar('all.tar', 'root')",
        ),
        &[],
    );
    let whole = fs::read(scene.path("out/initrd.img")).unwrap();
    for layers in [
        &[
            "--root",
            "part0",
            "--package",
            "one.deb",
            "--package",
            "two.tar",
        ][..],
        &[
            "--package",
            "two.tar",
            "--root",
            "part0",
            "--package",
            "one.deb",
        ],
        &[
            "--package",
            "one.deb",
            "--package",
            "two.tar",
            "--root",
            "part0",
        ],
        &["--root", "part0", "--root", "part1", "--root", "part2"],
        &["--package", "all.deb"],
        &["--package", "all.tar"],
        &["--package", "all.tar", "--threads", "1"],
    ] {
        assert!(image(&scene, layers) == whole, "{layers:?}");
    }
}

#[test]
fn what_lies_on_top_is_taken() {
    let scene = assert_built(
        &recipe(
            "os.makedirs('spoilt/' + os.path.dirname(MODULE).removeprefix('root/'))\n\
             put(MODULE.replace('root', 'spoilt', 1), m.module('xenblk', 'another vermagic'))\n\
             deb('spoilt', 'spoilt'); deb('sound', 'root')",
        ),
        &[],
    );
    let whole = fs::read(scene.path("out/initrd.img")).unwrap();
    let sound = ["--package", "spoilt.deb", "--package", "sound.deb"];
    assert!(image(&scene, &sound) == whole);
    let refused = run(&mut scene.build(&["--root", "root", "--package", "spoilt.deb", "-f"]));
    assert_eq!(refused.status.code(), Some(1), "{}", words(&refused));
    let place = format!("spoilt.deb: /lib/modules/{KERNEL}/kernel/drivers/xen/blkfront/xenblk.ko");
    assert!(words(&refused).contains(&place), "{}", words(&refused));
}

#[test]
fn a_link_into_usr_stays_where_another_layer_has_a_directory() {
    let scene = assert_built(
        &recipe(
            "os.makedirs('merged/usr/lib/other'); os.symlink('usr/lib', 'merged/lib'); os.symlink('/usr/lib64', 'merged/lib64')\n\
             shutil.copytree('root', 'usr-only', symlinks=True); os.makedirs('usr-only/usr', exist_ok=True)\n\
             shutil.move('usr-only/lib', 'usr-only/usr/lib'); tar('usr-only.tar', 'usr-only'); tar('all.tar', 'root'); tar('merged.tar', 'merged')",
        ),
        &[],
    );
    let whole = fs::read(scene.path("out/initrd.img")).unwrap();
    for layers in [
        &["--root", "merged", "--package", "all.tar"][..],
        &["--package", "all.tar", "--root", "merged"],
        &["--package", "merged.tar", "--package", "all.tar"],
        &["--package", "usr-only.tar", "--root", "merged"],
        &["--root", "merged", "--root", "usr-only"],
    ] {
        assert!(image(&scene, layers) == whole, "{layers:?}");
    }
}

#[test]
fn packages_of_several_kernels_or_another_architecture_are_answered_by_what_is_there() {
    let scene = Scene::new(&recipe(
        "deb('kernel', 'root'); deb('tools', 'root/bins', 'i386'); deb('any', 'root/bins', 'all')\n\
         shutil.copytree(D, f'root/lib/modules/{K}-other'); deb('flavours', 'root')",
    ));
    let bins = ["--bins", "root/bins", "--omit-scsi-modules", "--dry-run"];
    let says = |layers: &[&str]| {
        let mut build = Command::new(XINITRD);
        let done = run(build
            .arg("build")
            .args(layers)
            .args(bins)
            .current_dir(&scene.0));
        (done.status.code(), words(&done))
    };
    let (code, said) = says(&["--package", "kernel.deb", "--package", "tools.deb"]);
    let expected = "xinitrd: tools.deb\n    found:    a package for i386\n    expected: one for x86_64, as the \
         kernel's modules are; given are kernel 1.2-3 (amd64), tools 1.2-3 (i386)\n    do:       take the \
         package for x86_64, or another kernel's\n1 problem; nothing was written\n";
    assert_eq!((code, said.as_str()), (Some(1), expected));
    assert_eq!(
        says(&["--package", "kernel.deb", "--package", "any.deb"]).0,
        Some(0)
    );
    let (code, said) = says(&["--package", "flavours.deb"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains(&format!(
            "expected: one of {KERNEL} (flavours.deb), {KERNEL}-other (flavours.deb)\n"
        )),
        "{said}"
    );
}

#[test]
fn load_orders_and_verdicts_are_those_of_the_tree_in_the_package() {
    let scene = assert_built(&recipe("deb('kernel', 'root')"), &[]);
    let says = |args: &[&str]| {
        let done = run(Command::new(XINITRD).args(args).current_dir(&scene.0));
        assert_eq!(done.status.code(), Some(0), "{args:?}: {}", words(&done));
        String::from_utf8(done.stdout).unwrap()
    };
    let of_tree = says(&["resolve", "--root", "root", "xenblk", "ext3"]);
    let of_package = says(&["resolve", "--package", "kernel.deb", "xenblk", "ext3"]);
    assert!(of_tree.lines().count() == 3 && of_tree.contains("root/lib"));
    assert_eq!(of_package, of_tree.replace("root/lib", "kernel.deb: /lib"));
    let image = "out/initrd.img";
    assert_eq!(
        says(&["inspect", "--package", "kernel.deb", image]),
        says(&["inspect", "--root", "root", image])
    );
    let kernel = run(Command::new(XINITRD)
        .args(["inspect", "--kernel", KERNEL, image])
        .current_dir(&scene.0));
    assert_eq!(kernel.status.code(), Some(2), "{}", words(&kernel));
}

#[test]
fn imported_packages_are_a_root_and_a_bad_one_leaves_nothing() {
    let scene = assert_built(
        &recipe(
            "parts(2); deb('one', 'part0'); tar('two.tar', 'part1')\n\
             put('cut.deb', open('one.deb', 'rb').read()[:-100])",
        ),
        &[],
    );
    let whole = fs::read(scene.path("out/initrd.img")).unwrap();
    let import = |packages: &[&str], to: &str| {
        let mut import = Command::new(XINITRD);
        run(import
            .arg("import")
            .args(packages)
            .args(["-C", to])
            .current_dir(&scene.0))
    };
    let done = import(&["one.deb", "two.tar"], "imported");
    assert!(done.status.success(), "{}", words(&done));
    assert!(image(&scene, &["--root", "imported"]) == whole);
    let bad = import(&["two.tar", "cut.deb"], "bad");
    assert_eq!(bad.status.code(), Some(1), "{}", words(&bad));
    assert!(!scene.path("bad").exists());
    let hidden = |name: &String| name.starts_with(".xinitrd");
    let left = fs::read_dir(&scene.0)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(left.filter(hidden).count(), 0);
    // Into a directory with something in it nothing goes of a package that is bad.
    fs::create_dir(scene.path("mixed")).unwrap();
    fs::write(scene.path("mixed/own"), "own").unwrap();
    assert_eq!(
        import(&["two.tar", "cut.deb"], "mixed").status.code(),
        Some(1)
    );
    assert_eq!(fs::read_dir(scene.path("mixed")).unwrap().count(), 1);
    assert!(import(&["two.tar"], "mixed").status.success());
}

#[test]
fn a_directory_that_is_there_is_filled_where_it_is() {
    let scene = Scene::new(&recipe(
        "deb('one', 'root')\n\
         for name in ['here', 'led', 'mode']: os.mkdir(name)\n\
         os.chmod('mode', 0o700); os.symlink('led', 'link'); os.symlink('nothing', 'nowhere')",
    ));
    let import = |to: &str, from: &str| {
        let mut import = Command::new(XINITRD);
        let package = scene.path("one.deb");
        import.arg("import").arg(package).args(["-C", to]);
        run(import.current_dir(scene.path(from)))
    };
    let before = fs::metadata(scene.path("mode")).unwrap();
    for (to, from, filled) in [
        (".", "here", "here"),
        ("link", "", "led"),
        ("mode", "", "mode"),
    ] {
        let done = import(to, from);
        assert!(done.status.success(), "{to}: {}", words(&done));
        let put = scene.path(filled).join("etc/modprobe.conf");
        assert!(put.exists(), "{to}");
    }
    let after = fs::metadata(scene.path("mode")).unwrap();
    assert_eq!(
        (after.mode(), after.ino()),
        (before.mode(), before.ino()),
        "another directory"
    );
    assert!(scene.path("link").is_symlink());
    let done = import("nowhere", "");
    assert_eq!(done.status.code(), Some(2), "{}", words(&done));
}

#[test]
fn a_package_goes_where_the_links_of_the_tree_lead_and_never_out_of_it() {
    let scene = Scene::new(&recipe(
        "os.makedirs('merged/usr/lib'); os.symlink('usr/lib', 'merged/lib'); os.symlink('usr/none', 'merged/bins')\n\
         os.makedirs('files'); put('files/lib', b'own'); os.symlink('lib', 'files/etc')\n\
         os.mkdir('outside')\n\
         for name, target in dict(absolute=os.path.abspath('outside'), climbing='../outside', below='usr/../../outside').items():\n\
         \x20   os.makedirs(name + '/usr'); os.symlink(target, name + '/lib')\n\
         deb('kernel', 'root')",
    ));
    let import = |to: &str, more: &[&str]| {
        let mut import = Command::new(XINITRD);
        import.args(["import", "kernel.deb", "-C", to]).args(more);
        run(import.current_dir(&scene.0))
    };
    // Once into what is there, and once over that.
    for more in [&[][..], &["--force"]] {
        let done = import("merged", more);
        assert!(done.status.success(), "{more:?}: {}", words(&done));
        let target = fs::read_link(scene.path("merged/lib")).unwrap();
        assert_eq!(target.to_str(), Some("usr/lib"));
        let kernel = scene.path(&format!("merged/usr/lib/modules/{KERNEL}"));
        assert!(kernel.is_dir());
        assert!(scene.path("merged/bins").is_symlink());
        assert!(scene.path("merged/usr/none/nash").is_file());
    }
    for tree in ["absolute", "climbing", "below"] {
        for more in [&[][..], &["--force"]] {
            let done = import(tree, more);
            assert_eq!(done.status.code(), Some(2), "{tree} {}", words(&done));
            assert!(words(&done).contains("leads out of the directory"));
            assert!(scene.path(tree).join("lib").is_symlink(), "{tree}");
            let outside = fs::read_dir(scene.path("outside")).unwrap();
            assert_eq!(outside.count(), 0, "{tree}");
        }
    }
    let done = import("files", &[]);
    assert_eq!(done.status.code(), Some(2), "{}", words(&done));
    assert_eq!(fs::read(scene.path("files/lib")).unwrap(), b"own");
}

#[test]
fn a_link_that_another_layer_hides_is_followed_nowhere() {
    // Of the same paths: a directory above a link, and a link above a directory.
    let scene = assert_built(
        &recipe(
            "os.remove('root/etc/modprobe.conf'); os.makedirs('outside'); put('outside/modprobe.conf', b'options ext3 secret=1\\n')\n\
             os.makedirs('lower'); os.makedirs('upper/etc'); os.symlink(os.path.abspath('outside'), 'lower/etc')\n\
             os.makedirs('below/etc/modprobe.d'); put('below/etc/modprobe.d/a.conf', b'options ext3 secret=1\\n')\n\
             os.makedirs('above/etc'); os.makedirs('above/empty'); os.symlink('/empty', 'above/etc/modprobe.d')\n\
             tar('lower.tar', 'lower'); tar('below.tar', 'below'); tar('above.tar', 'above')",
        ),
        &[],
    );
    let whole = fs::read(scene.path("out/initrd.img")).unwrap();
    for layers in [
        &["--root", "lower", "--root", "root", "--root", "upper"][..],
        &[
            "--package",
            "lower.tar",
            "--root",
            "root",
            "--root",
            "upper",
        ],
        &["--root", "below", "--root", "root", "--root", "above"],
        &[
            "--package",
            "below.tar",
            "--root",
            "root",
            "--package",
            "above.tar",
        ],
    ] {
        assert!(image(&scene, layers) == whole, "{layers:?}");
    }
    // That the options would be seen, were they not hidden.
    assert!(image(&scene, &["--root", "root", "--root", "below"]) != whole);
}
