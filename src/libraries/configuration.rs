//! `ld.so.conf`: the directories of libraries that a system adds to the default ones.

use std::collections::HashSet;

use super::search::flatten;
use crate::image_path::ImagePath;
use crate::root::{LookupError, Names, Root, if_there};

/// Nested `include` lines of `ld.so.conf` are followed this far.
const INCLUDE_LIMIT: usize = 8;
/// The most bytes that all the files together may have: real ones have a few hundred.
const BYTES_LIMIT: usize = 256 << 10;
/// What all patterns together may cost, in names that are held against them: real ones stay under a hundred.
const NAMES_LIMIT: usize = 1 << 20;
/// What it costs to make a pattern ready, in the same measure.
const PATTERN_COST: usize = 256;

/// An `ld.so.conf` with all it includes: a directory a line, `include PATTERN...`, `hwcap` lines that
/// name no directory, and `#` begins a comment (`parse_conf` in glibc's `elf/ldconfig.c`).
pub(super) struct Configuration<'r> {
    root: &'r Root,
    pub(super) directories: Vec<ImagePath>,
    /// Files read, each once: two lines that include their own file would make 2^depth readings.
    known: HashSet<ImagePath>,
    /// Patterns that were expanded: what they stand for was read.
    expanded: HashSet<ImagePath>,
    /// The directory that was listed last: lines that follow each other mostly name the same.
    listed: Option<(ImagePath, Names)>,
    bytes: usize,
    names: usize,
}

impl<'r> Configuration<'r> {
    pub(super) fn new(root: &'r Root) -> Self {
        Configuration {
            root,
            directories: Vec::new(),
            known: HashSet::new(),
            expanded: HashSet::new(),
            listed: None,
            bytes: 0,
            names: 0,
        }
    }

    pub(super) fn read(&mut self, path: &ImagePath, depth: usize) -> Result<(), LookupError> {
        if depth > INCLUDE_LIMIT || !self.known.insert(path.clone()) {
            return Ok(());
        }
        let text = if_there(self.root.read_at_most(path, BYTES_LIMIT as u64));
        let text = self.root.at(path, text)?;
        self.bytes += text.as_ref().map_or(0, Vec::len);
        self.bounded(path, "bytes", self.bytes, BYTES_LIMIT)?;
        for line in String::from_utf8_lossy(&text.unwrap_or_default()).lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if let Some(patterns) = after_word("include", line) {
                for pattern in patterns.split_ascii_whitespace() {
                    for included in self.expand(path, pattern, depth)? {
                        self.read(&included, depth + 1)?;
                    }
                }
            } else if after_word("hwcap", line).is_none() {
                let directory = flatten(line).filter(|path| !path.is_root());
                self.directories.extend(directory);
            }
        }
        Ok(())
    }

    fn bounded(
        &self,
        path: &ImagePath,
        what: &'static str,
        count: usize,
        limit: usize,
    ) -> Result<(), LookupError> {
        match count > limit {
            true => self
                .root
                .at(path, Err(LookupError::TooMany { what, limit })),
            false => Ok(()),
        }
    }

    /// The files of an `include` in `conf` that may not have been read yet: its last component may be a
    /// pattern, as it is in every system.
    fn expand(
        &mut self,
        conf: &ImagePath,
        pattern: &str,
        depth: usize,
    ) -> Result<Vec<ImagePath>, LookupError> {
        let base = match pattern.starts_with('/') {
            true => ImagePath::default(),
            false => conf.parent().unwrap_or_default(),
        };
        let whole = [base.as_bytes(), b"/", pattern.as_bytes()].concat();
        let pattern = flatten(&String::from_utf8_lossy(&whole));
        // Files that are too deep here may be read on a shorter way.
        let pattern = pattern.filter(|_| depth < INCLUDE_LIMIT);
        let Some(pattern) = pattern.filter(|pattern| self.expanded.insert(pattern.clone())) else {
            return Ok(Vec::new());
        };
        let directory = pattern.parent().unwrap_or_default();
        let names = self.list(&directory)?;
        self.names += PATTERN_COST + names.len();
        let found = match self.names > NAMES_LIMIT {
            true => Vec::new(),
            false => matching(&directory, pattern.file_name(), &names),
        };
        self.listed = Some((directory, names));
        let what = "names in directories that it includes files of";
        self.bounded(conf, what, self.names, NAMES_LIMIT)?;
        Ok(found)
    }

    fn list(&mut self, directory: &ImagePath) -> Result<Names, LookupError> {
        match self.listed.take() {
            Some((listed, names)) if listed == *directory => Ok(names),
            _ => {
                let listed = if_there(self.root.list(directory));
                let names = self.root.at(directory, listed)?;
                Ok(names.map(|(_, names)| names).unwrap_or_default())
            }
        }
    }
}

/// The files in a directory whose names match the pattern.
fn matching(directory: &ImagePath, pattern: &[u8], names: &Names) -> Vec<ImagePath> {
    let Ok(glob) = globset::Glob::new(&String::from_utf8_lossy(pattern)) else {
        return Vec::new();
    };
    let matcher = glob.compile_matcher();
    let names = names
        .iter()
        .filter(|(name, _)| matcher.is_match(&*String::from_utf8_lossy(name)));
    names
        .filter_map(|(name, _)| directory.join(name).ok())
        .collect()
}

/// What follows `word` and a blank in a line that begins with them.
fn after_word<'l>(word: &str, line: &'l str) -> Option<&'l str> {
    let rest = line.strip_prefix(word)?;
    rest.starts_with([' ', '\t']).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::super::search::SearchPaths;
    use super::{BYTES_LIMIT, INCLUDE_LIMIT};
    use crate::arch::Arch;
    use crate::root::memory;

    fn configured(files: &[(&str, &[u8])], links: &[(&str, &'static str)]) -> Vec<String> {
        let root = memory::root(files, links);
        match SearchPaths::new(&root, Arch::X86_64) {
            Ok(paths) => {
                let directories = paths.configured.iter();
                directories.map(ToString::to_string).collect()
            }
            Err(error) => vec![error.to_string()],
        }
    }

    #[test]
    fn a_configuration_names_directories_and_other_files() {
        let conf =
            b"include\t/etc/more/*.conf  one\n/opt/a # here\n\t/opt/../b\nhwcap 0 nosegneg\n\
            include gone/*.conf\nincluded/c\n";
        let files: [(&str, &[u8]); 4] = [
            ("etc/ld.so.conf", conf),
            ("etc/more/x.conf", b"/opt/x\ninclude *.conf\n"),
            ("etc/more/y", b"/opt/y\n"),
            ("etc/one", b"/opt/one"),
        ];
        let expected = ["/opt/x", "/opt/one", "/opt/a", "/b", "/included/c"];
        assert_eq!(configured(&files, &[]), expected);
        assert_eq!(configured(&[], &[]), [""; 0]);
    }

    #[test]
    fn a_file_that_is_too_deep_on_one_way_is_read_on_a_shorter() {
        let nested: Vec<(String, String)> = (0..=INCLUDE_LIMIT)
            .map(|n| (format!("etc/{n}"), format!("include {}\n/d{n}\n", n + 1)))
            .collect();
        let last = INCLUDE_LIMIT;
        let conf = format!("include 0\ninclude {last}\n");
        let mut files: Vec<(&str, &[u8])> = vec![("etc/ld.so.conf", conf.as_bytes())];
        files.extend(nested.iter().map(|(path, text)| (&**path, text.as_bytes())));
        let mut expected: Vec<String> = (0..last).rev().map(|n| format!("/d{n}")).collect();
        expected.push(format!("/d{last}"));
        assert_eq!(configured(&files, &[]), expected);
    }

    #[test]
    fn a_configuration_without_measure_is_refused() {
        let once = "include l/*zz\n".repeat(5000);
        let many: String = (0..5000).map(|n| format!("include l/*{n}\n")).collect();
        let long = "x".repeat(BYTES_LIMIT + 1);
        let half = "x\n".repeat(BYTES_LIMIT / 4);
        let halves = format!("include l/x\n{half}");
        for (conf, more, expected) in [
            (&once, "", None),
            (
                &many,
                "",
                Some("/etc/ld.so.conf: more than the 1048576 names"),
            ),
            (&long, "", Some("/etc/ld.so.conf: 262145 bytes, more than")),
            (&halves, &half, Some("/etc/l/x: more than the 262144 bytes")),
        ] {
            let files = [
                ("etc/ld.so.conf", conf.as_bytes()),
                ("etc/l/x", more.as_bytes()),
            ];
            let found = configured(&files, &[]).concat();
            assert!(found.starts_with(expected.unwrap_or_default()), "{found}");
            assert_eq!(found.is_empty(), expected.is_none());
        }
    }

    #[test]
    fn a_configuration_that_cannot_be_read_is_named() {
        let conf = ("etc/ld.so.conf", b"include d/*.conf".as_slice());
        let link = "the symbolic link";
        for (link, target, expected) in [
            (
                "etc/d/x.conf",
                "gone",
                format!("/etc/d/x.conf: {link} /etc/d/x.conf -> gone"),
            ),
            ("etc/d", "gone", format!("/etc/d: {link} /etc/d -> gone")),
        ] {
            let expected = format!("{expected} leads nowhere inside the root");
            assert_eq!(configured(&[conf], &[(link, target)]), [expected]);
        }
    }
}
