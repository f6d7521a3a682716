//! The usage categories of Twilio, from the table beside this file.
//!
//! Twilio adds categories without a word, so a name that is not here may still be one: whoever takes a category from
//! outside treats an unknown one as doubtful, not as wrong.

use std::collections::HashMap;
use std::sync::LazyLock;

/// A usage category.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageCategory {
    /// As the API has it: `sms-outbound`.
    pub name: &'static str,
    /// For people.
    pub description: &'static str,
    /// What `count` counts: `messages`. Empty where nothing is counted.
    pub count_unit: &'static str,
    /// What `usage` measures: `segments`.
    pub usage_unit: &'static str,
    /// The wider category that counts it as well: `sms-outbound` for `sms-outbound-longcode`.
    pub within: Option<&'static str>,
    /// Listed even where nothing of it has been used.
    pub common: bool,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::read(include_str!("usage_categories.txt")));

impl UsageCategory {
    /// The name of the category that is the sum of all prices.
    pub const TOTAL_PRICE: &'static str = "totalprice";

    /// All that are known, those that are always listed first.
    pub fn all() -> &'static [Self] {
        &TABLE.categories
    }

    /// The category of this name, if it is known.
    pub fn find(name: &str) -> Option<&'static Self> {
        TABLE.places.get(name).and_then(|place| TABLE.categories.get(*place))
    }

    /// The wider categories that count what this one counts, from the narrowest on.
    pub fn above(name: &str) -> impl Iterator<Item = &'static str> {
        let within = |name: &str| Self::find(name).and_then(|category| category.within);
        std::iter::successors(within(name), move |name| within(name))
    }
}

#[derive(Debug)]
struct Table {
    categories: Vec<UsageCategory>,
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
fn read_line(line: &'static str) -> UsageCategory {
    let mut fields = line.split('|').map(str::trim);
    let mut field = || fields.next().unwrap_or_default();
    let (name, description, count_unit, usage_unit, within) = (field(), field(), field(), field(), field());
    UsageCategory {
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
        let all = UsageCategory::all();
        assert_eq!(TABLE.places.len(), all.len(), "a name stands there twice");
        assert!(all.len() > 600);
        assert!(all.iter().filter(|category| category.common).count() > 150);
        for category in all {
            assert!(!category.name.contains(char::is_whitespace), "{category:?}");
            assert!(
                category.within.is_none_or(|within| UsageCategory::find(within).is_some()),
                "{category:?}"
            );
            assert!(UsageCategory::above(category.name).count() < 5, "{category:?} lies within itself");
        }
    }

    #[test]
    fn a_category_knows_all_that_count_it() {
        let above = |name| UsageCategory::above(name).collect::<Vec<_>>();
        assert_eq!(above("sms-outbound-longcode"), ["sms-outbound", "sms"]);
        assert!(above("sms").is_empty() && above("never-heard-of").is_empty());
    }
}
