//! `xinitrd explain`: what the rules are, and why.

use super::print;
use crate::cli::ExplainArgs;
use crate::error::{Error, Obstacle};
use crate::image_path::Shown;
use crate::inspect::finding::Rule;
use crate::inspect::rules;
use crate::nearest::nearest;
use crate::problem::Problem;

/// Prints every rule in a line, or all about one.
///
/// # Errors
/// When there is no such rule.
pub fn run(args: &ExplainArgs) -> Result<(), Error> {
    if args.markdown {
        return print(&rules::markdown());
    }
    match &args.rule {
        Some(name) => {
            let found = find(name, &[]).map_err(|problem| Error::Refused(vec![problem]));
            print(&about(found?))
        }
        None => print(&rules::all().map(line).collect::<String>()),
    }
}

/// The rule of that name.
///
/// # Errors
/// When there is none; told with those spelt nearly so, and with those of `others`, which could have
/// been said as well.
pub(super) fn find(name: &str, others: &[&str]) -> Result<&'static Rule, Problem<Obstacle>> {
    let found = rules::all().find(|rule| rule.name == name);
    found.ok_or_else(|| {
        let names = rules::all().map(|rule| rule.name);
        let nearest = nearest(name, names.chain(others.iter().copied()));
        let nearest = nearest.into_iter().map(str::to_owned).collect();
        let place = format!("rule {}", Shown(name.as_bytes()));
        Problem::new(place, Obstacle::RuleUnknown { nearest })
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
