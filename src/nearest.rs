//! Suggestions for a mistyped name.

/// Jaro-Winkler similarity below which two names have nothing to do with each other.
const ALIKE: f64 = 0.85;
/// The longest name that is compared, in bytes: the comparison takes the product of the lengths.
const LONGEST: usize = 256;

/// At most three of `names` that are spelt nearly as `name`, the nearest first.
#[must_use]
pub fn nearest<S: AsRef<str> + Ord>(name: &str, names: impl Iterator<Item = S>) -> Vec<S> {
    let mut scored: Vec<(f64, S)> = names
        .filter(|candidate| candidate.as_ref().len().max(name.len()) <= LONGEST)
        .map(|candidate| (strsim::jaro_winkler(name, candidate.as_ref()), candidate))
        .filter(|(score, _)| *score >= ALIKE)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_come_first_and_strange_ones_not_at_all() {
        let names = ["xen_blkfront", "xen_blkback", "ext4", "xen_netfront"];
        let found = nearest("xenblkfront", names.into_iter());
        assert_eq!(found.first(), Some(&"xen_blkfront"));
        assert!(!found.contains(&"ext4"));
        assert!(nearest("zzz", names.into_iter()).is_empty());
        assert!(nearest(&"x".repeat(1 << 20), names.into_iter()).is_empty());
    }
}
