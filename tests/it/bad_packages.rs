//! Packages that are cut short, damaged, encrypted, or made to hurt whoever reads them: each is refused with its
//! reason, takes neither memory nor patience, and leaves nothing, least of all outside the directory it was to go to.

use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use xinitrd::archive::Limits;
use xinitrd::image_path::ImagePath;
use xinitrd::package::files::{Interest, Keep, PackageFiles};
use xinitrd::package::{self, Facts, PackageError};
use xinitrd::root::Files;

use crate::packages::{command, recipe};
use crate::scene::{Scene, run, words};
use crate::support::{Tool, XINITRD, testdata, text};

const TIME: Tool = Tool::of("time", "time");

/// What is made of a package's bytes, all of it looked at.
fn read(bytes: &[u8]) -> Result<Facts, PackageError> {
    package::read(bytes, &package::LIMITS, &mut |_, data| {
        io::copy(data, &mut io::sink())?;
        Ok(ControlFlow::Continue(()))
    })
}

/// A small package of every kind.
const SMALL: &str = "
os.makedirs('small/sbin'); put('small/sbin/a', b'a' * 700); put('small/b', random.Random(1).randbytes(900)); os.symlink('a', 'small/sbin/c')
for kind in ['gz', 'xz', 'zst', 'bz2', '']: p.deb(f'{kind}.deb', 'small', kind)
for kind in ['gz', 'xz', 'zst']: p.pacman(f'{kind}.pkg.tar', 'small', kind)
p.apk('small.apk', 'small')
for kind in ['gz', 'xz', '']: p.write(f'{kind}.tar', p.compressed(p.run('tar', '-C', 'small', '-c', '.'), kind))
for payload in ['w9.gzdio', 'w3.zstdio', 'w.ufdio']:
    p.rpmbuild(p.SPEC.format(name=payload, version=1, release=1, files='/'), 'small', '.', payload)
p.raw_rpm('old.rpm', p.tree_files('small'), old_names=True)
p.raw_rpm('large.rpm', p.tree_files('small'), stripped=True, md5=False)
p.raw_rpm('none.rpm', p.tree_files('small'), payload='', md5=False)
p.raw_rpm('node.rpm', [('/null', 0o20666, b'no device has data'), ('/b', 0o100644, b'b')], payload='', md5=False)
";

fn small() -> Vec<(String, Vec<u8>)> {
    let scene = Scene::new(&recipe(SMALL));
    let names = fs::read_dir(&scene.0).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let is_package = |name: &String| {
        [".deb", ".tar", ".apk", ".rpm"]
            .iter()
            .any(|end| name.ends_with(end))
    };
    let mut names: Vec<String> = names.filter(is_package).collect();
    names.sort();
    assert_eq!(names.len(), 19, "{names:?}");
    let read = |name: String| {
        let bytes = fs::read(scene.path(&name)).unwrap();
        (name, bytes)
    };
    names.into_iter().map(read).collect()
}

/// Small packages, for a reader to be tried out on.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    small()
}

#[test]
fn a_package_that_ends_too_early_is_refused_wherever_that_is() {
    for (name, whole) in small() {
        read(&whole).unwrap_or_else(|error| panic!("{name}: {error}"));
        // Behind the last file of a tar archive are zeros, behind an ar member one byte may be.
        let needed = match name.as_str() {
            ".tar" => 512 + whole.iter().rposition(|&byte| byte != 0).unwrap(),
            _ => whole.len() - usize::from(whole.len() % 2 == 0 && name.ends_with(".deb")),
        };
        for length in 0..needed {
            // Within an archive that is not packed every place is like many others.
            let is_looked_at = length < 300 || length % 31 == 0 || length + 64 > needed;
            if is_looked_at && read(&whole[..length]).is_ok() {
                panic!(
                    "{name} was cut at {length} of {}, and nothing said",
                    whole.len()
                );
            }
        }
    }
}

#[test]
fn no_damage_to_what_has_a_checksum_goes_unseen() {
    for (name, whole) in small() {
        let mut flawed = whole.clone();
        let mut unseen = Vec::new();
        // Every header, and some of all else.
        for at in (0..whole.len()).filter(|at| at % 23 == 0 || *at < 128) {
            flawed[at] ^= 0x10;
            if read(&flawed).is_ok() {
                unseen.push(at);
            }
            flawed[at] = whole[at];
        }
        let is_rpm = name.ends_with(".rpm")
            && !["large.rpm", "none.rpm", "node.rpm"].contains(&name.as_str());
        match name.as_str() {
            // The lead, and what the header of signatures says besides.
            _ if is_rpm => {
                let header = [0x8e, 0xad, 0xe8, 1];
                let starts: Vec<usize> = (0..whole.len())
                    .filter(|&at| whole[at..].starts_with(&header))
                    .collect();
                let inside: Vec<&usize> = unseen.iter().filter(|&&at| at >= starts[1]).collect();
                assert!(inside.is_empty(), "{name} {inside:?}");
            }
            // Of a gzip header: time, flags, system. Of an xz file nothing.
            "gz.tar" | "small.apk" => assert!(unseen.len() < 60, "{name} {unseen:?}"),
            "xz.tar" | "xz.pkg.tar" => assert!(unseen.is_empty(), "{name} {unseen:?}"),
            _ => {}
        }
    }
}

/// A package, and what is said of it.
type Bad<'b> = (&'b str, &'b str);

/// Has each of the packages that `recipe` makes built from and imported, and holds what is said against `bad`.
fn assert_refused(making: &str, bad: &[Bad<'_>]) {
    let scene = Scene::new(making);
    fs::create_dir(scene.path("there")).unwrap();
    fs::write(scene.path("there/own"), "own").unwrap();
    let before = names(&scene);
    for (package, says) in bad {
        for to in ["new", "there"] {
            let (code, said) = command(&scene, &["import", package, "-C", to]);
            assert_eq!(code, Some(1), "{package}: {said}");
            assert!(said.contains(says), "{package}: {said}");
            assert!(
                said.starts_with(&format!("xinitrd: {package}")),
                "{package}: {said}"
            );
            assert_eq!(names(&scene), before, "{package}");
        }
        let (code, said) = command(
            &scene,
            &[
                "build",
                "--package",
                package,
                "--root",
                "root",
                "-o",
                "out/bad.img",
            ],
        );
        assert_eq!(code, Some(1), "{package}: {said}");
        assert!(said.contains(says), "{package}: {said}");
        assert_eq!(scene.left(), [""; 0]);
    }
}

/// Everything in the scene.
fn names(scene: &Scene) -> Vec<String> {
    let all = walkdir::WalkDir::new(&scene.0).sort_by_file_name();
    all.into_iter()
        .map(|entry| entry.unwrap().path().display().to_string())
        .collect()
}

#[test]
fn what_is_encrypted_is_told_and_with_what() {
    for (tool, package) in [("gpg", "gpg"), ("age", "age"), ("openssl", "openssl")] {
        Tool::of(tool, package).path();
    }
    assert_refused(
        &recipe(
            "p.deb('whole.deb', 'root')\nos.environ['GNUPGHOME'] = os.path.abspath('gpg'); os.mkdir('gpg', 0o700)\n\
         gpg = ['gpg', '--batch', '--quiet', '--pinentry-mode', 'loopback', '--passphrase', 'x', '-c']\n\
         p.run(*gpg, '-o', 'deb.gpg', 'whole.deb'); p.run(*gpg, '-a', '-o', 'deb.asc', 'whole.deb'); p.run('gpgconf', '--kill', 'all')\n\
         import subprocess\n\
         key = p.run('age-keygen', stderr=subprocess.DEVNULL); to = [line for line in key.decode().splitlines() if 'public' in line][0].split()[-1]\n\
         p.run('age', '-r', to, '-o', 'deb.age', 'whole.deb'); p.run('age', '-a', '-r', to, '-o', 'deb.age.asc', 'whole.deb')\n\
         p.run('openssl', 'enc', '-aes-256-cbc', '-pbkdf2', '-pass', 'pass:x', '-in', 'whole.deb', '-out', 'deb.enc')\n\
         data = open('deb.gpg', 'rb').read(); p.deb('member.deb', 'root', data=data)\n\
         p.raw_rpm('payload.rpm', p.tree_files('root'), spoil=lambda payload: open('deb.age', 'rb').read())\n\
         p.write('packed.gz', p.compressed(data, 'gz'))\nshutil = p.shutil; shutil.rmtree('gpg')\n",
        ),
        &[
            ("deb.gpg", "data encrypted with OpenPGP"),
            ("deb.asc", "data encrypted with OpenPGP"),
            ("deb.age", "data encrypted with age"),
            ("deb.age.asc", "data encrypted with age"),
            ("deb.enc", "data encrypted with openssl"),
            ("member.deb", "data encrypted with OpenPGP"),
            ("payload.rpm", "data encrypted with age"),
            ("packed.gz", "data encrypted with OpenPGP"),
        ],
    );
}

/// The recipe for which testdata/packages/hostile.py is there as `h`.
fn hostile(more: &str) -> String {
    let maker = testdata("packages/hostile.py");
    recipe(&format!(
        "spec = importlib.util.spec_from_file_location('hostile', '{}')\n\
         h = importlib.util.module_from_spec(spec)\nspec.loader.exec_module(h)\n{more}",
        text(&maker)
    ))
}

#[test]
fn no_path_leads_out_of_a_package() {
    assert_refused(
        &hostile(
            "tar = h.tar\n\
             tar('climbs.tar', ('a/../../evil', 'file', b'x')); tar('climbs-first.tar', ('../evil', 'file', b'x'))\n\
             tar('hard.tar', ('a', 'link', '../../etc/passwd')); tar('hard-away.tar', ('a', 'link', '/etc/passwd'))\n\
             tar('under-file.tar', ('a', 'file', b'x'), ('a/b', 'file', b'x'))\n\
             tar('loop.tar', ('a', 'symlink', 'b'), ('b', 'symlink', 'a'), ('a/c', 'file', b'x'))\n\
             tar('long.tar', ('n' * 300, 'file', b'x'))\n\
             for name in ['climbs', 'hard']: p.deb(f'{name}.deb', 'root', data=open(f'{name}.tar', 'rb').read())\n\
             p.raw_rpm('climbs.rpm', [('/../../evil', 0o100644, b'x')]); p.raw_rpm('climbs-old.rpm', [('/a/../../evil', 0o100644, b'x')], old_names=True, stripped=True)\n",
        ),
        &[
            ("climbs.tar", "the path a/../../evil: it climbs with `..`"),
            ("climbs-first.tar", "the path ../evil: it climbs with `..`"),
            ("hard.tar", "the path ../../etc/passwd: it climbs with `..`"),
            (
                "hard-away.tar",
                "a is a link to /etc/passwd, which is no file before it",
            ),
            ("under-file.tar", "no directory"),
            ("loop.tar", "links"),
            ("long.tar", "a component is longer than 255 bytes"),
            ("climbs.deb", "it climbs with `..`"),
            ("hard.deb", "it climbs with `..`"),
            ("climbs.rpm", "it climbs with `..`"),
            ("climbs-old.rpm", "it climbs with `..`"),
        ],
    );
}

#[test]
fn what_a_link_leads_to_stays_inside() {
    let scene = Scene::new(&hostile(
        "os.mkdir('outside')\n\
         h.tar('absolute.tar', ('/abs', 'file', b'x'))\n\
         h.tar('through.tar', ('up', 'symlink', '../../outside'), ('up/evil', 'file', b'x'))\n\
         h.tar('root.tar', ('top', 'symlink', os.path.abspath('outside')), ('top/evil', 'file', b'x'))\n",
    ));
    for (package, inside) in [
        ("absolute.tar", "abs"),
        ("through.tar", "outside/evil"),
        ("root.tar", ""),
    ] {
        let to = format!("{package}.d");
        let (code, said) = command(&scene, &["import", package, "-C", &to]);
        assert_eq!(code, Some(0), "{package}: {said}");
        assert!(scene.path(&to).join(inside).exists(), "{package}");
        assert_eq!(
            fs::read_dir(scene.path("outside")).unwrap().count(),
            0,
            "{package}"
        );
    }
}

#[test]
fn what_asks_for_more_than_any_package_needs_is_refused_within_bounds() {
    let scene = Scene::new(&hostile("h.claims(); h.entries('entries.tar.gz')"));
    let bound = 128 << 10;
    for (package, says) in [
        ("dictionary.tar.xz", "dictionary"),
        ("tags.rpm", "a header of 65536 tags"),
        ("store.rpm", "ends too early"),
        ("file.tar", "ends too early"),
        ("file.tar.gz", "ends too early"),
        ("name.tar", "an extended header of more than 1 MiB"),
        ("pax.tar", "an extended header of more than 1 MiB"),
        ("member.deb", "ends too early"),
        ("entries.tar.gz", "names and facts of more than"),
    ] {
        let mut timed = Command::new(TIME.path());
        let args = ["-f", "%M", XINITRD.path(), "build", "--package", package];
        let done = run(timed.args(args).current_dir(&scene.0));
        let said = words(&done);
        assert_eq!(done.status.code(), Some(1), "{package}: {said}");
        assert!(said.contains(says), "{package}: {said}");
        let peak: u64 = said.lines().last().unwrap().parse().unwrap();
        assert!(peak < bound, "{package}: {peak} KiB");
    }
}

#[test]
fn a_package_is_followed_as_far_as_it_may_be() {
    let scene = Scene::new(&recipe(
        "p.deb('zeros.deb', 'root', 'zst', data=p.compressed(bytes(64 << 20), 'zst'))\n\
         os.mkdir('many'); [put(f'many/{n}', b'') for n in range(300)]; p.deb('many.deb', 'many')\n\
         os.mkdir('large'); put('large/zeros', bytes(64 << 20))\n\
         for kind in ['gz', 'xz', 'zst', 'bz2']: p.deb(f'{kind}.deb', 'large', kind); p.write(f'{kind}.tar', p.compressed(p.run('tar', '-C', 'large', '-c', '.'), kind))\n\
         p.raw_rpm('gz.rpm', [('/zeros', 0o100644, bytes(64 << 20))])\n\
         p.write('nested.tar', p.compressed(p.compressed(p.run('tar', '-C', 'large', '-c', '.'), 'gz'), 'gz'))\n",
    ));
    let small = Limits {
        entries: 200,
        size: 32 << 20,
        ratio: u64::MAX,
        ..package::LIMITS
    };
    let ratio = Limits {
        size: 128 << 20,
        ..package::LIMITS
    };
    let said = |name: &str, limits: &Limits| {
        let bytes = fs::read(scene.path(name)).unwrap();
        let read = package::read(bytes.as_slice(), limits, &mut |_, _| {
            Ok(ControlFlow::Continue(()))
        });
        read.unwrap_err().to_string()
    };
    assert_eq!(said("many.deb", &small), "more than 200 entries");
    for name in [
        "gz.deb", "xz.deb", "zst.deb", "bz2.deb", "gz.tar", "xz.tar", "zst.tar", "bz2.tar",
        "gz.rpm",
    ] {
        assert_eq!(said(name, &small), "more than 32 MiB, unpacked", "{name}");
        assert_eq!(
            said(name, &ratio),
            "unpacked it is more than 250 times as large",
            "{name}"
        );
    }
    assert!(said("nested.tar", &package::LIMITS).contains("gzip"));
}

#[test]
fn what_never_ends_is_refused_at_once() {
    let scene = Scene::new(&hostile(
        "p.write('ends.tar.gz', p.compressed(p.run('tar', '-C', 'root', '-c', '.'), 'gz'))\n\
         p.write('ends.tar', p.run('tar', '-C', 'root', '-c', '.'))\n",
    ));
    let behind = "more than 16 MiB behind its end";
    for (source, says) in [
        ("cat /dev/zero", behind),
        ("cat ends.tar /dev/zero", behind),
        ("cat ends.tar.gz /dev/zero", behind),
        ("cat /dev/urandom", "nothing that is known"),
    ] {
        let script = format!(
            "{source} | timeout 60 '{}' build --package -",
            XINITRD.path()
        );
        let said = run(Command::new("sh")
            .args(["-c", &script])
            .current_dir(&scene.0));
        assert_eq!(said.status.code(), Some(1), "{source}: {}", words(&said));
        assert!(words(&said).contains(says), "{source}: {}", words(&said));
    }
    for device in ["/dev/zero", "/dev/urandom"] {
        let start = Instant::now();
        let mut timed = Command::new("timeout");
        timed.args(["60", XINITRD.path(), "build", "--package", device]);
        let done = run(&mut timed);
        assert_eq!(done.status.code(), Some(1), "{device}: {}", words(&done));
        assert!(start.elapsed() < Duration::from_secs(20), "{device}");
    }
}

#[test]
fn what_is_not_packed_is_held_to_the_size_too() {
    let scene = Scene::new(&recipe(
        "os.mkdir('large'); put('large/zeros', bytes(33 << 20)); p.deb('plain.deb', 'large', '')\n\
         p.run('tar', '-C', 'large', '-cf', 'plain.tar', '.'); p.raw_rpm('plain.rpm', p.tree_files('large'), payload='')\n",
    ));
    let small = Limits {
        size: 32 << 20,
        ..package::LIMITS
    };
    for name in ["plain.tar", "plain.deb", "plain.rpm"] {
        let bytes = fs::read(scene.path(name)).unwrap();
        let read = package::read(bytes.as_slice(), &small, &mut |_, _| {
            Ok(ControlFlow::Continue(()))
        });
        let said = read.unwrap_err().to_string();
        assert_eq!(said, "more than 32 MiB, unpacked", "{name}");
    }
}

#[test]
fn a_way_through_links_is_followed_as_far_as_one_of_a_real_package() {
    let scene = Scene::new(&hostile(
        "h.tar('target.tar', ('d', 'directory', ''), ('l', 'symlink', 'd/../' * 200_000), ('l/x', 'file', b'x'))\n\
         h.tar('path-max.tar', ('l', 'symlink', 'd' * 4096)); h.tar('below.tar', ('l', 'symlink', 'd' * 4095))\n\
         h.through('through.tar.gz')\n",
    ));
    let long = "a link whose target is longer than paths are";
    for (package, says) in [
        ("target.tar", long),
        ("path-max.tar", long),
        ("below.tar", "no kernel"),
        (
            "through.tar.gz",
            "its paths lead through more directories and links",
        ),
    ] {
        let mut timed = Command::new("timeout");
        timed.args(["60", XINITRD.path(), "build", "--package", package]);
        let said = run(timed.current_dir(&scene.0));
        assert!(words(&said).contains(says), "{package}: {}", words(&said));
    }
}

#[test]
fn what_goes_wrong_with_whoever_reads_a_package_is_not_its_damage() {
    for (name, whole) in small() {
        let read = package::read(whole.as_slice(), &package::LIMITS, &mut |_, _| {
            Err(io::Error::from(io::ErrorKind::StorageFull).into())
        });
        match read.unwrap_err() {
            PackageError::Io(error) => assert_eq!(error.kind(), io::ErrorKind::StorageFull),
            other => panic!("{name}: {other}"),
        }
    }
}

#[test]
fn a_host_without_memory_for_a_file_of_a_package_is_told_so() {
    let scene = Scene::new(&recipe(
        "p.el4_system('root', 'system')\n\
         with open('system/sbin/nash', 'ab') as file: file.truncate(160 << 20)\n\
         p.deb('large.deb', 'system', 'zst')\n",
    ));
    let mut told = 0;
    for limit in [150, 220, 300, 380, 460, 600] {
        let script = format!(
            "ulimit -v {}; exec '{}' build --package large.deb --omit-scsi-modules --threads 1 -qfo out.img",
            limit << 10,
            XINITRD.path()
        );
        let done = run(Command::new("sh")
            .args(["-c", &script])
            .current_dir(&scene.0));
        let said = words(&done);
        // What ends by a signal, as an allocation that fails does, has no code.
        assert!(done.status.code().is_some(), "{limit} MiB: {said}");
        told += usize::from(said.contains("out of memory"));
    }
    assert!(told > 0);
}

#[test]
fn of_the_data_of_one_file_the_last_count_however_it_is_read() {
    let scene = Scene::new(&hostile(
        "p.raw_rpm('twice.rpm', [('/a', 0o100644, b'first!', 7), ('/b', 0o100644, b'second', 7)], payload='', spoil=lambda _: h.twice())",
    ));
    let bytes: Arc<[u8]> = fs::read(scene.path("twice.rpm")).unwrap().into();
    for keeps in [
        [Keep::Whole, Keep::Whole],
        [Keep::Whole, Keep::Nothing],
        [Keep::Extract, Keep::Extract],
        [Keep::Extract, Keep::Nothing],
        [Keep::Nothing, Keep::Nothing],
    ] {
        let all = Arc::clone(&bytes);
        let again = move |offset: u64| -> io::Result<Box<dyn io::Read + Send>> {
            let rest = all[offset as usize..].to_vec();
            Ok(Box::new(io::Cursor::new(rest)))
        };
        let interest = Interest {
            keep: &|path, _| keeps[usize::from(path.as_bytes() == b"b")],
            extract: &|data| {
                let mut extract = Vec::new();
                data.read_to_end(&mut extract).ok()?;
                Some(extract)
            },
            threads: NonZeroUsize::MIN,
        };
        let files = PackageFiles::open("twice".into(), Box::new(again), package::LIMITS, &interest);
        let files = files.unwrap();
        for name in ["a", "b"] {
            let file = files.open(&ImagePath::new(name).unwrap()).unwrap();
            if let Some(extract) = file.extract() {
                assert_eq!(extract, b"second", "{name} {keeps:?}");
            }
            let mut content = vec![0; file.size() as usize];
            file.read_exact_at(&mut content, 0).unwrap();
            assert_eq!(content, b"second", "{name} {keeps:?}");
        }
    }
}
