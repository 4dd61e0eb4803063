//! Builds and judges initial ramdisks for Xen guests, for any architecture, on any host.

pub mod arch;
pub mod compress;
pub mod image_path;
pub mod init;
pub mod kernel_version;
pub mod manifest;
pub mod rope;
