//! Lists in the API: how they are asked for and what they answer.

use sallyport_store::{ListRequest, Page};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Rows of a page unless asked otherwise.
const LIMIT_DEFAULT: u32 = 50;

/// How a list is asked for.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// Rows of a page, 1 to 500; 50 by default.
    limit: Option<u32>,
    /// `next_cursor` of the page before, asked with the same `sort` and filters.
    cursor: Option<String>,
    /// A column, `-` before it for descending.
    sort: Option<String>,
}

impl From<Paging> for ListRequest {
    fn from(paging: Paging) -> Self {
        Self { limit: paging.limit.unwrap_or(LIMIT_DEFAULT), cursor: paging.cursor, sort: paging.sort }
    }
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct PageView<T> {
    /// In the order asked for.
    items: Vec<T>,
    /// Asks for the next page; null on the last.
    next_cursor: Option<String>,
    /// Rows of the whole list, counted up to 10,000.
    total: u64,
}

impl<T> PageView<T> {
    /// A list that is short enough to be given at once.
    pub(crate) fn whole(items: Vec<T>) -> Self {
        let total = u64::try_from(items.len()).unwrap_or(u64::MAX);
        Self { items, next_cursor: None, total }
    }
}

impl<T> From<Page<T>> for PageView<T> {
    fn from(page: Page<T>) -> Self {
        Self { items: page.items, next_cursor: page.next_cursor, total: page.total }
    }
}
