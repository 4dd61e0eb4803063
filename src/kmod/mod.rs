//! A kernel's modules: their names, what they say of themselves, and the order they load in.
//!
//! In: a module directory (`lib/modules/RELEASE`) with or without depmod's index files. Out: a
//! [`order::LoadOrder`], prerequisites first. Names, files and rules are those of kmod
//! (`modprobe(8)`, `depmod(8)`, `modprobe.d(5)`, `modules.dep(5)`).

pub mod aliases;
pub mod builtin;
pub mod config;
pub mod dep_file;
pub mod line_index;
mod lines;
pub mod modinfo;
pub mod module_file;
pub mod name;
pub mod note;
pub mod order;
pub mod tree;
