//! The calls of x86 that take a path. Kernels before 2.6.16 have no others.

use super::arch::number as nr;
use super::{Result, call};

pub const DIRECTORY: usize = 0o20_0000;

pub fn open(path: usize, flags: usize) -> Result<usize> {
    call(nr::OPEN, path, flags, 0)
}

pub fn access(path: usize, mode: usize) -> Result<usize> {
    call(nr::ACCESS, path, mode, 0)
}

pub fn dup2(from: usize, to: usize) -> Result<usize> {
    call(nr::DUP2, from, to, 0)
}

pub fn mkdir(path: usize, mode: usize) -> Result<usize> {
    call(nr::MKDIR, path, mode, 0)
}

pub fn mknod(path: usize, mode: usize, device: usize) -> Result<usize> {
    call(nr::MKNOD, path, mode, device)
}

pub fn unlink(path: usize) -> Result<usize> {
    call(nr::UNLINK, path, 0, 0)
}

pub fn rmdir(path: usize) -> Result<usize> {
    call(nr::RMDIR, path, 0, 0)
}

pub fn readlink(path: usize, into: usize, length: usize) -> Result<usize> {
    call(nr::READLINK, path, into, length)
}
