//! Process 1 of an image that xinitrd made with its own init: loads the image's modules, waits for the
//! root's device, mounts it and hands over to its init. A static program that asks the kernel alone.
//!
//! In:  `/etc/xinitrd/modules`   a module a line, in load order: its path, then its parameters
//!      `/etc/xinitrd/cmdline`   words read before the kernel's, which therefore override them
//!      `/proc/cmdline`          as `kernel-parameters.rst` has it, and `xinitrd.onfail=`
//!
//! What is decided without asking the kernel anything is decided in `native/logic`.

#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod console;
mod devices;
mod handover;
mod loading;
mod report;
mod root;
#[allow(unsafe_code, reason = "the kernel's door")]
mod sys;
mod views;

use core::ffi::CStr;

use xinitrd_native_logic::settings::{LINE, LINE_LIMIT, OnFail, Settings};
use xinitrd_native_logic::text::Text;

use console::say;
use loading::Loaded;
use root::Fault;
use sys::{File, Open, Power, Start};

/// The way from the kernel to the root's init.
fn main(start: &Start) -> ! {
    if sys::process() != 1 || !views::is_in_rootfs() {
        // Not by way of the kernel, for that is somebody's.
        sys::write(b"xinitrd: this is for a kernel to start, as process 1\n");
        sys::exit(2);
    }
    let own_nodes = views::mount();
    let (mut image, mut kernel) = ([0; LINE_LIMIT], [0; LINE_LIMIT]);
    let mut path = Text::of(b"/");
    let image = read(path.push(LINE.as_bytes()).as_c_str(), &mut image);
    let kernel = read(c"/proc/cmdline", &mut kernel);
    let settings = Settings::of(image, kernel);
    if let Some(unknown) = settings.unknown_on_fail {
        say(&[
            b"xinitrd.onfail=",
            unknown,
            b" is none of panic, reboot, poweroff and wait: panic",
        ]);
    }
    let mut boot = Boot {
        settings,
        loaded: Loaded::load(&[image, kernel], settings.quiet),
        own_nodes,
        waited: 0,
        node: Text::default(),
        reasons: Text::default(),
    };
    let fault = boot.go_on(start);
    report::report(&boot, &fault);
    boot.give_up();
    // Behind the switch there is nothing left to begin anew with.
    let is_left = matches!(fault, Fault::NotRun(..));
    loop {
        sys::sleep(2000);
        if !is_left {
            boot.go_on(start);
        }
    }
}

/// As much of a file as there is room for; nothing of one that cannot be read.
fn read<'b>(path: &CStr, into: &'b mut [u8]) -> &'b [u8] {
    let mut length = 0;
    if let Ok(file) = File::open(path, Open::Read) {
        while let Some(rest) = into.get_mut(length..)
            && let Ok(count @ 1..) = file.read(rest)
        {
            length += count;
        }
    }
    into.get(..length).unwrap_or_default()
}

/// How a boot stands.
struct Boot<'a> {
    settings: Settings<'a>,
    loaded: Loaded,
    /// The kernel has no devtmpfs: nodes are made here.
    own_nodes: bool,
    /// Milliseconds that the root has been waited for.
    waited: u64,
    /// The root's node, once it is there.
    node: Text,
    /// Why file systems of each type could not be mounted.
    reasons: Text,
}

impl<'a> Boot<'a> {
    /// From the modules to the root's init; returns what stands in the way.
    fn go_on(&mut self, start: &Start) -> Fault<'a> {
        match self.reach_root() {
            Ok(program) => handover::enter(program, self.own_nodes, start),
            Err(fault) => fault,
        }
    }

    /// Says a line that is of interest only to who wants to watch.
    fn note(&self, parts: &[&[u8]]) {
        if !self.settings.quiet {
            say(parts);
        }
    }

    /// Ends as `xinitrd.onfail=` says; returns where that is to go on, without a word.
    fn give_up(&mut self) {
        let (word, power): (&[u8], _) = match self.settings.on_fail {
            OnFail::Panic => (b"panic", None),
            OnFail::Reboot => (b"reboot", Some(Power::Restart)),
            OnFail::Poweroff => (b"poweroff", Some(Power::Off)),
            OnFail::Wait => {
                say(&[b"going on to look for it: wait"]);
                self.settings.delay = 0;
                return;
            }
        };
        say(&[b"giving up: ", word]);
        // A Xen console is written out in the background, which a dead kernel does no more.
        sys::sleep(1000);
        if let Some(power) = power {
            sys::power(power);
        }
        // The kernel panics when process 1 ends, and panic= says what comes then.
        sys::exit(1)
    }
}
