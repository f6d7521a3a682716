//! Lists, page by page, as Twilio's newer products have them: neighbours as absolute URLs under `meta`.

use serde_json::{Map, Value, json};

use super::params::some;
use super::refusal::Refusal;
use super::{Call, Reply};

/// Twilio's own bounds: <https://www.twilio.com/docs/usage/twilios-response>.
const SIZE_DEFAULT: usize = 50;
const SIZE_MAX: usize = 1_000;

/// No list is longer than this many pages.
const PAGES_MAX: usize = 1_000_000;

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    number: usize,
    pub(super) size: usize,
}

impl Page {
    pub(super) fn of(call: &Call<'_>) -> Result<Self, Refusal> {
        let whole = |name: &str| match some(&call.query, name) {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| {
                Refusal::bad_request(20001, format!("Invalid parameter: {name} must be a whole number"))
            }),
        };
        let size: usize = whole("PageSize")?.unwrap_or(SIZE_DEFAULT).max(1);
        if size > SIZE_MAX {
            return Err(Refusal::bad_request(20007, "Page size too large"));
        }
        Ok(Self { number: whole("Page")?.unwrap_or(0).min(PAGES_MAX), size })
    }

    /// How many rows are before it.
    pub(super) fn offset(self) -> usize {
        self.number * self.size
    }

    /// The answer with these rows, which may be one more than the page has: it says whether there is a next one.
    pub(super) fn reply(self, call: &Call<'_>, key: &str, mut rows: Vec<Value>) -> Reply {
        let has_more = rows.len() > self.size;
        rows.truncate(self.size);
        let url = |page: usize| {
            let mut query = form_urlencoded::Serializer::new(String::new());
            let about_pages = ["Page", "PageSize", "PageToken"];
            query.extend_pairs(call.query.pairs().filter(|(name, _)| !about_pages.contains(name)));
            query.append_pair("PageSize", &self.size.to_string()).append_pair("Page", &page.to_string());
            call.url(&format!("{}?{}", call.path, query.finish()))
        };
        let meta = json!({
            "page": self.number,
            "page_size": self.size,
            "first_page_url": url(0),
            "previous_page_url": self.number.checked_sub(1).map(url),
            "next_page_url": has_more.then(|| url(self.number + 1)),
            "url": url(self.number),
            "key": key,
        });
        let mut body = Map::new();
        body.insert("meta".to_owned(), meta);
        body.insert(key.to_owned(), Value::Array(rows));
        Reply::ok(&body)
    }

    /// The answer with its part of all rows.
    pub(super) fn reply_of<T>(
        self,
        call: &Call<'_>,
        key: &str,
        rows: impl IntoIterator<Item = T>,
        mut wire: impl FnMut(T) -> Value,
    ) -> Reply {
        let rows = rows.into_iter().skip(self.offset()).take(self.size + 1).map(&mut wire).collect();
        self.reply(call, key, rows)
    }
}
