//! The block devices that the kernel has, by sysfs.

use xinitrd_native_logic::Disk;
use xinitrd_native_logic::partition::{Geometry, Partition};
use xinitrd_native_logic::superblock::{Kind, Superblock};
use xinitrd_native_logic::text::{Parts, Text, decimal, split_once};

use crate::read;
use crate::sys::{self, File, Open};

/// Bytes of a sector, in which the kernel gives sizes whatever the device.
const SECTOR: u64 = 512;

/// Devices that are no disks of a guest.
const PASSING: &[u8] = b"ram,loop,fd,zram";

/// A block device that may hold a root.
pub struct Block {
    /// Its directory in sysfs.
    directory: Text,
    /// Its node.
    pub node: Text,
    /// Its number.
    pub major: u32,
    /// Its number.
    pub minor: u32,
    /// How much it holds, in bytes.
    pub size: u64,
    /// Its number among the partitions of its disk; `None` for a whole one.
    pub partition: Option<u32>,
}

/// Makes the node of every block device that may hold a root, for a kernel that has no devtmpfs.
pub fn make_nodes() {
    each(&mut |block| {
        block.make_node();
        false
    });
}

/// Shows every block device that may hold a root to `is_it`, until that says so; whether it did.
pub fn each(is_it: &mut dyn FnMut(&Block) -> bool) -> bool {
    let mut of_directory = |directory: &Text| match Block::of(directory) {
        Some(block) => is_it(&block),
        None => false,
    };
    let class = Text::of(b"/sys/class/block");
    if sys::exists(class.as_c_str()) {
        return entries(&class, &mut of_directory);
    }
    // Kernels before 2.6.26 have no class of block devices, and list partitions below their disks.
    entries(&Text::of(b"/sys/block"), &mut |disk| {
        of_directory(disk) || entries(disk, &mut of_directory)
    })
}

/// Shows the path of every entry of a directory to `is_it`, until that says so.
fn entries(directory: &Text, is_it: &mut dyn FnMut(&Text) -> bool) -> bool {
    let Ok(file) = File::open(directory.as_c_str(), Open::Directory) else {
        return false;
    };
    let mut buffer = [0; 1024];
    while let Ok(records) = file.read_directory(&mut buffer)
        && !records.is_empty()
    {
        for name in names(records) {
            let mut path = directory.clone();
            if is_it(path.push_byte(b'/').push(name)) {
                return true;
            }
        }
    }
    false
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
        Parts::of(record.get(NAME_AT..)?, 0).next()
    });
    all.filter(|name| !matches!(*name, b"." | b".."))
}

impl Block {
    fn of(directory: &Text) -> Option<Block> {
        let name = last(directory.as_bytes());
        if Parts::of(PASSING, b',').any(|kind| name.starts_with(kind)) {
            return None;
        }
        let device = attribute(directory, b"/dev");
        let (major, minor) = split_once(device.as_bytes(), b':')?;
        let (major, minor) = (decimal(major)? as u32, decimal(minor)? as u32);
        let size = number(directory, b"/size").filter(|size| *size > 0)?;
        Some(Block {
            directory: directory.clone(),
            node: node(name),
            major,
            minor,
            size: size.saturating_mul(SECTOR),
            partition: number(directory, b"/partition").map(|number| number as u32),
        })
    }

    /// What lies on it.
    pub fn superblock(&self) -> Superblock {
        Superblock::read(&mut Device::open(&self.node), self.size)
    }

    /// What its disk's table says of it; nothing of a whole disk.
    pub fn identity(&self) -> Partition {
        let disk = self.disk();
        let geometry = Geometry {
            block: number(&disk, b"/queue/logical_block_size").unwrap_or(SECTOR),
            size: number(&disk, b"/size").unwrap_or(0).saturating_mul(SECTOR),
        };
        let mut device = Device::open(&self.disk_node());
        // No table has a partition 0.
        Partition::read(&mut device, geometry, self.partition.unwrap_or(0))
    }

    /// The node of the disk that it is a partition of; its own where it is a whole one.
    fn disk_node(&self) -> Text {
        match self.partition {
            Some(_) => node(last(self.disk().as_bytes())),
            None => self.node.clone(),
        }
    }

    /// The directory of the disk that it is a partition of.
    fn disk(&self) -> Text {
        let mut into = [0; 1024];
        // In the class there are links to directories, which lie below those of their disks.
        let real = sys::read_link(self.directory.as_c_str(), &mut into);
        let real = real.unwrap_or(self.directory.as_bytes());
        let disk = last(without_last(real));
        let mut path = Text::of(without_last(self.directory.as_bytes()));
        if real == self.directory.as_bytes() {
            return path;
        }
        path.push_byte(b'/').push(disk);
        path
    }

    /// Makes its node, where there is none.
    fn make_node(&self) {
        let path = self.node.as_bytes();
        for (at, byte) in path.iter().enumerate().skip(b"/dev/".len()) {
            if *byte == b'/' {
                let parent = Text::of(path.get(..at).unwrap_or_default());
                let _ = sys::make_directory(parent.as_c_str());
            }
        }
        let _ = sys::make_block_node(self.node.as_c_str(), self.major, self.minor);
    }
}

/// Whether a node is there, and can be opened: the kernel makes it before that.
pub fn can_be_read(node: &Text) -> bool {
    !node.is_cut() && File::open(node.as_c_str(), Open::Read).is_ok()
}

/// What lies on a node's device; an array is known by its beginning alone.
pub fn kind_of(node: &Text) -> Option<Kind> {
    Superblock::read(&mut Device::open(node), 0).kind
}

/// The node of a device with this name; sysfs writes `!` for the slash of names like `cciss/c0d0`.
fn node(name: &[u8]) -> Text {
    let mut path = Text::of(b"/dev/");
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

/// The number in a file below a directory of sysfs.
fn number(directory: &Text, name: &[u8]) -> Option<u64> {
    decimal(attribute(directory, name).as_bytes())
}

/// The text of a file below a directory of sysfs, without its line break; empty where there is none.
fn attribute(directory: &Text, name: &[u8]) -> Text {
    let mut path = directory.clone();
    let mut text = [0; 64];
    let text = read(path.push(name).as_c_str(), &mut text);
    Text::of(text.trim_ascii())
}

/// A device that is read, so many bytes at a time.
struct Device {
    /// Nothing, where it cannot be opened.
    file: Option<File>,
    page: [u8; PAGE],
    /// Where the page begins that is held, and how much of it there is.
    held: Option<(u64, usize)>,
}

const PAGE: usize = 1024;

impl Device {
    fn open(node: &Text) -> Device {
        Device {
            file: File::open(node.as_c_str(), Open::Read).ok(),
            page: [0; PAGE],
            held: None,
        }
    }

    /// Of the page that begins at an offset, how much there is.
    fn hold(&mut self, start: u64) -> usize {
        match (self.held, &self.file) {
            (Some((held, length)), _) if held == start => length,
            (_, Some(file)) => {
                let length = file.read_at(start, &mut self.page).unwrap_or(0);
                self.held = Some((start, length));
                length
            }
            _ => 0,
        }
    }
}

impl Disk for Device {
    fn read(&mut self, offset: u64, into: &mut [u8]) -> bool {
        let mut at = offset;
        for byte in into {
            let within = (at % PAGE as u64) as usize;
            let length = self.hold(at - within as u64);
            match self.page.get(within) {
                Some(found) if within < length => *byte = *found,
                _ => return false,
            }
            at = at.wrapping_add(1);
        }
        true
    }
}
