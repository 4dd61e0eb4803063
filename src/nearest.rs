//! Suggestions for a mistyped name.

/// At most three of `names` that are spelt nearly as `name`, the nearest first.
#[must_use]
pub fn nearest(name: &str, names: impl Iterator<Item = String>) -> Vec<String> {
    /// Jaro-Winkler similarity below which two names have nothing to do with each other.
    const ALIKE: f64 = 0.85;
    let mut scored: Vec<(f64, String)> = names
        .map(|candidate| (strsim::jaro_winkler(name, &candidate), candidate))
        .filter(|(score, _)| *score >= ALIKE)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}
