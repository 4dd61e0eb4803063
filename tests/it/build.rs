//! Images built by the command, read back with the tools that others use.

use std::path::Path;
use std::process::{Command, Output};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a program that the Debian package `package` has.
fn run(package: &str, program: &str, arguments: &[&str]) -> Output {
    let run = Command::new(program).args(arguments).output();
    run.unwrap_or_else(|error| panic!("{program}: {error}: apt-get install {package}"))
}

fn shell(package: &str, script: &str) -> String {
    let run = run(package, "sh", &["-euc", script]);
    assert!(
        run.status.success(),
        "{script}: {}",
        String::from_utf8_lossy(&run.stderr)
    );
    String::from_utf8(run.stdout).unwrap()
}

/// Makes a tree of the original situation in `root`; the kernel's name.
fn make_tree(root: &Path, options: &[&str]) -> String {
    let script = repository().join("testdata/el/make-tree.py");
    let arguments = [&[script.to_str().unwrap(), root.to_str().unwrap()], options].concat();
    let made = run("python3", "python3", &arguments);
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

/// The command of the original situation.
fn build_as_then(root: &Path, kernel: &str, image: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xinitrd"))
        .args([
            "build",
            "--kernel",
            kernel,
            "--preload",
            "xenblk",
            "--preload",
            "xennet",
        ])
        .args(["--omit-scsi-modules", "--root"])
        .arg(root)
        .arg("--bins")
        .arg(root.join("bins"))
        .arg("-o")
        .arg(image)
        .output()
        .unwrap()
}

/// An archive's entries as the reference lists them, from GNU cpio's listing.
fn entries(image: &Path) -> Vec<String> {
    let listing = shell(
        "cpio",
        &format!("gzip -dc {} | cpio -itv --quiet -n", image.display()),
    );
    listing.lines().map(entry).collect()
}

/// `crw-r--r-- 1 0 0 5, 1 Jan 1 1970 dev/console` as `0644 c dev/console 5:1`.
fn entry(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mode = words[0].as_bytes();
    let bits = mode[1..]
        .iter()
        .fold(0, |bits, &b| bits * 2 + u32::from(b != b'-'));
    assert_eq!(&words[2..4], ["0", "0"], "the owner in {line}");
    match mode[0] {
        b'l' => format!("{bits:04o} l {}", words[8..].join(" ")),
        kind @ (b'c' | b'b') => {
            let major = words[4].trim_end_matches(',');
            format!(
                "{bits:04o} {} {} {major}:{}",
                char::from(kind),
                words[9],
                words[5]
            )
        }
        b'd' => format!("{bits:04o} d {}", words[8]),
        b'-' => format!("{bits:04o} f {}", words[8]),
        other => panic!("type {other} in {line}"),
    }
}

fn reference(name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(repository().join("testdata/el").join(name)).unwrap();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_images_of_el4_and_el5_hold_what_the_reference_says_entry_by_entry() {
    for (generation, listing) in [("el4", "reference-el4.txt"), ("el5", "reference-el5.txt")] {
        let work = tempfile::tempdir().unwrap();
        let root = work.path().join("root");
        let kernel = make_tree(&root, &["--generation", generation]);
        let image = work.path().join("initrd.img");
        let built = build_as_then(&root, &kernel, &image);
        assert!(
            built.status.success(),
            "{}",
            String::from_utf8_lossy(&built.stderr)
        );
        let (mut found, mut wanted) = (entries(&image), reference(listing));
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted, "{generation}");
    }
}

#[test]
fn a_32_bit_nash_among_64_bit_binaries_is_refused_with_the_reason() {
    let work = tempfile::tempdir().unwrap();
    let root = work.path().join("root");
    let kernel = make_tree(&root, &["--bits-of", "nash=i386"]);
    let image = work.path().join("initrd.img");
    let refused = build_as_then(&root, &kernel, &image);
    assert_eq!(refused.status.code(), Some(1));
    assert!(!image.exists());
    let message = String::from_utf8(refused.stderr).unwrap();
    for part in [
        "bins/nash",
        "32-bit i386",
        "64-bit x86_64",
        "package mkinitrd",
    ] {
        assert!(message.contains(part), "no `{part}` in {message}");
    }
}

/// Builds the busybox image of Debian's 6.1 kernel, with what `setup` puts before the command.
fn debian_image(work: &Path, name: &str, setup: &str, options: &str) -> String {
    let fetch = repository().join("testdata/fetch.sh");
    let root = shell(
        "apt",
        &format!("{} kernel-6.1-amd64-depmod", fetch.display()),
    );
    let busybox = shell("apt", &format!("{} busybox-amd64", fetch.display()));
    let (root, busybox) = (root.trim(), busybox.trim());
    let program = env!("CARGO_BIN_EXE_xinitrd");
    let output = work.join(name).display().to_string();
    let command = format!(
        "{setup} {program} build --json --root {root} --bins {busybox}/bin -o {output} {options}"
    );
    shell("strace", &command)
}

#[test]
fn cpio_and_bsdtar_list_what_the_report_says() {
    let work = tempfile::tempdir().unwrap();
    let report = debian_image(work.path(), "image", "", "");
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let entries = report["entries"].as_array().unwrap();
    let wanted: Vec<&str> = entries
        .iter()
        .map(|entry| entry["path"].as_str().unwrap())
        .collect();
    let image = work.path().join("image").display().to_string();
    shell("gzip", &format!("gzip -t {image}"));
    let by_cpio = shell("cpio", &format!("gzip -dc {image} | cpio -it --quiet"));
    let by_bsdtar = shell("libarchive-tools", &format!("bsdtar -tf {image}"));
    assert_eq!(by_cpio.lines().collect::<Vec<_>>(), wanted);
    assert_eq!(by_bsdtar.lines().collect::<Vec<_>>(), wanted);
    let digest = shell("coreutils", &format!("sha256sum < {image}"));
    assert_eq!(digest.split(' ').next(), report["image"]["sha256"].as_str());
}

#[test]
fn the_same_inputs_give_the_same_bytes_whatever_the_surroundings() {
    let work = tempfile::tempdir().unwrap();
    let mut digests = Vec::new();
    for (setup, options) in [
        ("", "--threads 1"),
        ("", "--threads 2"),
        ("", "--threads 5"),
        ("umask 077;", ""),
        ("env -i LC_ALL=tr_TR.UTF-8 TZ=Asia/Tokyo", ""),
    ] {
        let report = debian_image(work.path(), "image", setup, &format!("-f {options}"));
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        digests.push(report["image"]["sha256"].as_str().unwrap().to_owned());
    }
    digests.dedup();
    assert_eq!(digests.len(), 1, "{digests:?}");
}

#[test]
fn no_other_program_is_started_and_nothing_outside_the_inputs_is_opened() {
    let work = tempfile::tempdir().unwrap();
    let log = work.path().join("trace").display().to_string();
    let trace =
        format!("strace -f -qq -o {log} -e trace=execve,open,openat env -i PATH=/nonexistent");
    debian_image(work.path(), "image", &trace, "");
    let log = std::fs::read_to_string(&log).unwrap();
    let (_, own) = log
        .split_once("/xinitrd\", [")
        .expect("xinitrd was not traced");
    assert!(!own.contains("execve("), "another program was started");
    let cache = std::env::var("XINITRD_CACHE")
        .unwrap_or_else(|_| repository().join(".cache").display().to_string());
    let work = work.path().display().to_string();
    // The loader's files, what the runtime and the allocator ask, and how many processors the
    // control group allows.
    let start = [
        "/etc/ld.so.cache",
        "/lib/",
        "/proc/self/",
        "/proc/sys/vm/overcommit_memory",
        "/sys/fs/cgroup/",
    ];
    let allowed = [&[cache.as_str(), work.as_str()], start.as_slice()].concat();
    let opened = own
        .lines()
        .filter(|line| line.contains("open") && !line.contains("ENOENT"));
    for line in opened {
        let Some(path) = line.split('"').nth(1) else {
            continue;
        };
        assert!(allowed.iter().any(|top| path.starts_with(top)), "{line}");
    }
}
