//! Depfiles, as the build systems that read them act on them: an image is made again when something that it depends
//! on has changed, and only then.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use crate::scene::{KERNEL, Scene, run, words};
use crate::support::{Tool, XINITRD, text, utf8};

const NINJA: Tool = Tool::of("ninja", "ninja-build");
const MAKE: Tool = Tool::of("make", "make");

/// How many kernels there are, each with an image of either manifest.
const KERNELS: usize = 10;

/// One root with all the kernels, and programs beside it. Aliases are looked up in an index, or every module would
/// have been asked for its own.
const MANY: &str = r#"
import shutil
put(f"{D}/kernel/fs/ext2/ext2.ko", m.module("ext2", V))
put(f"{DEP}", open(DEP, "rb").read() + b"kernel/fs/ext2/ext2.ko:\n")
put(f"{D}/modules.alias", b"")
for number in range(10):
    shutil.copytree(D, f"root/lib/modules/{K}-{number}")
shutil.rmtree(D)
shutil.move("root/bins", "bins")
"#;

/// A directory where a build system makes images.
struct Workshop {
    scene: Scene,
    tool: Tool,
}

impl Workshop {
    fn new(tool: Tool, recipe: &str, file: &str, rules: &str) -> Workshop {
        let scene = Scene::new(recipe);
        let el4 = include_str!("../../manifests/el4.toml");
        fs::write(scene.path("ext3.toml"), el4).unwrap();
        let ext2 = el4.replace("rootfs = \"ext3\"", "rootfs = \"ext2\"");
        assert_ne!(el4, ext2);
        fs::write(scene.path("ext2.toml"), ext2).unwrap();
        fs::write(scene.path(file), rules).unwrap();
        Workshop { scene, tool }
    }

    /// Has everything made that is to be; gives the images that were.
    fn makes(&self) -> Vec<String> {
        let log = self.scene.path("made");
        let _ = fs::remove_file(&log);
        let done = run(Command::new(self.tool.path())
            .current_dir(&self.scene.0)
            .env_remove("MAKEFLAGS"));
        let said = String::from_utf8_lossy(&done.stdout).into_owned() + &words(&done);
        assert!(done.status.success(), "{said}");
        let made = fs::read_to_string(log).unwrap_or_default();
        let mut made: Vec<String> = made.lines().map(str::to_owned).collect();
        made.sort();
        assert_eq!(self.made_again(), [""; 0], "{said}");
        // Times of files are told apart by the tick of the kernel's clock.
        sleep(Duration::from_millis(20));
        made
    }

    /// What is made when nothing has changed.
    fn made_again(&self) -> Vec<String> {
        let log = self.scene.path("made");
        let _ = fs::remove_file(&log);
        let done = run(Command::new(self.tool.path()).current_dir(&self.scene.0));
        assert!(done.status.success(), "{}", words(&done));
        let made = fs::read_to_string(log).unwrap_or_default();
        made.lines().map(str::to_owned).collect()
    }

    fn change(&self, path: &str) {
        let path = self.scene.path(path);
        let mut bytes = fs::read(&path).unwrap();
        bytes.push(b'\n');
        fs::write(path, bytes).unwrap();
    }
}

/// The images of some kernels and file systems.
fn images(kernels: impl Iterator<Item = usize> + Clone, systems: &[&str]) -> Vec<String> {
    let of_kernel = |number| {
        systems
            .iter()
            .map(move |fs| format!("out/{number}-{fs}.img"))
    };
    kernels.flat_map(of_kernel).collect()
}

fn build(more: &str) -> String {
    let program = XINITRD.path();
    format!("{program} build -q -f --bins bins --omit-scsi-modules --preload xenblk {more} && echo")
}

fn ninja_file() -> String {
    let command =
        build("--kernel $kernel --root root --manifest $fs.toml --depfile $out.d -o $out");
    let mut rules = format!(
        "rule image\n  command = {command} $out >> made\n  depfile = $out.d\n  deps = gcc\n"
    );
    for number in 0..KERNELS {
        for system in ["ext2", "ext3"] {
            rules += &format!(
                "build out/{number}-{system}.img: image\n  kernel = {KERNEL}-{number}\n  fs = {system}\n"
            );
        }
    }
    rules
}

#[test]
fn ninja_makes_again_what_a_change_reaches_and_nothing_else() {
    let all = images(0..KERNELS, &["ext2", "ext3"]);
    let workshop = Workshop::new(NINJA, MANY, "build.ninja", &ninja_file());
    assert_eq!(workshop.makes(), all);
    let modules = |number: usize| format!("root/lib/modules/{KERNEL}-{number}");

    // One input, one image: the other manifest's image has no ext3.
    workshop.change(&format!("{}/kernel/fs/ext3/ext3.ko", modules(3)));
    assert_eq!(workshop.makes(), images(3..4, &["ext3"]));
    let xenblk = "kernel/drivers/xen/blkfront/xenblk.ko";
    workshop.change(&format!("{}/{xenblk}", modules(4)));
    assert_eq!(workshop.makes(), images(4..5, &["ext2", "ext3"]));
    workshop.change("ext2.toml");
    assert_eq!(workshop.makes(), images(0..KERNELS, &["ext2"]));
    workshop.change("bins/nash");
    assert_eq!(workshop.makes(), all);

    // What was not there, and is taken when it appears.
    let before = fs::read(workshop.scene.path("out/5-ext2.img")).unwrap();
    let updates = workshop.scene.path(&modules(5)).join("updates");
    fs::create_dir(&updates).unwrap();
    let own = workshop.scene.path(&modules(5)).join(xenblk);
    let other = [&fs::read(own).unwrap()[..], b"other"].concat();
    fs::write(updates.join("xenblk.ko"), other).unwrap();
    assert_eq!(workshop.makes(), images(5..6, &["ext2", "ext3"]));
    let after = fs::read(workshop.scene.path("out/5-ext2.img")).unwrap();
    assert!(before != after);

    // What no image depends on: a program, another kernel, a text beside those that are read.
    workshop.change("bins/lvm.static");
    workshop.change(&format!("{}/modules.symbols", make_unread(&workshop, 6)));
    fs::create_dir_all(workshop.scene.path(&modules(99)).join("kernel")).unwrap();
    fs::write(workshop.scene.path("note"), "unread").unwrap();
    assert_eq!(workshop.makes(), [""; 0]);

    // What is gone.
    fs::remove_file(workshop.scene.path("root/etc/modprobe.conf")).unwrap();
    assert_eq!(workshop.makes(), all);
}

/// Lays a file that nothing reads into a module directory, and has the images of that kernel made with it there.
fn make_unread(workshop: &Workshop, number: usize) -> String {
    let modules = format!("root/lib/modules/{KERNEL}-{number}");
    fs::write(workshop.scene.path(&modules).join("modules.symbols"), "").unwrap();
    assert_eq!(
        workshop.makes(),
        images(number..number + 1, &["ext2", "ext3"])
    );
    modules
}

#[test]
fn make_makes_again_what_a_change_reaches_and_nothing_else() {
    let command = build(&format!(
        "--kernel {KERNEL}-$* --root root --manifest ext3.toml --depfile $@.d -o $@"
    ));
    let rules = format!(
        "all: out/1.img out/2.img\nout/%.img:\n\t{command} $@ >> made\n-include $(wildcard out/*.d)\n"
    );
    let workshop = Workshop::new(MAKE, MANY, "Makefile", &rules);
    let both = ["out/1.img", "out/2.img"];
    assert_eq!(workshop.makes(), both);
    workshop.change(&format!("root/lib/modules/{KERNEL}-1/kernel/fs/jbd/jbd.ko"));
    assert_eq!(workshop.makes(), ["out/1.img"]);
    workshop.change("ext3.toml");
    assert_eq!(workshop.makes(), both);
    fs::create_dir(
        workshop
            .scene
            .path(&format!("root/lib/modules/{KERNEL}-2/updates")),
    )
    .unwrap();
    assert_eq!(workshop.makes(), ["out/2.img"]);
    workshop.change("ext2.toml");
    fs::create_dir(workshop.scene.path("root/lib/modules/other")).unwrap();
    assert_eq!(workshop.makes(), [""; 0]);
    fs::remove_file(workshop.scene.path("root/etc/modprobe.conf")).unwrap();
    assert_eq!(workshop.makes(), both);
}

#[test]
fn a_link_that_leads_to_another_file_is_a_change_however_old_the_file_is() {
    let recipe = "os.rename('root/bins', 'bins'); os.rename('bins/nash', 'bins/nash-1')\n\
        put('bins/nash-2', open('bins/nash-1', 'rb').read() + b'2'); os.utime('bins/nash-2', (1, 1))\n\
        os.symlink('nash-1', 'bins/nash')";
    let command = build("--root root --manifest ext3.toml --depfile out/d -o $out");
    let rules = format!(
        "rule image\n  command = {command} $out >> made\n  depfile = out/d\n  deps = gcc\nbuild out/i.img: image\n"
    );
    let workshop = Workshop::new(NINJA, recipe, "build.ninja", &rules);
    assert_eq!(workshop.makes(), ["out/i.img"]);
    let before = fs::read(workshop.scene.path("out/i.img")).unwrap();
    let link = workshop.scene.path("bins/nash");
    fs::remove_file(&link).unwrap();
    symlink("nash-2", link).unwrap();
    assert_eq!(workshop.makes(), ["out/i.img"]);
    assert!(before != fs::read(workshop.scene.path("out/i.img")).unwrap());
}

/// Every character that both read, in one name.
const ODD: &str = "a b $HOME $$ #1:x @{y}~ !(z) back\\slash,+_-é.";

#[test]
fn ninja_and_make_find_the_paths_with_odd_characters() {
    let recipe = format!("{MANY}\nos.rename('root', {ODD:?})");
    let quoted = format!("'{}'", ODD.replace('$', "$$"));
    let kernel = format!("{KERNEL}-7");
    let command = |output: &str, depfile: &str| {
        build(&format!(
            "--kernel {kernel} --root {quoted} --manifest ext3.toml --depfile {depfile} -o {output}"
        ))
    };
    let odd = "'out/a b$$c#.img'";
    let ninja = format!(
        "rule image\n  command = {} {odd} >> made\n  depfile = out/d\n  deps = gcc\nbuild out/a$ b$$c#.img: image\n",
        command(odd, "out/d")
    );
    let plain = "out/i.img";
    let make = format!(
        "{plain}:\n\t{} $@ >> made\n-include out/d\n",
        command(plain, "out/d")
    );
    for (tool, file, rules, image) in [
        (NINJA, "build.ninja", ninja, "out/a b$c#.img"),
        (MAKE, "Makefile", make, plain),
    ] {
        let workshop = Workshop::new(tool, &recipe, file, &rules);
        assert_eq!(workshop.makes(), [image]);
        workshop.change(&format!("{ODD}/lib/modules/{kernel}/kernel/fs/jbd/jbd.ko"));
        assert_eq!(workshop.makes(), [image], "{file}");
    }
}

#[test]
fn what_they_do_not_read_alike_is_refused_by_its_path() {
    let scene = Scene::new("os.rename('root', 'plain')");
    for name in [
        "a;b", "a\nb", "a=b", "a%b", "a[b]", "a*", "a?", "a|b", "a&b", "a'b", "a\\#",
    ] {
        let root = scene.path(name);
        fs::rename(scene.path("plain"), &root).unwrap();
        let bins = format!("{name}/bins");
        let args = ["--root", name, "--bins", &bins, "--depfile", "out/d"];
        let refused = run(&mut scene.build(&args));
        let said = words(&refused);
        assert_eq!(refused.status.code(), Some(2), "{name}: {said}");
        let place = format!("{}/bins/nash\n", name.replace('\n', "\\n"));
        assert!(said.contains(&place), "{name}: {said}");
        assert_eq!(scene.left(), [""; 0], "{name}");
        fs::rename(root, scene.path("plain")).unwrap();
    }
}

#[test]
fn the_directory_of_the_image_is_no_input_of_it_and_a_depfile_has_an_image() {
    let scene = Scene::new("");
    let listed = |args: &[&str]| {
        let done = run(&mut scene.build(&[&["-f", "--depfile", "out/d"], args].concat()));
        assert!(done.status.success(), "{}", words(&done));
        let depfile = utf8(fs::read(scene.path("out/d")).unwrap());
        let inputs = depfile.split("\n\n").next().unwrap().lines().skip(1);
        let inputs = inputs.map(|line| line.trim_matches([' ', '\\']).to_owned());
        inputs.collect::<Vec<_>>()
    };
    // The root's own directory is looked into in vain.
    assert!(listed(&[]).contains(&"root".to_owned()));
    let beside = listed(&["-o", "root/initrd.img"]);
    assert!(!beside.contains(&"root".to_owned()), "{beside:?}");
    assert!(beside.contains(&"root/bins/nash".to_owned()), "{beside:?}");
    for path in beside {
        assert!(Path::new(text(&scene.path(&path))).exists(), "{path}");
    }
    let stream = run(&mut scene.build(&["-o", "-", "--depfile", "out/none"]));
    assert_eq!(stream.status.code(), Some(2));
    assert!(
        words(&stream).contains("--depfile\n    found:    -o -\n"),
        "{}",
        words(&stream)
    );
    assert!(stream.stdout.is_empty() && !scene.path("out/none").exists());
}
