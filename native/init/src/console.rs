//! What people are told, on the console that the kernel has opened.

use core::sync::atomic::{AtomicBool, Ordering};

use xinitrd_native_logic::errno;
use xinitrd_native_logic::text::Text;

use crate::sys::{self, Errno};

/// Bytes of a line; what is longer is cut.
pub const LINE_LIMIT: usize = 1024;

/// A line that is being written.
pub type Line = Text<LINE_LIMIT>;

static QUIET: AtomicBool = AtomicBool::new(false);

/// Whether [`note`] says nothing.
pub fn be_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

/// Says a line, whose parts follow each other.
pub fn say(parts: &[&[u8]]) {
    let mut line = Line::default();
    for part in parts {
        line.push(part);
    }
    say_line(&line);
}

/// Says a line, all at once, so that the kernel's own lines do not come between.
pub fn say_line(line: &Line) {
    let mut whole = Text::<{ LINE_LIMIT + 16 }>::of(b"xinitrd: ");
    for byte in line.as_bytes() {
        // What comes from disks and files shall not command a terminal.
        whole.push_byte(if byte.is_ascii_control() { b'?' } else { *byte });
    }
    sys::write(whole.push_byte(b'\n').as_bytes());
}

/// Says a line that is of interest only to who wants to watch.
pub fn note(parts: &[&[u8]]) {
    if !QUIET.load(Ordering::Relaxed) {
        say(parts);
    }
}

/// Appends an error: its name, and what that means where it is a usual one.
pub fn push_error<const N: usize>(line: &mut Text<N>, error: Errno) {
    match errno::name(error.0) {
        Some(name) => line.push(name),
        None => line.push(b"error ").push_decimal(error.0 as u64),
    };
    if let Some(words) = errno::words(error.0) {
        line.push(b" (").push(words.as_bytes()).push(b")");
    }
}
