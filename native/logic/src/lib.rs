//! What the native `/init` decides, apart from doing it: what the command line asks for, which file
//! system lies on a device, which partition has which name, what the list of modules says.
//!
//! In: bytes, of texts and of disks. Out: values. There is no allocator and no operating system here, so
//! that the program of process 1 (`native/init`) and the tests of any
//! host run the same lines. Nothing panics: the program is linked without a way to.

#![no_std]

#[cfg(test)]
extern crate std;

pub mod errno;
pub mod modules;
pub mod mount;
pub mod partition;
pub mod root;
pub mod settings;
pub mod superblock;
pub mod text;
pub mod words;

/// Something that bytes are read from at an offset: a block device, or a test's own.
pub trait Disk {
    /// Fills `into` with what lies at `offset`; `false` where that is not all there, or cannot be read.
    fn read(&mut self, offset: u64, into: &mut [u8]) -> bool;
}
