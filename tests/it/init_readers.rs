//! What the native init reads, with what must hold of its answers whatever the bytes are: lines and lists, and
//! the first bytes of disks. It is process 1 of a guest, with nobody to begin again.
//!
//! In: any bytes. Out: nothing; what does not hold panics. As `readers.rs`, which has those of the host.

use std::fmt::Debug;

use xinitrd::image_path::ImagePath;
use xinitrd::init::{Boot, ModuleLoad, native};
use xinitrd_native_logic::Disk;
use xinitrd_native_logic::modules::modules;
use xinitrd_native_logic::mount::Options;
use xinitrd_native_logic::partition::{Geometry, Partition};
use xinitrd_native_logic::root::Root;
use xinitrd_native_logic::settings::{OnFail, Settings};
use xinitrd_native_logic::superblock::{Kind, Superblock};
use xinitrd_native_logic::text::LIMIT;
use xinitrd_native_logic::words::{Word, Words};

/// The two parts around the first line break.
fn two_lines(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
    let mut next = || lines.next().unwrap_or_default();
    (next(), next())
}

/// Command lines: each word is as it stands there, and the last of a name counts, the kernel's before the image's.
pub fn command_lines(bytes: &[u8]) {
    let (image, kernel) = two_lines(bytes);
    for line in [image, kernel] {
        let length: usize = Words::of(line).map(|word| weight(&word)).sum();
        assert!(length <= line.len(), "{length} bytes of words");
        Words::of(line).for_each(|word| reads_as_written(&word));
    }
    let settings = Settings::of(image, kernel);
    let said = |name: &[u8]| last(kernel, name).or_else(|| last(image, name));
    assert_eq!(settings.root, said(b"root").unwrap_or_default());
    assert_eq!(settings.flags, said(b"rootflags").unwrap_or_default());
    let types = [kernel, image].map(|line| last(line, b"rootfstype").unwrap_or_default());
    assert_eq!([settings.types, settings.likely], types);
    let init = said(b"init").filter(|init| !init.is_empty());
    assert_eq!(settings.init, init);
    if settings.unknown_on_fail.is_some() {
        assert_eq!(settings.on_fail, OnFail::Panic);
        assert_eq!(settings.unknown_on_fail, said(b"xinitrd.onfail"));
    }
    if let Ok(Root::Node(path)) = Root::read(settings.root, settings.nfsroot) {
        assert_eq!(path, settings.root);
    }
    let options = Options::of(settings.flags, settings.writable);
    assert!(options.data.as_bytes().len() <= settings.flags.len());
}

fn weight(word: &Word<'_>) -> usize {
    word.name.len() + word.value.map_or(0, <[u8]>::len)
}

/// The last value that a line gives a name.
fn last<'b>(line: &'b [u8], name: &[u8]) -> Option<&'b [u8]> {
    let named = Words::of(line).filter(|word| word.name == name);
    named.filter_map(|word| word.value).last()
}

/// A word without quotes in it, put between quotes, is that word.
fn reads_as_written(word: &Word<'_>) {
    let mut written = word.name.to_vec();
    if let Some(value) = word.value {
        written.push(b'=');
        written.extend_from_slice(value);
    }
    if written.contains(&b'"') {
        return;
    }
    let quoted = [b"\"", &written[..], b"\""].concat();
    assert_eq!(Words::of(&quoted).collect::<Vec<_>>(), [*word]);
}

/// A list of modules, and the command line's words on them: the lines come back as they stand, a module's own
/// parameters come first, and of the line's those that are its own.
pub fn module_list(bytes: &[u8]) {
    let (line, list) = two_lines(bytes);
    let lines = list.split(|byte| *byte == b'\n');
    let lines: Vec<&[u8]> = lines.filter(|line| !line.is_empty()).collect();
    assert_eq!(modules(list).count(), lines.len());
    for (module, whole) in modules(list).zip(lines) {
        let space: &[u8] = if module.path.len() < whole.len() {
            b" "
        } else {
            b""
        };
        assert_eq!([module.path, space, module.parameters].concat(), whole);
        assert!(!module.path.contains(&b' '));
        assert!(!module.name().contains(&b'/'));
        let all = module.all_parameters(&[line]);
        let kept = module.parameters.len().min(LIMIT - 1);
        assert_eq!(all.as_bytes().get(..kept), module.parameters.get(..kept));
        assert!(all.as_bytes().len() < LIMIT);
        let is_own = |word: Word<'_>| word.of_module().is_some();
        if !Words::of(line).any(is_own) {
            assert_eq!(all.as_bytes().len(), kept);
            assert_eq!(all.is_cut(), kept < module.parameters.len());
        }
        assert!(!module.is_unwanted(&[b""]));
    }
}

/// A disk of these bytes, which counts how many are asked for.
struct Bytes<'b> {
    bytes: &'b [u8],
    asked: usize,
}

impl Disk for Bytes<'_> {
    fn read(&mut self, offset: u64, into: &mut [u8]) -> bool {
        self.asked += into.len();
        let from = usize::try_from(offset).ok();
        let part = from.and_then(|from| self.bytes.get(from..from.checked_add(into.len())?));
        part.is_some_and(|part| {
            into.copy_from_slice(part);
            true
        })
    }
}

/// Far more than a superblock or an entry takes.
const ASKED_LIMIT: usize = 4096;

/// What `read` makes of a disk, twice the same, and with little asked of it.
fn read_twice<T: Debug>(bytes: &[u8], read: impl Fn(&mut Bytes<'_>) -> T) -> T {
    let attempt = || {
        let mut disk = Bytes { bytes, asked: 0 };
        let answer = read(&mut disk);
        assert!(disk.asked <= ASKED_LIMIT, "{} bytes asked for", disk.asked);
        answer
    };
    let first = attempt();
    assert_eq!(format!("{first:?}"), format!("{:?}", attempt()));
    first
}

/// A superblock: an identifier of its form, a label that stands on the disk, nothing that later bytes change.
pub fn superblock(bytes: &[u8]) {
    let read = |bytes: &[u8]| read_twice(bytes, |disk| Superblock::read(disk, bytes.len() as u64));
    let found = read(bytes);
    let uuid = found.uuid.as_bytes();
    assert!(is_uuid(uuid) || is_uuid_of_fat(uuid) || uuid.is_empty());
    let label = found.label.as_bytes();
    assert!(!found.label.is_cut() && !label.contains(&0));
    assert!(label.is_empty() || bytes.windows(label.len()).any(|part| part == label));
    let is_file_system = found.kind.is_some_and(Kind::is_file_system);
    assert_eq!(found.has_uuid(&uuid.to_ascii_uppercase()), is_file_system);
    assert!(found.kind.is_some() || uuid.is_empty() && label.is_empty());
    // What is longer than any place that is looked at says nothing new.
    if bytes.len() > 1 << 17 {
        let longer = [bytes, b"more"].concat();
        assert_eq!(format!("{:?}", read(&longer)), format!("{found:?}"));
    }
}

fn is_digits(text: &[u8]) -> bool {
    text.iter()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether the text is of groups of so many digits each.
fn is_grouped(text: &[u8], lengths: &[usize]) -> bool {
    let groups: Vec<&[u8]> = text.split(|byte| *byte == b'-').collect();
    let all: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    all == lengths && groups.into_iter().all(is_digits)
}

fn is_uuid(text: &[u8]) -> bool {
    is_grouped(text, &[8, 4, 4, 4, 12])
}

fn is_uuid_of_fat(text: &[u8]) -> bool {
    is_grouped(text, &[4, 4])
}

/// A partition table: an identity of its form, or none, for partitions that it has and has not.
pub fn partition_table(bytes: &[u8]) {
    let size = bytes.len() as u64;
    for block in [0, 512, 4096, u64::MAX] {
        for number in [0, 1, 2, 128, u32::MAX] {
            let geometry = Geometry { block, size };
            let found = read_twice(bytes, |disk| Partition::read(disk, geometry, number));
            let uuid = found.uuid.as_bytes();
            let of_mbr = is_grouped(uuid, &[8, 2]);
            assert!(uuid.is_empty() || is_uuid(uuid) || of_mbr);
            assert!(number > 0 || uuid.is_empty());
            assert!(!found.uuid.is_cut() && !found.label.is_cut());
            assert!(std::str::from_utf8(found.label.as_bytes()).is_ok());
            assert!(!of_mbr || found.label.is_empty());
        }
    }
}

/// What the builder writes is what the program reads: the words of a line, of bytes that may be refused.
pub fn boot_texts(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.split('|').map(str::to_owned);
    let mut part = || parts.next().unwrap_or_default();
    let [device, rootfs, flags, options] = [part(), part(), part(), part()];
    let path = ImagePath::new(part().as_bytes()).ok();
    let path = path.filter(|path| !path.as_bytes().is_empty());
    let load = path.map(|path| ModuleLoad { path, options });
    let boot = Boot {
        modules: load.into_iter().collect(),
        root_device: (!device.is_empty()).then_some(device),
        rootfs,
        root_options: Some(flags),
        ..Boot::default()
    };
    read_back(&boot);
}

/// Writes the texts, and holds what is read of them against what was to be written.
pub fn read_back(boot: &Boot) {
    let Ok(texts) = native::texts(boot) else {
        return;
    };
    let settings = Settings::of(texts.cmdline.as_bytes(), b"");
    let root = boot.root_device.as_deref().unwrap_or_default();
    assert_eq!(settings.root, root.as_bytes());
    assert_eq!(settings.likely, boot.rootfs.as_bytes());
    let options = boot.root_options.as_deref().unwrap_or_default();
    let words = options.split(',').map(str::trim);
    let is_mode = |word: &&str| matches!(*word, "ro" | "rw");
    let mode = words.clone().rfind(is_mode);
    assert_eq!(settings.writable, mode == Some("rw"));
    let flags = words.filter(|word| !is_mode(word) && !matches!(*word, "" | "defaults"));
    let flags = flags.collect::<Vec<_>>().join(",");
    assert_eq!(settings.flags, flags.as_bytes());
    assert!(root.is_empty() || Root::read(settings.root, settings.nfsroot).is_ok());
    let modules: Vec<_> = modules(texts.modules.as_bytes()).collect();
    assert_eq!(modules.len(), boot.modules.len());
    for (read, load) in modules.iter().zip(&boot.modules) {
        assert_eq!(read.path, load.path.as_bytes());
        let options = load.options.trim_matches(' ');
        assert_eq!(read.parameters, options.as_bytes());
        assert!(!read.all_parameters(&[b""]).is_cut());
    }
}
