//! What most of many are: the rule that the others are held against.

use std::collections::HashMap;
use std::hash::Hash;

/// The element that comes most often, of several the first; `None` where there are none.
#[must_use]
pub fn most_common<T: Eq + Hash>(items: impl IntoIterator<Item = T>) -> Option<T> {
    let mut counts: HashMap<T, (usize, usize)> = HashMap::new();
    for (position, item) in items.into_iter().enumerate() {
        counts.entry(item).or_insert((0, usize::MAX - position)).0 += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, rank)| *rank);
    most.map(|(item, _)| item)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_most_often_is_the_rule_and_of_equals_the_first() {
        assert_eq!(most_common([1, 2, 2, 1, 3]), Some(1));
        assert_eq!(most_common([1, 2, 2]), Some(2));
        assert_eq!(most_common([0; 0]), None);
    }
}
