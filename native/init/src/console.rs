//! What people are told, on the consoles.

use xinitrd_native_logic::text::{LIMIT, Text};

use crate::sys::{self, File, Open};

/// Says a line, whose parts follow each other.
pub fn say(parts: &[&[u8]]) {
    let mut line = Text::default();
    for part in parts {
        line.push(part);
    }
    say_line(&line);
}

/// Says a line by way of the kernel, which shows it on every console and keeps it; or on this one.
pub fn say_line(line: &Text) {
    let mut whole = Text::of(b"<2>xinitrd: ");
    for byte in line.as_bytes() {
        // What comes from disks and files shall not command a terminal.
        let is_plain = matches!(byte, b' '..=b'~');
        whole.push_byte(if is_plain { *byte } else { b'?' });
    }
    // A line that is too long keeps its end.
    whole.truncate(LIMIT - 2);
    let whole = whole.push_byte(b'\n').as_bytes();
    // Opened anew each time, for of one that writes more the kernel drops lines.
    let kernel = File::open(c"/dev/kmsg", Open::Write);
    if kernel.and_then(|kernel| kernel.write(whole)) != Ok(whole.len()) {
        sys::write(whole.get(3..).unwrap_or_default());
    }
}
