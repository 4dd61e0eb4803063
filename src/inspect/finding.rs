//! Rules and what they find: the words of a verdict.

use std::fmt;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The guest boots, most likely; somebody should know all the same.
    Warning,
    /// The guest does not boot, or not as it was meant to.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Severity::Warning => "warning",
            Severity::Error => "error",
        })
    }
}

/// Something an image is judged by. Names are stable: pipelines hold on to them.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, in kebab case.
    pub name: &'static str,
    /// What a finding weighs.
    pub severity: Severity,
    /// What it means when it is found: a sentence.
    pub meaning: &'static str,
    /// Why that matters: what the guest does, and where that is written.
    pub reason: &'static str,
    /// What to do about it.
    pub cure: &'static str,
}

/// Something that a rule found in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// What it weighs here: the rule's own severity, but where the guest makes it another.
    pub severity: Severity,
    /// The number of the segment, where it is one's.
    pub segment: Option<usize>,
    /// The name of the entry as it stands in the archive, where it is one's.
    pub entry: Option<Vec<u8>>,
    /// What is there.
    pub found: String,
    /// What should be.
    pub expected: String,
    /// What to do: what the rule has, but where more is known of the case.
    pub cure: &'static str,
}

impl Finding {
    /// A finding about the image as a whole.
    #[must_use]
    pub fn new(
        rule: &'static Rule,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Finding {
        Finding {
            rule,
            severity: rule.severity,
            segment: None,
            entry: None,
            found: found.into(),
            expected: expected.into(),
            cure: rule.cure,
        }
    }

    /// The same, with another cure than the rule has.
    #[must_use]
    pub fn cured_by(self, cure: &'static str) -> Finding {
        Finding { cure, ..self }
    }

    /// The same, weighed otherwise than the rule has it.
    #[must_use]
    pub fn weighing(self, severity: Severity) -> Finding {
        Finding { severity, ..self }
    }

    /// The same, about segment `number`.
    #[must_use]
    pub fn in_segment(self, number: usize) -> Finding {
        Finding {
            segment: Some(number),
            ..self
        }
    }

    /// The same, about an entry of an image.
    #[must_use]
    pub fn at(self, item: &super::picture::Item) -> Finding {
        Finding {
            segment: Some(item.entry.segment),
            entry: Some(item.entry.name.clone()),
            ..self
        }
    }
}
