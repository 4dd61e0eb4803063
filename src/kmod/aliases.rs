//! Aliases: patterns that stand for modules, and the match between them and a name.

use super::name::ModuleName;

/// A pattern and the module it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The pattern, normalised (see [`normalise`]).
    pub pattern: Vec<u8>,
    /// The module.
    pub module: ModuleName,
}

impl Alias {
    /// The alias `pattern` of `module`.
    #[must_use]
    pub fn new(pattern: &[u8], module: ModuleName) -> Self {
        Alias {
            pattern: normalise(pattern),
            module,
        }
    }

    /// Whether `name`, normalised, matches the pattern.
    #[must_use]
    pub fn matches(&self, name: &[u8]) -> bool {
        glob(&self.pattern, name)
    }
}

/// Reads the text of a `modules.alias`: `alias PATTERN MODULE` a line, `#` begins a comment.
///
/// Patterns may hold spaces (`modules.alias` of some kernels has them); the module is the last
/// word. Lines of another form are passed over, as modprobe does.
#[must_use]
pub fn parse(text: &[u8]) -> Vec<Alias> {
    let lines = text.split(|&b| b == b'\n');
    lines
        .filter_map(|line| {
            let rest = line.trim_ascii().strip_prefix(b"alias ")?.trim_ascii();
            let space = rest.iter().rposition(u8::is_ascii_whitespace)?;
            let (pattern, module) = rest.split_at_checked(space)?;
            Some(Alias::new(
                pattern.trim_ascii(),
                ModuleName::new(module.trim_ascii()),
            ))
        })
        .collect()
}

/// Turns every `-` into `_` but within brackets, as kmod compares aliases.
#[must_use]
pub fn normalise(alias: &[u8]) -> Vec<u8> {
    let mut bracketed = false;
    let mut normalised = alias.to_vec();
    for byte in &mut normalised {
        match byte {
            b'[' => bracketed = true,
            b']' => bracketed = false,
            b'-' if !bracketed => *byte = b'_',
            _ => {}
        }
    }
    normalised
}

/// Whether `name` matches `pattern` as `fnmatch(3)` without flags would have it.
///
/// Takes time in proportion to the product of the lengths at worst: the last `*` is the only one
/// that is ever taken back.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut rest, mut text) = (pattern, name);
    let mut last_star: Option<(&[u8], &[u8])> = None;
    loop {
        match rest {
            [b'*', after @ ..] => {
                last_star = Some((after, text));
                rest = after;
                continue;
            }
            [] if text.is_empty() => return true,
            _ => {}
        }
        if let Some((next_rest, next_text)) = one(rest, text) {
            (rest, text) = (next_rest, next_text);
            continue;
        }
        match last_star {
            Some((after, [_, shorter @ ..])) => {
                last_star = Some((after, shorter));
                (rest, text) = (after, shorter);
            }
            _ => return false,
        }
    }
}

/// Matches one element of the pattern against one byte; what remains of both, or `None`.
fn one<'p, 't>(pattern: &'p [u8], text: &'t [u8]) -> Option<(&'p [u8], &'t [u8])> {
    let (&byte, text) = text.split_first()?;
    match pattern {
        [b'?', rest @ ..] => Some((rest, text)),
        [b'[', rest @ ..] => match bracket(rest, byte) {
            Some((true, rest)) => Some((rest, text)),
            Some((false, _)) => None,
            // Without its end a bracket is a plain character.
            None => (byte == b'[').then_some((rest, text)),
        },
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => {
            (*literal == byte).then_some((rest, text))
        }
        [] => None,
    }
}

/// Whether `byte` is in the set that `rest`, past its `[`, begins with; and what follows the set.
fn bracket(rest: &[u8], byte: u8) -> Option<(bool, &[u8])> {
    let (negated, mut rest) = match rest {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, rest),
    };
    let mut found = false;
    let mut first = true;
    loop {
        match rest {
            [b']', after @ ..] if !first => return Some((found != negated, after)),
            [low, b'-', high, after @ ..] if *high != b']' => {
                found |= (*low..=*high).contains(&byte);
                rest = after;
            }
            [literal, after @ ..] => {
                found |= *literal == byte;
                rest = after;
            }
            [] => return None,
        }
        first = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_fnmatch_has_them() {
        let cases = [
            ("xen:vbd", "xen:vbd", true),
            ("xen:vbd", "xen:vb", false),
            ("pci:v*d*sv*", "pci:v0001d2svx", true),
            ("pci:v*d*sv*", "pci:v0001d2", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("x[0-9]y", "x5y", true),
            ("x[!0-9]y", "x5y", false),
            ("x[]]y", "x]y", true),
            ("x[ab", "x[ab", true),
            ("*", "", true),
            ("*a*b", "zzazzb", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("", "", true),
            ("", "a", false),
        ];
        for (pattern, name, want) in cases {
            assert_eq!(
                glob(pattern.as_bytes(), name.as_bytes()),
                want,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn a_pattern_of_stars_takes_no_exponential_time() {
        assert!(!glob(&b"*a".repeat(2000), &[b'a'; 1999]));
        assert!(glob(&b"*a".repeat(2000), &[b'a'; 2000]));
    }

    #[test]
    fn lines_are_read_and_garbage_is_passed_over() {
        let text = b"# comment\nalias xen:vbd xen_blkfront\nalias x[a-b]-c foo-bar\n\nalias\nalias onlyone\n\xff\xfe";
        let want = [
            Alias {
                pattern: b"xen:vbd".to_vec(),
                module: ModuleName::new("xen_blkfront"),
            },
            Alias {
                pattern: b"x[a-b]_c".to_vec(),
                module: ModuleName::new("foo_bar"),
            },
        ];
        assert_eq!(parse(text), want);
    }
}
