//! System calls of 64-bit Arm: `include/uapi/asm-generic/unistd.h`.

use core::arch::{asm, global_asm};

// The kernel leaves argc at the top of the stack, which is a multiple of 16.
global_asm!(
    ".globl _start",
    "_start:",
    "mov x29, xzr",
    "mov x30, xzr",
    "mov x0, sp",
    "bl {start}",
    "brk #1",
    start = sym super::start,
);

pub mod number {
    pub const DUP3: usize = 24;
    pub const FCNTL: usize = 25;
    pub const IOCTL: usize = 29;
    pub const MKNODAT: usize = 33;
    pub const MKDIRAT: usize = 34;
    pub const UNLINKAT: usize = 35;
    pub const UMOUNT2: usize = 39;
    pub const MOUNT: usize = 40;
    pub const STATFS: usize = 43;
    pub const FACCESSAT: usize = 48;
    pub const CHDIR: usize = 49;
    pub const FCHDIR: usize = 50;
    pub const CHROOT: usize = 51;
    pub const OPENAT: usize = 56;
    pub const CLOSE: usize = 57;
    pub const GETDENTS64: usize = 61;
    pub const LSEEK: usize = 62;
    pub const READ: usize = 63;
    pub const WRITE: usize = 64;
    pub const PREAD64: usize = 67;
    pub const READLINKAT: usize = 78;
    pub const FSTAT: usize = 80;
    pub const SYNC: usize = 81;
    pub const EXIT: usize = 93;
    pub const NANOSLEEP: usize = 101;
    pub const INIT_MODULE: usize = 105;
    pub const CLOCK_GETTIME: usize = 113;
    pub const REBOOT: usize = 142;
    pub const GETPID: usize = 172;
    pub const MUNMAP: usize = 215;
    pub const EXECVE: usize = 221;
    pub const MMAP: usize = 222;
    pub const FINIT_MODULE: usize = 273;
}

/// # Safety
/// As the call has it.
pub unsafe fn call(number: usize, [a, b, c, d, e]: [usize; 5]) -> isize {
    let result;
    // SAFETY: the caller's. The kernel changes x0 alone, and memory as the call says.
    unsafe {
        asm!(
            "svc #0",
            in("x8") number,
            inlateout("x0") a as isize => result,
            in("x1") b,
            in("x2") c,
            in("x3") d,
            in("x4") e,
            in("x5") 0,
            options(nostack),
        );
    }
    result
}

/// # Safety
/// As the call has it.
pub unsafe fn mmap(arguments: [usize; 5]) -> isize {
    // SAFETY: the caller's.
    unsafe { call(number::MMAP, arguments) }
}

/// The calls that take a path, which this architecture has only as those that begin at a directory.
mod paths {
    use super::super::{Result, call, call5};
    use super::number as nr;

    const CURRENT: usize = -100isize as usize;
    const REMOVE_DIRECTORY: usize = 0x200;

    pub const DIRECTORY: usize = 0o4_0000;

    pub fn open(path: usize, flags: usize) -> Result<usize> {
        call(nr::OPENAT, CURRENT, path, flags)
    }

    pub fn access(path: usize, mode: usize) -> Result<usize> {
        call(nr::FACCESSAT, CURRENT, path, mode)
    }

    pub fn dup2(from: usize, to: usize) -> Result<usize> {
        call(nr::DUP3, from, to, 0)
    }

    pub fn mkdir(path: usize, mode: usize) -> Result<usize> {
        call(nr::MKDIRAT, CURRENT, path, mode)
    }

    pub fn mknod(path: usize, mode: usize, device: usize) -> Result<usize> {
        call5(nr::MKNODAT, CURRENT, path, mode, device, 0)
    }

    pub fn unlink(path: usize) -> Result<usize> {
        call(nr::UNLINKAT, CURRENT, path, 0)
    }

    pub fn rmdir(path: usize) -> Result<usize> {
        call(nr::UNLINKAT, CURRENT, path, REMOVE_DIRECTORY)
    }

    pub fn readlink(path: usize, into: usize, length: usize) -> Result<usize> {
        call5(nr::READLINKAT, CURRENT, path, into, length, 0)
    }
}

pub use paths::*;
