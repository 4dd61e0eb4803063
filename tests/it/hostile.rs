//! Every reader of foreign bytes, over thousands of spoilt inputs: cut short, flipped, spliced, with
//! numbers no file can have. The same ones at every run; `fuzz/` looks further.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::bad_packages;
use crate::compress::texture;
use crate::guest::{EL4_KERNEL, Guest};
use crate::init_readers;
use crate::judged;
use crate::layers::recipe;
use crate::readers;
use crate::scene::{Scene, run, words};
use crate::support::{Tool, XINITRD, fetched, kernel_of, testdata, text};
use crate::unpacker;
use crate::written;
use xinitrd::compress::Compression;
use xinitrd::elf::program::ProgramFacts;
use xinitrd::manifest::SHIPPED;

const BZIP2: Tool = Tool::of("bzip2", "bzip2");
const LZ4: Tool = Tool::of("lz4", "lz4");
const LZOP: Tool = Tool::of("lzop", "lzop");
const GZIP: Tool = Tool::of("gzip", "gzip");
const XZ: Tool = Tool::of("xz", "xz-utils");
const ZSTD: Tool = Tool::of("zstd", "zstd");
const PYTHON: Tool = Tool::of("python3", "python3");
const MKE2FS: Tool = Tool::of("mke2fs", "e2fsprogs");
const MKFS_XFS: Tool = Tool::of("mkfs.xfs", "xfsprogs");
const MKFS_BTRFS: Tool = Tool::of("mkfs.btrfs", "btrfs-progs");
const MKFS_VFAT: Tool = Tool::of("mkfs.vfat", "dosfstools");
const SFDISK: Tool = Tool::of("sfdisk", "fdisk");

/// Where headers are: every one of these first bytes is cut at, and overwritten.
const HEADERS: usize = 160;
/// How much of a long index file is enough.
const ENOUGH: usize = 4 << 10;
/// What bytes are worked on at a time, whatever their number: copies of a large file take long.
const BUDGET: usize = 256 << 20;
/// Far more than any of these inputs takes, far less than for ever.
const PATIENCE: Duration = Duration::from_secs(20);

/// Numbers that a length, a count or an offset is put to.
const NUMBERS: [&[u8]; 6] = [
    b"\0",
    b"\xff",
    b"\xff\xff",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
];

/// Marsaglia's xorshift64 (Journal of Statistical Software 8, 2003): the same everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `end`, and 0 below 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// A stretch of `bytes`, mostly a short one.
    fn part<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let from = self.below(bytes.len());
        let longest = 1 << self.below(12);
        let length = self.below(longest.min(bytes.len() - from) + 1);
        &bytes[from..from + length]
    }

    /// What is put in the place of something: a number, a stretch of the same bytes, or noise.
    fn filling(&mut self, bytes: &[u8]) -> Vec<u8> {
        match self.below(4) {
            0 => NUMBERS[self.below(NUMBERS.len())].to_vec(),
            1 => vec![self.next() as u8],
            2 => self.part(bytes).repeat(1 << self.below(7)),
            _ => self.part(bytes).to_vec(),
        }
    }

    /// `bytes` with a few stretches replaced by others.
    fn spliced(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut spliced = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let from = self.below(spliced.len());
            let length = self.part(&spliced[from..]).len();
            let filling = self.filling(bytes);
            // As long as what it replaces, or not.
            let length = [filling.len(), length][self.below(2)].min(spliced.len() - from);
            spliced.splice(from..from + length, filling);
        }
        spliced
    }
}

/// The mutation of `seed` with this number: by turns its headers cut and overwritten, in order, and
/// splices anywhere.
fn mutant(seed: &[u8], number: usize) -> Vec<u8> {
    let headers = seed.len().min(HEADERS);
    let (turn, is_splice) = (number / 2, number % 2 == 1);
    if turn < headers && !is_splice {
        return seed[..turn].to_vec();
    }
    let (at, value) = (
        turn.wrapping_sub(headers) / NUMBERS.len(),
        turn % NUMBERS.len(),
    );
    if at < headers && !is_splice {
        let value = NUMBERS[value];
        let end = (at + value.len()).min(seed.len());
        return [&seed[..at], value, &seed[end..]].concat();
    }
    Random(0x9e37_79b9_7f4a_7c15 ^ number as u64).spliced(seed)
}

/// What is being read; told when reading it fails.
struct Attempt<'a> {
    reader: &'a str,
    seed: &'a str,
    number: usize,
    bytes: Vec<u8>,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let Attempt {
                reader,
                seed,
                number,
                bytes,
            } = self;
            let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{reader}-{number}"));
            let kept = fs::write(&kept, bytes).map(|()| kept);
            eprintln!("{reader}: mutation {number} of {seed}, kept as {kept:?}");
        }
    }
}

/// Gives `reader` the seeds themselves, then `count` mutations of each.
fn try_out(name: &str, reader: fn(&[u8]), count: usize, seeds: &[(String, Vec<u8>)]) {
    assert!(!seeds.is_empty());
    for (seed, bytes) in seeds {
        reader(bytes);
        for number in 0..count.min(BUDGET / bytes.len().max(1)) {
            let attempt = Attempt {
                reader: name,
                seed,
                number,
                bytes: mutant(bytes, number),
            };
            let start = Instant::now();
            reader(&attempt.bytes);
            assert!(start.elapsed() < PATIENCE, "took {:?}", start.elapsed());
        }
    }
}

fn seed(path: &Path) -> (String, Vec<u8>) {
    (path.display().to_string(), fs::read(path).unwrap())
}

/// A module of Debian's, under its kernel's directory.
fn debian(kernel: &str, module: &str) -> (String, Vec<u8>) {
    let root = fetched(kernel);
    let modules = root.join("lib/modules").join(kernel_of(&root));
    seed(&modules.join("kernel").join(module))
}

/// An ELF file as an expression of `testdata/el/make-tree.py`, there called `m`.
fn made(elf: &str) -> Vec<u8> {
    let script = format!(
        "import importlib.util, struct, sys
spec = importlib.util.spec_from_file_location('make_tree', sys.argv[1])
m = importlib.util.module_from_spec(spec)
spec.loader.exec_module(m)
sys.stdout.buffer.write({elf})"
    );
    let maker = testdata("el/make-tree.py");
    PYTHON.run(&["-c", &script, maker.to_str().unwrap()], b"")
}

#[test]
fn spoilt_modules_are_read_or_refused() {
    let guest = Guest::of_2008("el4", EL4_KERNEL, &[]);
    let modules = guest.root.join("lib/modules").join(EL4_KERNEL);
    let seeds = [
        seed(&modules.join("kernel/fs/ext3/ext3.ko")),
        debian("kernel-6.1-amd64", "drivers/block/xen-blkfront.ko"),
    ];
    try_out("module", readers::module, 3000, &seeds);
    try_out("symbols", readers::symbols, 3000, &seeds);
}

#[test]
fn spoilt_lists_of_symbols_are_read_or_passed_over() {
    let list = b"0x0000000a\tprintk\tvmlinux\tEXPORT_SYMBOL\t\nc1 r __ksymtab_printk\n\
        0000000c A __crc_printk\nalias symbol:jbd2_x jbd2\n";
    try_out(
        "kernel",
        readers::kernel,
        3000,
        &[("list".to_owned(), list.into())],
    );
}

#[test]
fn spoilt_programs_are_read_or_refused() {
    let busybox = fetched("busybox-i386").join("bin/busybox");
    let dynamic = made(
        "m.executable('x', elf_type=3, interpreter='/lib64/ld.so', needed=['liba.so.1', 'b'], \
         rpath='$ORIGIN:/opt/$LIB', runpath='$ORIGIN/../lib64:/${PLATFORM}')",
    );
    // What includes itself is read once, and not 8 times 8 times 8.
    let conf = b"include ld.so.conf.d/*.conf\n/opt/lib # more\n".repeat(8);
    let with_conf = ("ld.so.conf".to_owned(), [&conf, &dynamic[..]].concat());
    let seeds = [seed(&busybox), ("dynamic".to_owned(), dynamic)];
    try_out("program", readers::program, 4000, &seeds);
    try_out("libraries", readers::libraries, 1500, &[with_conf]);
}

#[test]
fn an_object_that_asks_for_more_than_any_does_is_refused() {
    let object = |paths: &str| {
        let more = format!("m.executable('x', elf_type=3, interpreter='/ld.so', {paths})");
        made(&more)
    };
    let many = object("needed=[f'lib{n}' for n in range(1025)]");
    // Each of these names is the first one: what is copied would be 5 MB.
    let shared = "needed=['x' * 5000] + ['b'] * 1000";
    let shared = made(&format!(
        "m.executable('x', elf_type=3, interpreter='/ld.so', {shared})\
         .replace(struct.pack('<QQ', 1, 5002 + 2 * 999), struct.pack('<QQ', 1, 1))"
    ));
    for (object, said) in [
        (many, "1025 libraries needed"),
        (shared, "5005000 bytes of DT_NEEDED"),
        (object("runpath='a:' * 1025"), "1025 directories to search"),
        (
            object("rpath='a' * (1 << 17), needed=['a'] * 70000"),
            "a dynamic section of",
        ),
    ] {
        let refused = ProgramFacts::parse(&object).unwrap_err().to_string();
        assert!(refused.contains(said), "{refused} should say {said}");
    }
}

#[test]
fn a_program_that_leads_to_more_libraries_or_directories_than_any_does_is_given_up() {
    // Told with all its directories, each missing library of the first would take 4 MB; the second
    // is a chain of which each link needs 600 more.
    let wide = "put(NASH, m.executable('nash', interpreter='/ld.so', \
                needed=[f'lib{n}' for n in range(1000)], \
                runpath=':'.join(f'/{n:03}' + '/deep' * 800 for n in range(1000))))";
    let long = "
def needs(n): return [f'next{n}'] + [f'lib{n}-{m}' for m in range(600)]
put(NASH, m.executable('nash', interpreter='/ld.so', needed=needs(0)))
for n in range(9):
    put(f'root/lib64/next{n}', m.executable('x', elf_type=3, interpreter='/ld.so', needed=needs(n + 1)))";
    for (recipe, says) in [
        (wide, "bytes of directories to search, where"),
        (long, "libraries needed in all, where there can be 1024"),
    ] {
        let output = Scene::new(recipe).build(&[]).output().unwrap();
        let said = words(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(says), "no `{says}`");
        assert!(said.len() < 1 << 20, "{} bytes", said.len());
    }
}

#[test]
fn spoilt_index_files_and_configurations_are_read() {
    let root = fetched("kernel-6.1-amd64-depmod");
    let modules = root.join("lib/modules").join(kernel_of(&root));
    let names = ["dep", "alias", "softdep", "builtin", "builtin.modinfo"];
    let mut seeds = names.map(|name| seed(&modules.join(format!("modules.{name}"))));
    seeds.iter_mut().for_each(|(_, text)| text.truncate(ENOUGH));
    try_out("index", readers::index, 1500, &seeds);
    let el4 = Guest::of_2008("el4", EL4_KERNEL, &["--with-extra"]);
    let old = [
        seed(&el4.root.join("etc/modprobe.conf")),
        seed(
            &el4.root
                .join("lib/modules")
                .join(EL4_KERNEL)
                .join("modules.dep"),
        ),
    ];
    try_out("index", readers::index, 1500, &old);
}

#[test]
fn spoilt_manifests_are_read_or_every_fault_is_placed() {
    let seeds = SHIPPED.map(|shipped| (shipped.name.to_owned(), shipped.text.into()));
    try_out("manifest", readers::manifest, 4000, &seeds);
}

#[test]
fn spoilt_lock_files_are_read_or_refused() {
    let scene = Scene::new(&recipe("deb('kernel', 'root')"));
    let seeds = ["--root=root", "--package=kernel.deb"].map(|layer| {
        let mut build = Command::new(XINITRD);
        build.args(["build", "-q", layer, "--bins", "root/bins", "-o", "-"]);
        build.args([
            "--omit-scsi-modules",
            "--preload",
            "xenblk",
            "--lock",
            "out/lock",
            "-f",
        ]);
        let done = run(build.current_dir(&scene.0));
        assert!(done.status.success(), "{}", words(&done));
        (layer.to_owned(), fs::read(scene.path("out/lock")).unwrap())
    });
    try_out("lock", readers::lock, 4000, &seeds);
}

#[test]
fn spoilt_compressed_files_are_unpacked_within_the_bound_or_refused() {
    let (_, module) = debian("kernel-6.1-amd64", "drivers/block/xen-blkfront.ko");
    let two = [
        GZIP.run(&["-nc"], &module[..5000]),
        GZIP.run(&["-nc"], b"more"),
    ]
    .concat();
    let seeds = [
        ("two gzip members".to_owned(), two),
        ("xz".to_owned(), XZ.run(&["-c"], &module)),
        (
            "zstd".to_owned(),
            ZSTD.run(&["-c", "--ultra", "-22"], &module),
        ),
    ];
    try_out("packed", readers::packed, 1500, &seeds);
}

#[test]
fn spoilt_members_end_and_leave_the_bytes_after_them() {
    let content = texture(20_000);
    let packers: [(&str, Tool, &[&str]); 7] = [
        ("gzip", GZIP, &["-nc"]),
        ("bzip2", BZIP2, &["-c"]),
        ("lzma", XZ, &["-c", "--format=lzma", "-0"]),
        ("xz", XZ, &["-c0", "--check=crc32", "--block-size=5000"]),
        ("lzop", LZOP, &["-c"]),
        ("lz4", LZ4, &["-lc"]),
        ("zstd", ZSTD, &["-c"]),
    ];
    let seeds = packers.map(|(name, tool, arguments)| {
        let mut packed = tool.run(arguments, &content);
        packed.extend_from_slice(b"070701");
        (name.to_owned(), packed)
    });
    try_out("members", readers::members, 700, &seeds);
}

#[test]
fn spoilt_names_versions_and_patterns_read_the_same_again() {
    let seeds = [
        "6.12.57+deb13-cloud-amd64",
        "usr/./lib//modules/6.1.0-56-amd64/../kernel/a-b.ko.xz",
        "pci:v00008086d*sv*[0-9a-f]\\*x-[!-_]?\npci:v00008086d00001237sv1af4*x_ab",
    ];
    let seeds = seeds.map(|text| (text.to_owned(), text.into()));
    try_out("words", readers::words, 4000, &seeds);
}

/// Every kind of link that a root may have.
const LINKS: &str = "\
==> usr/lib/modules/a.ko <==\n==> lib -> usr/lib <==\n==> one/two/three -> ../../lib <==\n\
==> up -> ../../../.. <==\n==> x -> y <==\n==> y -> /x <==\n==> self -> self/self <==\n\
==> far -> one/two/three/modules/a.ko <==\n==> lib/none <==\n==> etc/f <==\n==> under -> etc/f/g <==\n";

#[test]
fn look_ups_in_a_spoilt_tree_of_links_end_inside_it() {
    let long = (0..50).map(|n| format!("==> l{n} -> l{}/. <==\n", n + 1));
    let long = long.collect::<String>() + "==> l50/file <==\n";
    let seeds = [("links", LINKS), ("a long chain", &long)];
    let seeds = seeds.map(|(name, text)| (name.to_owned(), text.into()));
    try_out("links", readers::links, 2000, &seeds);
}

/// A module directory with every index file there may be.
const INDEXED: &str = "\
==> lib/modules/1/modules.dep <==\nk/a.ko: k/b.ko k/c-d.ko\nk/b.ko: k/c-d.ko\nk/c-d.ko:\nk/e.ko:\n\
==> lib/modules/1/modules.alias <==\nalias char-1-* e\nalias fs-a a\nalias fs-* b\n\
==> lib/modules/1/modules.softdep <==\nsoftdep a pre: e post: char-1-2\nsoftdep e pre: fs-a\n\
==> lib/modules/1/modules.weakdep <==\nweakdep a e b\n\
==> lib/modules/1/modules.builtin <==\nk/f.ko\nk/g.ko\n\
==> lib/modules/1/modules.builtin.modinfo <==\nf.alias=fs-f\0g.alias=x*\0\
==> lib/modules/1/modules.order <==\nk/e.ko\nk/a.ko\n\
==> lib/modules/1/updates/a.ko <==\n==> etc/modprobe.conf <==\nalias eth0 a\nsoftdep b post: a\n";

#[test]
fn load_orders_of_spoilt_module_directories_have_needs_first_or_are_refused() {
    let guest = Guest::of_2008("el4", EL4_KERNEL, &["--with-extra"]);
    let modules = guest.root.join("lib/modules").join(EL4_KERNEL);
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(modules.join("kernel")).sort_by_file_name() {
        let path = entry.unwrap().into_path();
        if path.is_file() {
            let name = path.file_name().unwrap().to_str().unwrap();
            files.extend(format!("==> lib/modules/1/{name} <==\n").into_bytes());
            files.extend(fs::read(&path).unwrap());
        }
    }
    try_out(
        "order",
        readers::order,
        1500,
        &[("index".to_owned(), INDEXED.into())],
    );
    try_out(
        "order",
        readers::order,
        500,
        &[("modules".to_owned(), files)],
    );
}

#[test]
fn kernels_make_the_same_of_a_spoilt_archive_in_any_pieces() {
    try_out("rootfs", readers::rootfs, 3000, &unpacker::seeds());
}

/// Images of the one writer, in every compression and several in one; small ones, for each byte of them
/// is to be spoilt.
fn images() -> Vec<(String, Vec<u8>)> {
    let image = |number, compression: Compression| {
        let plan = written::plan(number);
        written::image(&plan, compression, compression.default_level())
    };
    let small =
        (0..).filter(|&number| (500..5000).contains(&image(number, Compression::Gzip).len()));
    let each = small.zip(Compression::ALL);
    let mut images: Vec<_> = each
        .map(|(number, compression)| (compression.name().to_owned(), image(number, compression)))
        .collect();
    let mut all: Vec<u8> = Vec::new();
    for (_, image) in images.iter().rev() {
        all.extend_from_slice(image);
        all.resize(all.len().next_multiple_of(512), 0);
    }
    images.push(("all of them".to_owned(), all));
    images
}

#[test]
fn spoilt_images_are_read_the_same_in_any_pieces() {
    let mut images = images();
    let plain = images.iter().find(|(name, _)| name == "none");
    let plain = plain.unwrap().1.clone();
    let packers: [(&str, Tool, &[&str]); 3] = [
        ("bzip2", BZIP2, &["-c"]),
        ("lzma", XZ, &["-c", "--format=lzma", "-0"]),
        ("lzop", LZOP, &["-c"]),
    ];
    for (name, tool, arguments) in packers {
        images.push((name.to_owned(), tool.run(arguments, &plain)));
    }
    try_out("archive", readers::archive, 400, &images);
}

#[test]
fn spoilt_archives_are_read_the_same_in_any_compression() {
    let mut plain = images();
    plain.retain(|(name, _)| name == "none");
    let maker = testdata("images/hostile.py");
    let cut = PYTHON.run(&[text(&maker), "file-of-4-gib"], b"");
    plain.push(("a file of 4 GiB that ends".to_owned(), cut));
    try_out("segments", readers::segments, 400, &plain);
}

#[test]
fn spoilt_packages_hold_the_same_in_a_stream_and_as_files_or_are_refused() {
    try_out("package", readers::package, 300, &bad_packages::seeds());
}

/// An image with all that is looked into: modules, programs, scripts, links, lists.
fn bootable() -> Vec<u8> {
    let guest = Guest::of_2008("el4", EL4_KERNEL, &[]);
    let module = guest.root.join("lib/modules").join(EL4_KERNEL);
    let module = fs::read(module.join("kernel/fs/ext3/ext3.ko")).unwrap();
    let dynamic = made(
        "m.executable('x', elf_type=3, interpreter='/lib64/ld.so', needed=['liba.so.1', 'b'], \
         runpath='$ORIGIN/../lib64')",
    );
    let entries = [
        judged::directory("dev"),
        judged::device("dev/console", 5, 1),
        judged::directory("bin"),
        judged::directory("lib"),
        judged::link("lib64", "lib"),
        judged::program("bin/nash", &dynamic),
        judged::program("lib/ld.so", &dynamic),
        judged::program("bin/sh", "").numbered(7),
        judged::program("bin/ash", "#!/bin/nash\n").numbered(7),
        judged::file("lib/ext3.ko", &module),
        judged::file("lib/again.ko", GZIP.run(&["-nc"], &module)),
        judged::program(
            "init",
            "#!/bin/nash\ninsmod /lib/ext3.ko\ninsmod /lib/jbd.ko\n. /x\n",
        ),
    ];
    judged::archive(&entries)
}

#[test]
fn spoilt_images_are_judged_and_told_in_lines() {
    let whole = bootable();
    let gzip = GZIP.run(&["-nc"], &whole);
    let mut seeds = images();
    seeds.push(("bootable".to_owned(), whole));
    seeds.push(("bootable, gzip".to_owned(), gzip));
    try_out("inspect", readers::inspect, 300, &seeds);
}

#[test]
fn spoilt_images_differ_as_much_one_way_as_the_other() {
    let whole = bootable();
    let packed = ZSTD.run(&["-c"], &whole);
    let two = [&whole, readers::OTHER, &packed].concat();
    try_out("diff", readers::diff, 600, &[("two".to_owned(), two)]);
}

#[test]
fn the_native_init_reads_spoilt_lines_and_lists() {
    let lines = "root=\"LABEL=a b\" rootfstype=xfs rootflags=noatime,logbufs=8 rw\n\
        root=UUID=1-2 ro quiet rootdelay=2 rootwait=9 xinitrd.onfail=wait \"init=/sbin/my init\" -- root=x";
    let list = "xen_blkfront.max=4 b.flag modprobe.blacklist=c,d ro\n\
        lib/xen-blkfront.ko max=1\nlib/b.ko.xz a=1 b=\"x y\"\n\nlib/c.ko\n";
    let texts = "LABEL=a b|ext4|ro,noatime,defaults|a=1 b=\"2 3\"|lib/a.ko";
    for (name, reader, seed) in [
        (
            "command_lines",
            init_readers::command_lines as fn(&[u8]),
            lines,
        ),
        ("module_list", init_readers::module_list, list),
        ("boot_texts", init_readers::boot_texts, texts),
    ] {
        try_out(name, reader, 4000, &[("text".to_owned(), seed.into())]);
    }
}

/// The first bytes of an empty disk that a tool has written to.
fn written_by(
    tool: &Tool,
    arguments: &[&str],
    input: &str,
    mebibytes: u64,
    first: usize,
) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let disk = directory.path().join("disk");
    let file = fs::File::create(&disk).unwrap();
    file.set_len(mebibytes << 20).unwrap();
    tool.run(&[arguments, &[text(&disk)]].concat(), input.as_bytes());
    let mut bytes = fs::read(&disk).unwrap();
    bytes.truncate(first);
    bytes
}

#[test]
fn the_native_init_reads_spoilt_disks() {
    let label = |tool, arguments: &[&str], mebibytes, first| {
        let bytes = written_by(tool, arguments, "", mebibytes, first);
        (arguments.join(" "), bytes)
    };
    let file_systems = [
        label(&MKE2FS, &["-q", "-t", "ext4", "-L", "a label"], 8, 2048),
        label(&MKFS_XFS, &["-q", "-f", "-L", "a label"], 300, 512),
        label(&MKFS_BTRFS, &["-q", "-L", "a label"], 128, 67 << 10),
        label(&MKFS_VFAT, &["-F", "32", "-n", "A LABEL"], 64, 512),
        label(&MKFS_VFAT, &["-F", "16"], 32, 512),
    ];
    try_out("superblock", init_readers::superblock, 3000, &file_systems);
    let tables = [
        ("gpt", "label: gpt\nsize=1M\nsize=1M, name=\"guest root\"\n"),
        ("dos", "label: dos\nsize=1M\nsize=1M\n"),
    ];
    let tables = tables.map(|(name, table)| {
        let bytes = written_by(&SFDISK, &["--quiet"], table, 8, 2048);
        (name.to_owned(), bytes)
    });
    try_out(
        "partition_table",
        init_readers::partition_table,
        3000,
        &tables,
    );
}
