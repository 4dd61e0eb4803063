//! Whether a script that somebody wrote by hand certainly loads no module.
//!
//! Everything that it may start must be known to load none: one command that is not, and nothing is said.

use std::collections::HashSet;

use super::script::{Command, commands};

/// What makes a script load modules, wherever it is said.
const LOADERS: [&[u8]; 9] = [
    b"eval",
    b"hotplug",
    b"insmod",
    b"kmod",
    b"mdev",
    b"modprobe",
    b"modules",
    b"udev",
    b"uevent",
];
/// What may stand before a command's name.
const PREFIXES: [&[u8]; 19] = [
    b"!",
    b"busybox",
    b"command",
    b"cttyhack",
    b"do",
    b"done",
    b"elif",
    b"else",
    b"esac",
    b"exec",
    b"fi",
    b"if",
    b"nohup",
    b"setsid",
    b"then",
    b"time",
    b"until",
    b"while",
    b"{",
];
/// Programs, and a shell's own words, that start nothing else that the image has.
const HARMLESS: [&[u8]; 71] = [
    b"*",
    b":",
    b"[",
    b"[[",
    b"awk",
    b"basename",
    b"blkid",
    b"break",
    b"case",
    b"cat",
    b"cd",
    b"chmod",
    b"chown",
    b"clear",
    b"continue",
    b"cp",
    b"cut",
    b"date",
    b"dd",
    b"df",
    b"dirname",
    b"dmesg",
    b"echo",
    b"exit",
    b"export",
    b"false",
    b"findfs",
    b"for",
    b"fsck",
    b"grep",
    b"halt",
    b"head",
    b"hexdump",
    b"hostname",
    b"kill",
    b"ln",
    b"local",
    b"ls",
    b"mkdir",
    b"mknod",
    b"mount",
    b"mountpoint",
    b"mv",
    b"pivot_root",
    b"poweroff",
    b"printf",
    b"ps",
    b"pwd",
    b"read",
    b"readlink",
    b"readonly",
    b"reboot",
    b"return",
    b"rm",
    b"rmdir",
    b"run-init",
    b"sed",
    b"set",
    b"shift",
    b"sleep",
    b"stat",
    b"switch_root",
    b"sync",
    b"test",
    b"touch",
    b"tr",
    b"trap",
    b"true",
    b"umask",
    b"umount",
    b"}",
];
/// Shells: by themselves they ask on the console.
const SHELLS: [&[u8]; 4] = [b"ash", b"bash", b"dash", b"sh"];
/// Where a program is the one of its name.
const DIRECTORIES: [&[u8]; 4] = [b"/bin/", b"/sbin/", b"/usr/bin/", b"/usr/sbin/"];
/// The most commands that are looked at: scripts that are longer do more than they say.
const LIMIT: usize = 4096;
/// How deep command substitutions are followed.
const DEPTH: usize = 3;

/// Whether nothing that `script` may do loads a module.
#[must_use]
pub fn loads_no_module(script: &[u8]) -> bool {
    let says = |word: &&[u8]| script.windows(word.len()).any(|window| window == *word);
    let mut left = LIMIT;
    !LOADERS.iter().any(says) && is_idle(script, &functions(script), DEPTH, &mut left)
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
    let is_before = |word: &&[u8]| PREFIXES.contains(&base(word)) || is_assignment(word);
    let Some(head) = words.find(|word| !is_before(word)) else {
        return true;
    };
    let name = base(head);
    let is_in_place =
        !head.contains(&b'/') || DIRECTORIES.contains(&head.strip_suffix(name).unwrap_or_default());
    match name {
        _ if !is_in_place => false,
        shell if SHELLS.contains(&shell) => words.all(|word| matches!(word, b"-i" | b"-l")),
        name => HARMLESS.contains(&name) || functions.contains(name),
    }
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
