//! Images of others listed, extracted and judged, by xinitrd and by what else reads them, in turn.
//!
//! `cargo bench --bench list -- [ROUNDS]` prints, for each image and program, the median wall time
//! over ROUNDS (default 5), its ratio to xinitrd's and the peak of memory. The images are this
//! project's own and those of `testdata/images/make.sh`. A listing goes to a file and must name
//! every entry that GNU cpio names; an extracted tree must have them all. Files, listings and trees
//! lie in memory.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use common::{Entrant, Failure, Product, fetched, named_by, printed, race, shell, text};

#[allow(dead_code, reason = "every comparison uses a part of it")]
mod common;

/// What an image behind microcode has besides.
const MICROCODE: &str = "kernel/x86/microcode/GenuineIntel.bin";
/// Programs, and how they are had.
const CPIO: (&str, &str) = ("cpio", "apt-get install cpio");
const THREECPIO: (&str, &str) = ("3cpio", "cargo install threecpio");
const BSDTAR: (&str, &str) = ("bsdtar", "apt-get install libarchive-tools");
const LSINITRAMFS: (&str, &str) = ("lsinitramfs", "apt-get install initramfs-tools-core");
const UNMKINITRAMFS: (&str, &str) = ("unmkinitramfs", "apt-get install initramfs-tools-core");
const LSINITRD: (&str, &str) = ("lsinitrd", "apt-get install dracut-core");

/// What all programs are given.
struct Image {
    title: String,
    file: PathBuf,
    /// The paths in it.
    names: Vec<String>,
    /// What unpacks it, where that is one program.
    decoder: Option<(&'static str, &'static str)>,
}

fn main() -> ExitCode {
    common::main(5, compare)
}

fn compare(rounds: usize) -> Result<(), Failure> {
    let memory = tempfile::tempdir_in("/dev/shm")?;
    let output = memory.path().join("output");
    let images = images(memory.path())?;
    for image in &images {
        list(image, &output, rounds)?;
    }
    for image in images
        .iter()
        .filter(|image| image.title.starts_with("big, gzip:"))
    {
        extract(image, &output, rounds)?;
    }
    for image in &images {
        inspect(image, &output, rounds)?;
    }
    Ok(())
}

/// In every one of the big images is the same.
fn images(memory: &Path) -> Result<Vec<Image>, Failure> {
    let small = minimal(&memory.join("small"))?;
    let [gzip, zstd, xz, behind_microcode] = ["gzip", "zstd", "xz", "microcode"].map(|kind| {
        named_by(
            "testdata/images/make.sh",
            &format!("initramfs-tools-{kind}"),
        )
    });
    let gzip = gzip?;
    let behind_microcode = behind_microcode?;
    let unpacked = |image: &Path| names(&format!("<(gzip -dc {})", text(image)));
    let (in_small, in_big) = (unpacked(&small)?, unpacked(&gzip)?);
    let in_last = [names(&text(&behind_microcode))?, in_big.clone()].concat();
    let gunzip = Some(("gzip", "apt-get install gzip"));
    let unzstd = Some(("zstd", "apt-get install zstd"));
    let unxz = Some(("xz", "apt-get install xz-utils"));
    [
        ("small, gzip", small, in_small, gunzip),
        ("big, gzip", gzip, in_big.clone(), gunzip),
        ("big, zstd", zstd?, in_big.clone(), unzstd),
        ("big, xz", xz?, in_big, unxz),
        (
            "big, gzip behind microcode",
            behind_microcode,
            in_last,
            None,
        ),
    ]
    .map(|(title, file, names, decoder)| held(memory, title, &file, names, decoder))
    .into_iter()
    .collect()
}

/// This project's own, of a Debian kernel.
fn minimal(output: &Path) -> Result<PathBuf, Failure> {
    let mut build = Command::new(env!("CARGO_BIN_EXE_xinitrd"));
    build.args(["build", "-q", "--root"]);
    build.arg(fetched("kernel-6.1-amd64-depmod")?);
    build
        .arg("--bins")
        .arg(fetched("busybox-amd64")?.join("bin"));
    printed(build.arg("-o").arg(output))?;
    Ok(output.to_owned())
}

/// As GNU cpio has them, of the first archive in what a shell opens.
fn names(archive: &str) -> Result<Vec<String>, Failure> {
    let lines = format!("cpio -it --quiet < {archive}");
    let [program, arguments @ ..] = shell(&lines);
    let listed = printed(Command::new(program).args(arguments))?;
    Ok(listed.lines().map(str::to_owned).collect())
}

/// An image with a copy of its file in memory.
fn held(
    memory: &Path,
    title: &str,
    file: &Path,
    names: Vec<String>,
    decoder: Option<(&'static str, &'static str)>,
) -> Result<Image, Failure> {
    let copy = memory.join(title.replace([' ', ','], "-"));
    let bytes = std::fs::copy(file, &copy)?;
    Ok(Image {
        title: format!("{title}: {bytes} bytes, {} entries", names.len()),
        file: copy,
        names,
        decoder,
    })
}

fn list(image: &Image, output: &Path, rounds: usize) -> Result<(), Failure> {
    let file = text(&image.file);
    let ours = Entrant::ours("xinitrd", &["list", &file]);
    let peers = [
        Entrant::peer("3cpio", THREECPIO, &["3cpio", "-t", &file]),
        Entrant::peer("bsdtar", BSDTAR, &["bsdtar", "-tf", &file]).unless(microcode(image)),
        Entrant::peer("lsinitramfs", LSINITRAMFS, &["lsinitramfs", &file]),
        Entrant::peer("lsinitrd", LSINITRD, &["lsinitrd", &file]),
    ];
    let mut entrants = vec![ours];
    entrants.extend(peers);
    if let Some((decoder, package)) = image.decoder {
        let lines = format!("{decoder} -dc {file} | cpio -it --quiet");
        let cpio = Entrant::peer("decoder and cpio", CPIO, &shell(&lines));
        entrants.push(cpio.unless(common::missing(decoder, package)));
    }
    let listing = |entrant: Entrant| entrant.leaving(Product::Listing);
    let entrants: Vec<_> = entrants.into_iter().map(listing).collect();
    let title = format!("Listing the {}", image.title);
    race(&title, &entrants, output, &image.names, rounds)?;
    Ok(())
}

/// Why bsdtar does not take part: of several archives in one file it reads the first.
fn microcode(image: &Image) -> Option<String> {
    let microcode = image.names.iter().any(|name| name == MICROCODE);
    microcode.then(|| "lists the microcode alone".to_owned())
}

fn extract(image: &Image, output: &Path, rounds: usize) -> Result<(), Failure> {
    let (file, tree) = (text(&image.file), text(output));
    let (x, c) = ("-x", "-C");
    let cpio = format!("gzip -dc {file} | (cd {tree} && cpio -id --quiet)");
    let entrants = [
        Entrant::ours("xinitrd", &["extract", &file, c, &tree]),
        Entrant::peer("3cpio", THREECPIO, &["3cpio", x, c, &tree, &file]),
        Entrant::peer("bsdtar", BSDTAR, &["bsdtar", x, c, &tree, "-f", &file]),
        Entrant::peer(
            "unmkinitramfs",
            UNMKINITRAMFS,
            &["unmkinitramfs", &file, &tree],
        ),
        Entrant::peer("gzip and cpio", CPIO, &shell(&cpio)),
    ]
    .map(|entrant| entrant.leaving(Product::Tree));
    let title = format!("Extracting the {}", image.title);
    race(&title, &entrants, output, &image.names, rounds)?;
    Ok(())
}

/// Beside a listing, for no other program judges.
fn inspect(image: &Image, output: &Path, rounds: usize) -> Result<(), Failure> {
    let file = text(&image.file);
    let entrants = [
        Entrant::ours("xinitrd list", &["list", &file]).leaving(Product::Listing),
        Entrant::ours("xinitrd inspect", &["inspect", &file]).leaving(Product::Verdict),
    ];
    let title = format!("Inspecting the {}", image.title);
    race(&title, &entrants, output, &image.names, rounds)?;
    Ok(())
}
