//! The integration tests, in one binary: what the library makes, held against what others use.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy.toml exempts test functions, but not the helpers they share"
)]

mod bad_images; // images made to hurt whoever reads them: exit code, finding, time and memory
mod bad_input; // files an image cannot be made of, through the command: exit code, words, nothing left
mod bad_packages; // packages that are damaged, cut, encrypted or made to hurt: refused, and nothing left
mod build; // images built by the command, read back with cpio, bsdtar and gzip
mod build_judged; // bad images that are built, and refused
mod busybox_init; // the busybox init, function by function, in a real ash
mod compress; // encoders and decoders against gzip, xz, zstd, lz4 and python's zlib
mod decode; // one compressed member at a time, cut, damaged, and followed by others
mod depfile; // depfiles, as ninja and make act on them
mod diff_cli; // `diff` as a user meets it
mod extract; // entries put onto disk below one directory: never outside, and as cpio and bsdtar do
mod extract_cli; // `extract` as a user meets it
mod foreign; // images of other builders, listed and extracted as GNU cpio does it
mod guest; // what images are built for
mod guest_root; // a guest's root as the command reads it: its kernels, what it tells modprobe
mod hostile; // every reader of foreign bytes, over thousands of spoilt inputs
mod init_readers; // what the native init reads in a guest, and what must hold of its answers
mod inspect_archive; // archives and their compression, spoilt and judged
mod inspect_cli; // `inspect` and `explain` as a user meets them
mod inspect_elf; // programs, libraries and scripts of an image, judged
mod inspect_files; // paths, types and modes of an image, judged
mod inspect_init; // how an image boots, and its init judged
mod inspect_loading; // compressed modules, and the programs that are to load them
mod inspect_modules; // the kernel modules of an image, judged
mod inspect_native; // images with this program's own init, judged by what that does
mod inspect_pid1; // what keeps the first program from its work, though every file is there
mod inspect_programs; // what the inits of known builders cannot do without
mod inspect_script; // inits written by hand, and what they load
mod inspect_strangers; // what users take for an image, told what it is
mod interrupted; // writing that cannot go on, through the command
mod judged; // archives made field by field, and what they are judged to be
mod layers; // roots of several directories and packages, and what is built of them
mod list_cli; // `list` and `cat` as a user meets them
mod locked; // lock files, and what no longer is as they have it
mod media; // file systems that are full, or read-only
mod module_symbols; // what modules need and export, as binutils and kmod see it
mod nash; // the scripts of EL4 and EL5, against what their interpreters read
mod native_disks; // what the native init makes of disks, against blkid and sfdisk
mod native_init; // the native init's images, and the programs that are carried
mod order; // what is loaded, in which order, and what only goes in
mod packages; // packages of every kind, against what their own tools make of them
mod read_back; // the reader of images: what was written, damaged, cut, and made by GNU cpio
mod readers; // the readers of foreign bytes, and what must hold of their answers
mod refusals; // everything that stands in the way at once, as text and as a document
mod resolve; // the load order of every module of real kernels, against modprobe
mod sbom; // SPDX documents, before a validator and against the image
mod scene; // a guest of 2008 to spoil, and the command let loose on it
mod shelf; // images in a directory, and the command let loose on them
mod support; // what the tests through the command share
mod tidy; // who may import whom in the house
mod unpacker; // the models of the kernel's unpacker, rule by rule
mod verdicts; // images that tests/boot boots, and those of other builders, judged without a machine
mod written; // the writer, by the models of the kernel's unpacker
mod xz_blocks; // streams of several xz blocks, unpacked on two threads
