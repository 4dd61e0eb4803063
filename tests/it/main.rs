//! The integration tests, in one binary.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy.toml exempts test functions, but not the helpers they share"
)]

mod nash; // the scripts of EL4 and EL5, against what their interpreters read
