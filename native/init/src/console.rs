//! What people are told, on the console that the kernel has opened.

use xinitrd_native_logic::text::Text;

use crate::sys;

/// Says a line, whose parts follow each other.
pub fn say(parts: &[&[u8]]) {
    let mut line = Text::default();
    for part in parts {
        line.push(part);
    }
    say_line(&line);
}

/// Says a line, all at once, so that the kernel's own lines do not come between.
pub fn say_line(line: &Text) {
    let mut whole = Text::of(b"xinitrd: ");
    for byte in line.as_bytes() {
        // What comes from disks and files shall not command a terminal.
        whole.push_byte(if byte.is_ascii_control() { b'?' } else { *byte });
    }
    sys::write(whole.push_byte(b'\n').as_bytes());
}
