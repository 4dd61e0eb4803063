//! The minimal Xen image straight from a kernel's package, and by way of a directory, in turn.
//!
//! `cargo bench --bench package -- [ROUNDS]` prints, for each way, the median wall time over ROUNDS (default 5),
//! its ratio to xinitrd's, the bytes out and the peak of memory. All begin with the same `.deb` and end with an
//! image of the same modules. What has to unpack first does so into memory, and takes it away again.
//! `dpkg-deb` alone, whose content nobody keeps, is what a package costs at least that is read with its tool.

use std::path::PathBuf;
use std::process::ExitCode;

use common::{Entrant, Failure, Product, fetched, race, shell, text};

#[allow(dead_code, reason = "every comparison uses a part of it")]
mod common;

const MODULES: [&str; 3] = ["xen-blkfront", "xen-netfront", "ext4"];
/// Programs, and how they are had.
const DPKG_DEB: (&str, &str) = ("dpkg-deb", "apt-get install dpkg");
const DEPMOD: (&str, &str) = ("depmod", "apt-get install kmod");

fn main() -> ExitCode {
    common::main(5, compare)
}

fn compare(rounds: usize) -> Result<(), Failure> {
    for (generation, name) in [
        ("6.1", "package-kernel-6.1-amd64"),
        ("6.12, its modules in xz", "package-kernel-6.12-amd64"),
    ] {
        let package = package(name)?;
        let title = format!("The minimal image out of the package of Debian's {generation}");
        ways(&title, &text(&package), rounds)?;
    }
    Ok(())
}

/// The one package in a fetched directory.
fn package(name: &str) -> Result<PathBuf, Failure> {
    let entry = std::fs::read_dir(fetched(name)?)?
        .next()
        .ok_or("no package")??;
    Ok(entry.path())
}

fn ways(title: &str, package: &str, rounds: usize) -> Result<(), Failure> {
    let work = tempfile::tempdir()?;
    let output = work.path().join("image");
    let image = text(&output);
    let xinitrd = env!("CARGO_BIN_EXE_xinitrd");
    let ours = ["build", "-q", "--package", package, "-o", &image];
    let one_thread = [ours.as_slice(), &["--threads", "1"]].concat();
    let unpacked = |then: &str| {
        format!(
            "t=$(mktemp -d -p /dev/shm); dpkg-deb -x {package} $t\n\
             [ -d $t/lib ] || ln -s usr/lib $t/lib\n{then}\nrm -r $t"
        )
    };
    let build = unpacked(&format!("{xinitrd} build -q --root $t -o {image}"));
    let script = unpacked(&format!(
        "k=$(ls $t/lib/modules); depmod -b $t $k; mkdir -p $t/image/lib\n\
         for m in {}; do modprobe -C /dev/null -d $t -S $k --show-depends $m; done |\n\
         while read -r _ f _; do case $f in *.xz) unxz -k $f; f=${{f%.xz}} ;; esac; cp $f $t/image/lib/; done\n\
         (cd $t/image && find . | cpio -o -H newc --quiet | gzip -6) > {image}",
        MODULES.join(" ")
    ));
    let read = format!("dpkg-deb --fsys-tarfile {package} >/dev/null; : >{image}");
    let entrants = [
        Entrant::ours("xinitrd --package", &ours),
        Entrant::ours("xinitrd --package, one thread", &one_thread),
        Entrant::peer("dpkg-deb -x, xinitrd --root", DPKG_DEB, &shell(&build)),
        Entrant::peer(
            "dpkg-deb -x, depmod, script, gzip -6",
            DEPMOD,
            &shell(&script),
        ),
        Entrant::peer("dpkg-deb, to nowhere", DPKG_DEB, &shell(&read)).leaving(Product::Bytes),
    ];
    let wanted = MODULES.map(|module| format!("{module}.ko"));
    race(title, &entrants, &output, &wanted, rounds)?;
    Ok(())
}
