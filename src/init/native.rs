//! The `/init` of the `native` manifest: a static program of the guest's architecture, which needs no other.
//! What to load and where the root is it reads from the texts of [`super::texts`].
//!
//! The programs are made by `native/make.sh` out of `native/init`, and lie in `native/prebuilt`.

use super::{CONSOLE, Need};
use crate::arch::Arch;

/// The program, an `/init` of mode 0755.
#[must_use]
pub const fn program(arch: Arch) -> &'static [u8] {
    match arch {
        Arch::X86_64 => include_bytes!("../../native/prebuilt/x86_64"),
        Arch::I386 => include_bytes!("../../native/prebuilt/i386"),
        Arch::Aarch64 => include_bytes!("../../native/prebuilt/aarch64"),
    }
}

/// What the program needs in its image: directories it makes itself, but a console it must have from the
/// beginning.
pub const NEEDS: [Need; 1] = [CONSOLE];
