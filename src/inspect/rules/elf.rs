//! Rules about every ELF file of an image: whole, and for the guest's processor.

use std::collections::HashSet;

use crate::arch::{Arch, ElfKind};
use crate::archive::FileType;
use crate::elf::ElfFault;
use crate::elf::module::ModuleError;
use crate::image_path::{ImagePath, Shown};
use crate::inspect::Case;
use crate::inspect::architecture::{Witness, architecture, is_for_processor, kind_of};
use crate::inspect::finding::{Finding, Rule, Severity};
use crate::inspect::picture::{Content, Item};
use crate::inspect::read::BINARY_LIMIT;
use crate::kmod::module_file::ModuleFault;
use crate::kmod::name::is_module_file;

/// The rules, in order.
pub const RULES: &[&Rule] = &[&WRONG_MACHINE, &DAMAGED];

static WRONG_MACHINE: Rule = Rule {
    name: "elf-wrong-machine",
    severity: Severity::Error,
    meaning: "A program, library or module is for another processor than the guest's, or of another width.",
    reason: "The kernel runs no program of another machine: `Failed to execute /init (error -8)`. A \
             32-bit program on a 64-bit kernel runs only where that has IA32 emulation, as the Xen \
             kernels of RHEL 4 and 5 have not. It is a warning where --root and --kernel name a kernel whose \
             configuration has CONFIG_IA32_EMULATION, of arm64 CONFIG_COMPAT: but ia32_emulation=0 on its \
             command line turns that off.",
    cure: "Take the file from the guest's own distribution and architecture.",
};

static DAMAGED: Rule = Rule {
    name: "elf-damaged",
    severity: Severity::Error,
    meaning: "An ELF file, or a compressed module, is cut short or damaged, or what is called as a module is none, \
              and lies below lib/modules or is loaded by the init.",
    reason: "The kernel refuses it with ENOEXEC (load_elf_binary in fs/binfmt_elf.c, elf_validity_check \
             in kernel/module/main.c), or it crashes when the missing part is used.",
    cure: "Copy the file anew and make the image again.",
};

/// What they find.
pub fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let expected = architecture(case.guest, case.tree);
    let loads = case.boot.loads.iter();
    let loaded: HashSet<&ImagePath> = loads.filter_map(|load| load.path.as_ref()).collect();
    for (path, item) in case.tree.items() {
        if !is_for_processor(path) {
            continue;
        }
        if let (Some(found), Some((expected, witness))) =
            (kind_of(path, case.tree.content(item)), expected)
        {
            let finding = of_another_machine(item, found, expected, witness);
            let is_module = matches!(case.tree.content(item), Content::Module(_));
            let compat = (!is_module)
                .then(|| compat(case, found, expected))
                .flatten();
            findings.extend(finding.map(|finding| match compat {
                Some(option) => emulated(finding, option),
                None => finding,
            }));
        }
        let content = case.tree.content(item);
        let is_meant = || {
            is_module_file(path.file_name()) && (lies_with_modules(path) || loaded.contains(path))
        };
        let fault = fault(item, content, is_meant);
        findings.extend(fault.map(|fault| match has_no_modinfo(content) {
            true => no_module(item),
            false => damaged(item, &fault),
        }));
    }
}

fn of_another_machine(
    item: &Item,
    found: ElfKind,
    expected: ElfKind,
    witness: Witness,
) -> Option<Finding> {
    let why = match witness {
        Witness::User => "as the guest is",
        Witness::Modules => "as most modules are",
        Witness::Init => "as the init is",
        Witness::Programs => "as most programs are",
    };
    let expected_text = format!("{expected}, {why}");
    let finding = Finding::new(&WRONG_MACHINE, found.to_string(), expected_text);
    (found != expected).then(|| finding.at(item))
}

/// The option by which the guest's kernel, which is for `kernel`, runs 32-bit programs of the kind `program` too.
fn compat(case: &Case<'_>, program: ElfKind, kernel: ElfKind) -> Option<&'static str> {
    let guest = case.guest.root.as_ref()?;
    let (kind, option) = Arch::of_elf(kernel)?.compat()?;
    let is_on = guest.has_option(option) == Some(true)
        && guest.has_option("IA32_EMULATION_DEFAULT_DISABLED") != Some(true);
    (is_on && kind == program).then_some(option)
}

fn emulated(finding: Finding, option: &str) -> Finding {
    let found = format!(
        "{}, which the kernel runs by CONFIG_{option}",
        finding.found
    );
    Finding { found, ..finding }.weighing(Severity::Warning)
}

/// What is wrong with an ELF file, or with what is meant as a module.
fn fault(item: &Item, content: &Content, is_meant: impl Fn() -> bool) -> Option<String> {
    match content {
        Content::Module(module) => Some(Shown::words(module.as_ref().as_ref().err()?)),
        Content::Program(program) => Some(Shown::words(program.as_ref().as_ref().err()?)),
        Content::Text(text) if is_meant() => Some(match text.is_empty() {
            true => "an empty file".to_owned(),
            false => "a text, not an ELF file".to_owned(),
        }),
        Content::Opaque if was_looked_into(item) && is_meant() => Some("no ELF file".to_owned()),
        _ => None,
    }
}

/// Whether modules are kept where `path` is: elsewhere the name may say something else, as `ko` that a file's
/// words are Korean.
fn lies_with_modules(path: &ImagePath) -> bool {
    let places: [&[u8]; 2] = [b"lib/modules/", b"usr/lib/modules/"];
    places
        .iter()
        .any(|place| path.as_bytes().starts_with(place))
}

/// Larger files are not.
fn was_looked_into(item: &Item) -> bool {
    item.file_type() == FileType::Regular && u64::from(item.entry.header.size) <= BINARY_LIMIT
}

/// Whether an object file that is whole lacks what makes a module of it.
fn has_no_modinfo(content: &Content) -> bool {
    let Content::Module(module) = content else {
        return false;
    };
    matches!(
        module.as_ref(),
        Err(ModuleFault::Module(ModuleError::Fault(ElfFault::NoModinfo)))
    )
}

fn no_module(item: &Item) -> Finding {
    let found =
        "an object file without a .modinfo section: no module, or one that was stripped of it";
    let expected = "a kernel module, with its .modinfo";
    Finding::new(&DAMAGED, found, expected)
        .cured_by(
            "Put the kernel's own module there; strip no more of it than strip --strip-debug does.",
        )
        .at(item)
}

fn damaged(item: &Item, fault: &str) -> Finding {
    Finding::new(&DAMAGED, fault, "a whole ELF file").at(item)
}
