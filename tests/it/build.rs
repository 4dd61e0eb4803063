//! Whole images: what is in them by GNU cpio and bsdtar, and how the command makes them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::guest::{EL4_KERNEL, EL5_KERNEL, Guest, scratch};
use crate::support::{
    Tool, XINITRD, fed, testdata, text, utf8, without_rights, xinitrd, xinitrd_prints,
};

const CPIO: Tool = Tool::of("cpio", "cpio");
const GZIP: Tool = Tool::of("gzip", "gzip");
const BSDTAR: Tool = Tool::of("bsdtar", "libarchive-tools");
const PYTHON: Tool = Tool::of("python3", "python3");
const CP: Tool = Tool::of("cp", "coreutils");
const STRACE: Tool = Tool::of("strace", "strace");
const ENV: Tool = Tool::of("env", "coreutils");

/// The names in `archive`, as GNU cpio lists them.
fn names(archive: &[u8]) -> Vec<String> {
    let listed = utf8(CPIO.run(&["-it", "--quiet"], archive));
    listed.lines().map(str::to_owned).collect()
}

/// A line of `cpio -itv` as the references have it: `MODE TYPE PATH [MAJOR:MINOR | -> TARGET]`.
fn reference_line(listed: &str) -> String {
    let words: Vec<&str> = listed.split_whitespace().collect();
    let (kind, permissions) = words[0].split_at(1);
    assert_eq!(words[2..4], ["0", "0"], "root owns everything: {listed}");
    // A device's line has its numbers, `5, 1`, where others have their size.
    let (device, rest) = match kind {
        "c" | "b" => (
            format!(" {}:{}", words[4].trim_end_matches(','), words[5]),
            &words[9..],
        ),
        _ => (String::new(), &words[8..]),
    };
    let kind = if kind == "-" { "f" } else { kind };
    let mode = permissions.bytes().fold(0, |mode, bit| {
        assert!(b"rwx-".contains(&bit), "special bits: {listed}");
        mode << 1 | u32::from(bit != b'-')
    });
    format!("{mode:04o} {kind} {}{device}", rest.join(" "))
}

/// The entries of `archive` but its `.`, as the references have them.
fn entries(archive: &[u8]) -> Vec<String> {
    let arguments = ["-itv", "--quiet", "--numeric-uid-gid"];
    let listed = utf8(CPIO.run(&arguments, archive));
    let entries = listed.lines().map(reference_line);
    let mut entries: Vec<String> = entries
        .filter(|entry| entry.split(' ').nth(2) != Some("."))
        .collect();
    sort_by_path(&mut entries);
    entries
}

fn sort_by_path(entries: &mut [String]) {
    entries.sort_by_key(|entry| entry.split(' ').nth(2).map(str::to_owned));
}

fn reference(generation: &str) -> Vec<String> {
    let text = fs::read_to_string(testdata(&format!("el/reference-{generation}.txt"))).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut entries: Vec<String> = lines.map(str::to_owned).collect();
    sort_by_path(&mut entries);
    entries
}

#[test]
fn the_images_of_2008_are_those_written_by_hand() {
    for (generation, kernel) in [("el4", EL4_KERNEL), ("el5", EL5_KERNEL)] {
        let archive = Guest::of_2008(generation, kernel, &[]).archive();
        assert_eq!(entries(&archive), reference(generation), "{generation}");
        let init = CPIO.run(&["-i", "--quiet", "--to-stdout", "init"], &archive);
        let by_hand = fs::read(testdata(&format!("nash/{generation}.init"))).unwrap();
        assert_eq!(utf8(init), utf8(by_hand), "{generation}");
    }
}

#[test]
fn a_nash_of_the_wrong_class_is_refused_and_nothing_is_written() {
    for (generation, kernel) in [("el4", EL4_KERNEL), ("el5", EL5_KERNEL)] {
        let guest = Guest::of_2008(generation, kernel, &["--bits-of", "nash=i386"]);
        let output = guest.output();
        let done = xinitrd(&guest.arguments(&["-o", text(&output)]));
        assert_eq!((done.status.code(), done.stdout), (Some(1), vec![]));
        let said = utf8(done.stderr);
        let nash = guest.bins.join("nash");
        for fact in [text(&nash), "32-bit i386", "64-bit x86_64", "mkinitrd"] {
            assert!(said.contains(fact), "{said} should name {fact}");
        }
        let written = output.parent().unwrap().read_dir().unwrap().count();
        assert_eq!(written, 0, "something was written");
    }
}

#[test]
fn cpio_bsdtar_and_the_report_list_the_same_names_in_the_same_order() {
    let guest = Guest::of_debian();
    let output = guest.output();
    let report = xinitrd_prints(&guest.arguments(&["--json", "-o", text(&output)]));
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    let reported = report["entries"].as_array().unwrap().iter();
    let reported: Vec<&str> = reported
        .map(|entry| entry["path"].as_str().unwrap())
        .collect();
    let by_bsdtar = utf8(BSDTAR.run(&["-tf", text(&output)], b""));
    let by_bsdtar: Vec<&str> = by_bsdtar.lines().collect();
    let by_cpio = names(&GZIP.run(&["-dc", text(&output)], b""));
    assert_eq!(by_cpio, reported);
    assert_eq!(by_bsdtar, reported);
    for name in ["init", "bin/busybox", "dev/console"] {
        assert!(reported.contains(&name), "{name} is in the image");
    }
}

/// The inode number and the time of every entry (the kernel's `buffer-format` document).
fn numbers_and_times(archive: &[u8]) -> (Vec<u32>, Vec<u32>) {
    let (mut numbers, mut times, mut at) = (Vec::new(), Vec::new(), 0);
    loop {
        let field = |index: usize| {
            let from = at + 6 + 8 * index;
            let digits = std::str::from_utf8(&archive[from..from + 8]).unwrap();
            u32::from_str_radix(digits, 16).unwrap()
        };
        let (size, name_size) = (field(6) as usize, field(11) as usize);
        let name = &archive[at + 110..at + 110 + name_size - 1];
        if name == b"TRAILER!!!" {
            return (numbers, times);
        }
        numbers.push(field(0));
        times.push(field(5));
        at = (at + 110 + name_size).next_multiple_of(4) + size.next_multiple_of(4);
    }
}

#[test]
fn every_entry_has_a_number_of_its_own_and_no_time_but_the_one_given() {
    let guest = Guest::of_2008("el4", EL4_KERNEL, &[]);
    for (epoch, time) in [(None, 0), (Some("1234567890"), 1_234_567_890)] {
        let output = guest.output();
        let mut command = Command::new(XINITRD);
        command.args(guest.arguments(&["--force", "--compress=none", "-o", text(&output)]));
        command.env_remove("SOURCE_DATE_EPOCH");
        command.envs(epoch.map(|epoch| ("SOURCE_DATE_EPOCH", epoch)));
        assert!(fed(&mut command, b"").status.success());
        let (numbers, times) = numbers_and_times(&fs::read(&output).unwrap());
        // GNU cpio takes files of one number for hard links.
        assert_eq!(numbers, (1..=numbers.len() as u32).collect::<Vec<_>>());
        assert!(times.iter().all(|&found| found == time), "{times:?}");
    }
}

/// Prints how many bytes follow the one gzip member that a file begins with, and its content's size.
const ONE_MEMBER: &str = "
import sys, zlib
member = zlib.decompressobj(zlib.MAX_WBITS | 16)
content = member.decompress(open(sys.argv[1], 'rb').read())
assert member.eof, 'the member has no end'
print(len(member.unused_data), len(content))
";

#[test]
fn the_image_is_one_gzip_member_and_nothing_after_it() {
    let guest = Guest::of_debian();
    let output = guest.output();
    xinitrd_prints(&guest.arguments(&["-o", text(&output)]));
    GZIP.run(&["-t", text(&output)], b"");
    let archive = GZIP.run(&["-dc", text(&output)], b"");
    let found = PYTHON.run(&["-c", ONE_MEMBER, text(&output)], b"");
    assert_eq!(utf8(found), format!("0 {}\n", archive.len()));
}

/// An image built under a umask and an environment.
fn image_under(guest: &Guest, umask: &str, threads: &str, environment: &[(&str, &str)]) -> Vec<u8> {
    let script = format!("umask {umask}; exec \"$0\" \"$@\"");
    let output = guest.output();
    let more = ["--force", "--threads", threads, "-o", text(&output)];
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &script, XINITRD.path()])
        .args(guest.arguments(&more))
        .envs(environment.iter().copied());
    let done = fed(&mut command, b"");
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    fs::read(output).unwrap()
}

#[test]
fn threads_umask_and_environment_do_not_change_a_byte() {
    let guests = [
        Guest::of_2008("el4", EL4_KERNEL, &["--with-extra"]),
        Guest::of_debian(),
    ];
    for guest in guests {
        let first = image_under(&guest, "022", "1", &[]);
        let others = [
            ("022", "2", vec![]),
            ("022", "5", vec![("LC_ALL", "C")]),
            (
                "077",
                "2",
                vec![("LC_ALL", "tr_TR.UTF-8"), ("TZ", "Asia/Tokyo")],
            ),
            (
                "000",
                "5",
                vec![("LANG", "de_DE.UTF-8"), ("HOME", "/nonexistent")],
            ),
        ];
        for (umask, threads, environment) in others {
            let other = image_under(&guest, umask, threads, &environment);
            let how = format!("umask {umask}, {threads} threads, {environment:?}");
            assert!(first == other, "other bytes under {how}");
        }
    }
}

#[test]
fn a_user_without_rights_makes_the_same_image_of_a_copied_tree() {
    let guest = Guest::of_2008("el4", EL4_KERNEL, &["--with-extra"]);
    let first = image_under(&guest, "022", "1", &[]);
    // What is copied is of today, in directories of another order; all may read it.
    let copy = scratch();
    fs::set_permissions(copy.path(), Permissions::from_mode(0o755)).unwrap();
    let (root, program) = (copy.path().join("root"), copy.path().join("program"));
    CP.run(&["-r", text(&guest.root), text(&root)], b"");
    fs::copy(XINITRD, &program).unwrap();
    let bins = root.join("bins");
    let copied = Guest::new(copy, root, bins, EL4_KERNEL, &["--omit-scsi-modules"]);
    let output = copied.output();
    let directory = output.parent().unwrap();
    fs::set_permissions(directory, Permissions::from_mode(0o777)).unwrap();
    let done = fed(
        without_rights(&program).args(copied.arguments(&["-o", text(&output)])),
        b"",
    );
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    assert!(first == fs::read(output).unwrap(), "other bytes");
}

/// What a process on Linux opens on its own account: how its path begins, how its file name begins,
/// and why.
const PROCESS_START: [(&str, &str, &str); 12] = [
    (
        "/etc/",
        "ld.so.cache",
        "the loader looks libraries up in it",
    ),
    ("/usr/lib", "libc.so.", "the C library"),
    ("/usr/lib", "libm.so.", "its mathematics"),
    ("/usr/lib", "libgcc_s.so.", "the unwinder of Rust's runtime"),
    ("/lib", "libc.so.", "the three where /usr is not merged"),
    ("/lib", "libm.so.", "the three where /usr is not merged"),
    ("/lib", "libgcc_s.so.", "the three where /usr is not merged"),
    ("/proc/", "maps", "Rust's runtime: where the stack ends"),
    (
        "/proc/",
        "cgroup",
        "how many processors there are: the control group",
    ),
    (
        "/proc/",
        "mountinfo",
        "the same: where control groups are mounted",
    ),
    ("/sys/fs/cgroup/", "cpu.", "the same: what the group allows"),
    (
        "/proc/sys/vm/",
        "overcommit_memory",
        "the C library's allocator: how a thread's heap is given back",
    ),
];

/// The paths that `trace` says were opened, as the kernel resolved them.
fn opened(trace: &str) -> Vec<PathBuf> {
    let opens = trace.lines().filter(|line| line.starts_with("open"));
    let done = opens.filter(|line| !line.contains(") = -1 "));
    done.map(|line| {
        // strace -y shows a descriptor as 3</path>.
        let (_, descriptor) = line.rsplit_once(") = ").unwrap();
        let (_, path) = descriptor.split_once('<').unwrap();
        PathBuf::from(path.rsplit_once('>').unwrap().0)
    })
    .collect()
}

fn is_process_start(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_str().unwrap();
    PROCESS_START.iter().any(|(directory, beginning, _)| {
        text(path).starts_with(directory) && name.starts_with(beginning)
    })
}

/// Builds under strace, without any environment, and gives what its processes and threads did.
fn traces(guest: &Guest, output: &Path) -> Vec<String> {
    let logs = scratch();
    let log = logs.path().join("log");
    let mut command = Command::new(ENV.path());
    command
        .args(["-i", "PATH=/nonexistent"])
        .arg(STRACE.path())
        .args([
            "-ff",
            "-y",
            "-e",
            "trace=execve,execveat,open,openat,openat2",
        ])
        .args(["-o", text(&log), XINITRD.path()])
        .args(guest.arguments(&["--threads", "3", "-o", text(output)]));
    let done = fed(&mut command, b"");
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let logs = logs.path().read_dir().unwrap();
    logs.map(|log| fs::read_to_string(log.unwrap().path()).unwrap())
        .collect()
}

#[test]
fn no_other_program_is_started_and_nothing_outside_the_inputs_is_opened() {
    let guests = [
        Guest::of_2008("el4", EL4_KERNEL, &[]),
        Guest::of_2008("el5", EL5_KERNEL, &[]),
        Guest::of_debian(),
    ];
    for guest in guests {
        let output = guest.output();
        let traces = traces(&guest, &output);
        let lines = traces.iter().flat_map(|trace| trace.lines());
        let started: Vec<&str> = lines.filter(|line| line.starts_with("exec")).collect();
        assert_eq!(started.len(), 1, "{started:?}");
        let opened: Vec<PathBuf> = traces.iter().flat_map(|trace| opened(trace)).collect();
        let inputs = [guest.root.as_path(), &guest.bins, output.parent().unwrap()];
        let (asked, rest): (Vec<PathBuf>, _) = opened
            .into_iter()
            .partition(|path| inputs.iter().any(|input| path.starts_with(input)));
        assert!(asked.len() > 5, "the trace shows what was read: {asked:?}");
        let strange: Vec<PathBuf> = rest
            .into_iter()
            .filter(|path| !is_process_start(path))
            .collect();
        assert_eq!(strange, Vec::<PathBuf>::new());
    }
}

#[test]
fn what_a_process_opens_at_its_start_holds_none_of_the_hosts_modules_or_programs() {
    let host = [
        "/lib/modules/6.1.0/kernel/fs/ext4/ext4.ko",
        "/usr/lib/modules/6.1.0/modules.dep",
        "/etc/modprobe.d/lib.conf",
        "/bin/busybox",
        "/proc/modules",
        "/proc/cmdline",
    ];
    for path in host {
        assert!(!is_process_start(Path::new(path)), "{path}");
    }
}
