//! Lists, page by page, in both of Twilio's styles.
//!
//! A page begins after the row that its token names, so rows that arrive at the top meanwhile move nothing. Pages
//! of the older API name their relatives by path, those of the newer ones by absolute URLs under `meta`.

use std::iter::Peekable;

use ringfence_model::Sid;
use ringfence_twilio::wire::Form;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::params::some;
use super::{Refusal, Reply, Request};

/// Twilio's own bounds: <https://www.twilio.com/docs/usage/twilios-response>.
const PAGE_SIZE_DEFAULT: usize = 50;
const PAGE_SIZE_MAX: usize = 1000;

/// A page of the v2010 API. `rows` are all rows, in order; `wire` shapes those that are shown.
pub(crate) fn list_2010<R, W: Serialize>(
    request: &Request,
    key: &str,
    rows: impl Iterator<Item = R>,
    sid: impl Fn(&R) -> Sid,
    wire: impl FnMut(&R) -> W,
) -> Result<Reply, Refusal> {
    let cut = Cut::of(request, rows, |row| sid(row).to_string(), wire)?;
    Ok(cut.reply_2010(request, key))
}

/// A page of the v2010 API of rows that begin after [`page_token`] already: of a table with many rows, where
/// looking for the token in all of them would take long.
pub(crate) fn list_2010_from<R, W: Serialize>(
    request: &Request,
    key: &str,
    rows: impl Iterator<Item = R>,
    sid: impl Fn(&R) -> Sid,
    wire: impl FnMut(&R) -> W,
) -> Result<Reply, Refusal> {
    let cut = Cut::after_token(request, rows.peekable(), |row| sid(row).to_string(), wire)?;
    Ok(cut.reply_2010(request, key))
}

/// The row after which a page begins. A token that is none names a row that is not there.
pub(crate) fn page_token(request: &Request) -> Option<Sid> {
    let token = some(&request.query, "PageToken")?;
    Some(Sid::parse(token.strip_prefix("PA").unwrap_or(token)).unwrap_or(Sid::new(*b"PA", 0)))
}

/// A page of the other products. `name` tells rows apart: a SID, or an ISO code of a country.
pub(crate) fn list_v1<R, W: Serialize>(
    request: &Request,
    key: &str,
    rows: impl Iterator<Item = R>,
    name: impl Fn(&R) -> String,
    wire: impl FnMut(&R) -> W,
) -> Result<Reply, Refusal> {
    let cut = Cut::of(request, rows, name, wire)?;
    let mut meta = cut.links(|query| request.url(&format!("{}?{query}", request.path)), "url");
    meta.insert("key".to_owned(), json!(key));
    let mut body = Map::new();
    body.insert("meta".to_owned(), Value::Object(meta));
    body.insert(key.to_owned(), Value::Array(cut.shown));
    Ok(Reply::ok(&body))
}

/// One page cut out of all rows.
struct Cut {
    shown: Vec<Value>,
    page: usize,
    size: usize,
    /// The filters of the request, for the links.
    filters: Vec<(String, String)>,
    /// The last row shown, if others follow.
    next_after: Option<String>,
}

impl Cut {
    fn of<R, W: Serialize>(
        request: &Request,
        rows: impl Iterator<Item = R>,
        name: impl Fn(&R) -> String,
        wire: impl FnMut(&R) -> W,
    ) -> Result<Self, Refusal> {
        let mut rows = rows.peekable();
        if let Some(token) = some(&request.query, "PageToken") {
            let token = token.strip_prefix("PA").unwrap_or(token);
            for row in rows.by_ref() {
                if name(&row) == token {
                    break;
                }
            }
        }
        Self::after_token(request, rows, name, wire)
    }

    /// Of rows that begin after the token, if there is one.
    fn after_token<R, W: Serialize>(
        request: &Request,
        mut rows: Peekable<impl Iterator<Item = R>>,
        name: impl Fn(&R) -> String,
        mut wire: impl FnMut(&R) -> W,
    ) -> Result<Self, Refusal> {
        let size = whole(&request.query, "PageSize")?.unwrap_or(PAGE_SIZE_DEFAULT).max(1);
        if size > PAGE_SIZE_MAX {
            return Err(Refusal::bad_request(20007, "Page size too large"));
        }
        let page = whole(&request.query, "Page")?.unwrap_or(0).min(usize::MAX / PAGE_SIZE_MAX - 1);
        if some(&request.query, "PageToken").is_none() && page > 0 {
            rows.nth(page * size - 1);
        }
        let mut shown = Vec::new();
        let mut last = None;
        while let Some(row) = (shown.len() < size).then(|| rows.next()).flatten() {
            let value =
                serde_json::to_value(wire(&row)).expect("wire shapes have text keys and finite numbers");
            shown.push(value);
            last = Some(name(&row));
        }
        let next_after = last.filter(|_| rows.peek().is_some());
        let about_pages = ["Page", "PageSize", "PageToken"];
        let filters = request.query.pairs().filter(|(name, _)| !about_pages.contains(name));
        let filters = filters.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(Self { shown, page, size, filters, next_after })
    }

    fn reply_2010(self, request: &Request, key: &str) -> Reply {
        let mut body = self.links(|query| format!("{}?{query}", request.path), "uri");
        let start = self.page * self.size;
        body.insert("start".to_owned(), json!(start));
        body.insert("end".to_owned(), json!((start + self.shown.len()).saturating_sub(1).max(start)));
        body.insert(key.to_owned(), Value::Array(self.shown));
        Reply::ok(&body)
    }

    /// Links to this page and its neighbours, named `first_page_uri` or `first_page_url`.
    fn links(&self, link: impl Fn(String) -> String, ending: &str) -> Map<String, Value> {
        let query = |page: usize, token: Option<&str>| {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(&self.filters);
            query.append_pair("PageSize", &self.size.to_string()).append_pair("Page", &page.to_string());
            if let Some(token) = token {
                query.append_pair("PageToken", &format!("PA{token}"));
            }
            link(query.finish())
        };
        let previous = self.page.checked_sub(1).map(|page| query(page, None));
        let next = self.next_after.as_deref().map(|token| query(self.page + 1, Some(token)));
        let mut links = Map::new();
        links.insert("page".to_owned(), json!(self.page));
        links.insert("page_size".to_owned(), json!(self.size));
        links.insert(format!("first_page_{ending}"), json!(query(0, None)));
        links.insert(format!("previous_page_{ending}"), json!(previous));
        links.insert(format!("next_page_{ending}"), json!(next));
        links.insert(ending.to_owned(), json!(query(self.page, None)));
        links
    }
}

/// A number about pages. Twilio refuses what is none.
fn whole(query: &Form, name: &str) -> Result<Option<usize>, Refusal> {
    match some(query, name) {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| Refusal::invalid(name, text)),
    }
}
