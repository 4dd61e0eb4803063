//! The block devices that the kernel has, by sysfs.

use core::ffi::CStr;
use core::ops::ControlFlow;

use xinitrd_native_logic::Disk;
use xinitrd_native_logic::partition::{Geometry, Partition};
use xinitrd_native_logic::superblock::Superblock;
use xinitrd_native_logic::text::{Text, decimal, split_once};

use crate::sys::{self, File, Open};

/// Bytes of a path in `/sys` or `/dev`, and a NUL.
type Path = Text<256>;

/// Bytes of a sector, in which the kernel gives sizes whatever the device.
const SECTOR: u64 = 512;

/// A block device that may hold a root.
pub struct Block {
    /// Its directory in sysfs.
    directory: Path,
    /// Its node.
    node: Path,
    /// Its number.
    pub major: u32,
    /// Its number.
    pub minor: u32,
    /// How much it holds, in bytes.
    pub size: u64,
    /// Its number among the partitions of its disk; `None` for a whole one.
    pub partition: Option<u32>,
}

/// Shows every block device that may hold a root to `look`, until that breaks. Where `make_nodes` says so
/// each gets its node.
pub fn each(make_nodes: bool, look: &mut dyn FnMut(&Block) -> ControlFlow<()>) -> ControlFlow<()> {
    let mut of_directory = |directory: &Path| match Block::of(directory) {
        Some(block) => {
            if make_nodes {
                block.make_node();
            }
            look(&block)
        }
        None => ControlFlow::Continue(()),
    };
    let class = Path::of(b"/sys/class/block");
    if sys::exists(class.as_c_str()) {
        return entries(&class, &mut of_directory);
    }
    // Kernels before 2.6.26 have no class of block devices, and list partitions below their disks.
    entries(&Path::of(b"/sys/block"), &mut |disk| {
        of_directory(disk)?;
        entries(disk, &mut of_directory)
    })
}

/// Shows the path of every entry of a directory.
fn entries(directory: &Path, look: &mut dyn FnMut(&Path) -> ControlFlow<()>) -> ControlFlow<()> {
    let Ok(file) = File::open(directory.as_c_str(), Open::Directory) else {
        return ControlFlow::Continue(());
    };
    let mut buffer = [0; 1024];
    while let Ok(records) = file.read_directory(&mut buffer)
        && !records.is_empty()
    {
        for name in names(records) {
            let mut path = directory.clone();
            look(path.push_byte(b'/').push(name))?;
        }
    }
    ControlFlow::Continue(())
}

/// The names in records of a directory (`struct linux_dirent64`), but `.` and `..`.
pub fn names(mut records: &[u8]) -> impl Iterator<Item = &[u8]> {
    const LENGTH_AT: usize = 16;
    const NAME_AT: usize = 19;
    let all = core::iter::from_fn(move || {
        let length = records.get(LENGTH_AT..)?.first_chunk::<2>()?;
        let length = usize::from(u16::from_ne_bytes(*length));
        let (record, rest) = records.split_at_checked(length)?;
        records = rest;
        record.get(NAME_AT..)?.split(|byte| *byte == 0).next()
    });
    all.filter(|name| !matches!(*name, b"." | b".."))
}

impl Block {
    #[inline(never)]
    fn of(directory: &Path) -> Option<Block> {
        let name = last(directory.as_bytes());
        let passing: [&[u8]; 3] = [b"ram", b"loop", b"fd"];
        if passing.iter().any(|kind| name.starts_with(kind)) {
            return None;
        }
        let number = attribute(directory, b"/dev")?;
        let (major, minor) = split_once(number.as_bytes(), b':')?;
        let size = decimal(attribute(directory, b"/size")?.as_bytes())?;
        let partition = attribute(directory, b"/partition");
        let partition = partition.and_then(|number| decimal(number.as_bytes()));
        (size > 0).then_some(Block {
            directory: directory.clone(),
            node: node(name),
            major: u32::try_from(decimal(major)?).ok()?,
            minor: u32::try_from(decimal(minor)?).ok()?,
            size: size.saturating_mul(SECTOR),
            partition: partition.and_then(|number| u32::try_from(number).ok()),
        })
    }

    /// The path of its node.
    pub fn node(&self) -> &CStr {
        self.node.as_c_str()
    }

    /// What lies on it.
    pub fn superblock(&self) -> Option<Superblock> {
        Superblock::read(&mut Device::open(self.node())?)
    }

    /// What its disk's table says of it; nothing of a whole disk.
    pub fn identity(&self) -> Option<Partition> {
        let number = self.partition?;
        let disk = self.disk();
        let sectors = attribute(&disk, b"/size").and_then(|size| decimal(size.as_bytes()));
        let block = attribute(&disk, b"/queue/logical_block_size");
        let geometry = Geometry {
            block: block
                .and_then(|size| decimal(size.as_bytes()))
                .unwrap_or(SECTOR),
            size: sectors.unwrap_or(0).saturating_mul(SECTOR),
        };
        let node = node(last(disk.as_bytes()));
        let mut device = Device::open(node.as_c_str())?;
        Some(Partition::read(&mut device, geometry, number))
    }

    /// The directory of the disk that it is a partition of.
    pub fn disk(&self) -> Path {
        let mut into = [0; 256];
        // In the class there are links to directories, which lie below those of their disks.
        let real = sys::read_link(self.directory.as_c_str(), &mut into);
        let real = real.unwrap_or(self.directory.as_bytes());
        let disk = last(without_last(real));
        let mut path = Path::of(without_last(self.directory.as_bytes()));
        if real == self.directory.as_bytes() {
            return path;
        }
        path.push_byte(b'/').push(disk);
        path
    }

    /// Makes its node, where there is none.
    #[inline(never)]
    fn make_node(&self) {
        let path = self.node.as_bytes();
        for (at, byte) in path.iter().enumerate().skip(b"/dev/".len()) {
            if *byte == b'/' {
                let parent = Path::of(path.get(..at).unwrap_or_default());
                let _ = sys::make_directory(parent.as_c_str());
            }
        }
        let _ = sys::make_block_node(self.node(), self.major, self.minor);
    }
}

/// The node of a device with this name; sysfs writes `!` for the slash of names like `cciss/c0d0`.
fn node(name: &[u8]) -> Path {
    let mut path = Path::of(b"/dev/");
    for byte in name {
        path.push_byte(if *byte == b'!' { b'/' } else { *byte });
    }
    path
}

fn last(path: &[u8]) -> &[u8] {
    let mut parts = path.rsplit(|byte| *byte == b'/');
    parts.next().unwrap_or_default()
}

fn without_last(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte == b'/');
    end.and_then(|end| path.get(..end)).unwrap_or_default()
}

/// The text of a file below a directory of sysfs, without its line break.
fn attribute(directory: &Path, name: &[u8]) -> Option<Text<64>> {
    let mut path = directory.clone();
    let file = File::open(path.push(name).as_c_str(), Open::Read).ok()?;
    let mut text = [0; 63];
    let length = file.read(&mut text).ok()?;
    Some(Text::of(text.get(..length)?.trim_ascii()))
}

/// A device that is read, a page at a time.
struct Device {
    file: File,
    page: [u8; PAGE],
    /// Where the page begins that is held.
    held: Option<u64>,
}

const PAGE: usize = 4096;

impl Device {
    fn open(node: &CStr) -> Option<Device> {
        Some(Device {
            file: File::open(node, Open::Read).ok()?,
            page: [0; PAGE],
            held: None,
        })
    }

    /// The page that begins at an offset, as much of it as there is.
    fn hold(&mut self, start: u64) -> bool {
        if self.held == Some(start) {
            return true;
        }
        self.held = None;
        let is_whole = self.file.read_at(start, &mut self.page) == Ok(PAGE);
        if is_whole {
            self.held = Some(start);
        }
        is_whole
    }
}

impl Disk for Device {
    fn read(&mut self, offset: u64, into: &mut [u8]) -> bool {
        let mut at = offset;
        for byte in into {
            let within = (at % PAGE as u64) as usize;
            if !self.hold(at - within as u64) {
                return false;
            }
            match self.page.get(within) {
                Some(found) => *byte = *found,
                None => return false,
            }
            at = at.wrapping_add(1);
        }
        true
    }
}
