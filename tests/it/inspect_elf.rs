//! The programs and scripts of an image, judged: real ones, with one thing amiss at a time.

use std::fs;

use xinitrd::arch::Arch;
use xinitrd::inspect::Guest;
use xinitrd::inspect::finding::Rule;
use xinitrd::inspect::guest_kernel::GuestKernel;
use xinitrd::inspect::rules::{elf, empty, libraries, scripts};
use xinitrd::root::Root;

use crate::judged::{Made, archive, file, found, judged, link, program};
use crate::readers::Tree;
use crate::support::{Tool, fetched, kernel_of, modules_of, text};

const OBJCOPY: Tool = Tool::of("objcopy", "binutils");

const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
const LOADER: &str = "lib64/ld-linux-x86-64.so.2";

fn rules() -> Vec<&'static Rule> {
    [elf::RULES, libraries::RULES, scripts::RULES].concat()
}

fn built(path: &str) -> Vec<u8> {
    fs::read(fetched("builders-amd64").join(path)).unwrap()
}

fn busybox(input: &str) -> Vec<u8> {
    fs::read(fetched(input).join("bin/busybox")).unwrap()
}

/// An entry by its path.
type Entry = (String, Made);

/// A shell as the init's interpreter, and mount with all that the guest's loader finds for it.
fn sound() -> Vec<Entry> {
    let mut entries = vec![
        ("init".to_owned(), program("init", "#!/bin/sh\nmount\n")),
        (
            "bin/busybox".to_owned(),
            program("bin/busybox", busybox("busybox-amd64")),
        ),
        ("bin/sh".to_owned(), link("bin/sh", "busybox")),
        (
            "bin/mount".to_owned(),
            program("bin/mount", built("usr/bin/mount")),
        ),
        (LOADER.to_owned(), program(LOADER, built(LOADER))),
        ("lib".to_owned(), link("lib", "usr/lib")),
    ];
    for name in [
        "libmount.so.1",
        "libblkid.so.1",
        "libselinux.so.1",
        "libpcre2-8.so.0",
        "libc.so.6",
    ] {
        let path = format!("{LIBRARIES}/{name}");
        entries.push((path.clone(), file(&path, built(&path))));
    }
    entries
}

/// The sound image without the entries at `without`, and with `more`.
fn image(without: &[&str], more: Vec<Made>) -> Vec<u8> {
    let kept = sound()
        .into_iter()
        .filter(|(path, _)| !without.contains(&path.as_str()));
    let entries: Vec<Made> = kept.map(|(_, made)| made).chain(more).collect();
    archive(&entries)
}

fn lines(image: Vec<u8>) -> Vec<String> {
    found(&judged(image, &Guest::default()), &rules())
}

#[test]
fn whatever_a_program_needs_to_start_is_found_where_its_loader_looks() {
    const PCRE: &str = "usr/lib/x86_64-linux-gnu/libpcre2-8.so.0";
    let pcre = || built(PCRE);
    let selinux = format!("{LIBRARIES}/libselinux.so.1: it needs libpcre2-8.so.0");
    let aside = || file("opt/libpcre2-8.so.0", pcre());
    let hwcaps = "lib/x86_64-linux-gnu/glibc-hwcaps/x86-64-v3/libpcre2-8.so.0";
    let cases: [(&[&str], Vec<Made>, Vec<String>); 8] = [
        (&[], vec![], vec![]),
        (
            &[LOADER],
            vec![],
            vec![format!(
                "error interpreter-missing bin/mount: its loader is /{LOADER}, not in the image"
            )],
        ),
        (
            &[PCRE],
            vec![],
            vec![format!("error library-missing {selinux}, not in the image")],
        ),
        (
            &[PCRE, "bin/mount"],
            vec![],
            vec![format!(
                "warning stray-library-incomplete {selinux}, not in the image"
            )],
        ),
        (
            &[PCRE],
            vec![aside()],
            vec![format!(
                "error library-missing {selinux}; /opt/libpcre2-8.so.0 is where the loader does not look"
            )],
        ),
        (
            &[PCRE],
            vec![aside(), file("etc/ld.so.cache", "\0")],
            vec![],
        ),
        (
            &[PCRE],
            vec![file(hwcaps.replacen("lib", "usr/lib", 1), pcre())],
            vec![],
        ),
        // Of a file with two names the last has the data.
        (
            &[PCRE],
            vec![
                file(PCRE, "").numbered(7),
                file("opt/other", pcre()).numbered(7),
            ],
            vec![],
        ),
    ];
    for (without, more, expected) in cases {
        assert_eq!(lines(image(without, more)), expected, "without {without:?}");
    }
}

#[test]
fn a_file_for_another_processor_or_not_whole_is_found_once() {
    let mount = built("usr/bin/mount");
    let half = mount[..mount.len() / 2].to_vec();
    let i386 = || busybox("busybox-i386");
    let cases: [(Vec<Made>, &[&str]); 10] = [
        (
            vec![program("bin/stray", i386())],
            &["error elf-wrong-machine bin/stray: 32-bit i386"],
        ),
        (vec![file("usr/lib/firmware/stray", i386())], &[]),
        (vec![file("usr/lib/firmware/cut", &half)], &[]),
        (
            vec![file("usr/lib/modules/6.1/x.ko", "")],
            &["error elf-damaged usr/lib/modules/6.1/x.ko: an empty file"],
        ),
        (
            vec![file("usr/lib/modules/6.1/x.ko", "#!/bin/sh\n")],
            &["error elf-damaged usr/lib/modules/6.1/x.ko: a text, not an ELF file"],
        ),
        (
            vec![file("usr/lib/modules/6.1/x.ko.xz", "\0")],
            &["error elf-damaged usr/lib/modules/6.1/x.ko.xz: no ELF file"],
        ),
        (vec![file("usr/lib/x.txt", "")], &[]),
        // `ko` is the code of Korean.
        (vec![file("usr/share/strings.ko", "words\n")], &[]),
        (vec![file("usr/share/strings.ko", "\0")], &[]),
        (
            vec![
                program("init", "#!/bin/sh\nmount\ninsmod /x.ko\n"),
                file("x.ko", "words\n"),
                file("y.ko", "words\n"),
            ],
            &["error elf-damaged x.ko: a text, not an ELF file"],
        ),
    ];
    for (more, expected) in cases {
        assert_eq!(lines(image(&[], more)), expected);
    }
    let cut = lines(image(&["bin/mount"], vec![program("bin/mount", half)]));
    assert_eq!(cut.len(), 1, "{cut:?}");
    assert!(
        cut[0].starts_with("error elf-damaged bin/mount: a truncated ELF file"),
        "{cut:?}"
    );
}

#[test]
fn the_architecture_is_what_was_said() {
    let guest = Guest {
        arch: Some(Arch::Aarch64),
        ..Guest::default()
    };
    let found = found(&judged(image(&[], vec![]), &guest), &rules());
    assert_eq!(found.len(), 8, "{found:?}");
    for line in found {
        let (_, is) = line.split_once(": ").unwrap();
        assert!(
            line.starts_with("error elf-wrong-machine") && is == "64-bit x86_64",
            "{line}"
        );
    }
}

#[test]
fn a_script_is_told_whose_interpreter_is_not_there() {
    let hook = |line: &str| program("hook", format!("#!{line}\nwords\n"));
    let missing = "warning script-interpreter-missing hook: it is run by";
    for (made, expected) in [
        (hook("/bin/sh -e"), vec![]),
        (
            hook("/usr/bin/perl -w"),
            vec![format!("{missing} /usr/bin/perl, not in the image")],
        ),
        (
            hook("/bin/mount/sh"),
            vec![format!("{missing} /bin/mount/sh, not in the image")],
        ),
        (file("hook", "#!/usr/bin/perl\n"), vec![]),
    ] {
        assert_eq!(lines(image(&[], vec![made])), expected);
    }
    let env = |line: &str| vec![link("bin/env", "busybox"), hook(line)];
    assert_eq!(lines(image(&[], env("/bin/env -S A=b sh -e"))), [""; 0]);
    let expected = format!("{missing} python3, not in the image");
    assert_eq!(lines(image(&[], env("/bin/env python3"))), [expected]);
    let expected = "error script-interpreter-missing init: it is run by /bin/sh, not in the image";
    assert_eq!(lines(image(&["bin/sh"], vec![])), [expected]);
}

#[test]
fn an_object_without_what_makes_a_module_of_it_is_not_called_cut() {
    let root = fetched("kernel-6.1-amd64");
    let place = format!(
        "{}/{}/kernel/fs/ext4/ext4.ko",
        modules_of(&root),
        kernel_of(&root)
    );
    let directory = tempfile::tempdir().unwrap();
    let [from, to] = [root.join(place), directory.path().join("ext4.ko")];
    OBJCOPY.run(&["-R", ".modinfo", text(&from), text(&to)], b"");
    let module = fs::read(to).unwrap();
    let inspection = judged(archive(&[file("ext4.ko", module)]), &Guest::default());
    let told = inspection
        .findings
        .iter()
        .find(|finding| finding.rule.name == "elf-damaged");
    let told = told.unwrap();
    assert!(
        told.found
            .starts_with("an object file without a .modinfo section"),
        "{told:?}"
    );
    assert!(
        told.cure.starts_with("Put the kernel's own module there"),
        "{told:?}"
    );
}

#[test]
fn a_file_of_which_only_the_name_is_left_is_no_program() {
    let rules = [elf::RULES, empty::RULES, libraries::RULES].concat();
    let emptied = |path: &str, more: Vec<Made>| {
        let of_nothing = program(path, "");
        let image = image(&[path], [vec![of_nothing], more].concat());
        found(&judged(image, &Guest::default()), &rules)
    };
    let libc = format!("{LIBRARIES}/libc.so.6");
    let real = format!("{LIBRARIES}/libc-2.36.so");
    for (path, more, expected) in [
        ("bin/busybox", vec![], "error empty-program bin/busybox"),
        (
            LOADER,
            vec![],
            "error empty-program lib64/ld-linux-x86-64.so.2",
        ),
        (
            libc.as_str(),
            vec![],
            "error empty-program usr/lib/x86_64-linux-gnu/libc.so.6",
        ),
        (
            real.as_str(),
            vec![link(&libc, "libc-2.36.so")],
            "error empty-program usr/lib/x86_64-linux-gnu/libc-2.36.so",
        ),
        ("sbin/tool", vec![], "warning empty-program sbin/tool"),
    ] {
        assert_eq!(emptied(path, more), [format!("{expected}: an empty file")]);
    }
    assert_eq!(emptied("etc/hooks", vec![]), [""; 0]);
}

#[test]
fn a_loader_that_nobody_may_execute_and_a_library_that_is_none_are_told() {
    const PCRE: &str = "usr/lib/x86_64-linux-gnu/libpcre2-8.so.0";
    let selinux = format!("{LIBRARIES}/libselinux.so.1: it needs libpcre2-8.so.0");
    let none = vec![format!(
        "error library-missing {selinux}; /{PCRE} is no ELF file"
    )];
    for (path, instead, expected) in [
        (LOADER, program(LOADER, built(LOADER)), vec![]),
        (
            LOADER,
            file(LOADER, built(LOADER)),
            vec![format!(
                "error interpreter-missing bin/mount: its loader is /{LOADER}, which has mode 0644"
            )],
        ),
        (PCRE, file(PCRE, "a text\n"), none.clone()),
        (PCRE, file(PCRE, [0; 999]), none),
        // Of an empty one that is told.
        (
            PCRE,
            file(PCRE, ""),
            vec![format!("error empty-program {PCRE}: an empty file")],
        ),
    ] {
        let found = found(
            &judged(image(&[path], vec![instead]), &Guest::default()),
            &[&rules()[..], empty::RULES].concat(),
        );
        assert_eq!(found, expected);
    }
}

#[test]
fn an_interpreters_path_ends_at_its_first_nul_and_its_segment_at_one() {
    let mount = built("usr/bin/mount");
    let path = b"/lib64/ld-linux-x86-64.so.2\0";
    let asking_for = |interpreter: &[u8]| {
        let at = memchr::memmem::find(&mount, path).unwrap();
        let mut bytes = mount.clone();
        bytes[at..at + path.len()].copy_from_slice(interpreter);
        vec![program("bin/mount", bytes)]
    };
    let mut padded = [0; 28];
    padded[..7].copy_from_slice(b"/lib/ld");
    for (interpreter, expected) in [
        (
            &padded,
            vec!["error interpreter-missing bin/mount: its loader is /lib/ld, not in the image"],
        ),
        (path, vec![]),
        (
            b"/lib64/ld-linux-x86-64.so.22",
            vec!["error elf-damaged bin/mount: a damaged ELF file: its interpreter is no path"],
        ),
    ] {
        assert_eq!(
            lines(image(&["bin/mount"], asking_for(interpreter))),
            expected
        );
    }
}

/// The processor of another machine.
fn of_machine(program: &[u8], machine: u8) -> Vec<u8> {
    let mut program = program.to_vec();
    program[18] = machine; // e_machine
    program
}

#[test]
fn a_32_bit_program_is_a_warning_where_the_kernel_is_known_to_run_it() {
    const ARM: u8 = 40;
    let of_x86 = busybox("busybox-i386");
    let of_arm = of_machine(&of_x86, ARM);
    let error = |kind: &str| vec![format!("error elf-wrong-machine init: {kind}")];
    let warning = |kind: &str, option: &str| {
        let why = format!("which the kernel runs by CONFIG_{option}");
        vec![format!("warning elf-wrong-machine init: {kind}, {why}")]
    };
    let x86 = "CONFIG_IA32_EMULATION=y\n";
    let off = format!("{x86}CONFIG_IA32_EMULATION_DEFAULT_DISABLED=y\n");
    let arm = "CONFIG_COMPAT=y\n";
    for (arch, init, configuration, expected) in [
        (Arch::X86_64, &of_x86, None, error("32-bit i386")),
        (
            Arch::X86_64,
            &of_x86,
            Some(x86),
            warning("32-bit i386", "IA32_EMULATION"),
        ),
        (Arch::X86_64, &of_x86, Some(arm), error("32-bit i386")),
        (
            Arch::X86_64,
            &of_x86,
            Some(off.as_str()),
            error("32-bit i386"),
        ),
        (Arch::X86_64, &of_arm, Some(x86), error("32-bit arm")),
        (Arch::Aarch64, &of_arm, None, error("32-bit arm")),
        (
            Arch::Aarch64,
            &of_arm,
            Some(arm),
            warning("32-bit arm", "COMPAT"),
        ),
        (Arch::Aarch64, &of_x86, Some(arm), error("32-bit i386")),
    ] {
        let root = configuration.map(|lines| {
            let text = format!("==> boot/config-1 <==\n{lines}");
            let root = Root::new(Box::new(Tree::read(text.as_bytes())));
            GuestKernel::read(&root, "1").unwrap()
        });
        let guest = Guest {
            arch: Some(arch),
            root,
            ..Guest::default()
        };
        let inspection = judged(archive(&[program("init", init)]), &guest);
        assert_eq!(
            found(&inspection, elf::RULES),
            expected,
            "{arch} {configuration:?}"
        );
    }
}
