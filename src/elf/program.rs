//! What the header and the dynamic section of an executable or library say.

use goblin::elf::dynamic::{DF_1_PIE, DT_FLAGS_1, DT_RPATH, DT_RUNPATH, Dyn, Dynamic};
use goblin::elf::program_header::{PT_DYNAMIC, PT_INTERP, PT_LOAD, ProgramHeader};
use goblin::strtab::Strtab;

use super::{ET_DYN, ET_EXEC, ElfFault, HEADER_SIZE, Head, head};
use crate::arch::ElfKind;
use crate::init::texts::{CMDLINE_PATH, MODULES_PATH};

/// What is to be known of an executable or a library before it may go into an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramFacts {
    /// Class, data order and machine.
    pub kind: ElfKind,
    /// `e_type`.
    pub e_type: u16,
    /// `PT_INTERP`: the loader, for a dynamic executable.
    pub interpreter: Option<String>,
    /// `DT_NEEDED`, in order.
    pub needed: Vec<String>,
    /// `DT_RUNPATH`, split at colons.
    pub runpath: Vec<String>,
    /// `DT_RPATH`, split at colons; the loader ignores it where there is a `DT_RUNPATH`.
    pub rpath: Vec<String>,
    /// The version of busybox, `(1, 35)`, where it was looked for ([`ProgramFacts::look_for_busybox`]).
    pub busybox: Option<(u16, u16)>,
    /// Whether it is the `/init` that xinitrd puts into images, where that was looked for
    /// ([`ProgramFacts::look_for_native_init`]).
    pub is_native_init: bool,
    /// Whether an `ET_DYN` says it is a program: `DF_1_PIE`, or it has an interpreter.
    is_program: bool,
}

/// The largest dynamic section that is read: real ones stay under 16 KiB.
const DYNAMIC_LIMIT: u64 = 1 << 20;
/// The most libraries that an object may need, and directories that it may name: real ones stay
/// under 300.
const LIST_LIMIT: usize = 1024;
/// What a name counts for beside its bytes, on any host.
const NAME: usize = 24;

/// What stands before busybox's version (`BB_BANNER` in its `include/libbb.h`).
const BUSYBOX: &[u8] = b"BusyBox v";

/// What the native `/init` reads in its image (`native/init`), of whatever age and machine it is: no other
/// program does.
const NATIVE_INIT: [&str; 2] = [MODULES_PATH, CMDLINE_PATH];
/// The largest program that is taken for it, in bytes: it has no more than half as many. xinitrd itself, which
/// carries it, has a hundred times as many.
const NATIVE_INIT_LIMIT: usize = 64 << 10;

/// How a file is to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is run.
    Executable,
    /// It is linked to, or it is the loader.
    Library,
}

impl ProgramFacts {
    /// Reads `bytes`, the whole of a file.
    ///
    /// # Errors
    /// When it is no ELF file, a segment that is to be loaded lies past its end, or its dynamic
    /// section is damaged.
    pub fn parse(bytes: &[u8]) -> Result<ProgramFacts, ElfFault> {
        let head = head(
            bytes.get(..HEADER_SIZE).unwrap_or(bytes),
            bytes.len() as u64,
        )?;
        let segments = segments(bytes, &head)?;
        let mut facts = ProgramFacts {
            kind: head.kind,
            e_type: head.header.e_type,
            interpreter: interpreter(bytes, &segments)?,
            needed: Vec::new(),
            runpath: Vec::new(),
            rpath: Vec::new(),
            busybox: None,
            is_native_init: false,
            is_program: head.header.e_type == ET_EXEC,
        };
        facts.is_program |= facts.interpreter.is_some();
        if let Some(dynamic) =
            Dynamic::parse(bytes, &segments, head.ctx).map_err(super::malformed)?
        {
            facts.read_dynamic(bytes, &dynamic)?;
        }
        Ok(facts)
    }

    fn read_dynamic(&mut self, bytes: &[u8], dynamic: &Dynamic) -> Result<(), ElfFault> {
        let info = &dynamic.info;
        let strings = Strtab::parse(bytes, info.strtab, info.strsz, 0).map_err(super::malformed)?;
        let needed = dynamic.get_libraries(&strings);
        if needed.len() != info.needed_count {
            let what = "a DT_NEEDED is no string of its table";
            return Err(ElfFault::Malformed(what.to_owned()));
        }
        // Names may share their bytes: they are held against the file before they are copied.
        let length: usize = needed.iter().map(|name| name.len()).sum();
        bounded("bytes of DT_NEEDED", length, bytes.len())?;
        bounded("libraries needed", needed.len(), LIST_LIMIT)?;
        self.needed = needed.into_iter().map(str::to_owned).collect();
        let last = |tag| dynamic.dyns.iter().rfind(|entry| entry.d_tag == tag);
        let paths = |tag| split(last(tag).and_then(|entry| strings.get_at(entry.d_val as usize)));
        self.runpath = paths(DT_RUNPATH)?;
        self.rpath = paths(DT_RPATH)?;
        let is_pie = |entry: &Dyn| entry.d_tag == DT_FLAGS_1 && entry.d_val & DF_1_PIE != 0;
        self.is_program |= dynamic.dyns.iter().any(is_pie);
        Ok(())
    }

    /// Looks for the words by which busybox names itself and its version in `bytes`, the whole of the file.
    pub fn look_for_busybox(&mut self, bytes: &[u8]) {
        let starts = memchr::memmem::find_iter(bytes, BUSYBOX);
        let mut versions = starts.filter_map(|start| {
            let text = bytes.get(start + BUSYBOX.len()..)?;
            let (major, text) = number(text)?;
            let (minor, _) = number(text.strip_prefix(b".")?)?;
            Some((major, minor))
        });
        self.busybox = versions.next();
    }

    /// Looks for the paths that make `bytes`, the whole of the file, xinitrd's own `/init`.
    pub fn look_for_native_init(&mut self, bytes: &[u8]) {
        let names = |path: &&str| memchr::memmem::find(bytes, path.as_bytes()).is_some();
        let may_be = !self.is_dynamic() && bytes.len() <= NATIVE_INIT_LIMIT;
        self.is_native_init = may_be && NATIVE_INIT.iter().all(names);
    }

    /// Holds the facts against the guest and the use that is to be made of the file.
    ///
    /// # Errors
    /// When class, data order, machine or type are not what they must be.
    pub fn judge(&self, expected: ElfKind, role: Role) -> Result<(), ElfFault> {
        super::judge_kind(self.kind, expected)?;
        match (role, self.e_type) {
            (Role::Executable, ET_DYN) if !self.is_program => Err(ElfFault::LibraryNotProgram),
            (Role::Executable, ET_EXEC | ET_DYN) | (Role::Library, ET_DYN) => Ok(()),
            (Role::Executable, found) => Err(ElfFault::WrongType {
                found,
                expected: "an executable (ET_EXEC or ET_DYN)",
            }),
            (Role::Library, found) => Err(ElfFault::WrongType {
                found,
                expected: "a shared library (ET_DYN)",
            }),
        }
    }

    /// The bytes of its names, about.
    #[must_use]
    pub fn weight(&self) -> usize {
        let lists = [&self.needed, &self.runpath, &self.rpath];
        let names = lists.into_iter().flatten().chain(&self.interpreter);
        names.map(|name| NAME + name.len()).sum()
    }

    /// Whether the loader has work to do: an interpreter or libraries are needed.
    #[must_use]
    pub fn is_dynamic(&self) -> bool {
        self.interpreter.is_some() || !self.needed.is_empty()
    }
}

/// The decimal number that `text` begins with, and what follows it.
fn number(text: &[u8]) -> Option<(u16, &[u8])> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit())?;
    let (digits, rest) = text.split_at(end);
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, rest))
}

fn split(paths: Option<&str>) -> Result<Vec<String>, ElfFault> {
    let paths = paths.unwrap_or_default().split(':');
    let paths = paths.filter(|path| !path.is_empty());
    bounded("directories to search", paths.clone().count(), LIST_LIMIT)?;
    Ok(paths.map(str::to_owned).collect())
}

/// Proves that there are at most `limit` of something.
pub(crate) fn bounded(what: &str, count: usize, limit: usize) -> Result<(), ElfFault> {
    if count > limit {
        let what = format!("{count} {what}, where there can be {limit}");
        Err(ElfFault::Malformed(what))
    } else {
        Ok(())
    }
}

/// The program headers, with the proof that every segment lies within the file.
fn segments(bytes: &[u8], head: &Head) -> Result<Vec<ProgramHeader>, ElfFault> {
    let size = bytes.len() as u64;
    let count = head.header.e_phnum as usize;
    let table_size = (count * ProgramHeader::size(head.ctx)) as u64;
    within(
        "the program header table",
        head.header.e_phoff,
        table_size,
        size,
    )?;
    let segments = ProgramHeader::parse(bytes, head.header.e_phoff as usize, count, head.ctx)
        .map_err(super::malformed)?;
    for segment in &segments {
        let part = if segment.p_type == PT_LOAD {
            "a segment to be loaded"
        } else {
            "a segment"
        };
        within(part, segment.p_offset, segment.p_filesz, size)?;
        if segment.p_type == PT_DYNAMIC && segment.p_filesz > DYNAMIC_LIMIT {
            let what = format!("a dynamic section of {} bytes", segment.p_filesz);
            return Err(ElfFault::Malformed(what));
        }
    }
    Ok(segments)
}

/// The path in `PT_INTERP`, which ends at its first NUL: linkers of MIPS pad it with more of them. The kernel
/// wants one at the segment's end (`load_elf_binary` in fs/binfmt_elf.c).
fn interpreter(bytes: &[u8], segments: &[ProgramHeader]) -> Result<Option<String>, ElfFault> {
    let Some(segment) = segments.iter().find(|segment| segment.p_type == PT_INTERP) else {
        return Ok(None);
    };
    let from = segment.p_offset as usize;
    let path = bytes
        .get(from..from + segment.p_filesz as usize)
        .unwrap_or_default();
    let path = path.strip_suffix(b"\0").unwrap_or_default();
    let path = path.split(|&byte| byte == 0).next().unwrap_or_default();
    match std::str::from_utf8(path) {
        Ok(path) if !path.is_empty() => Ok(Some(path.to_owned())),
        _ => Err(ElfFault::Malformed("its interpreter is no path".to_owned())),
    }
}

/// Proves that `length` bytes from `offset` on lie within a file of `size` bytes.
pub(super) fn within(
    part: &'static str,
    offset: u64,
    length: u64,
    size: u64,
) -> Result<(), ElfFault> {
    let end = offset.saturating_add(length);
    if end > size && length > 0 {
        Err(ElfFault::Truncated { part, end, size })
    } else {
        Ok(())
    }
}
