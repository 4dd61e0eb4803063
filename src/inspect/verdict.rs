//! The verdict: findings weighed by what the user denies and allows.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use super::finding::{Finding, Severity};
use super::rules::{leave_out_consequences, rank};

/// What the user makes of rules.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Rules that are errors, whatever their severity.
    pub denied: HashSet<&'static str>,
    /// Whether every warning is an error.
    pub deny_warnings: bool,
    /// Rules that are passed over. Allowing one goes before denying it.
    pub allowed: HashSet<&'static str>,
    /// Whether every warning is passed over, but those of rules that are denied by name.
    pub allow_warnings: bool,
}

/// The findings that count, errors first, causes before what they bring about, and how many were passed over.
#[derive(Debug)]
pub struct Verdict {
    /// What was found, each with what it weighs now.
    pub findings: Vec<Finding>,
    /// The rules whose findings were passed over, and how many of each.
    pub allowed: BTreeMap<&'static str, usize>,
}

impl Policy {
    /// Weighs `findings`.
    #[must_use]
    pub fn weigh(&self, findings: Vec<Finding>) -> Verdict {
        let (passed, kept): (Vec<_>, Vec<_>) = findings
            .into_iter()
            .partition(|finding| self.allows(finding));
        let mut allowed = BTreeMap::new();
        for finding in passed {
            *allowed.entry(finding.rule.name).or_default() += 1;
        }
        let kept = kept.into_iter().map(|finding| self.weighed(finding));
        let mut findings: Vec<Finding> = kept.collect();
        leave_out_consequences(&mut findings);
        findings.sort_by_cached_key(|finding| (Reverse(finding.severity), rank(finding.rule)));
        Verdict { findings, allowed }
    }

    fn allows(&self, finding: &Finding) -> bool {
        let name = finding.rule.name;
        let is_warning = finding.severity == Severity::Warning && !self.denied.contains(name);
        self.allowed.contains(name) || self.allow_warnings && is_warning
    }

    fn weighed(&self, finding: Finding) -> Finding {
        let is_denied = self.deny_warnings || self.denied.contains(finding.rule.name);
        match is_denied {
            true => finding.weighing(Severity::Error),
            false => finding,
        }
    }
}

impl Verdict {
    /// How many findings weigh `severity`.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        let weighs = |finding: &&Finding| finding.severity == severity;
        self.findings.iter().filter(weighs).count()
    }

    /// Whether the image was judged bad.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        self.count(Severity::Error) > 0
    }
}
