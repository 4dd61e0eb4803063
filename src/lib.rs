//! Builds and judges initial ramdisks for Xen guests, for any architecture, on any host.
//!
//! ```text
//! manifest text ─► Manifest ───┐
//! module tree   ─► ModuleTree ─► LoadOrder ─┐
//! file bytes    ─► ElfFacts, judged ────────┼─► Plan ─► Rope (newc) ─► gzip ... ─► image
//!
//! image ─► segments ─► entries ─► Picture ─► Tree, Boot ─► rules ─► findings
//! ```
//!
//! [`root`] is a foreign system, [`kmod`] its modules and [`manifest`] the kind of image;
//! [`assemble`] decides and yields a [`plan`], or every [`problem`]; [`image`] writes it, by way of
//! [`cpio`], [`rope`] and [`compress`]. [`archive`] reads any image, [`inspect`] judges it, and
//! [`unpacker`] tells what kernels make of it. [`record`] writes down what an image was made of. Only [`host`], [`commands`] and [`cli`] touch the machine.

pub mod arch;
pub mod archive;
pub mod assemble;
pub mod cli;
pub mod commands;
pub mod compress;
pub mod cpio;
pub mod date;
pub mod digest;
pub mod elf;
pub mod error;
pub mod host;
pub mod image;
pub mod image_path;
pub mod init;
pub mod inspect;
pub mod kernel_version;
pub mod kmod;
pub mod libraries;
pub mod majority;
pub mod manifest;
pub mod measured;
pub mod nearest;
pub mod package;
pub mod parallel;
pub mod plan;
pub mod problem;
pub mod record;
pub mod report;
pub mod root;
pub mod rope;
pub mod size;
pub mod unpacker;
pub mod xen_version;
