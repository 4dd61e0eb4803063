//! The kernel's door: every system call that the init makes, as a safe function, and where the kernel
//! begins it. The only code with `unsafe` in it.

#[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
mod by_path;
mod memory;

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "x86", path = "x86.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
mod arch;

use core::ffi::CStr;
use core::ops::Deref;

use arch::number as nr;

/// The kernel's refusal, as its number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub usize);

impl Errno {
    pub const E2BIG: Errno = Errno(7);
    pub const EACCES: Errno = Errno(13);
    pub const EEXIST: Errno = Errno(17);
    pub const EISDIR: Errno = Errno(21);
    pub const EROFS: Errno = Errno(30);
    pub const ENOSYS: Errno = Errno(38);
    pub const ECANCELED: Errno = Errno(125);
}

pub type Result<T> = core::result::Result<T, Errno>;

// ---- The beginning and the end -----------------------------------------------------------------

/// What the kernel hands to process 1: its arguments and its environment.
pub struct Start {
    arguments: *mut *const u8,
    environment: *const *const u8,
}

/// The first function: called by `_start` with the stack as the kernel left it.
unsafe extern "C" fn start(stack: *mut usize) -> ! {
    // SAFETY: there is argc, then argc pointers and a null, then the environment (`create_elf_tables` in the
    // kernel's `fs/binfmt_elf.c`).
    let start = unsafe {
        let arguments = stack.add(1).cast::<*const u8>();
        Start {
            arguments,
            environment: arguments.add(*stack + 1),
        }
    };
    crate::main(&start)
}

impl Start {
    /// Runs a program in this one's place, with the arguments and the environment that this one has: all but
    /// the first, which is its name. Returns only where that fails.
    pub fn run(&self, program: &CStr) -> Errno {
        // SAFETY: both lists end in a null; the first has room for a name, for the kernel gave it one.
        let result = unsafe {
            self.arguments.write(program.as_ptr().cast());
            call(
                nr::EXECVE,
                address(program),
                self.arguments as usize,
                self.environment as usize,
            )
        };
        result.err().unwrap_or(Errno(0))
    }
}

/// Ends the process; the kernel panics when it is process 1.
pub fn exit(status: usize) -> ! {
    let _ = call(nr::EXIT, status, 0, 0);
    loop {
        sleep(1000);
    }
}

/// There is no way to panic: this program does not link where one is left.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        fn the_init_must_not_be_able_to_panic() -> !;
    }
    // SAFETY: there is no such function, and so no program that calls it.
    unsafe { the_init_must_not_be_able_to_panic() }
}

// ---- Calls ------------------------------------------------------------------------------------

fn result_of(result: isize) -> Result<usize> {
    match result.wrapping_neg() {
        number @ 1..=4095 => Err(Errno(number as usize)),
        _ => Ok(result as usize),
    }
}

/// A call with three arguments or fewer, the others 0.
fn call(number: usize, a: usize, b: usize, c: usize) -> Result<usize> {
    call5(number, a, b, c, 0, 0)
}

// Each copy would be larger than the call.
#[inline(never)]
fn call5(number: usize, a: usize, b: usize, c: usize, d: usize, e: usize) -> Result<usize> {
    // SAFETY: the functions of this room are the only callers. What they give are numbers, and addresses of
    // values that live until the call returns, writable where the kernel writes.
    result_of(unsafe { arch::call(number, [a, b, c, d, e]) })
}

fn address(text: &CStr) -> usize {
    text.as_ptr() as usize
}

/// The number of this process.
pub fn process() -> usize {
    call(nr::GETPID, 0, 0, 0).unwrap_or(0)
}

/// Whether a file is open under this number.
pub fn is_open(fd: usize) -> bool {
    const GETFD: usize = 1;
    call(nr::FCNTL, fd, GETFD, 0).is_ok()
}

/// Writes to standard error, which is the console. What cannot be written is lost.
pub fn write(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let written = call(nr::WRITE, 2, bytes.as_ptr() as usize, bytes.len());
        match written.ok().and_then(|count| bytes.get(count..)) {
            Some(rest) if rest.len() < bytes.len() => bytes = rest,
            _ => return,
        }
    }
}

/// Writes what has been changed to the disks.
pub fn sync() {
    let _ = call(nr::SYNC, 0, 0, 0);
}

/// What the machine is to do.
pub enum Power {
    Restart,
    Off,
}

/// Restarts or turns off the machine; returns where the kernel does not.
pub fn power(what: Power) {
    let command = match what {
        Power::Restart => 0x0123_4567,
        Power::Off => 0x4321_fedc,
    };
    sync();
    let _ = call(nr::REBOOT, 0xfee1_dead, 672_274_793, command);
}

// ---- Time -------------------------------------------------------------------------------------

/// Milliseconds since the kernel started, by its monotonic clock.
pub fn now() -> u64 {
    let mut time = [0usize; 2];
    let _ = call(nr::CLOCK_GETTIME, 1, time.as_mut_ptr() as usize, 0);
    let [seconds, nanoseconds] = time;
    seconds as u64 * 1000 + nanoseconds as u64 / 1_000_000
}

/// Sleeps for so many milliseconds.
pub fn sleep(milliseconds: u64) {
    let time = [
        (milliseconds / 1000) as usize,
        (milliseconds % 1000) as usize * 1_000_000,
    ];
    let _ = call(nr::NANOSLEEP, time.as_ptr() as usize, 0, 0);
}

// ---- Files ------------------------------------------------------------------------------------

/// An open file, closed when it is let go.
pub struct File(usize);

impl Drop for File {
    fn drop(&mut self) {
        let _ = call(nr::CLOSE, self.0, 0, 0);
    }
}

/// How a file is opened. Only `ReadWrite` stays open for a program that is run.
#[derive(Clone, Copy)]
pub enum Open {
    Read,
    Write,
    ReadWrite,
    Directory,
}

impl File {
    pub fn open(path: &CStr, how: Open) -> Result<File> {
        const CLOSE_ON_EXEC: usize = 0o200_0000;
        const NO_TERMINAL: usize = 0o400;
        let flags = match how {
            Open::Read => CLOSE_ON_EXEC,
            Open::Write => 1 | CLOSE_ON_EXEC,
            Open::ReadWrite => 2 | NO_TERMINAL,
            Open::Directory => arch::DIRECTORY | CLOSE_ON_EXEC,
        };
        arch::open(address(path), flags).map(File)
    }

    /// Reads what comes next, up to the length of `into`.
    pub fn read(&self, into: &mut [u8]) -> Result<usize> {
        call(nr::READ, self.0, into.as_mut_ptr() as usize, into.len())
    }

    /// Writes at once; how much was written.
    pub fn write(&self, bytes: &[u8]) -> Result<usize> {
        call(nr::WRITE, self.0, bytes.as_ptr() as usize, bytes.len())
    }

    /// Reads from an offset, up to the length of `into`.
    pub fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        // A 32-bit architecture takes the offset in two registers, a 64-bit one looks at the first alone.
        let halves = [offset as usize, (offset >> 32) as usize];
        let [low, high] = halves;
        call5(
            nr::PREAD64,
            self.0,
            into.as_mut_ptr() as usize,
            into.len(),
            low,
            high,
        )
    }

    /// Reads the next entries of a directory (`struct linux_dirent64`).
    pub fn read_directory<'b>(&self, into: &'b mut [u8]) -> Result<&'b [u8]> {
        let length = call(
            nr::GETDENTS64,
            self.0,
            into.as_mut_ptr() as usize,
            into.len(),
        )?;
        Ok(into.get(..length).unwrap_or_default())
    }

    /// The device that it lies on.
    pub fn device(&self) -> Result<u64> {
        // The longest `struct stat` of these architectures has 144 bytes; all begin with a `st_dev` of 8.
        let mut stat = [0u64; 32];
        call(nr::FSTAT, self.0, stat.as_mut_ptr() as usize, 0)?;
        let [device, ..] = stat;
        Ok(device)
    }

    /// Makes it the current directory.
    pub fn enter(&self) -> Result<()> {
        call(nr::FCHDIR, self.0, 0, 0).map(drop)
    }

    /// Makes it standard input, output and error.
    pub fn become_console(&self) {
        for fd in 0..3 {
            let _ = arch::dup2(self.0, fd);
        }
    }

    /// Has the kernel load it as a module: by this call from 3.8 on.
    pub fn load_module(&self, parameters: &CStr, compressed: bool) -> Result<()> {
        const COMPRESSED: usize = 4;
        let flags = if compressed { COMPRESSED } else { 0 };
        call(nr::FINIT_MODULE, self.0, address(parameters), flags).map(drop)
    }

    /// Has btrfs know the device, by way of `/dev/btrfs-control`, which this is.
    pub fn register_btrfs(&self, device: &CStr) {
        /// `BTRFS_IOC_SCAN_DEV`, `_IOW(0x94, 4, struct btrfs_ioctl_vol_args)`.
        const SCAN_DEV: usize = 0x5000_9404;
        #[repr(C)]
        struct Arguments {
            fd: i64,
            name: [u8; 4088],
        }
        let mut arguments = Arguments {
            fd: 0,
            name: [0; 4088],
        };
        for (to, from) in arguments.name.iter_mut().zip(device.to_bytes()) {
            *to = *from;
        }
        let _ = call(nr::IOCTL, self.0, SCAN_DEV, &raw mut arguments as usize);
    }

    /// All of the file in memory.
    pub fn map(&self) -> Result<Mapping> {
        const END: usize = 2;
        const READ: usize = 1;
        const PRIVATE: usize = 2;
        let length = call(nr::LSEEK, self.0, 0, END)?;
        if length == 0 {
            return Ok(Mapping {
                start: core::ptr::NonNull::dangling().as_ptr(),
                length,
            });
        }
        // SAFETY: a new mapping, at a place of the kernel's choice.
        let start = unsafe { arch::mmap([0, length, READ, PRIVATE, self.0]) };
        Ok(Mapping {
            start: result_of(start)? as *const u8,
            length,
        })
    }
}

/// A file in memory. Nothing else runs that could change or cut it.
pub struct Mapping {
    start: *const u8,
    length: usize,
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: mapped for reading, for as long as this lives.
        unsafe { core::slice::from_raw_parts(self.start, self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.length > 0 {
            let _ = call(nr::MUNMAP, self.start as usize, self.length, 0);
        }
    }
}

/// Has the kernel load a module out of memory: what kernels before 3.8 know.
pub fn load_module(module: &[u8], parameters: &CStr) -> Result<()> {
    let start = module.as_ptr() as usize;
    call(nr::INIT_MODULE, start, module.len(), address(parameters)).map(drop)
}

// ---- Paths ------------------------------------------------------------------------------------

/// Whether there is something at a path.
pub fn exists(path: &CStr) -> bool {
    arch::access(address(path), 0).is_ok()
}

/// Whether the file at a path may be executed.
pub fn is_executable(path: &CStr) -> bool {
    let is_allowed = arch::access(address(path), 1).is_ok();
    is_allowed && File::open(path, Open::Directory).is_err()
}

pub fn make_directory(path: &CStr) -> Result<()> {
    arch::mkdir(address(path), 0o755).map(drop)
}

/// Makes the node of a block device.
pub fn make_block_node(path: &CStr, major: u32, minor: u32) -> Result<()> {
    const BLOCK: usize = 0o6_0000;
    // `new_encode_dev` in the kernel's `linux/kdev_t.h`.
    let device = minor & 0xff | major << 8 | (minor & !0xff) << 12;
    arch::mknod(address(path), BLOCK | 0o600, device as usize).map(drop)
}

/// Makes the node of a character device.
pub fn make_character_node(path: &CStr, major: u32, minor: u32) -> Result<()> {
    const CHARACTER: usize = 0o2_0000;
    let device = minor & 0xff | major << 8;
    arch::mknod(address(path), CHARACTER | 0o600, device as usize).map(drop)
}

pub fn unlink(path: &CStr) -> Result<()> {
    arch::unlink(address(path)).map(drop)
}

pub fn remove_directory(path: &CStr) -> Result<()> {
    arch::rmdir(address(path)).map(drop)
}

/// Where a link leads, or as much of it as there is room for.
pub fn read_link<'b>(path: &CStr, into: &'b mut [u8]) -> Result<&'b [u8]> {
    let (room, place) = (into.len(), into.as_mut_ptr() as usize);
    let length = arch::readlink(address(path), place, room)?;
    Ok(into.get(..length).unwrap_or_default())
}

pub fn change_directory(path: &CStr) -> Result<()> {
    call(nr::CHDIR, address(path), 0, 0).map(drop)
}

pub fn change_root(path: &CStr) -> Result<()> {
    call(nr::CHROOT, address(path), 0, 0).map(drop)
}

// ---- Mounts -----------------------------------------------------------------------------------

pub fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: usize, data: &CStr) -> Result<()> {
    let (source, target, kind) = (address(source), address(target), address(kind));
    call5(nr::MOUNT, source, target, kind, flags, address(data)).map(drop)
}

/// Moves a mount.
pub fn move_mount(from: &CStr, to: &CStr) -> Result<()> {
    const MOVE: usize = 0x2000;
    mount(from, to, c"", MOVE, c"")
}

/// Takes a mount away, at once from its place and in the end for good.
pub fn detach(path: &CStr) {
    const DETACH: usize = 2;
    let _ = call(nr::UMOUNT2, address(path), DETACH, 0);
}

/// Whether a path lies in memory alone, as the kernel's own rootfs does.
pub fn is_in_memory(path: &CStr) -> bool {
    const RAMFS: usize = 0x8584_58f6;
    const TMPFS: usize = 0x0102_1994;
    // `f_type` comes first, as wide as a register.
    let mut statfs = [0usize; 32];
    let place = statfs.as_mut_ptr() as usize;
    let [kind, ..] = match call(nr::STATFS, address(path), place, 0) {
        Ok(_) => statfs,
        Err(_) => return false,
    };
    matches!(kind, RAMFS | TMPFS)
}
