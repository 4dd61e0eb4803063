//! A kernel's modules: their names, what they say of themselves, and the order they load in.
//!
//! In: a module directory (`lib/modules/RELEASE`) with or without depmod's index files. Out: a
//! [`order::LoadOrder`], prerequisites first. Names, files and rules are those of kmod
//! (`modprobe(8)`, `depmod(8)`, `modprobe.d(5)`, `modules.dep(5)`).

pub mod aliases;
pub mod builtin;
pub mod config;
pub mod dep_file;
pub mod likely;
pub mod line_index;
pub(crate) mod lines;
pub mod modinfo;
pub mod module_file;
pub mod name;
pub mod note;
pub mod order;
mod sieve;
pub mod tree;

/// Where kernels have their modules, the strongest first. What a usr-merged system's package holds
/// lies in the second, and in the first only where the system's own `/lib -> usr/lib` is there too.
pub const MODULE_PLACES: [&str; 2] = ["lib/modules", "usr/lib/modules"];
