//! Which architecture an image is for.

use super::Guest;
use super::picture::Content;
use super::tree::Tree;
use crate::arch::{Arch, ElfKind};
use crate::image_path::ImagePath;
use crate::majority::most_common;

/// `e_machine` of programs for the kernel's own virtual machine: no processor's.
const EM_BPF: u16 = 247;

/// Who says which architecture it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Witness {
    /// The user.
    User,
    /// Most of the modules: they are the kernel's own.
    Modules,
    /// The first program.
    Init,
    /// Most of the programs and libraries.
    Programs,
}

/// The class, data order and machine that the ELF files of an image should have, and who says so:
/// the user; without a word of theirs most modules, without any the init, and else most programs.
#[must_use]
pub fn architecture(guest: &Guest, tree: &Tree) -> Option<(ElfKind, Witness)> {
    let said = guest.arch.map(Arch::elf);
    let contents = || tree.items().map(|(path, item)| (path, tree.content(item)));
    let modules = || most_common(contents().filter_map(|(_, content)| module_kind(content)));
    let init = || {
        ["init", "sbin/init"]
            .iter()
            .find_map(|path| program_at(tree, path))
    };
    let programs = || most_common(contents().filter_map(|(path, content)| judged(path, content)));
    said.map(|kind| (kind, Witness::User))
        .or_else(|| Some((modules()?, Witness::Modules)))
        .or_else(|| Some((init()?, Witness::Init)))
        .or_else(|| Some((programs()?, Witness::Programs)))
}

fn module_kind(content: &Content) -> Option<ElfKind> {
    match content {
        Content::Module(module) => Some(module.as_ref().as_ref().ok()?.kind),
        _ => None,
    }
}

fn program_at(tree: &Tree, path: &str) -> Option<ElfKind> {
    let (path, item) = tree.find(&ImagePath::new(path).ok()?).ok()?;
    judged(&path, tree.content(item))
}

fn judged(path: &ImagePath, content: &Content) -> Option<ElfKind> {
    match content {
        Content::Program(program) if is_for_processor(path) => {
            let kind = program.as_ref().as_ref().ok()?.kind;
            (kind.machine != EM_BPF).then_some(kind)
        }
        _ => None,
    }
}

/// Class, data order and machine of an ELF file that the guest's processor is to run: of modules,
/// programs and libraries, but neither of firmware for devices nor of programs for `bpf(2)`.
#[must_use]
pub fn kind_of(path: &ImagePath, content: &Content) -> Option<ElfKind> {
    module_kind(content).or_else(|| judged(path, content))
}

/// Whether an ELF file at `path` is for the guest's processor to run, or so it seems: firmware is for
/// devices, and a `vdso` is for whatever the kernel can run.
#[must_use]
pub fn is_for_processor(path: &ImagePath) -> bool {
    let elsewhere: [&[u8]; 3] = [b"firmware", b"vdso", b"bpf"];
    let mut components = path.components();
    !path.as_bytes().starts_with(b"kernel/x86/")
        && !components.any(|name| elsewhere.contains(&name))
}
