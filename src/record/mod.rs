//! What an image was made of, written down for those who come after: whoever has to make it again, build systems
//! that are to know when, and who has to account for what is in it.
//!
//! In: what a root was asked ([`observed`]), the request and the plan. Out: the texts of a lock file, a depfile of
//! make and ninja, and an SPDX document; and how a lock file that was read differs from what is there now
//! (docs/records.md has every field).

pub mod depfile;
pub mod differences;
pub mod lock;
pub mod observed;
pub mod spdx;
