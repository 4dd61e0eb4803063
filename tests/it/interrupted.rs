//! Writing that cannot go on: a file that may not grow, a reader that goes, a signal.

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::scene::{LARGE, PATIENCE, Scene, run, under_shell, wait, words};
use crate::support::XINITRD;

const LARGE_ARGS: [&str; 6] = ["--with", "large", "--level", "12", "--threads", "1"];

#[test]
fn a_file_that_may_not_grow_is_taken_away() {
    let scene = Scene::new(LARGE);
    let output = run(&mut under_shell(
        "ulimit -f 2048",
        &scene.build(&LARGE_ARGS),
        &scene,
    ));
    assert_eq!(output.status.code(), Some(2), "{}", words(&output));
    let expected = "xinitrd: out/initrd.img
    found:    File too large (os error 27)
    expected: a place where a file can be made, and written whole
    do:       raise the limit on the size of files (ulimit -f)
1 problem; nothing was written
";
    assert_eq!(words(&output), expected);
    assert_eq!(scene.left(), [""; 0]);
}

#[test]
fn a_full_medium_is_told_and_what_of_the_image_is_left() {
    let scene = Scene::new("");
    let command = scene.build(&["-o", "-"]);
    let output = run(&mut under_shell("exec >/dev/full", &command, &scene));
    assert_eq!(output.status.code(), Some(2));
    let expected = "xinitrd: standard output
    found:    No space left on device (os error 28)
    expected: to take the whole image
    do:       make room there, or write to another place
1 problem; what was written is no whole image
";
    assert_eq!(words(&output), expected);
}

#[test]
fn an_image_whose_report_is_lost_stands_and_is_said_to() {
    let scene = Scene::new("");
    let sound = run(&mut scene.build(&[]));
    assert_eq!(sound.status.code(), Some(0), "{}", words(&sound));
    let image = fs::read(scene.path("out/initrd.img")).unwrap();
    for args in [&["-f"][..], &["-f", "--json"]] {
        fs::write(scene.path("out/initrd.img"), b"old").unwrap();
        let command = scene.build(args);
        let output = run(&mut under_shell("exec >/dev/full", &command, &scene));
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let expected = "xinitrd: the report
    found:    No space left on device (os error 28)
    expected: a place to print it
    do:       use the image: it is good; for its report, run this again with -f
1 problem; out/initrd.img is written, and whole
";
        assert_eq!(words(&output), expected, "{args:?}");
        assert_eq!(fs::read(scene.path("out/initrd.img")).unwrap(), image);
        assert_eq!(scene.left(), ["initrd.img"]);
    }
}

#[test]
fn words_that_nobody_hears_leave_the_exit_code_as_it_is() {
    let scene = Scene::new("put(MODULE, b'')");
    let output = run(&mut under_shell(
        "exec 2>/dev/full",
        &scene.build(&[]),
        &scene,
    ));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn notes_that_nobody_hears_do_not_end_a_resolve() {
    let scene = Scene::new("put(DEP, open(DEP).read() + 'garbage\\n')");
    let resolve = scene.resolve(&["ext3"]);
    let heard = run(&mut under_shell("true", &resolve, &scene));
    assert!(words(&heard).starts_with("xinitrd: note: "), "{heard:?}");
    let unheard = run(&mut under_shell("exec 2>/dev/full", &resolve, &scene));
    assert_eq!(unheard.status.code(), Some(0));
    assert_eq!(unheard.stdout, heard.stdout);
}

#[test]
fn a_reader_that_goes_early_ends_it_without_a_word() {
    let scene = Scene::new(LARGE);
    let args = [&LARGE_ARGS[..], &["-o", "-"]].concat();
    let mut child = scene
        .build(&args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = child.stdout.take().unwrap();
    reader.read_exact(&mut [0; 1000]).unwrap();
    drop(reader);
    let ended = wait(&mut child);
    let output = child.wait_with_output().unwrap();
    assert!(ended, "it hangs");
    assert_eq!(
        (output.status.code(), words(&output).as_str()),
        (Some(2), "")
    );
    assert_eq!(scene.left(), [""; 0]);
}

#[test]
fn a_signal_while_writing_leaves_nothing_and_is_told_by_the_exit_code() {
    let scene = Scene::new(LARGE);
    for (signal, number) in [("INT", 2), ("TERM", 15), ("HUP", 1), ("QUIT", 3)] {
        let mut child = scene
            .build(&LARGE_ARGS)
            .arg("--json")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while !is_writing(&scene, child.id()) && started.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
        let kill = format!("kill -{signal} {}", child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
        let ended = wait(&mut child);
        let output = child.wait_with_output().unwrap();
        assert!(ended, "it goes on after {signal}");
        let code = output.status.code();
        assert_eq!(code, Some(128 + number), "{signal}: {}", words(&output));
        let expected = "xinitrd: interrupted; no image was written\n";
        assert_eq!(words(&output), expected);
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["problems"][0]["found"], format!("signal {number}"));
        assert_eq!(scene.left(), [""; 0], "{signal}");
    }
}

/// The command with no signal ignored, as a shell has some of them for what it runs in the background.
fn heeding_signals(command: &Command, scene: &Scene) -> Command {
    let mut env = Command::new("env");
    env.arg("--default-signal")
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(&scene.0);
    env
}

#[test]
fn a_signal_while_standard_output_takes_nothing_more_ends_it_by_that_signal() {
    let scene = Scene::new(LARGE);
    let args = [&LARGE_ARGS[..], &["-o", "-"]].concat();
    for (signal, number) in [("INT", 2), ("TERM", 15), ("HUP", 1), ("QUIT", 3)] {
        let mut child = heeding_signals(&scene.build(&args), &scene)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut reader = child.stdout.take().unwrap();
        // It is at work, and stalls when the pipe is full.
        reader.read_exact(&mut [0; 1000]).unwrap();
        let kill = format!("kill -{signal} {}", child.id());
        let sent = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(sent.success());
        let ended = wait(&mut child);
        drop(reader);
        let output = child.wait_with_output().unwrap();
        assert!(ended, "it goes on after {signal}");
        assert_eq!(output.status.signal(), Some(number), "{output:?}");
        assert_eq!(words(&output), "");
        assert_eq!(scene.left(), [""; 0], "{signal}");
    }
}

#[test]
fn more_threads_than_a_machine_has_are_not_asked_of_it() {
    // Without an index every module is read, by as many threads as there may be.
    let scene = Scene::new(&format!(
        "{LARGE}\nfor n in range(600): put(f'{{D}}/kernel/t/t{{n}}.ko', m.module(f't{{n}}', V))"
    ));
    let args = ["--with", "large", "--level", "1", "--force", "--threads"];
    let image = |threads| {
        let output = run(&mut scene.build(&[&args[..], &[threads]].concat()));
        assert_eq!(output.status.code(), Some(0), "{}", words(&output));
        fs::read(scene.path("out/initrd.img")).unwrap()
    };
    assert!(image("1") == image("18446744073709551615"), "other bytes");
}

#[test]
fn an_image_is_made_where_the_system_gives_no_thread_at_all() {
    let scene = Scene::new(LARGE);
    let mut build = scene.build(&["--with", "large", "--threads", "8", "--json", "-f"]);
    let mut made = |stack: Option<u64>| {
        build.envs(stack.map(|bytes| ("RUST_MIN_STACK", bytes.to_string())));
        let output = run(&mut build);
        assert_eq!(output.status.code(), Some(0), "{}", words(&output));
        let image = fs::read(scene.path("out/initrd.img")).unwrap();
        (output.stdout, image)
    };
    let usual = made(None);
    // A stack that no machine has: no thread can be started.
    assert!(made(Some(1 << 60)) == usual, "other bytes");
}

#[test]
fn an_end_without_warning_leaves_nothing() {
    let scene = Scene::new(LARGE);
    let mut child = scene.build(&LARGE_ARGS).spawn().unwrap();
    let started = Instant::now();
    while !is_writing(&scene, child.id()) && started.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert_eq!(scene.left(), [""; 0]);
}

#[test]
fn a_signal_while_packages_are_unpacked_leaves_no_half_of_them() {
    let scene = Scene::new(
        "import tarfile\nbig = tarfile.TarInfo('big'); big.size = 1 << 30\n\
         open('big.tar', 'wb').write(big.tobuf()); os.truncate('big.tar', big.size + 4096)\n\
         os.mkdir('there'); put('there/own', b'own')",
    );
    let names = |under: &str| -> Vec<String> {
        let names = fs::read_dir(scene.path(under)).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    };
    let staged = || {
        names("")
            .into_iter()
            .find(|name| name.starts_with(".xinitrd-"))
    };
    let is_unpacking = |to: &str| match to {
        "new" => staged().is_some_and(|staged| scene.path(&staged).join("big").exists()),
        to => scene.path(to).join("big").exists(),
    };
    for (to, signal, number, left) in [
        ("new", "INT", 2, "nothing was unpacked"),
        ("new", "TERM", 15, "nothing was unpacked"),
        ("there", "INT", 2, "not all was unpacked"),
    ] {
        let mut child = Command::new(XINITRD)
            .args(["import", "big.tar", "-C", to])
            .current_dir(&scene.0)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while !is_unpacking(to) && started.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
        let kill = format!("kill -{signal} {}", child.id());
        let sent = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(sent.success());
        let ended = wait(&mut child);
        let output = child.wait_with_output().unwrap();
        assert!(ended, "it goes on after {signal}");
        assert_eq!(output.status.code(), Some(128 + number), "{output:?}");
        let expected = format!("xinitrd: interrupted; {left}\n");
        assert_eq!(words(&output), expected);
        assert_eq!(staged(), None, "{signal}");
        assert!(!scene.path("new").exists(), "{signal}");
        assert_eq!(names("there"), ["own"], "{signal}");
    }
}

/// Whether the process has written something of the image into the output's directory already, under no name.
fn is_writing(scene: &Scene, process: u32) -> bool {
    let out = fs::canonicalize(scene.path("out")).unwrap();
    let open = fs::read_dir(format!("/proc/{process}/fd")).into_iter();
    let open = open.flatten().map(|entry| entry.unwrap().path());
    let is_output = |file: &PathBuf| fs::read_link(file).is_ok_and(|path| path.starts_with(&out));
    let mut files = open.filter(is_output);
    files.any(|file| fs::metadata(file).is_ok_and(|file| file.len() > 0))
}
