//! What is built is judged before it is delivered: plans of which each part is sound, or is not looked
//! at, and whose image is bad all the same.

use std::fs;

use serde_json::{Value, json};

use crate::scene::{Scene, run, words};
use crate::support::{XINITRD, utf8};

/// A manifest like that of EL4, with one file of the root more, and how that file is made; what is
/// found then.
const BAD: [(&str, &str, &str, &str); 3] = [
    (
        "opt/tool",
        "m.executable('tool', arch='i386')",
        "elf-wrong-machine",
        "32-bit i386",
    ),
    (
        "opt/tool",
        "m.executable('tool', interpreter='/lib64/ld.so')",
        "interpreter-missing",
        "/lib64/ld.so",
    ),
    (
        "lib/other.ko",
        "m.module('other', '2.6.18 SMP gcc-3.4')",
        "module-vermagic-mismatch",
        "2.6.18 SMP gcc-3.4",
    ),
];

/// The scene, with such a file in the root and such a manifest.
fn scene(path: &str, content: &str) -> Scene {
    let xinitrd = XINITRD.path();
    Scene::new(&format!(
        r#"
import subprocess
put("root/opt/file", {content})
el4 = subprocess.run(["{xinitrd}", "manifests", "el4"], check=True, capture_output=True, text=True)
files = """
[[files]]
path = "{path}"
mode = 0o755
from-root = ["opt/file"]
"""
directories = el4.stdout.replace("directories = [", "directories = [{{ path = 'opt' }},")
put("mine.toml", directories + files)
"#
    ))
}

#[test]
fn a_bad_image_is_refused_and_nothing_is_left_of_it() {
    for (path, content, rule, found) in BAD {
        let scene = scene(path, content);
        let manifest = ["--manifest", "./mine.toml"];
        let output = run(&mut scene.build(&manifest));
        let said = words(&output);
        assert_eq!(
            (output.status.code(), output.stdout.len()),
            (Some(1), 0),
            "{said}"
        );
        assert!(
            said.starts_with(&format!("xinitrd: out/initrd.img: {path}\n")),
            "{said}"
        );
        assert!(
            said.contains(found) && said.contains(&format!("({rule})\n")),
            "{said}"
        );
        assert!(said.ends_with("1 problem; nothing was written\n"), "{said}");
        assert_eq!(scene.left(), [""; 0]);

        let streamed = run(&mut scene.build(&[&manifest[..], &["-o", "-"]].concat()));
        let place = said.replace("out/initrd.img", "the image");
        assert_eq!((streamed.status.code(), words(&streamed)), (Some(1), place));
        assert_eq!(streamed.stdout, b"");

        fs::write(scene.path("out/initrd.img"), "old").unwrap();
        let forced = run(&mut scene.build(&[&manifest[..], &["-f", "--json"]].concat()));
        assert_eq!((forced.status.code(), words(&forced)), (Some(1), said));
        let document: Value = serde_json::from_str(&utf8(forced.stdout)).unwrap();
        assert_eq!(document["refused"], json!(true));
        assert_eq!(scene.left(), ["initrd.img"]);
        assert_eq!(fs::read(scene.path("out/initrd.img")).unwrap(), b"old");
    }
}

#[test]
fn a_good_image_of_such_a_manifest_is_delivered() {
    let scene = scene("opt/tool", "m.executable('tool')");
    let output = run(&mut scene.build(&["--manifest", "./mine.toml"]));
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    assert_eq!(scene.left(), ["initrd.img"]);
}
