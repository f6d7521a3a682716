//! The usage categories of Twilio, as the sandbox has them.

use ringfence_twilio::wire::UsageCategory;

/// The sum of all prices.
pub(crate) const TOTAL_PRICE: &str = UsageCategory::TOTAL_PRICE;

/// All categories, those that are always listed first.
pub(crate) fn all() -> &'static [UsageCategory] {
    UsageCategory::all()
}

/// The category of this name, if Twilio has it.
pub(crate) fn find(name: &str) -> Option<&'static UsageCategory> {
    UsageCategory::find(name)
}

/// The wider categories that count what this one counts, from the narrowest on.
pub(crate) fn above(name: &str) -> impl Iterator<Item = &'static str> {
    UsageCategory::above(name)
}

/// A name as a query has it. The sandbox's own names are all plain; a test's may not be.
pub(crate) fn encoded(name: &str) -> String {
    form_urlencoded::byte_serialize(name.as_bytes()).collect()
}
