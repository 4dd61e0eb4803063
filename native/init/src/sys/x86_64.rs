//! System calls of x86-64: `arch/x86/entry/syscalls/syscall_64.tbl`, and the kernel's entry in
//! `arch/x86/entry/entry_64.S`.

use core::arch::{asm, global_asm};

// The kernel leaves argc at the top of the stack, which is a multiple of 16 (psABI, "Initial stack").
global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "call {start}",
    "ud2",
    start = sym super::start,
);

pub mod number {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const OPEN: usize = 2;
    pub const CLOSE: usize = 3;
    pub const FSTAT: usize = 5;
    pub const LSEEK: usize = 8;
    pub const MMAP: usize = 9;
    pub const MUNMAP: usize = 11;
    pub const IOCTL: usize = 16;
    pub const PREAD64: usize = 17;
    pub const ACCESS: usize = 21;
    pub const DUP2: usize = 33;
    pub const NANOSLEEP: usize = 35;
    pub const GETPID: usize = 39;
    pub const EXECVE: usize = 59;
    pub const EXIT: usize = 60;
    pub const FCNTL: usize = 72;
    pub const CHDIR: usize = 80;
    pub const FCHDIR: usize = 81;
    pub const MKDIR: usize = 83;
    pub const RMDIR: usize = 84;
    pub const UNLINK: usize = 87;
    pub const READLINK: usize = 89;
    pub const MKNOD: usize = 133;
    pub const STATFS: usize = 137;
    pub const CHROOT: usize = 161;
    pub const SYNC: usize = 162;
    pub const MOUNT: usize = 165;
    pub const UMOUNT2: usize = 166;
    pub const REBOOT: usize = 169;
    pub const INIT_MODULE: usize = 175;
    pub const GETDENTS64: usize = 217;
    pub const CLOCK_GETTIME: usize = 228;
    pub const FINIT_MODULE: usize = 313;
}

/// # Safety
/// As the call has it.
pub unsafe fn call(number: usize, [a, b, c, d, e]: [usize; 5]) -> isize {
    let result;
    // SAFETY: the caller's. The kernel changes rax, rcx and r11 alone, and memory as the call says.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            in("r8") e,
            in("r9") 0,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Its sixth argument is 0.
///
/// # Safety
/// As the call has it.
pub unsafe fn mmap(arguments: [usize; 5]) -> isize {
    // SAFETY: the caller's.
    unsafe { call(number::MMAP, arguments) }
}

pub use super::by_path::*;
