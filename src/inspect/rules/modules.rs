//! Rules about the kernel modules: whose kernel they are of, what they need, in which order they are loaded.

use crate::inspect::Case;
use crate::inspect::finding::{Finding, Rule};

/// The rules, in order.
pub const RULES: &[&Rule] = &[];

/// What they find.
pub fn check(_case: &Case<'_>, _findings: &mut Vec<Finding>) {}
