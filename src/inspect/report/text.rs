//! A report as people read it.

use std::collections::HashMap;
use std::fmt;

use super::{EventReport, FindingReport, InspectionReport, SegmentReport, UnpackingReport};
use crate::inspect::memory::Memory;
use crate::size::Size;

/// How many segments are told, and how many groups of like findings of a rule.
const SHOWN: usize = 20;
/// How many events are told, and how many other entries of like findings.
const A_FEW: usize = 5;

impl fmt::Display for InspectionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f)?;
        if !self.whole {
            let far = "up to where it could be read; what it seems to lack may lie behind that";
            writeln!(f, "judged      {far}")?;
        }
        self.tell_findings(f)?;
        write!(f, "{}: {}", self.image, self.verdict)?;
        let (errors, warnings) = (
            counted(self.errors, "error", "errors"),
            counted(self.warnings, "warning", "warnings"),
        );
        write!(f, ", {errors}, {warnings}")?;
        let allowed = self.allowed.iter();
        let allowed: Vec<_> = allowed
            .map(|(rule, count)| format!("{count} {rule}"))
            .collect();
        match allowed.is_empty() {
            true => writeln!(f),
            false => writeln!(f, ", allowed: {}", allowed.join(", ")),
        }
    }
}

impl InspectionReport {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, segment) in self.segments.iter().enumerate().take(SHOWN) {
            writeln!(f, "segment {number}   {segment}")?;
        }
        let more = self.segments.len().saturating_sub(SHOWN);
        if more > 0 {
            writeln!(f, "segments    {more} more")?;
        }
        self.describe_boot(f)?;
        for (kind, count) in &self.elf {
            writeln!(f, "elf         {count} of {kind}")?;
        }
        for file in self.largest.iter().take(3) {
            writeln!(f, "largest     {:>12}  {}", Size(file.size), file.path)?;
        }
        let Memory {
            before_xen_4_20,
            since_xen_4_20,
            files,
        } = self.memory;
        writeln!(
            f,
            "memory      {} to unpack before Xen 4.20, {} since; {} stay in use",
            Size(before_xen_4_20),
            Size(since_xen_4_20),
            Size(files)
        )
    }
}

impl InspectionReport {
    fn describe_boot(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.made_by.version.as_deref().unwrap_or_default();
        writeln!(
            f,
            "made by     {}",
            format!("{} {version}", self.made_by.name).trim_end()
        )?;
        if let Some(arch) = &self.arch {
            writeln!(f, "arch        {arch}")?;
        }
        for (kernel, count) in &self.kernels {
            let modules = counted(*count, "module", "modules");
            writeln!(f, "kernel      {kernel}, {modules}")?;
        }
        if let Some(init) = &self.init {
            writeln!(f, "init        {}, {}", init.path, init.kind)?;
        }
        let loads: Vec<&str> = self
            .modules
            .iter()
            .map(|load| load.module.as_str())
            .collect();
        let loads = loads.join(" ");
        match (loads.is_empty(), self.loads_on_demand) {
            (true, false) => {}
            (true, true) => writeln!(f, "loads       what the devices take that it finds")?,
            (false, true) => writeln!(f, "loads       {loads}; more for the devices it finds")?,
            (false, false) => writeln!(f, "loads       {loads}")?,
        }
        self.describe_unpacking(f)
    }

    fn describe_unpacking(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UnpackingReport {
            kernel,
            assumed,
            stops,
            silent,
            silent_count,
        } = &self.unpacking;
        let kernel = match assumed {
            true => format!("{kernel} (assumed)"),
            false => kernel.clone(),
        };
        if let Some(stops) = stops {
            writeln!(
                f,
                "kernel {kernel} stops at segment {}, byte {}: {}",
                stops.segment, stops.offset, stops.what
            )?;
        }
        for event in silent.iter().take(A_FEW) {
            writeln!(f, "kernel {kernel}, {event}")?;
        }
        match silent_count.saturating_sub(silent.len().min(A_FEW)) {
            0 => Ok(()),
            more => writeln!(f, "kernel {kernel}: {more} more of that kind"),
        }
    }
}

impl fmt::Display for EventReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry.as_str() {
            "" => write!(f, "segment {}, byte {}: ", self.segment, self.offset)?,
            entry => write!(f, "segment {}, {entry}: ", self.segment)?,
        }
        f.write_str(&self.what)
    }
}

fn counted(count: usize, one: &str, several: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        n => format!("{n} {several}"),
    }
}

impl fmt::Display for SegmentReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size =
            |bytes: Option<u64>| bytes.map_or("?".to_owned(), |bytes| Size(bytes).to_string());
        write!(
            f,
            "at {}, {}, {}, {} unpacked, {}",
            self.offset,
            self.compression,
            size(self.size),
            size(self.unpacked),
            counted(self.entries, "entry", "entries")
        )
    }
}

/// Findings that say the same of several entries, in their order.
struct Group<'f> {
    first: &'f FindingReport,
    others: Vec<&'f FindingReport>,
}

impl<'f> Group<'f> {
    fn of(findings: &'f [FindingReport]) -> Vec<Group<'f>> {
        let mut groups: Vec<Group<'f>> = Vec::new();
        let mut known = HashMap::new();
        for finding in findings {
            let same = (
                finding.rule,
                &finding.severity,
                &finding.found,
                &finding.expected,
            );
            let number = *known.entry(same).or_insert(groups.len());
            match groups.get_mut(number) {
                Some(group) => group.others.push(finding),
                None => groups.push(Group {
                    first: finding,
                    others: Vec::new(),
                }),
            }
        }
        groups
    }
}

impl Group<'_> {
    /// `, and 7 more: a, b, c, d, e ...`
    fn tell_others(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.others.len();
        if count == 0 {
            return Ok(());
        }
        write!(f, ", and {count} more")?;
        let entries = self
            .others
            .iter()
            .filter_map(|other| other.entry.as_deref());
        let few: Vec<&str> = entries.take(A_FEW).collect();
        let dots = if count > few.len() { " ..." } else { "" };
        match few.is_empty() {
            true => Ok(()),
            false => write!(f, ": {}{dots}", few.join(", ")),
        }
    }
}

impl InspectionReport {
    /// Tells the findings in groups, and of each rule how many it leaves out.
    fn tell_findings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told: HashMap<&str, usize> = HashMap::new();
        let mut left_out = self.more.clone();
        for group in Group::of(&self.findings) {
            let told = told.entry(group.first.rule).or_default();
            *told += 1;
            match *told <= SHOWN {
                true => writeln!(f, "{group}")?,
                false => *left_out.entry(group.first.rule).or_default() += 1 + group.others.len(),
            }
        }
        for (rule, count) in left_out {
            writeln!(f, "{rule}: {count} more like these")?;
        }
        Ok(())
    }
}

impl fmt::Display for Group<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FindingReport {
            rule,
            severity,
            segment,
            entry,
            found,
            expected,
            cure,
        } = self.first;
        write!(f, "{severity} {rule}")?;
        if let Some(segment) = segment {
            write!(f, ": segment {segment}")?;
        }
        if let Some(entry) = entry {
            write!(f, ", {entry}")?;
        }
        self.tell_others(f)?;
        write!(
            f,
            "\n    found:    {found}\n    expected: {expected}\n    do:       {cure}"
        )
    }
}
