//! Lists, page by page.

use std::collections::HashSet;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Client;
use super::base::Product;
use super::error::{Error, Paging, Problem, Unreadable};
use super::operation::Operation;
use crate::wire::Form;

/// Twilio's most; fewer requests for long lists.
const PAGE_SIZE: u16 = 1000;

/// More than any list has: ten million rows.
const PAGES_MAX: usize = 10_000;

/// A list that is read page by page, each when it is asked for.
///
/// ```no_run
/// # async fn example(client: ringfence_twilio::client::Client) -> Result<(), ringfence_twilio::client::Error> {
/// let mut pages = client.accounts().list(&Default::default());
/// while let Some(accounts) = pages.next().await? {
///     for account in accounts {
///         println!("{} {}", account.sid, account.status.as_str());
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// The next page is where the last one said: always on the host of this one, whatever its link says, and never a page
/// that was read before. After an error the same page is asked for again.
#[derive(Debug)]
pub struct Pages<T> {
    client: Client,
    name: &'static str,
    product: Product,
    /// The name under which the rows stand.
    key: &'static str,
    /// Where the next page is; nothing after the last.
    next: Option<Next>,
    seen: HashSet<String>,
    row: PhantomData<fn() -> T>,
}

#[derive(Debug)]
enum Next {
    First { path: String, query: Form, page_size: u16 },
    Following { path_and_query: String },
}

impl<T: DeserializeOwned> Pages<T> {
    pub(super) fn new(
        client: &Client,
        name: &'static str,
        product: Product,
        path: String,
        query: Form,
        key: &'static str,
    ) -> Self {
        let next = Some(Next::First { path, query, page_size: PAGE_SIZE });
        Self { client: client.clone(), name, product, key, next, seen: HashSet::new(), row: PhantomData }
    }

    /// The most rows on a page, from 1 to 1000. Without it, 1000.
    #[must_use]
    pub fn page_size(mut self, rows: u16) -> Self {
        if let Some(Next::First { page_size, .. }) = &mut self.next {
            *page_size = rows.clamp(1, PAGE_SIZE);
        }
        self
    }

    /// The rows of the next page, perhaps none; `None` after the last page.
    pub async fn next(&mut self) -> Result<Option<Vec<T>>, Error> {
        let Some(next) = &self.next else { return Ok(None) };
        let operation = match next {
            Next::First { path, query, page_size } => {
                let mut query = query.clone();
                query.push("PageSize", page_size.to_string());
                Operation::get(self.name, self.product, path, &query)
            }
            Next::Following { path_and_query } => {
                Operation::get(self.name, self.product, path_and_query, &Form::new())
            }
        };
        let here = operation.path_and_query.clone();
        let page: Value = self.client.json(operation).await?;
        let (rows, next) = self.read(page)?;
        self.seen.insert(here);
        self.next = match next {
            None => None,
            Some(next) if self.seen.contains(&next) => return Err(self.error(Problem::Paging(Paging::Loop))),
            Some(_) if self.seen.len() >= PAGES_MAX => {
                return Err(self.error(Problem::Paging(Paging::Endless)));
            }
            Some(path_and_query) => Some(Next::Following { path_and_query }),
        };
        Ok(Some(rows))
    }

    /// All rows that are left.
    pub async fn all(mut self) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        while let Some(rows) = self.next().await? {
            all.extend(rows);
        }
        Ok(all)
    }

    /// Takes a page apart: its rows, and where the next one is.
    fn read(&self, mut page: Value) -> Result<(Vec<T>, Option<String>), Error> {
        let shape = || self.error(Problem::Unreadable { status: 200, why: Unreadable::WrongShape });
        let rows = page.get_mut(self.key).map(Value::take).ok_or_else(shape)?;
        let rows = serde_json::from_value(rows).map_err(|_| shape())?;
        let links = [page.get("next_page_uri"), page.get("meta").and_then(|meta| meta.get("next_page_url"))];
        match links.into_iter().flatten().find(|link| !link.is_null() && *link != "") {
            None => Ok((rows, None)),
            Some(link) => {
                let link = link.as_str().ok_or_else(shape)?;
                let next = self.client.follow(self.product, link);
                Ok((rows, Some(next.ok_or_else(|| self.error(Problem::Paging(Paging::Foreign)))?)))
            }
        }
    }

    fn error(&self, problem: Problem) -> Error {
        Error { operation: self.name, tries: 1, problem }
    }
}
