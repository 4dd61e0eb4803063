//! SPDX documents: sound to a validator that is not ours, and true of the image as GNU cpio unpacks it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::guest::PYTHON;
use crate::layers::recipe;
use crate::scene::{Scene, run, words};
use crate::support::{Tool, XINITRD, fetched, text, utf8};

const SHA1SUM: Tool = Tool::of("sha1sum", "coreutils");
const SHA256SUM: Tool = Tool::of("sha256sum", "coreutils");

/// A kernel of today in two packages, one of which has a name to be escaped, and an archive that says nothing of
/// itself.
const PACKAGES: &str = r#"
K, V = "3.10.0-1", "3.10.0-1 SMP"
for top, path in [("one", "drivers/block/xen-blkfront"), ("one", "drivers/net/xen-netfront"), ("two", "fs/ext4/ext4")]:
    name = path.split("/")[-1]
    put(f"{top}/lib/modules/{K}/kernel/{path}.ko", m.module(name.replace("-", "_"), V))
put("three/etc/modprobe.d/ext4.conf", b"options ext4 a=b\n")
deb("one+1", "one"); deb("two", "two"); tar("three.tar", "three")
"#;

/// What the validator says.
fn validated(document: &Path) -> Output {
    let mut python = Command::new(PYTHON.path());
    python
        .env("PYTHONPATH", fetched("spdx-tools-0.8.5"))
        .args(["-m", "spdx_tools.spdx.clitools.pyspdxtools"])
        .args(["--version", "SPDX-2.3", "-i", text(document)]);
    run(&mut python)
}

fn sum(tool: &Tool, bytes: &[u8]) -> String {
    let said = utf8(tool.run(&[], bytes));
    said.split_whitespace().next().unwrap().to_owned()
}

fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().unwrap()
}

/// The checksums of a package or a file, by algorithm.
fn checksums<'a>(of: &'a Value) -> BTreeMap<&'a str, &'a str> {
    let word = |value: &'a Value| value.as_str().unwrap();
    let checksums = list(of, "checksums").iter();
    checksums
        .map(|sum| (word(&sum["algorithm"]), word(&sum["checksumValue"])))
        .collect()
}

/// What relates to what, each a line.
fn relationships(document: &Value) -> Vec<String> {
    let named = list(document, "relationships").iter().map(|it| {
        ["spdxElementId", "relationshipType", "relatedSpdxElement"]
            .map(|part| it[part].as_str().unwrap().trim_start_matches("SPDXRef-"))
            .join(" ")
    });
    named.collect()
}

#[test]
fn a_validator_takes_the_document_and_its_digests_are_those_of_the_image() {
    let scene = Scene::new(&recipe(PACKAGES));
    let build = |output: &str, sbom: &str| {
        let mut build = Command::new(XINITRD);
        build.args(["build", "-q", "-f", "-o", output, "--sbom", sbom]);
        let packages = ["one+1.deb", "two.deb", "three.tar"];
        build.args(packages.iter().flat_map(|name| ["--package", name]));
        build.env("SOURCE_DATE_EPOCH", "1700000000");
        let done = run(build.current_dir(&scene.0));
        assert!(done.status.success(), "{}", words(&done));
        fs::read(scene.path(sbom)).unwrap()
    };
    let bytes = build("out/initrd.img", "out/initrd.spdx.json");
    assert_eq!(bytes, build("out/initrd.img", "out/again.spdx.json"));
    let valid = validated(&scene.path("out/initrd.spdx.json"));
    assert!(valid.status.success(), "{}", words(&valid));

    let document: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(document["creationInfo"]["created"], "2023-11-14T22:13:20Z");
    let packages = list(&document, "packages");
    let digest = |file: &str| sum(&SHA256SUM, &fs::read(scene.path(file)).unwrap());
    for (package, (file, purl)) in packages.iter().zip([
        ("out/initrd.img", None),
        ("one+1.deb", Some("pkg:deb/one%2B1@1.2-3?arch=amd64")),
        ("two.deb", Some("pkg:deb/two@1.2-3?arch=amd64")),
        ("three.tar", None),
    ]) {
        assert_eq!(checksums(package)["SHA256"], digest(file), "{file}");
        let reference = &package["externalRefs"][0]["referenceLocator"];
        assert_eq!(reference.as_str(), purl, "{file}");
    }
    assert_eq!(packages.len(), 5, "the fifth is the init");

    let files = list(&document, "files");
    // But for dev/console, which is nothing to read.
    let unpacked = scene.unpacked("[!d]*");
    let unpacked: Vec<_> = unpacked
        .iter()
        .filter(|(path, _)| scene.path("unpacked").join(utf8(path.clone())).is_file())
        .collect();
    assert_eq!(files.len(), unpacked.len());
    for (file, (path, bytes)) in files.iter().zip(unpacked) {
        assert_eq!(file["fileName"], format!("./{}", utf8(path.clone())));
        let want = BTreeMap::from([
            ("SHA1", sum(&SHA1SUM, bytes)),
            ("SHA256", sum(&SHA256SUM, bytes)),
        ]);
        let has = checksums(file);
        let has: BTreeMap<_, _> = has.into_iter().map(|(k, v)| (k, v.to_owned())).collect();
        assert_eq!(has, want, "{file}");
    }

    let id = |path: &str| {
        let file = files.iter().find(|file| file["fileName"] == path).unwrap();
        file["SPDXID"].as_str().unwrap().replace("SPDXRef-", "")
    };
    let related = relationships(&document);
    for want in [
        "DOCUMENT DESCRIBES Image".to_owned(),
        "Image GENERATED_FROM Package-1".to_owned(),
        "Image GENERATED_FROM Package-3".to_owned(),
        "Image GENERATED_FROM Init".to_owned(),
        format!("Image CONTAINS {}", id("./init")),
        format!("{} GENERATED_FROM Init", id("./init")),
        format!("{} GENERATED_FROM Package-1", id("./lib/xen-blkfront.ko")),
        format!("{} GENERATED_FROM Package-2", id("./lib/ext4.ko")),
    ] {
        assert!(related.contains(&want), "no {want} in {related:#?}");
    }
}

#[test]
fn the_validator_does_not_take_everything() {
    let scene = Scene::new(&recipe(PACKAGES));
    let mut build = Command::new(XINITRD);
    build.args([
        "build",
        "-q",
        "--package",
        "one+1.deb",
        "--package",
        "two.deb",
    ]);
    build.args(["-o", "out/i", "--sbom", "out/s.spdx.json"]);
    let done = run(build.current_dir(&scene.0));
    assert!(done.status.success(), "{}", words(&done));
    let document = fs::read_to_string(scene.path("out/s.spdx.json")).unwrap();
    for (spoilt, by) in [("\"SHA1\"", "\"SHA2\""), ("urn:uuid:", "no uri at all")] {
        let bad = scene.path("out/bad.spdx.json");
        assert!(document.contains(spoilt));
        fs::write(&bad, document.replace(spoilt, by)).unwrap();
        assert!(!validated(&bad).status.success(), "{spoilt}");
    }
}
