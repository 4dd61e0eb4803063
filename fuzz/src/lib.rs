//! What the targets run: the readers of the ordinary tests, and what must hold of them.

#[path = "../../tests/it/readers.rs"]
pub mod readers;

#[path = "../../tests/it/init_readers.rs"]
pub mod init_readers;
