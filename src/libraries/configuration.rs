//! `ld.so.conf`: the directories of libraries that a system adds to the default ones.

use std::collections::HashSet;

use super::search::flatten;
use crate::image_path::ImagePath;
use crate::root::{LookupError, Root};

/// Nested `include` lines of `ld.so.conf` are followed this far.
const INCLUDE_LIMIT: usize = 8;

/// An `ld.so.conf` with all it includes: a directory a line, `include PATTERN...`, `hwcap` lines that
/// name no directory, and `#` begins a comment (`parse_conf` in glibc's `elf/ldconfig.c`).
pub(super) struct Configuration<'r> {
    root: &'r Root,
    pub(super) directories: Vec<ImagePath>,
    /// Files read, each once: two lines that include their own file would make 2^depth readings.
    known: HashSet<ImagePath>,
}

impl<'r> Configuration<'r> {
    pub(super) fn new(root: &'r Root) -> Self {
        Configuration {
            root,
            directories: Vec::new(),
            known: HashSet::new(),
        }
    }

    pub(super) fn read(&mut self, path: &ImagePath, depth: usize) -> Result<(), LookupError> {
        if depth > INCLUDE_LIMIT || !self.known.insert(path.clone()) {
            return Ok(());
        }
        let text = self.root.at(path, self.root.read_if_there(path))?;
        for line in String::from_utf8_lossy(&text.unwrap_or_default()).lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if let Some(patterns) = after_word("include", line) {
                for pattern in patterns.split_ascii_whitespace() {
                    for included in expand_include(self.root, path, pattern)? {
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
}

/// What follows `word` and a blank in a line that begins with them.
fn after_word<'l>(word: &str, line: &'l str) -> Option<&'l str> {
    let rest = line.strip_prefix(word)?;
    rest.starts_with([' ', '\t']).then_some(rest)
}

/// The files of an `include`: its last component may be a pattern, as it is in every system.
fn expand_include(
    root: &Root,
    conf: &ImagePath,
    pattern: &str,
) -> Result<Vec<ImagePath>, LookupError> {
    let base = match pattern.starts_with('/') {
        true => ImagePath::default(),
        false => conf.parent().unwrap_or_default(),
    };
    let whole = [base.as_bytes(), b"/", pattern.as_bytes()].concat();
    let Some(pattern) = flatten(&String::from_utf8_lossy(&whole)) else {
        return Ok(Vec::new());
    };
    let directory = pattern.parent().unwrap_or_default();
    let Ok(glob) = globset::Glob::new(&String::from_utf8_lossy(pattern.file_name())) else {
        return Ok(Vec::new());
    };
    let matcher = glob.compile_matcher();
    let names = match root.at(&directory, root.list(&directory)) {
        Err(error) if error.is_missing() => Vec::new(),
        listed => listed?.1,
    };
    let names = names
        .iter()
        .filter(|(name, _)| matcher.is_match(&*String::from_utf8_lossy(name)));
    Ok(names
        .filter_map(|(name, _)| directory.join(name).ok())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::super::search::SearchPaths;
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
