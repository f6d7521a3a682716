//! Long lists come in pages.

use super::NotSeen;

/// The longest page.
pub const SIZE_MAX: usize = 1000;

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What the page before gave as `next`; the beginning where there is none.
    pub cursor: Option<String>,
    /// How many at most; never more than [`SIZE_MAX`], never none.
    pub size: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self { cursor: None, size: 100 }
    }
}

impl Page {
    /// A page that holds everything of a list that is in memory. For commands, whose reader scrolls.
    pub fn all() -> Self {
        Self { cursor: None, size: usize::MAX }
    }

    /// Takes the page out of a sorted list, with the key of its last item as the next cursor.
    pub(super) fn of<T, K: Ord>(
        &self,
        items: impl IntoIterator<Item = T>,
        key: impl Fn(&T) -> K,
        read: impl FnOnce(&str) -> Option<K>,
        write: impl FnOnce(&T) -> String,
    ) -> Result<(Vec<T>, Option<String>), NotSeen> {
        let after = match &self.cursor {
            Some(cursor) => Some(read(cursor).ok_or(NotSeen::Cursor)?),
            None => None,
        };
        let mut rest = items.into_iter().filter(|item| after.as_ref().is_none_or(|after| key(item) > *after));
        let page: Vec<T> = rest.by_ref().take(self.size.max(1)).collect();
        let next = match (rest.next(), page.last()) {
            (Some(_), Some(last)) => Some(write(last)),
            _ => None,
        };
        Ok((page, next))
    }
}
