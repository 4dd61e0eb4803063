//! Whether a script that somebody wrote by hand certainly loads no module.
//!
//! Everything that it may start must be known to load none: one command that is not, and nothing is said.

use std::collections::HashSet;

use memchr::memmem;

use super::script::{Command, commands};
use super::words::{PREFIXES, base, is_assignment};

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
/// Programs, and a shell's own words, that start nothing else that the image has. `--install` is busybox's: links to
/// itself.
const HARMLESS: &[&[u8]] = &[
    b"*",
    b"--install",
    b":",
    b"[",
    b"[[",
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
    b"done",
    b"echo",
    b"esac",
    b"exit",
    b"export",
    b"false",
    b"fi",
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
    b"true",
    b"umask",
    b"umount",
    b"}",
];
/// What a loop, a condition or a group ends with, and what a loop or a choice begins with.
const COMPOUND: [&[u8]; 6] = [b"case", b"done", b"esac", b"fi", b"for", b"}"];
/// Shells: by themselves they ask on the console; those of a login (`-l`) read /etc/profile first.
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
    let says = |word: &[u8]| memmem::find(script, word).is_some();
    // What a shell replaces in a here-document is not looked for there.
    let is_hidden = says(b"<<") && (says(b"$(") || says(b"`"));
    let mut judge = Judge {
        functions: functions(script),
        left: LIMIT,
        has_shell: false,
        feeds_group: false,
    };
    let may_load = is_hidden || LOADERS.into_iter().any(says);
    let is_idle = !may_load && judge.is_idle(script, DEPTH);
    is_idle && !(judge.has_shell && judge.feeds_group)
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

/// What is known of a script up to where it is looked at.
struct Judge<'s> {
    functions: HashSet<&'s [u8]>,
    /// How many commands may still be looked at.
    left: usize,
    /// Whether a shell is started, which reads what the commands around it are given.
    has_shell: bool,
    /// Whether commands are given something to read that start others: loops, groups, functions.
    feeds_group: bool,
}

impl Judge<'_> {
    fn is_idle(&mut self, script: &[u8], depth: usize) -> bool {
        commands(script).all(|command| {
            self.left = self.left.saturating_sub(1);
            self.left > 0
                && self.starts_nothing(&command)
                && command
                    .words
                    .iter()
                    .all(|word| self.is_idle_word(word, depth))
        })
    }

    /// Whether the command itself is one that loads nothing.
    fn starts_nothing(&mut self, command: &Command) -> bool {
        let mut words = command.words.iter().map(Vec::as_slice);
        self.feeds_group |= command.is_fed && !self.reads_alone(command);
        let is_before = |word: &&[u8]| PREFIXES.contains(&base(word)) || is_assignment(word);
        let Some(head) = words.find(|word| !is_before(word)) else {
            return true;
        };
        let name = base(head);
        let directory = head.strip_suffix(name).unwrap_or_default();
        match name {
            _ if !directory.is_empty() && !DIRECTORIES.contains(&directory) => false,
            shell if SHELLS.contains(&shell) => {
                self.has_shell = true;
                !command.is_fed && words.all(|word| word == b"-i")
            }
            name => HARMLESS.contains(&name) || self.functions.contains(name),
        }
    }

    /// Whether nothing but the command's own program reads what it is fed.
    fn reads_alone(&self, command: &Command) -> bool {
        let substitutes = |word: &Vec<u8>| memmem::find(word, b"$(").is_some();
        let is_program = command.words.first().is_some_and(|word| {
            let word = word.as_slice();
            let is_other =
                PREFIXES.contains(&word) || COMPOUND.contains(&word) || is_assignment(word);
            !is_other && !self.functions.contains(word)
        });
        is_program && !command.words.iter().any(substitutes)
    }

    /// Whether what a word takes from other commands loads nothing. Where parentheses nest, or stand for something
    /// else, what these are is not told from the word.
    fn is_idle_word(&mut self, word: &[u8], depth: usize) -> bool {
        if word.contains(&b'`') {
            return false;
        }
        let mut rest = word;
        while let Some(start) = memmem::find(rest, b"$(") {
            let (part, behind) = next_part(rest.get(start + 2..).unwrap_or_default());
            let Some(inner) = only_substitution(part).filter(|_| depth > 0) else {
                return false;
            };
            if !self.is_idle(inner, depth - 1) {
                return false;
            }
            rest = behind;
        }
        true
    }
}

/// What stands before the next `$(`, and it with the rest.
fn next_part(word: &[u8]) -> (&[u8], &[u8]) {
    word.split_at(memmem::find(word, b"$(").unwrap_or(word.len()))
}

/// The commands of a `$(...)`, whose beginning is gone, where it is certain where these end.
fn only_substitution(part: &[u8]) -> Option<&[u8]> {
    let mut halves = part.split(|&byte| byte == b')');
    let (inner, _) = (halves.next()?, halves.next()?);
    (halves.next().is_none() && !inner.contains(&b'(')).then_some(inner)
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
            ("sh -l", false),
            ("sh -i", true),
            ("exec /sbin/init", false),
            ("if mount x; then\n ./load\nfi", false),
            (
                "busybox --install -s\n/bin/busybox --install -s /bin\nmount x",
                true,
            ),
            ("busybox /load", false),
            ("sh < /load", false),
            ("exec sh </dev/console >/dev/console 2>&1", true),
            ("cat /load | sh", false),
            ("cat /load | busybox sh", false),
            ("cat /load | (read x; sh)", false),
            ("cat /load | while read x; do sh; done", false),
            (
                "while read x; do echo $x; done </proc/mounts\nmount x",
                true,
            ),
            ("while sh; do :; done </load", false),
            ("(sh) </load", false),
            ("f() {\n sh\n}\nf </load", false),
            ("exec </load\nsh", false),
            ("cat /load | x=$(sh)", false),
            ("cat /load | echo $(sh)", false),
            ("mount x || sh", true),
            ("dmesg | grep x; sh", true),
            ("sh <<E\n/load\nE\n", false),
            ("cat <<E\nwords\nE\nmount x", true),
            ("cat <<E\n$(/load)\nE\n", false),
            ("trap /load EXIT", false),
            ("awk 'BEGIN{system(\"/load\")}'", false),
            ("x=$(a $(b); ./load)", false),
            ("x=$(cat $(cat y); ./load)", false),
            ("x=\"$(case y in y) ./load;; esac)\"", false),
            ("x=\"$(echo \")\"; ./load)\"", false),
            ("x=$(cat a)$(cat b)", true),
            ("x=$(cat a)$(/load)", false),
            ("setsid cttyhack sh", true),
        ] {
            assert_eq!(loads_no_module(script.as_bytes()), expected, "{script}");
        }
    }
}
