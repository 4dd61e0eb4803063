//! Suggestions for a mistyped name.

/// Jaro-Winkler similarity below which two names have nothing to do with each other.
const ALIKE: f64 = 0.85;
/// The longest name that is compared, in bytes: the comparison takes the product of the lengths.
const LONGEST: usize = 64;
/// The most bytes that one slip adds: a character's.
const SLIP: usize = 4;

/// At most three of `names` that are spelt nearly as `name`, the nearest first.
#[must_use]
pub fn nearest<S: AsRef<str> + Ord>(name: &str, names: impl Iterator<Item = S>) -> Vec<S> {
    let name = name.to_lowercase();
    let mut scored: Vec<(f64, S)> = names
        .filter(|candidate| candidate.as_ref().len().max(name.len()) <= LONGEST)
        .map(|candidate| (likeness(&name, candidate.as_ref()), candidate))
        .filter(|(score, _)| *score >= ALIKE)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}

/// How alike two names are, to 1. In short ones a slip counts for much in the usual measure, and a
/// word left out before the rest for too much in any: both are told apart.
fn likeness(name: &str, candidate: &str) -> f64 {
    let candidate = candidate.to_lowercase();
    let one_slip = name.len() > 2
        && name.len().abs_diff(candidate.len()) <= SLIP
        && strsim::damerau_levenshtein(name, &candidate) == 1;
    let word = candidate
        .strip_suffix(name)
        .is_some_and(|rest| rest.ends_with(['_', '-']));
    let least = if name.len() > 2 && (one_slip || word) {
        ALIKE
    } else {
        0.0
    };
    strsim::jaro_winkler(name, &candidate).max(least)
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
        assert_eq!(nearest("EXT4", names.into_iter()), ["ext4"]);
        assert_eq!(nearest("netfront", names.into_iter()), ["xen_netfront"]);
        assert_eq!(nearest("xsf", ["xfs", "fat", "jfs"].into_iter()), ["xfs"]);
        assert!(nearest("zzz", names.into_iter()).is_empty());
        assert!(nearest(&"x".repeat(1 << 20), names.into_iter()).is_empty());
    }
}
