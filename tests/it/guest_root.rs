//! A guest's root as the command reads it: which kernels it has, and what it tells modprobe.

use std::fs;

use crate::scene::{KERNEL, Scene, assert_built, assert_refused, run, words};
use crate::support::{Tool, text, utf8};

const MODPROBE: Tool = Tool::of("modprobe", "kmod");

/// The tree as `dpkg-deb -x` leaves a usr-merged system's kernel: without `/lib -> usr/lib`.
const USR_ALONE: &str = "os.mkdir('root/usr'); os.rename('root/lib', 'root/usr/lib')";

#[test]
fn a_kernel_under_usr_alone_is_found_and_makes_the_same_image() {
    let image = |recipe| {
        let scene = assert_built(recipe, &["--kernel", KERNEL]);
        fs::read(scene.path("out/initrd.img")).unwrap()
    };
    assert!(image("") == image(USR_ALONE), "another image");
    let scene = Scene::new(USR_ALONE);
    let resolved = run(&mut scene.resolve(&["xenblk"]));
    let path = format!("root/usr/lib/modules/{KERNEL}/kernel/drivers/xen/blkfront/xenblk.ko\n");
    assert_eq!(utf8(resolved.stdout), path, "{}", utf8(resolved.stderr));
}

#[test]
fn kernels_of_both_places_are_told_together_and_the_one_in_lib_is_taken() {
    let second = "os.makedirs('root/usr/lib/modules/6.1.0')";
    let both = format!("expected: one of {KERNEL}, 6.1.0");
    assert_refused(&[(second, &[], 2, &["several kernels", &both])]);
    let many = "for i in range(1000): os.makedirs(f'root/usr/lib/modules/6.{i:03}')";
    assert_refused(&[(many, &[], 2, &["6.018, and 981 more\n"])]);
    let same = "os.makedirs(f'root/usr/lib/modules/{K}')";
    assert_built(same, &[]);
    let merged = "os.mkdir('root/usr'); os.rename('root/lib', 'root/usr/lib'); \
                  os.symlink('usr/lib', 'root/lib')";
    assert_built(merged, &[]);
}

/// The directories of configuration, the strongest first.
const CONFIGURED: [&str; 5] = [
    "etc/modprobe.d",
    "run/modprobe.d",
    "usr/local/lib/modprobe.d",
    "usr/lib/modprobe.d",
    "lib/modprobe.d",
];

/// Files of one name in several directories, names that sort otherwise than their directories, a
/// file that is hidden, one of another kind, an empty mask and a linked one.
const CONFLICTS: &str = r#"
for n, d in enumerate(["etc", "run", "usr/local/lib", "usr/lib", "lib"]):
    for name in ["same", "z%d" % (9 - n), "a%d" % n]:
        put(f"root/{d}/modprobe.d/{name}.conf", f"options xenblk {name}={n}\n")
put("root/lib/modprobe.d/both.conf", "options xenblk both=lib\n")
put("root/run/modprobe.d/both.conf", "options xenblk both=run\n")
put("root/etc/modprobe.d/.hidden.conf", "options xenblk hidden=1\n")
put("root/etc/modprobe.d/note.txt", "options xenblk note=1\n")
put("root/lib/modprobe.d/empty.conf", "options xenblk empty=1\n")
put("root/etc/modprobe.d/empty.conf", "")
put("root/lib/modprobe.d/mask.conf", "options xenblk mask=1\n")
os.symlink("/dev/null", "root/etc/modprobe.d/mask.conf")
"#;

/// The options of xenblk in what `build` reports.
fn options_of_xenblk(scene: &Scene) -> String {
    let built = run(&mut scene.build(&["--dry-run", "--json"]));
    assert_eq!(built.status.code(), Some(0), "{}", words(&built));
    let report: serde_json::Value = serde_json::from_slice(&built.stdout).unwrap();
    let modules = report["modules"].as_array().unwrap();
    let xenblk = modules.iter().find(|module| module["name"] == "xenblk");
    xenblk.unwrap()["options"].as_str().unwrap().to_owned()
}

#[test]
fn the_guests_options_are_those_that_modprobe_reads_in_its_order() {
    let scene = Scene::new(CONFLICTS);
    let places = CONFIGURED.map(|place| scene.path("root").join(place));
    let given = places.iter().flat_map(|place| ["-C", text(place)]);
    let arguments: Vec<&str> = given.chain(["--showconfig"]).collect();
    let shown = utf8(MODPROBE.run(&arguments, b""));
    let options = shown
        .lines()
        .filter_map(|line| line.strip_prefix("options xenblk "));
    let theirs: Vec<&str> = options.collect();
    assert_eq!(theirs.len(), 12, "{shown}");
    assert_eq!(options_of_xenblk(&scene), theirs.join(" "));
}

#[test]
fn the_single_file_of_old_is_read_too_and_before_the_directories() {
    let scene = Scene::new(
        r#"
put("root/etc/modprobe.conf", "options xenblk single=1\n")
put("root/lib/modprobe.d/a.conf", "options xenblk a=1\n")
"#,
    );
    assert_eq!(options_of_xenblk(&scene), "single=1 a=1");
}

#[test]
fn a_configuration_as_large_as_no_text_is_refused_in_the_root_as_outside() {
    let large = |path: &str| format!("put('{path}', 'x' * (1 << 20) + 'x')");
    let said = ["found:    it is larger than 1 MiB", "1 problem;"];
    assert_refused(&[
        (&large("root/etc/modprobe.d/a.conf"), &[], 2, &said),
        (&large("root/etc/modprobe.conf"), &[], 2, &said),
        (&large("a.conf"), &["--modprobe-conf", "a.conf"], 2, &said),
    ]);
    let just = "put('root/etc/modprobe.conf', '#' * (1 << 20))";
    assert_built(just, &[]);
}
