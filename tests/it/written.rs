//! What the one writer writes, unpacked by the models of the kernels: each plan comes out as it is.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use xinitrd::compress::{Compression, Encoding, Format, unpack};
use xinitrd::digest::Digest;
use xinitrd::image::{archive, write};
use xinitrd::image_path::{ImagePath, NAME_LIMIT, PATH_LIMIT};
use xinitrd::kernel_version::KernelVersion;
use xinitrd::plan::{Entry, Node, Plan, Purpose};
use xinitrd::unpacker::{Kind, OLD, Object, Outcome, TODAY, Unpacker};

use crate::hostile::Random;
use crate::support::Tool;

const LZ4: Tool = Tool::of("lz4", "lz4");
/// The time of every entry.
pub const MTIME: u32 = 1_234_567_890;
/// How many plans are made up.
const PLANS: u64 = 300;

// ---- Plans -------------------------------------------------------------------------------------

/// A name of any bytes that one can have, mostly short, sometimes as long as one can be.
fn name(random: &mut Random) -> Vec<u8> {
    let length = match random.below(20) {
        0 => NAME_LIMIT,
        _ => 1 + random.below(9),
    };
    let mut name: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
    name.iter_mut()
        .filter(|byte| matches!(byte, 0 | b'/'))
        .for_each(|byte| *byte = b'\n');
    match name.as_slice() {
        b"." | b".." => b"...".to_vec(),
        _ => name,
    }
}

/// Any bytes that a link's target can have.
fn target(random: &mut Random) -> Vec<u8> {
    let length = match random.below(20) {
        0 => 4095,
        _ => 1 + random.below(40),
    };
    (0..length)
        .map(|_| 1 + (random.next() % 255) as u8)
        .collect()
}

fn node(random: &mut Random) -> Node {
    let number = |random: &mut Random, end: usize| random.below(end) as u32;
    match random.below(8) {
        0 | 1 => Node::Directory,
        2 => Node::Symlink(target(random)),
        3 => Node::CharDevice(number(random, 1 << 12), number(random, 1 << 20)),
        4 => Node::BlockDevice(number(random, 1 << 12), number(random, 1 << 20)),
        _ => {
            let length = [0, 1, 7, 5000, 70_000][random.below(5)];
            let noise = random.next().to_le_bytes();
            Node::File(
                noise
                    .iter()
                    .copied()
                    .cycle()
                    .take(random.below(length + 1))
                    .collect(),
            )
        }
    }
}

/// A path in one of `directories`, as far as it can be a path.
fn path(random: &mut Random, directories: &[ImagePath]) -> Option<ImagePath> {
    // The last one is the deepest, and every second time the next goes deeper still.
    let among = [directories.len(), 1][random.below(2)];
    let directory = &directories[directories.len() - 1 - random.below(among)];
    directory.join(&name(random)).ok()
}

/// A plan made up, always the same of a number.
pub fn plan(seed: u64) -> Plan {
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ seed << 8);
    let mut plan = Plan::default();
    let mut directories = vec![ImagePath::default()];
    for _ in 0..random.below(60) {
        let Some(path) = path(&mut random, &directories) else {
            continue;
        };
        let node = node(&mut random);
        let is_directory = node == Node::Directory;
        let mode = random.below(0o10000) as u32;
        let entry = Entry {
            node,
            mode,
            purpose: Purpose::File,
            origin: String::new(),
        };
        if plan.add(path.clone(), entry).is_ok() && is_directory {
            directories.push(path);
        }
    }
    plan.add_parents().unwrap();
    plan
}

/// A plan whose longest path is as long as one can be.
fn deepest_plan() -> Plan {
    let mut plan = Plan::default();
    let mut path = ImagePath::default();
    while path.as_bytes().len() < PATH_LIMIT {
        let left = PATH_LIMIT - path.as_bytes().len() - usize::from(!path.is_root());
        // What is left for the next must not be a slash alone.
        let length = if left == NAME_LIMIT + 1 {
            NAME_LIMIT - 1
        } else {
            left.min(NAME_LIMIT)
        };
        path = path.join(&vec![b'd'; length]).unwrap();
    }
    let node = Node::File(b"deep down".to_vec());
    plan.add(
        path,
        Entry {
            node,
            mode: 0o644,
            purpose: Purpose::File,
            origin: String::new(),
        },
    )
    .unwrap();
    plan.add_parents().unwrap();
    plan
}

// ---- Trees -------------------------------------------------------------------------------------

type Objects = BTreeMap<Vec<u8>, Object>;

/// What stands in the rootfs when `plan` has been unpacked, where times are set, and before.
fn wanted(plan: &Plan, sets_times: bool) -> Objects {
    let empty = Unpacker::new(TODAY, true).finish();
    let mut wanted = objects(&empty);
    for (path, entry) in plan.entries() {
        let (kind, rdev) = match entry.node {
            Node::Directory => (Kind::Directory, (0, 0)),
            Node::File(_) => (Kind::Regular, (0, 0)),
            Node::Symlink(_) => (Kind::Symlink, (0, 0)),
            Node::CharDevice(major, minor) => (Kind::Char, (major, minor)),
            Node::BlockDevice(major, minor) => (Kind::Block, (major, minor)),
        };
        let is = |one| kind == one;
        let object = Object {
            kind,
            rdev,
            // The kernel gives every link this one.
            mode: if is(Kind::Symlink) {
                0o777
            } else {
                entry.mode as u16
            },
            uid: 0,
            gid: 0,
            size: entry.data().len() as u64,
            target: if is(Kind::Symlink) {
                entry.data().to_vec()
            } else {
                Vec::new()
            },
            digest: is(Kind::Regular).then(|| Digest::of(entry.data())),
            mtime: sets_times.then_some(MTIME),
            links: 1,
        };
        wanted.insert(path.as_bytes().to_vec(), object);
    }
    wanted
}

fn objects(outcome: &Outcome) -> Objects {
    let mut objects = Objects::new();
    let mut add = |path: &[u8], object: &Object| objects.insert(path.to_vec(), object.clone());
    outcome
        .tree
        .walk(|path, _, object| assert_eq!(add(path, object), None, "{path:?} twice"));
    objects
}

/// `bytes` of one segment, unpacked by the kernel `version` in pieces of any length.
fn unpacked(
    version: KernelVersion,
    format: Option<Format>,
    bytes: &[u8],
    random: &mut Random,
) -> Outcome {
    let mut unpacker = Unpacker::new(version, true);
    unpacker.segment(format, 0);
    let mut rest = bytes;
    while !rest.is_empty() {
        let longest = 1 << random.below(18);
        let length = 1 + random.below(longest);
        let piece;
        (piece, rest) = rest.split_at(length.min(rest.len()));
        unpacker.feed(piece);
    }
    unpacker.segment_end(None);
    unpacker.finish()
}

/// Holds `plan` against what each kernel makes of its archive.
fn comes_out(
    plan: &Plan,
    format: Option<Format>,
    bytes: &[u8],
    versions: &[KernelVersion],
    seed: u64,
) {
    let mut random = Random(seed + 1);
    for version in versions {
        let outcome = unpacked(*version, format, bytes, &mut random);
        assert_eq!(outcome.failed, None, "plan {seed}, {version}");
        assert_eq!(outcome.events, [], "plan {seed}, {version}");
        assert!(
            objects(&outcome) == wanted(plan, *version != OLD),
            "plan {seed}, {version}"
        );
    }
}

fn bytes(plan: &Plan) -> Vec<u8> {
    let rope = archive(plan, MTIME).unwrap();
    let slices = rope.slices(0..rope.len());
    slices.flatten().copied().collect()
}

/// The image of `plan`, as the one writer writes it.
pub fn image(plan: &Plan, compression: Compression, level: u8) -> Vec<u8> {
    let encoding = Encoding::new(compression, level, NonZeroUsize::MIN).unwrap();
    let mut image = Vec::new();
    let archive = archive(plan, MTIME).unwrap();
    write(&archive, &encoding, &mut image, &|_| ()).unwrap();
    image
}

#[test]
fn every_plan_comes_out_of_its_archive_as_it_is() {
    for seed in 0..PLANS {
        let plan = plan(seed);
        comes_out(&plan, None, &bytes(&plan), &[OLD, TODAY], seed);
    }
    let deepest = deepest_plan();
    let longest = deepest
        .entries()
        .map(|(path, _)| path.as_bytes().len())
        .max();
    assert_eq!(longest, Some(PATH_LIMIT));
    comes_out(&deepest, None, &bytes(&deepest), &[OLD, TODAY], 0);
}

#[test]
fn every_plan_comes_out_of_every_compression() {
    for (number, compression) in (0..).zip(Compression::ALL) {
        for seed in [number, number + 5, number + 10] {
            let plan = plan(seed);
            let image = image(&plan, compression, compression.default_level());
            let (format, archive) = match compression {
                Compression::None => (None, image),
                Compression::Lz4 => (Some(Format::Lz4), LZ4.run(&["-dc"], &image)),
                Compression::Gzip => (Some(Format::Gzip), unpack(&image, usize::MAX).unwrap()),
                Compression::Xz => (Some(Format::Xz), unpack(&image, usize::MAX).unwrap()),
                Compression::Zstd => (Some(Format::Zstd), unpack(&image, usize::MAX).unwrap()),
            };
            let first = compression.first_kernel();
            comes_out(&plan, format, &archive, &[TODAY], seed);
            let reads = |version| {
                unpacked(version, format, &archive, &mut Random(1))
                    .failed
                    .is_none()
            };
            assert_eq!(reads(OLD), OLD >= first, "{}", compression.name());
            assert!(reads(first), "{}", compression.name());
        }
    }
}

#[test]
fn the_plans_that_are_made_up_have_everything_a_plan_can_have() {
    let plans: Vec<Plan> = (0..PLANS).map(plan).collect();
    let entries = || plans.iter().flat_map(Plan::entries);
    let has = |what: fn(&ImagePath, &Entry) -> bool| {
        entries().filter(|(path, entry)| what(path, entry)).count()
    };
    let counts = [
        has(|_, entry| entry.node == Node::Directory),
        has(|_, entry| entry.node == Node::File(Vec::new())),
        has(|_, entry| matches!(&entry.node, Node::File(data) if data.len() > 10_000)),
        has(|_, entry| matches!(&entry.node, Node::Symlink(target) if target.len() == 4095)),
        has(|_, entry| matches!(entry.node, Node::BlockDevice(_, minor) if minor > 0xffff)),
        has(|path, _| path.file_name().len() == NAME_LIMIT),
        has(|path, _| path.components().count() > 8),
        has(|path, _| std::str::from_utf8(path.as_bytes()).is_err()),
    ];
    assert!(counts.iter().all(|&count| count > 10), "{counts:?}");
}
