//! `xinitrd explain`: what the rules are, and why.

use super::print;
use crate::cli::ExplainArgs;
use crate::error::{Error, Obstacle};
use crate::inspect::finding::Rule;
use crate::inspect::rules;
use crate::nearest::nearest;

/// Prints every rule in a line, or all about one.
///
/// # Errors
/// When there is no such rule.
pub fn run(args: &ExplainArgs) -> Result<(), Error> {
    if args.markdown {
        return print(&rules::markdown());
    }
    match &args.rule {
        Some(name) => print(&about(find(name)?)),
        None => print(&rules::all().map(line).collect::<String>()),
    }
}

/// The rule of that name.
///
/// # Errors
/// When there is none.
pub(super) fn find(name: &str) -> Result<&'static Rule, Error> {
    let found = rules::all().find(|rule| rule.name == name);
    found.ok_or_else(|| {
        let names = rules::all().map(|rule| rule.name.to_owned());
        let nearest = nearest(name, names);
        Error::one(format!("rule {name}"), Obstacle::RuleUnknown { nearest })
    })
}

fn line(rule: &Rule) -> String {
    format!("{:<32} {:<8} {}\n", rule.name, rule.severity, rule.meaning)
}

fn about(rule: &Rule) -> String {
    let Rule {
        name,
        severity,
        meaning,
        reason,
        cure,
    } = rule;
    format!("{name} ({severity})\n\n{meaning}\n{reason}\n\nWhat to do: {cure}\n")
}
