//! Which of some names is the nearest to one that there is not.

/// How many letters must be added, removed or changed to make one text of the other (Levenshtein).
pub fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut left = i + 1;
        let mut diagonal = i;
        for (cell, b) in row.iter_mut().skip(1).zip(other.chars()) {
            let above = *cell;
            left = (diagonal + usize::from(a != b)).min(above + 1).min(left + 1);
            diagonal = above;
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

/// The name that begins with it, else the one with the fewest other letters.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let ranked = known.map(|candidate| (!candidate.starts_with(name), distance(name, candidate), candidate));
    ranked.min().map(|(_, _, nearest)| nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_begins_alike_or_has_the_fewest_other_letters() {
        assert_eq!((distance("", "abc"), distance("kitten", "sitting"), distance("a", "a")), (3, 3, 0));
        let known = || ["scopes", "requires_roles", "name"].into_iter();
        assert_eq!(nearest("scope", known()), Some("scopes"));
        assert_eq!(nearest("requires", known()), Some("requires_roles"));
        assert_eq!(nearest("names", known()), Some("name"));
        assert_eq!(nearest("x", std::iter::empty()), None);
    }
}
