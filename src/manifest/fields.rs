//! The typed reading of one TOML table, which notes every fault and goes on.
//!
//! A key that was asked for is a known one; [`Fields::done`] reports the rest. Each getter answers
//! `None` after noting why, so that a caller reads all its keys before it gives up.

use std::ops::Range;

use globset::{Glob, GlobSetBuilder};
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::fault::{FaultKind, Notes, Occupant};
use crate::image_path::{ImagePath, NAME_LIMIT};
use crate::kernel_version::{KernelVersion, NotAVersion};
use crate::nearest::nearest;

/// No shipped manifest has ten; a matcher of thousands costs seconds.
const PATTERN_LIMIT: usize = 256;
/// `i_mode` below the file type: permission bits with setuid, setgid and sticky.
const MODE_LIMIT: u32 = 0o7777;

/// A text of the manifest, with its offset.
pub(super) type Word<'t> = (usize, &'t str);

/// One table, and which of its keys have been asked for.
pub(super) struct Fields<'t> {
    at: usize,
    table: &'t DeTable<'t>,
    known: Vec<&'static str>,
    notes: &'t Notes,
}

impl<'t> Fields<'t> {
    pub(super) fn new(table: &'t DeTable<'t>, span: &Range<usize>, notes: &'t Notes) -> Self {
        Fields {
            at: span.start,
            table,
            known: Vec::new(),
            notes,
        }
    }

    pub(super) fn fault(&self, at: usize, what: FaultKind) {
        self.notes.fault(at, what);
    }

    /// A fault of the table as a whole.
    pub(super) fn fault_here(&self, what: FaultKind) {
        self.fault(self.at, what);
    }

    /// The value of `key`, which from now on is known.
    fn get(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.known.push(key);
        self.table.get(key)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Notes `key` as missing, unless it is there (and has then been judged already).
    fn require(&self, key: &'static str) {
        if !self.has(key) {
            self.fault(self.at, FaultKind::Missing(key));
        }
    }

    /// Holds that the list of `key` is there and has something in it.
    pub(super) fn require_some(&self, key: &'static str) {
        self.require(key);
        if let Some(value) = self.table.get(key)
            && value
                .get_ref()
                .as_array()
                .is_some_and(|list| list.is_empty())
        {
            self.fault(value.span().start, FaultKind::Empty(key));
        }
    }

    /// A string that need not be there.
    pub(super) fn text(&mut self, key: &'static str) -> Option<Word<'t>> {
        let value = self.get(key)?;
        self.as_text(key, value)
    }

    /// A string that must be there and must not be empty.
    pub(super) fn word(&mut self, key: &'static str) -> Option<Word<'t>> {
        let word = self.text(key);
        self.require(key);
        let (at, text) = word?;
        if text.is_empty() {
            self.fault(at, FaultKind::Empty(key));
            return None;
        }
        Some((at, text))
    }

    /// A word that `is_good` holds to be a `what`.
    pub(super) fn name(
        &mut self,
        key: &'static str,
        what: &'static str,
        is_good: fn(char) -> bool,
    ) -> Option<String> {
        let word = self.word(key)?;
        self.judge_name(word, what, is_good)
    }

    /// The strings of a list, which may be absent.
    pub(super) fn words(&mut self, key: &'static str) -> Vec<Word<'t>> {
        let list = self.list(key);
        list.filter_map(|value| self.as_text(key, value)).collect()
    }

    /// Names, each held to be a `what` by `is_good`.
    pub(super) fn names(
        &mut self,
        key: &'static str,
        what: &'static str,
        is_good: fn(char) -> bool,
    ) -> Vec<(usize, String)> {
        let words = self.words(key).into_iter();
        words
            .filter_map(|word| Some((word.0, self.judge_name(word, what, is_good)?)))
            .collect()
    }

    /// One of some words; `None` where it is none of them, and where it is absent.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        let (at, word) = self.text(key)?;
        let chosen = choices.iter().find(|(name, _)| *name == word);
        if chosen.is_none() {
            let value = word.to_owned();
            let known = choices.iter().map(|(name, _)| *name).collect();
            self.fault(at, FaultKind::UnknownWord { key, value, known });
        }
        chosen.map(|&(_, value)| value)
    }

    /// [`Fields::choice`] of a key that must be there.
    pub(super) fn required_choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        let chosen = self.choice(key, choices);
        self.require(key);
        chosen
    }

    /// A path that is not the root, with its offset.
    fn located_path(&mut self, key: &'static str) -> Option<(usize, ImagePath)> {
        let word = self.word(key)?;
        Some((word.0, self.judge_path(key, word)?))
    }

    /// The path of an entry, which it claims for itself.
    pub(super) fn place(&mut self, occupant: Occupant) -> Option<ImagePath> {
        let (at, path) = self.located_path("path")?;
        self.notes.claim(at, &path, occupant);
        Some(path)
    }

    /// The link of an applet, beside its binary, claims its path too.
    pub(super) fn claim_applet(&self, at: usize, binary: &ImagePath, name: &str) {
        let key = "applets";
        match binary.parent().unwrap_or_default().join(name.as_bytes()) {
            Ok(path) => self.notes.claim(at, &path, Occupant::Applet),
            Err(why) => self.fault(at, FaultKind::Path { key, why }),
        }
    }

    /// The paths of a list, which may be absent.
    pub(super) fn paths(&mut self, key: &'static str) -> Vec<ImagePath> {
        let words = self.words(key).into_iter();
        words
            .filter_map(|word| self.judge_path(key, word))
            .collect()
    }

    /// A whole number from 0 to `limit`.
    pub(super) fn number(&mut self, key: &'static str, limit: u32) -> Option<u32> {
        let value = self.get(key);
        self.require(key);
        let (at, number) = self.as_integer(key, value?)?;
        self.judge_number(key, at, number, limit, limit.to_string())
    }

    /// Permission bits, written in octal; `default` where the key is absent.
    pub(super) fn mode(&mut self, default: u32) -> Option<u32> {
        let Some(value) = self.get("mode") else {
            return Some(default);
        };
        let (at, number) = self.as_integer("mode", value)?;
        if number.radix() != 8 {
            let value = number.to_string();
            self.fault(at, FaultKind::ModeNotOctal { value });
            return None;
        }
        self.judge_number("mode", at, number, MODE_LIMIT, format!("{MODE_LIMIT:#o}"))
    }

    /// A kernel's version, which may be absent, with its offset.
    pub(super) fn version(&mut self, key: &'static str) -> Option<(usize, KernelVersion)> {
        let (at, word) = self.text(key)?;
        // Only numbers: a release's suffix would be dropped without a word.
        let is_plain = word.chars().all(|c| c.is_ascii_digit() || c == '.');
        let version = word.parse().ok().filter(|_| is_plain);
        if version.is_none() {
            self.fault(at, NotAVersion(word.to_owned()).into());
        }
        Some((at, version?))
    }

    /// Glob patterns over module names, which may be absent.
    pub(super) fn patterns(&mut self, key: &'static str) -> Vec<String> {
        let words = self.words(key);
        let count = words.len();
        if count > PATTERN_LIMIT {
            let limit = PATTERN_LIMIT;
            self.fault(self.at, FaultKind::TooMany { key, count, limit });
            return Vec::new();
        }
        let patterns = words.into_iter();
        patterns
            .filter_map(|word| self.judge_pattern(key, word))
            .collect()
    }

    /// A table that need not be there.
    pub(super) fn table(&mut self, key: &'static str) -> Option<Fields<'t>> {
        let value = self.get(key)?;
        self.as_table(key, value)
    }

    /// A table that must be there.
    pub(super) fn required_table(&mut self, key: &'static str) -> Option<Fields<'t>> {
        let table = self.table(key);
        self.require(key);
        table
    }

    /// What `read` makes of the tables of a list, which may be absent.
    pub(super) fn tables<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(Fields<'t>) -> Option<T>,
    ) -> Vec<T> {
        let list = self.list(key);
        list.filter_map(|value| self.as_table(key, value))
            .filter_map(read)
            .collect()
    }

    /// Reports the keys nobody has asked for.
    pub(super) fn done(self) {
        for key in self.table.keys() {
            let name = key.get_ref().as_ref();
            if !self.known.contains(&name) {
                let nearest = nearest(name, self.known.iter().copied()).into_iter().next();
                let at = key.span().start;
                let key = name.to_owned();
                self.fault(at, FaultKind::UnknownKey { key, nearest });
            }
        }
    }

    fn list(&mut self, key: &'static str) -> std::slice::Iter<'t, Spanned<DeValue<'t>>> {
        let Some(value) = self.get(key) else {
            return [].iter();
        };
        match value.get_ref() {
            DeValue::Array(array) => array.iter(),
            _ => {
                self.wrong_type(key, "a list", value);
                [].iter()
            }
        }
    }

    fn as_text(&self, key: &'static str, value: &'t Spanned<DeValue<'t>>) -> Option<Word<'t>> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.wrong_type(key, "a string", value);
        }
        Some((value.span().start, text?))
    }

    fn as_integer(
        &self,
        key: &'static str,
        value: &'t Spanned<DeValue<'t>>,
    ) -> Option<(usize, &'t DeInteger<'t>)> {
        let integer = value.get_ref().as_integer();
        if integer.is_none() {
            self.wrong_type(key, "a whole number", value);
        }
        Some((value.span().start, integer?))
    }

    fn as_table(&self, key: &'static str, value: &'t Spanned<DeValue<'t>>) -> Option<Fields<'t>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(key, "a table", value);
        }
        Some(Fields::new(table?, &value.span(), self.notes))
    }

    fn wrong_type(&self, key: &'static str, expected: &'static str, value: &Spanned<DeValue<'_>>) {
        let found = shown_type(value.get_ref());
        let what = FaultKind::WrongType {
            key,
            expected,
            found,
        };
        self.fault(value.span().start, what);
    }

    fn judge_name(
        &self,
        (at, name): Word<'_>,
        what: &'static str,
        is_good: fn(char) -> bool,
    ) -> Option<String> {
        let is_sane = !matches!(name, "" | "." | "..") && name.len() <= NAME_LIMIT;
        if is_sane && name.chars().all(is_good) {
            return Some(name.to_owned());
        }
        let value = name.to_owned();
        self.fault(at, FaultKind::BadName { what, value });
        None
    }

    fn judge_path(&self, key: &'static str, (at, text): Word<'_>) -> Option<ImagePath> {
        match ImagePath::new(text) {
            Ok(path) if path.is_root() => self.fault(at, FaultKind::Root(key)),
            Ok(path) => return Some(path),
            Err(why) => self.fault(at, FaultKind::Path { key, why }),
        }
        None
    }

    fn judge_number(
        &self,
        key: &'static str,
        at: usize,
        number: &DeInteger<'_>,
        most: u32,
        limit: String,
    ) -> Option<u32> {
        let read = u32::from_str_radix(number.as_str(), number.radix());
        let good = read.ok().filter(|&number| number <= most);
        if good.is_none() {
            let value = number.to_string();
            self.fault(at, FaultKind::OutOfRange { key, value, limit });
        }
        good
    }

    /// Builds the matcher, for a pattern may parse and yet be refused by the engine under it.
    fn judge_pattern(&self, key: &'static str, (at, pattern): Word<'_>) -> Option<String> {
        if pattern.is_empty() || pattern.len() > NAME_LIMIT {
            let (what, value) = ("module name's pattern", pattern.to_owned());
            self.fault(at, FaultKind::BadName { what, value });
            return None;
        }
        let glob = Glob::new(pattern);
        match glob.and_then(|glob| GlobSetBuilder::new().add(glob).build()) {
            Ok(_) => Some(pattern.to_owned()),
            Err(error) => {
                let why = error.kind().to_string();
                self.fault(at, FaultKind::Pattern { key, why });
                None
            }
        }
    }
}

/// The TOML types as a person calls them.
fn shown_type(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
