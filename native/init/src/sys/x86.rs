//! System calls of i386: `arch/x86/entry/syscalls/syscall_32.tbl`.

use core::arch::{asm, global_asm};

// The kernel leaves argc at the top of the stack; a call begins 4 below a multiple of 16.
global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov eax, esp",
    "and esp, -16",
    "sub esp, 12",
    "push eax",
    "call {start}",
    "ud2",
    start = sym super::start,
);

pub mod number {
    pub const EXIT: usize = 1;
    pub const READ: usize = 3;
    pub const WRITE: usize = 4;
    pub const OPEN: usize = 5;
    pub const CLOSE: usize = 6;
    pub const UNLINK: usize = 10;
    pub const EXECVE: usize = 11;
    pub const CHDIR: usize = 12;
    pub const MKNOD: usize = 14;
    pub const LSEEK: usize = 19;
    pub const GETPID: usize = 20;
    pub const MOUNT: usize = 21;
    pub const ACCESS: usize = 33;
    pub const SYNC: usize = 36;
    pub const MKDIR: usize = 39;
    pub const RMDIR: usize = 40;
    pub const UMOUNT2: usize = 52;
    pub const IOCTL: usize = 54;
    pub const FCNTL: usize = 55;
    pub const CHROOT: usize = 61;
    pub const DUP2: usize = 63;
    pub const READLINK: usize = 85;
    pub const REBOOT: usize = 88;
    pub const OLD_MMAP: usize = 90;
    pub const MUNMAP: usize = 91;
    pub const STATFS: usize = 99;
    pub const INIT_MODULE: usize = 128;
    pub const FCHDIR: usize = 133;
    pub const NANOSLEEP: usize = 162;
    pub const PREAD64: usize = 180;
    /// `fstat64`, whose `st_dev` is wide.
    pub const FSTAT: usize = 197;
    pub const GETDENTS64: usize = 220;
    pub const CLOCK_GETTIME: usize = 265;
    pub const FINIT_MODULE: usize = 350;
}

/// # Safety
/// As the call has it.
pub unsafe fn call(number: usize, [a, b, c, d, e]: [usize; 5]) -> isize {
    // ebx and esi cannot be named as operands, so all come by way of memory.
    let registers = [a, b, c, d, e, number];
    let result;
    // SAFETY: the caller's. What is pushed is popped, and the kernel changes eax alone, and memory as the
    // call says.
    unsafe {
        asm!(
            "push ebx",
            "push esi",
            "mov ebx, [eax]",
            "mov ecx, [eax + 4]",
            "mov edx, [eax + 8]",
            "mov esi, [eax + 12]",
            "mov edi, [eax + 16]",
            "mov eax, [eax + 20]",
            "int 0x80",
            "pop esi",
            "pop ebx",
            inlateout("eax") registers.as_ptr() => result,
            lateout("ecx") _,
            lateout("edx") _,
            lateout("edi") _,
        );
    }
    result
}

/// The old call takes its six arguments from memory, which spares a sixth register.
///
/// # Safety
/// As the call has it.
pub unsafe fn mmap([address, length, protection, flags, fd]: [usize; 5]) -> isize {
    let arguments = [address, length, protection, flags, fd, 0];
    // SAFETY: the caller's, and the arguments live until the call returns.
    unsafe { call(number::OLD_MMAP, [arguments.as_ptr() as usize, 0, 0, 0, 0]) }
}

pub use super::by_path::*;
