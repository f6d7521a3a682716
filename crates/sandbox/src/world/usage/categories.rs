//! The usage categories of Twilio, from the table beside this file.

use std::collections::HashMap;
use std::sync::LazyLock;

/// A usage category.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Category {
    pub(crate) name: &'static str,
    /// For people.
    pub(crate) description: &'static str,
    /// What `count` counts: `messages`.
    pub(crate) count_unit: &'static str,
    /// What `usage` measures: `segments`.
    pub(crate) usage_unit: &'static str,
    /// The wider category that counts it as well: `sms-outbound` for `sms-outbound-longcode`.
    pub(crate) within: Option<&'static str>,
    /// Listed even where nothing of it has been used.
    pub(crate) common: bool,
}

/// The sum of all prices.
pub(crate) const TOTAL_PRICE: &str = "totalprice";

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::read(include_str!("categories.txt")));

/// All categories, those that are always listed first.
pub(crate) fn all() -> &'static [Category] {
    &TABLE.categories
}

/// The category of this name, if Twilio has it.
pub(crate) fn find(name: &str) -> Option<&'static Category> {
    TABLE.places.get(name).and_then(|place| TABLE.categories.get(*place))
}

/// The wider categories that count what this one counts, from the narrowest on.
pub(crate) fn above(name: &str) -> impl Iterator<Item = &'static str> {
    let within = |name: &str| find(name).and_then(|category| category.within);
    std::iter::successors(within(name), move |name| within(name))
}

/// A name as a query has it. The sandbox's own names are all plain; a test's may not be.
pub(crate) fn encoded(name: &str) -> String {
    form_urlencoded::byte_serialize(name.as_bytes()).collect()
}

#[derive(Debug)]
struct Table {
    categories: Vec<Category>,
    places: HashMap<&'static str, usize>,
}

impl Table {
    fn read(text: &'static str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let categories: Vec<_> = lines.map(read_line).collect();
        let places = categories.iter().enumerate().map(|(place, category)| (category.name, place)).collect();
        Self { categories, places }
    }
}

/// A line with a name alone is a category that few accounts ever use.
fn read_line(line: &'static str) -> Category {
    let mut fields = line.split('|').map(str::trim);
    let mut field = || fields.next().unwrap_or_default();
    let (name, description, count_unit, usage_unit, within) = (field(), field(), field(), field(), field());
    Category {
        name,
        description: if description.is_empty() { name } else { description },
        count_unit,
        usage_unit,
        within: Some(within).filter(|within| !within.is_empty()),
        common: !description.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_stands_in_the_table_once_and_lies_within_one_that_does() {
        assert_eq!(TABLE.places.len(), all().len(), "a name stands there twice");
        assert!(all().len() > 600);
        assert!(all().iter().filter(|category| category.common).count() > 150);
        for category in all() {
            assert!(!category.name.contains(char::is_whitespace), "{category:?}");
            assert!(category.within.is_none_or(|within| find(within).is_some()), "{category:?}");
            assert!(above(category.name).count() < 5, "{category:?} lies within itself");
        }
    }

    #[test]
    fn a_category_knows_all_that_count_it() {
        assert_eq!(above("sms-outbound-longcode").collect::<Vec<_>>(), ["sms-outbound", "sms"]);
        assert_eq!(above("sms").count(), 0);
        assert_eq!(above("never-heard-of").count(), 0);
    }
}
