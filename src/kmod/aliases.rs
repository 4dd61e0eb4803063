//! Aliases: patterns that stand for modules, and the match between them and a name.

use std::cell::Cell;

use super::lines::lines;
use super::name::ModuleName;

/// A pattern and the module it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The pattern.
    pub pattern: Vec<u8>,
    /// The module.
    pub module: ModuleName,
}

impl Alias {
    /// The alias `pattern` of `module`.
    #[must_use]
    pub fn new(pattern: &[u8], module: ModuleName) -> Self {
        Alias {
            pattern: pattern.to_vec(),
            module,
        }
    }

    /// Whether `name`, normalised (see [`normalise`]), matches the pattern.
    #[must_use]
    pub fn matches(&self, name: &[u8]) -> bool {
        glob(&self.pattern, name, &mut 0)
    }
}

/// What look-ups of aliases have cost so far, in comparisons of bytes. Whoever makes them keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cost(Cell<u64>);

/// What all look-ups together may cost, in comparisons of bytes: a second or two. All modules of a
/// distribution's kernel cost a small part of it; patterns and names can be made that cost more.
const STEP_LIMIT: u64 = 1 << 29;
/// What it costs to find a line, in the same measure, and how many bytes of it are passed over at the cost
/// of one comparison.
const LINE_STEPS: u64 = 4;
const BYTES_A_STEP: u64 = 16;

impl Cost {
    /// Whether it is so much that no more look-ups are made: the aliases are hostile, or who asks.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.0.get() > STEP_LIMIT
    }
}

/// Aliases in the form of a `modules.alias`: `alias PATTERN MODULE` a line, `#` begins a comment.
///
/// They stay text: a distribution's kernel has twenty thousand, of which an image asks for a few.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Aliases(Vec<u8>);

impl Aliases {
    /// Adds an alias; one that would not be a line of its own is none.
    pub fn push(&mut self, pattern: &[u8], module: &ModuleName) {
        if pattern.contains(&b'\n') {
            return;
        }
        let line = [ALIAS, pattern, b" ", module.as_bytes(), b"\n"];
        line.iter().for_each(|part| self.0.extend_from_slice(part));
    }

    /// The modules that `name` may stand for, in the order of the lines; none once all look-ups
    /// together have cost too much.
    pub fn matching(&self, name: &[u8], cost: &Cost) -> impl Iterator<Item = ModuleName> {
        let name = normalise(name);
        // Even to find where the first line ends takes time.
        let text = if cost.is_spent() { &[] } else { &*self.0 };
        let lines = lines(text).take_while(|_| !cost.is_spent());
        lines.filter_map(move |line| {
            let mut steps = cost.0.get() + LINE_STEPS + line.len() as u64 / BYTES_A_STEP;
            let matching = may_match(line, &name)
                .then(|| alias(line))
                .flatten()
                .filter(|(pattern, _)| glob(pattern, &name, &mut steps));
            cost.0.set(steps);
            matching.map(|(_, module)| ModuleName::new(module))
        })
    }
}

/// The aliases of a whole tree, and what all look-ups in them have cost.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AliasIndex {
    aliases: Aliases,
    cost: Cost,
}

impl AliasIndex {
    /// The index with this text. Lines of another form are passed over, as modprobe does.
    #[must_use]
    pub fn new(text: Vec<u8>) -> AliasIndex {
        AliasIndex {
            aliases: Aliases(text),
            cost: Cost::default(),
        }
    }

    /// As [`Aliases::push`].
    pub fn push(&mut self, pattern: &[u8], module: &ModuleName) {
        self.aliases.push(pattern, module);
    }

    /// As [`Aliases::matching`].
    pub fn matching(&self, name: &[u8]) -> impl Iterator<Item = ModuleName> {
        self.aliases.matching(name, &self.cost)
    }

    /// As [`Cost::is_spent`].
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.cost.is_spent()
    }
}

/// Whether the first byte of a line's pattern leaves it open that `name` matches: nearly all lines
/// are ruled out by it, at a fraction of the cost of taking them apart.
fn may_match(line: &[u8], name: &[u8]) -> bool {
    match line.get(ALIAS.len()).copied() {
        Some(b'*' | b'?' | b'[' | b'\\' | b' ') => true,
        first => first.map(underscored) == name.first().copied(),
    }
}

/// What a line begins with.
const ALIAS: &[u8] = b"alias ";

/// The pattern, which may hold spaces (`modules.alias` of some kernels has them), and the module,
/// which is the last word.
fn alias(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = line.strip_prefix(ALIAS)?.trim_ascii();
    let space = rest.iter().rposition(u8::is_ascii_whitespace)?;
    let (pattern, module) = rest.split_at_checked(space)?;
    Some((pattern.trim_ascii(), module.trim_ascii()))
}

/// A name with every `-` but those within brackets turned into `_`, as kmod compares aliases.
#[must_use]
pub fn normalise(alias: &[u8]) -> Vec<u8> {
    let mut bracketed = false;
    let mut normalised = alias.to_vec();
    for byte in &mut normalised {
        match byte {
            b'[' => bracketed = true,
            b']' => bracketed = false,
            _ if !bracketed => *byte = underscored(*byte),
            _ => {}
        }
    }
    normalised
}

/// Whether `name`, normalised, matches `pattern` as `fnmatch(3)` without flags would have it; the
/// pattern is normalised on the way.
///
/// Takes steps in proportion to the product of the lengths at worst, for the last `*` is the only
/// one that is ever taken back; they are added to `steps`, and past the limit nothing matches.
fn glob(pattern: &[u8], name: &[u8], steps: &mut u64) -> bool {
    let (mut rest, mut text) = (pattern, name);
    let mut last_star: Option<(&[u8], &[u8])> = None;
    loop {
        // A bracket is looked through for its end.
        *steps += if rest.starts_with(b"[") {
            rest.len() as u64
        } else {
            1
        };
        if *steps > STEP_LIMIT {
            return false;
        }
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
            (underscored(*literal) == byte).then_some((rest, text))
        }
        [] => None,
    }
}

/// Outside of brackets `-` and `_` are one.
fn underscored(byte: u8) -> u8 {
    if byte == b'-' { b'_' } else { byte }
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
            ("a-b", "a_b", true),
            ("", "", true),
            ("", "a", false),
        ];
        for (pattern, name, want) in cases {
            assert_eq!(
                glob(pattern.as_bytes(), name.as_bytes(), &mut 0),
                want,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn a_pattern_of_stars_takes_no_exponential_time() {
        assert!(!glob(&b"*a".repeat(2000), &[b'a'; 1999], &mut 0));
        assert!(glob(&b"*a".repeat(2000), &[b'a'; 2000], &mut 0));
    }

    #[test]
    fn an_index_answers_with_every_module_in_order_and_passes_garbage_over() {
        let text = b"# comment\nalias xen:vbd xen_blkfront\nalias x[a-b]-c foo-bar\n\nalias\nalias onlyone\n\xff\xfe";
        let mut index = AliasIndex::new([&text[..], b"\n"].concat());
        index.push(b"xen:*", &ModuleName::new("other"));
        for (name, want) in [
            ("xen:vbd", vec!["xen_blkfront", "other"]),
            ("xa-c", vec!["foo_bar"]),
            ("xa_c", vec!["foo_bar"]),
            ("onlyone", vec![]),
        ] {
            let found: Vec<ModuleName> = index.matching(name.as_bytes()).collect();
            let want: Vec<ModuleName> = want.into_iter().map(ModuleName::new).collect();
            assert_eq!(found, want, "{name}");
        }
    }

    #[test]
    fn an_index_and_names_made_to_cost_are_given_up_in_time() {
        let line = [b"alias *", &b"a".repeat(4000)[..], b"b x\n"].concat();
        let index = AliasIndex::new(line.repeat(1000));
        let name = [b'a'; 8000];
        for _ in 0..1000 {
            assert_eq!(index.matching(&name).count(), 0);
        }
        assert!(index.is_spent());
    }

    #[test]
    fn to_pass_a_long_line_over_costs_as_it_is_long() {
        let line = [b"alias b", &b"b".repeat(1 << 20)[..], b" x\n"].concat();
        let index = AliasIndex::new(line);
        for _ in 0..(STEP_LIMIT * BYTES_A_STEP) >> 20 {
            assert_eq!(index.matching(b"a").count(), 0);
        }
        assert!(index.is_spent());
    }

    #[test]
    fn an_alias_of_two_lines_is_none() {
        let mut index = AliasIndex::default();
        index.push(b"a b\nalias c", &ModuleName::new("x"));
        assert_eq!(index, AliasIndex::default());
    }
}
