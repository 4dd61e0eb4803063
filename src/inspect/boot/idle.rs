//! Whether a script that somebody wrote by hand certainly loads no module.
//!
//! Everything that it may start must be known to load none: one command that is not, and nothing is said.

use std::collections::HashSet;

use memchr::memmem;

use super::script::{Command, commands};

/// What makes a script load modules, wherever it is said.
const LOADERS: &str = "eval hotplug insmod kmod mdev modprobe modules udev uevent";
/// What may stand before a command's name.
const PREFIXES: &str = "! busybox command cttyhack do done elif else esac exec fi if nohup setsid then time until while {";
/// Programs, and a shell's own words, that start nothing else that the image has.
const HARMLESS: &str = "* : [ [[ awk basename blkid break case cat cd chmod chown clear continue cp cut date dd df dirname \
    dmesg echo exit export false findfs for fsck grep halt head hexdump hostname kill ln local ls mkdir \
    mknod mount mountpoint mv pivot_root poweroff printf ps pwd read readlink readonly reboot return rm \
    rmdir run-init sed set shift sleep stat switch_root sync test touch tr trap true umask umount }";
/// Shells: by themselves they ask on the console.
const SHELLS: &str = "ash bash dash sh";
/// Where a program is the one of its name.
const DIRECTORIES: [&[u8]; 4] = [b"/bin/", b"/sbin/", b"/usr/bin/", b"/usr/sbin/"];
/// The most commands that are looked at: scripts that are longer do more than they say.
const LIMIT: usize = 4096;
/// How deep command substitutions are followed.
const DEPTH: usize = 3;

/// Whether nothing that `script` may do loads a module.
#[must_use]
pub fn loads_no_module(script: &[u8]) -> bool {
    let says = |word: &str| memmem::find(script, word.as_bytes()).is_some();
    let mut left = LIMIT;
    !LOADERS.split(' ').any(says) && is_idle(script, &functions(script), DEPTH, &mut left)
}

/// The names of the functions that a script has: what these do stands in it too.
fn functions(script: &[u8]) -> HashSet<&[u8]> {
    let lines = script.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let names = lines.filter_map(|line| {
        let end = line.windows(2).position(|window| window == b"()")?;
        let name = line.get(..end)?.trim_ascii();
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        (!name.is_empty() && name.iter().all(is_name)).then_some(name)
    });
    names.collect()
}

fn is_idle(script: &[u8], functions: &HashSet<&[u8]>, depth: usize, left: &mut usize) -> bool {
    commands(script).all(|command| {
        *left = left.saturating_sub(1);
        *left > 0 && starts_nothing(&command, functions) && {
            let words = command.words.iter();
            words
                .into_iter()
                .all(|word| is_idle_word(word, functions, depth, left))
        }
    })
}

/// Whether the command itself is one that loads nothing.
fn starts_nothing(command: &Command, functions: &HashSet<&[u8]>) -> bool {
    let mut words = command.words.iter().map(Vec::as_slice);
    let is_before = |word: &&[u8]| is_among(PREFIXES, base(word)) || is_assignment(word);
    let Some(head) = words.find(|word| !is_before(word)) else {
        return true;
    };
    let name = base(head);
    let is_in_place =
        !head.contains(&b'/') || DIRECTORIES.contains(&head.strip_suffix(name).unwrap_or_default());
    match name {
        _ if !is_in_place => false,
        shell if is_among(SHELLS, shell) => words.all(|word| matches!(word, b"-i" | b"-l")),
        name => is_among(HARMLESS, name) || functions.contains(name),
    }
}

fn is_among(words: &str, word: &[u8]) -> bool {
    words.split(' ').any(|other| other.as_bytes() == word)
}

/// Whether what a word takes from other commands loads nothing.
fn is_idle_word(word: &[u8], functions: &HashSet<&[u8]>, depth: usize, left: &mut usize) -> bool {
    if word.contains(&b'`') {
        return false;
    }
    let mut rest = word;
    while let Some(start) = rest.windows(2).position(|window| window == b"$(") {
        rest = rest.get(start + 2..).unwrap_or_default();
        let end = rest.iter().position(|&byte| byte == b')');
        let inner = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        if depth == 0 || !is_idle(inner, functions, depth - 1, left) {
            return false;
        }
    }
    true
}

/// Whether a word gives a variable: `NAME=VALUE`.
fn is_assignment(word: &[u8]) -> bool {
    let name = word.split(|&byte| byte == b'=').next().unwrap_or_default();
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    name.len() < word.len() && !name.is_empty() && name.iter().all(is_name)
}

fn base(word: &[u8]) -> &[u8] {
    word.rsplit(|&byte| byte == b'/').next().unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_idle_where_all_that_it_starts_is_known() {
        for (script, expected) in [
            (
                "#!/bin/sh\nmount -t proc proc /proc\nexec switch_root /mnt /sbin/init\n",
                true,
            ),
            (
                "x=$(cat /proc/cmdline | tr ' ' '\\n')\nfor w in $x; do echo $w; done",
                true,
            ),
            (
                "fail() {\n echo no\n exec sh\n}\nmount /dev/xvda1 /mnt || fail\n[ -d /x ] && exec /bin/sh",
                true,
            ),
            ("case $x in *) echo;; esac", true),
            ("mount x; insmod /lib/a.ko", false),
            ("# modprobe would do it\nmount x", false),
            ("/sbin/load-drivers", false),
            ("/opt/mount x", false),
            (". /lib/functions", false),
            ("$loader x", false),
            ("x=$(/load)", false),
            ("x=`cat y`", false),
            ("sh /load", false),
            ("sh -c /load", false),
            ("exec /sbin/init", false),
            ("if mount x; then\n ./load\nfi", false),
        ] {
            assert_eq!(loads_no_module(script.as_bytes()), expected, "{script}");
        }
    }
}
