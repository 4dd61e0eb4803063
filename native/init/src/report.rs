//! What a person needs to know when the root is not reached.

use xinitrd_native_logic::errno;
use xinitrd_native_logic::root::RootFault;
use xinitrd_native_logic::superblock::Kind;
use xinitrd_native_logic::text::Text;

use crate::Boot;
use crate::console::{say, say_line};
use crate::devices::{self, Block};
use crate::handover::candidates;
use crate::root::Fault;

/// Says why, what was asked for, which block devices there are, and what came of the modules.
pub fn report(boot: &Boot<'_>, fault: &Fault<'_>) {
    let mut line = Text::of(b"no root: ");
    push_fault(&mut line, boot, fault);
    say_line(&line);
    say_asked(boot);
    say_blocks();
    say_modules(boot);
}

fn push_fault(line: &mut Text, boot: &Boot<'_>, fault: &Fault<'_>) {
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
            line.push(boot.reasons.as_bytes()).push(b"); it holds ");
            let kind = devices::kind_of(&boot.node);
            line.push(kind.map_or("nothing known", Kind::name).as_bytes())
        }
        Fault::NoInit => {
            line.push(b"the root on ").push(boot.node.as_bytes());
            line.push(b" has no program");
            for program in candidates(&boot.settings.init) {
                line.push_byte(b' ').push(program);
            }
            line
        }
        Fault::NotRun(program, error) => {
            line.push(program).push(b" of the root does not run: ");
            errno::push(line, error.0);
            line
        }
    };
}

fn say_asked(boot: &Boot<'_>) {
    let settings = &boot.settings;
    let mut line = Text::of(b"asked for: root=");
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

fn say_blocks() {
    let mut any = false;
    devices::each(&mut |block| {
        if !any {
            say(&[b"block devices:"]);
            any = true;
        }
        say_block(block);
        false
    });
    if !any {
        say(&[b"block devices: none"]);
    }
}

fn say_block(block: &Block) {
    let mut line = Text::of(b"  ");
    let node = block.node.as_bytes();
    line.push(node.strip_prefix(b"/dev/").unwrap_or(node));
    line.push(b" ").push_decimal(block.size >> 20).push(b" MiB");
    let superblock = block.superblock();
    push_tag(
        &mut line,
        b" ",
        superblock.kind.map_or("", Kind::name).as_bytes(),
    );
    push_tag(&mut line, b" UUID=", superblock.uuid.as_bytes());
    push_tag(&mut line, b" LABEL=", superblock.label.as_bytes());
    let partition = block.identity();
    push_tag(&mut line, b" PARTUUID=", partition.uuid.as_bytes());
    push_tag(&mut line, b" PARTLABEL=", partition.label.as_bytes());
    say_line(&line);
}

fn push_tag(line: &mut Text, name: &[u8], value: &[u8]) {
    if !value.is_empty() {
        line.push(name).push(value);
    }
}

fn say_modules(boot: &Boot<'_>) {
    let mut line = Text::of(b"modules loaded:");
    boot.loaded.each(&mut |module, outcome| {
        if outcome.is_ok() {
            line.push(b" ").push(module.name());
        }
        // A console has its own lines besides.
        if line.as_bytes().len() > 900 {
            say_line(&line);
            line = Text::of(b"modules loaded:");
        }
    });
    say_line(&line);
    say(&[b"modules not loaded:"]);
    boot.loaded.each(&mut |module, outcome| {
        if let Err(error) = outcome {
            let mut line = Text::of(b"  ");
            errno::push(line.push(module.name()).push(b": "), error.0);
            say_line(&line);
        }
    });
}
