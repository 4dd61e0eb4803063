//! The minimal Xen image of a Debian kernel, built by xinitrd and by what else there is, in turn.
//!
//! `cargo bench --bench minimal -- [ROUNDS]` prints, for each builder, the median wall time over
//! ROUNDS (default 9), its ratio to xinitrd's, the bytes out and the peak of memory. Every builder
//! is to put in the same three modules and what they need, of the same fetched kernel. The script
//! is what an administrator would write with modprobe, cpio and gzip.
//!
//! mkinitramfs, dracut and tiny-initramfs know no other place for a kernel than /lib/modules and
//! /boot (dracut's --kmoddir puts the modules under that directory's own path in the image), so
//! they run where benches/run.sh has put it there.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use xinitrd::compress::Compression;

use common::{Entrant, Failure, fetched, kernel_of, printed, race, shell, text};

#[allow(dead_code, reason = "every comparison uses a part of it")]
mod common;

const MODULES: [&str; 3] = ["xen-blkfront", "xen-netfront", "ext4"];
const COMPRESSION: Compression = Compression::Gzip;

/// What all builders are given.
struct Job {
    root: PathBuf,
    bins: PathBuf,
    kernel: String,
    /// For the builders' configuration.
    work: PathBuf,
    output: PathBuf,
}

fn main() -> ExitCode {
    common::main(9, compare)
}

fn compare(rounds: usize) -> Result<(), Failure> {
    let root = fetched("kernel-6.1-amd64-depmod")?;
    let work = tempfile::tempdir()?;
    let job = Job {
        bins: fetched("busybox-amd64")?.join("bin"),
        kernel: kernel_of(&root)?,
        work: work.path().to_owned(),
        output: work.path().join("image"),
        root,
    };
    let mut entrants = ours(&job)?;
    entrants.extend(scripts(&job));
    entrants.extend(peers(&job)?);
    let wanted = MODULES.map(|module| format!("{module}.ko"));
    let title = format!("The minimal image of {}", job.kernel);
    race(&title, &entrants, &job.output, &wanted, rounds)?;
    Ok(())
}

/// Images of both manifests, each above a floor that reads and compresses the same files: of `native` the modules
/// alone, for its program is no file that is read.
fn ours(job: &Job) -> Result<Vec<Entrant>, Failure> {
    let (root, bins, output) = (text(&job.root), text(&job.bins), text(&job.output));
    let build = ["build", "-q", "--kernel", &job.kernel, "--root", &root];
    let native = [build.as_slice(), &["-o", &output]].concat();
    let busybox = [
        build.as_slice(),
        &["--manifest", "busybox", "--bins", &bins, "-o", &output],
    ];
    let busybox = busybox.concat();
    let modules = load_order(job)?;
    let with_busybox = format!("{modules}{}\n", text(&job.bins.join("busybox")));
    Ok([
        raced(job, NATIVE, &native, &modules)?,
        raced(job, BUSYBOX, &busybox, &with_busybox)?,
    ]
    .into_iter()
    .flatten()
    .collect())
}

/// What a program and its floor are called, at the default level and at the best.
type Names = [&'static str; 4];
const NATIVE: Names = ["xinitrd", "floor", "xinitrd --best", "floor, best level"];
const BUSYBOX: Names = [
    "xinitrd, busybox",
    "floor, busybox",
    "xinitrd --best, busybox",
    "floor, busybox, best level",
];

/// The program with these arguments and the floor of these files.
fn raced(job: &Job, names: Names, build: &[&str], files: &str) -> Result<Vec<Entrant>, Failure> {
    let [ours, floor, best, best_floor] = names;
    let list = job.work.join(floor);
    fs::write(&list, files)?;
    let default_level = (COMPRESSION, COMPRESSION.default_level());
    let best_level = (COMPRESSION, COMPRESSION.best_level());
    let harder = [build, &["--best"]].concat();
    Ok(vec![
        Entrant::ours(ours, build).above(floor),
        Entrant::floor(floor, default_level, &list, &job.output)?,
        Entrant::ours(best, &harder).above(best_floor),
        Entrant::floor(best_floor, best_level, &list, &job.output)?,
    ])
}

/// The files that loading [`MODULES`] takes, one a line.
fn load_order(job: &Job) -> Result<String, Failure> {
    let mut resolve = Command::new(env!("CARGO_BIN_EXE_xinitrd"));
    let resolve = resolve.args(["resolve", "--kernel", &job.kernel, "--root"]);
    printed(resolve.arg(&job.root).args(MODULES))
}

fn scripts(job: &Job) -> [Entrant; 2] {
    [("script, gzip -6", "-6"), ("script, gzip -9", "-9")].map(|(name, level)| {
        let lines = format!(
            "t=$(mktemp -d); mkdir -p $t/bin $t/lib; cp {}/busybox $t/bin/\n\
             for m in {}; do modprobe -C /dev/null -d {} -S {} --show-depends $m; done |\n\
             while read -r _ f _; do cp $f $t/lib/; done\n\
             (cd $t && find . | cpio -o -H newc --quiet | gzip {level}) > {}; rm -r $t",
            text(&job.bins),
            MODULES.join(" "),
            text(&job.root),
            job.kernel,
            text(&job.output),
        );
        Entrant::peer(name, ("modprobe", "apt-get install kmod"), &shell(&lines))
    })
}

fn peers(job: &Job) -> Result<Vec<Entrant>, Failure> {
    let elsewhere = (!in_place(job)).then(|| {
        let kernel = &job.kernel;
        format!("/lib/modules/{kernel} is not the fetched kernel; benches/run.sh puts it there")
    });
    let system_wide = [mkinitramfs(job)?, dracut(job), tiny_initramfs(job)];
    let mut peers: Vec<_> = system_wide
        .map(|peer| peer.unless(elsewhere.clone()))
        .into();
    peers.push(booster(job)?);
    Ok(peers)
}

/// Whether the system's kernel of that name is the fetched one.
fn in_place(job: &Job) -> bool {
    let index = |root: &Path| {
        let modules = root.join("lib/modules").join(&job.kernel);
        let file = fs::metadata(modules.join("modules.dep")).ok()?;
        Some((file.dev(), file.ino()))
    };
    let ours = index(&job.root);
    ours.is_some() && index(Path::new("/")) == ours
}

/// With a configuration that asks for no drivers but the listed ones.
fn mkinitramfs(job: &Job) -> Result<Entrant, Failure> {
    let configuration = job.work.join("mkinitramfs");
    for directory in ["conf.d", "hooks", "scripts"] {
        fs::create_dir_all(configuration.join(directory))?;
    }
    let settings = "MODULES=list\nBUSYBOX=auto\nKEYMAP=n\nCOMPRESS=gzip\nFSTYPE=auto\n";
    fs::write(configuration.join("initramfs.conf"), settings)?;
    fs::write(configuration.join("modules"), MODULES.join("\n"))?;
    let (configuration, output) = (text(&configuration), text(&job.output));
    Ok(Entrant::peer(
        "mkinitramfs",
        ("mkinitramfs", "apt-get install initramfs-tools-core"),
        &[
            "mkinitramfs",
            "-d",
            &configuration,
            "-o",
            &output,
            &job.kernel,
        ],
    ))
}

/// The fewest of its modules that load a driver.
fn dracut(job: &Job) -> Entrant {
    let output = text(&job.output);
    let what = ["-m", "base kernel-modules", "--drivers", &MODULES.join(" ")];
    let how = "dracut -q --force --no-hostonly --no-hostonly-cmdline --no-early-microcode --gzip";
    let how: Vec<_> = how.split(' ').collect();
    let command = [how.as_slice(), &what, &[&output, &job.kernel]].concat();
    Entrant::peer(
        "dracut",
        ("dracut", "apt-get install dracut-core"),
        &command,
    )
}

fn tiny_initramfs(job: &Job) -> Entrant {
    let modules = format!("--include-modules={}", MODULES.join(","));
    let (output, kernel) = (text(&job.output), job.kernel.as_str());
    Entrant::peer(
        "tiny-initramfs",
        ("mktirfs", "apt-get install tiny-initramfs-core"),
        &[
            "mktirfs", "-o", &output, "-m", "no", "-M", "no", &modules, kernel,
        ],
    )
}

/// Without the modules that it would add for the host, and with busybox in the place of its own
/// `/init`, for what is compared is the packing.
fn booster(job: &Job) -> Result<Entrant, Failure> {
    let configuration = job.work.join("booster.yaml");
    // It knows modules by the kernel's names for them.
    let modules = MODULES.join(",").replace('-', "_");
    let settings = format!("modules: -*,{modules}\ncompression: gzip\n");
    fs::write(&configuration, settings)?;
    let tree = text(&job.root.join("lib/modules").join(&job.kernel));
    let init = text(&job.bins.join("busybox"));
    let (configuration, output) = (text(&configuration), text(&job.output));
    let command = [
        ["booster", "build", "--force"].as_slice(),
        &["--kernel-version", &job.kernel, "--modules-dir", &tree],
        &["--init-binary", &init, "--config", &configuration, &output],
    ];
    Ok(Entrant::peer(
        "booster",
        ("booster", "Debian has no package of it"),
        &command.concat(),
    ))
}
