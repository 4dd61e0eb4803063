//! What a person needs to know when the root is not reached.

use core::ops::ControlFlow;

use xinitrd_native_logic::root::RootFault;

use crate::Boot;
use crate::console::{Line, push_error, say, say_line};
use crate::devices::{self, Block};
use crate::loading::Outcome;
use crate::root::Fault;

/// Says why, what was asked for, which block devices there are, and what came of the modules.
#[inline(never)]
pub fn report(boot: &Boot<'_>, fault: &Fault<'_>) {
    let mut line = Line::of(b"no root: ");
    push_fault(&mut line, boot, fault);
    say_line(&line);
    say_asked(boot);
    say_blocks(boot);
    say_modules(boot);
}

#[inline(never)]
fn push_fault(line: &mut Line, boot: &Boot<'_>, fault: &Fault<'_>) {
    let root = boot.settings.root;
    match fault {
        Fault::Asked(RootFault::Missing) => line.push(b"the command line has no root="),
        Fault::Asked(RootFault::Network) => {
            line.push(b"a root on NFS or another network file system is not supported")
        }
        Fault::Asked(RootFault::Udev) => {
            line.push(b"root=").push(root);
            line.push(b" is a name that udev gives, which is not here; UUID= and LABEL= are known")
        }
        Fault::Asked(RootFault::Unknown) => {
            line.push(b"root=").push(root);
            line.push(b" is of no kind that this init knows")
        }
        Fault::Absent => line.push(b"root=").push(root).push(b" did not appear"),
        Fault::Unmountable => {
            line.push(boot.node.as_bytes())
                .push(b" cannot be mounted (");
            line.push(boot.reasons.as_bytes()).push(b")")
        }
        Fault::NoInit => {
            line.push(b"the root on ").push(boot.node.as_bytes());
            line.push(b" has no program ");
            let usual = b"/sbin/init /etc/init /bin/init /bin/sh";
            line.push(boot.settings.init.unwrap_or(usual))
        }
        Fault::NotRun(program, error) => {
            line.push(program).push(b" of the root does not run: ");
            push_error(line, *error);
            line
        }
    };
}

#[inline(never)]
fn say_asked(boot: &Boot<'_>) {
    let settings = &boot.settings;
    let mut line = Line::of(b"asked for: root=");
    let mode: &[u8] = if settings.writable { b" rw" } else { b" ro" };
    line.push(settings.root).push(mode);
    for (name, value) in [
        (&b" rootfstype="[..], settings.types),
        (b" rootflags=", settings.flags),
        (b" init=", settings.init.unwrap_or_default()),
    ] {
        if !value.is_empty() {
            line.push(name).push(value);
        }
    }
    line.push(b"; waited ")
        .push_decimal(boot.waited / 1000)
        .push(b" s");
    say_line(&line);
}

#[inline(never)]
fn say_blocks(boot: &Boot<'_>) {
    let mut any = false;
    let _ = devices::each(boot.own_nodes, &mut |block| {
        if !any {
            say(&[b"block devices:"]);
            any = true;
        }
        say_block(block);
        ControlFlow::Continue(())
    });
    if !any {
        say(&[b"block devices: none"]);
    }
}

#[inline(never)]
fn say_block(block: &Block) {
    let mut line = Line::of(b"  ");
    let node = block.node().to_bytes();
    line.push(node.strip_prefix(b"/dev/").unwrap_or(node));
    line.push(b" ").push_decimal(block.size >> 20).push(b" MiB");
    if let Some(superblock) = block.superblock() {
        line.push(b" ").push(superblock.kind.name().as_bytes());
        push_tag(&mut line, b" UUID=", superblock.uuid.as_bytes());
        push_tag(&mut line, b" LABEL=", superblock.label.as_bytes());
    }
    if let Some(partition) = block.identity() {
        push_tag(&mut line, b" PARTUUID=", partition.uuid.as_bytes());
        push_tag(&mut line, b" PARTLABEL=", partition.label.as_bytes());
    }
    say_line(&line);
}

fn push_tag(line: &mut Line, name: &[u8], value: &[u8]) {
    if !value.is_empty() {
        line.push(name).push(value);
    }
}

#[inline(never)]
fn say_modules(boot: &Boot<'_>) {
    let mut line = Line::of(b"modules loaded:");
    let mut all_loaded = true;
    let length = line.as_bytes().len();
    for (module, outcome) in boot.loaded.outcomes() {
        match outcome {
            Outcome::There => {
                line.push(b" ").push(module.name());
            }
            Outcome::Unwanted | Outcome::Failed(_) => all_loaded = false,
        }
    }
    if line.as_bytes().len() == length {
        line.push(b" none");
    }
    say_line(&line);
    say(&[
        b"modules not loaded:",
        if all_loaded { b" none" } else { b"" },
    ]);
    for (module, outcome) in boot.loaded.outcomes() {
        let mut line = Line::of(b"  ");
        line.push(module.name()).push(b": ");
        match outcome {
            Outcome::There => continue,
            Outcome::Unwanted => {
                line.push(b"left out by modprobe.blacklist");
            }
            Outcome::Failed(error) => push_error(&mut line, error),
        }
        say_line(&line);
    }
}
