//! The edge: the only code that touches the file system.

pub mod destination;
pub mod directory;
pub mod image;
pub mod output;
pub mod package;
pub mod text;
