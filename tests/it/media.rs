//! Outputs on file systems that cannot take them. They are mounted for the test alone, in a
//! namespace of its own, which takes no rights (`unshare -r`).

use std::fs;
use std::process::{Command, Output};

use crate::guest::Guest;
use crate::support::{Tool, XINITRD, fed, text, utf8};

const UNSHARE: Tool = Tool::of("unshare", "util-linux");

/// Mounts a file system of size $2 at $1, does $3 in it, runs the rest, and notes what is there.
const IN_A_MOUNT: &str = r#"
mount -t tmpfs -o size=$2 none "$1"
cd "$1"
eval "$3"
left=$4
shift 4
status=0
"$@" || status=$?
wc -c $(ls -A) >"$left"
exit $status
"#;

/// Builds Debian's image, 1.7 MB, into a fresh file system of `size`, after `then` was done in it;
/// gives what the program did, and the sizes and names that lie there afterwards.
fn built_in(size: &str, then: &str) -> (Output, String) {
    let guest = Guest::of_debian();
    let output = guest.output();
    let directory = output.parent().unwrap();
    let left = directory.with_file_name("left");
    let mut command = Command::new(UNSHARE.path());
    command
        .args(["-rm", "/bin/sh", "-euc", IN_A_MOUNT, "sh", text(directory)])
        .args([size, then, text(&left), XINITRD.path()])
        .args(guest.arguments(&["-o", text(&output), "--force"]));
    let done = fed(&mut command, b"");
    (done, fs::read_to_string(left).unwrap())
}

#[test]
fn an_image_that_does_not_fit_leaves_the_old_one_and_nothing_else() {
    let (done, left) = built_in("1m", "echo old >initrd.img");
    let said = utf8(done.stderr);
    assert_eq!(done.status.code(), Some(2), "{said}");
    assert!(said.contains("initrd.img"), "{said}");
    assert!(said.contains("No space left on device"), "{said}");
    assert_eq!(left, "4 initrd.img\n");
}

#[test]
fn a_read_only_file_system_is_told_and_stays_as_it_is() {
    let (done, left) = built_in("1m", "echo old >initrd.img; mount -o remount,ro .");
    let said = utf8(done.stderr);
    assert_eq!(done.status.code(), Some(2), "{said}");
    assert!(said.contains("Read-only file system"), "{said}");
    assert_eq!(left, "4 initrd.img\n");
}

#[test]
fn an_image_that_fits_is_all_there_is() {
    let (done, left) = built_in("8m", "true");
    assert!(done.status.success(), "{}", utf8(done.stderr));
    let (size, name) = left.split_once(' ').unwrap();
    assert_eq!(name, "initrd.img\n");
    assert!(size.parse::<u64>().unwrap() > 1 << 20, "{size}");
}
