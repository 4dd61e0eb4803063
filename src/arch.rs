//! The guest architectures, and what an ELF header says of each: the only list of them.
//!
//! `e_machine`, `EI_CLASS` and `EI_DATA` values are those of the ELF specification (gABI) and its
//! processor supplements.

use std::fmt;
use std::str::FromStr;

/// An architecture a guest may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 32-bit x86, whatever the model (i386 to i686).
    I386,
    /// 64-bit Arm.
    Aarch64,
}

/// The three header fields that decide whether a machine can run, or link, an ELF file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ElfKind {
    /// `EI_CLASS`: 1 is ELFCLASS32, 2 is ELFCLASS64.
    pub class: u8,
    /// `EI_DATA`: 1 is little-endian, 2 is big-endian.
    pub data: u8,
    /// `e_machine`.
    pub machine: u16,
}

/// `EI_CLASS` of 32-bit objects.
pub const ELFCLASS32: u8 = 1;
/// `EI_CLASS` of 64-bit objects.
pub const ELFCLASS64: u8 = 2;
/// `EI_DATA` of little-endian objects.
pub const ELFDATA2LSB: u8 = 1;
/// `EI_DATA` of big-endian objects.
pub const ELFDATA2MSB: u8 = 2;

/// What a package is for, in the words of its distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackageArch {
    /// One architecture.
    One(Arch),
    /// Every one: it has no programs.
    Any,
    /// One that is none of ours.
    Other(String),
}

impl PackageArch {
    /// What `name` means to Debian (`dpkg-architecture(1)`), Red Hat (`rpm --showrc`), Arch or Alpine.
    #[must_use]
    pub fn of(name: &str) -> PackageArch {
        PackageArch::One(match name {
            "amd64" | "x86_64" | "x86_64_v2" | "x86_64_v3" | "ia32e" | "amd64_v2" => Arch::X86_64,
            "i386" | "i486" | "i586" | "i686" | "athlon" | "x86" | "pentium4" => Arch::I386,
            "arm64" | "aarch64" => Arch::Aarch64,
            "all" | "noarch" | "any" => return PackageArch::Any,
            other => return PackageArch::Other(other.to_owned()),
        })
    }
}

const EM_386: u16 = 3;
const EM_ARM: u16 = 40;
const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;

impl Arch {
    /// Every architecture, in the order they are listed to the user.
    pub const ALL: [Arch; 3] = [Arch::X86_64, Arch::I386, Arch::Aarch64];

    /// What the ELF header of this architecture's binaries and modules holds.
    #[must_use]
    pub const fn elf(self) -> ElfKind {
        let (class, machine) = match self {
            Arch::X86_64 => (ELFCLASS64, EM_X86_64),
            Arch::I386 => (ELFCLASS32, EM_386),
            Arch::Aarch64 => (ELFCLASS64, EM_AARCH64),
        };
        ElfKind {
            class,
            data: ELFDATA2LSB,
            machine,
        }
    }

    /// The architecture whose binaries have this header, if it is one of ours.
    #[must_use]
    pub fn of_elf(kind: ElfKind) -> Option<Arch> {
        Arch::ALL.into_iter().find(|arch| arch.elf() == kind)
    }

    /// Where loaders for this architecture look without being told, of every distribution: Debian's
    /// multiarch directories, Red Hat's `lib64`, and those all have (`ld.so(8)`).
    #[must_use]
    pub const fn library_directories(self) -> &'static [&'static str] {
        match self {
            Arch::X86_64 => &[
                "lib/x86_64-linux-gnu",
                "usr/lib/x86_64-linux-gnu",
                "lib64",
                "usr/lib64",
                "lib",
                "usr/lib",
            ],
            Arch::I386 => &[
                "lib/i386-linux-gnu",
                "usr/lib/i386-linux-gnu",
                "lib",
                "usr/lib",
            ],
            Arch::Aarch64 => &[
                "lib/aarch64-linux-gnu",
                "usr/lib/aarch64-linux-gnu",
                "lib64",
                "usr/lib64",
                "lib",
                "usr/lib",
            ],
        }
    }

    /// What `$LIB` may stand for in an RPATH, by distribution.
    #[must_use]
    pub const fn lib_names(self) -> &'static [&'static str] {
        match self {
            Arch::X86_64 => &["lib/x86_64-linux-gnu", "lib64"],
            Arch::I386 => &["lib/i386-linux-gnu", "lib"],
            Arch::Aarch64 => &["lib/aarch64-linux-gnu", "lib64"],
        }
    }

    /// The 32-bit programs that a kernel of this architecture may run too, and the option that has it do so
    /// (`arch/x86/Kconfig`, `arch/arm64/Kconfig`).
    #[must_use]
    pub const fn compat(self) -> Option<(ElfKind, &'static str)> {
        match self {
            Arch::X86_64 => Some((Arch::I386.elf(), "IA32_EMULATION")),
            Arch::I386 => None,
            Arch::Aarch64 => Some((
                ElfKind {
                    class: ELFCLASS32,
                    data: ELFDATA2LSB,
                    machine: EM_ARM,
                },
                "COMPAT",
            )),
        }
    }

    /// The name as `--arch` takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64",
            Arch::I386 => "i386",
            Arch::Aarch64 => "aarch64",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Said when a name is that of no architecture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown architecture `{0}`; known are x86_64, i386 and aarch64")]
pub struct UnknownArch(pub String);

impl FromStr for Arch {
    type Err = UnknownArch;

    /// Takes the kernel's names and those of distributions (`amd64`, `i686`, `arm64`).
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "x86_64" | "x86-64" | "amd64" => Ok(Arch::X86_64),
            "i386" | "i486" | "i586" | "i686" | "x86" => Ok(Arch::I386),
            "aarch64" | "arm64" => Ok(Arch::Aarch64),
            other => Err(UnknownArch(other.to_owned())),
        }
    }
}

impl fmt::Display for ElfKind {
    /// As `file` and `readelf` put it: `64-bit x86_64`, `32-bit big-endian machine 20`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.class {
            ELFCLASS32 => f.write_str("32-bit ")?,
            ELFCLASS64 => f.write_str("64-bit ")?,
            other => write!(f, "class {other} ")?,
        }
        if self.data == ELFDATA2MSB {
            f.write_str("big-endian ")?;
        }
        match machine_name(self.machine) {
            Some(name) => f.write_str(name),
            None => write!(f, "machine {}", self.machine),
        }
    }
}

/// The usual name of an `e_machine`, for messages only.
fn machine_name(machine: u16) -> Option<&'static str> {
    Some(match machine {
        2 => "sparc",
        EM_386 => "i386",
        8 => "mips",
        20 => "powerpc",
        21 => "powerpc64",
        22 => "s390",
        EM_ARM => "arm",
        43 => "sparc64",
        50 => "ia64",
        EM_X86_64 => "x86_64",
        EM_AARCH64 => "aarch64",
        243 => "riscv",
        258 => "loongarch",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_architecture_is_found_again_by_its_header_and_by_its_name() {
        for arch in Arch::ALL {
            assert_eq!(Arch::of_elf(arch.elf()), Some(arch));
            assert_eq!(arch.name().parse(), Ok(arch));
        }
    }

    #[test]
    fn an_x32_object_is_no_x86_64_one() {
        let x32 = ElfKind {
            class: ELFCLASS32,
            ..Arch::X86_64.elf()
        };
        assert_eq!(Arch::of_elf(x32), None);
        assert_eq!(x32.to_string(), "32-bit x86_64");
    }
}
