//! Rules about the ELF files of an image: class and machine, interpreter, libraries.

use crate::inspect::Case;
use crate::inspect::finding::{Finding, Rule};

/// The rules, in order.
pub const RULES: &[&Rule] = &[];

/// What they find.
pub fn check(_case: &Case<'_>, _findings: &mut Vec<Finding>) {}
