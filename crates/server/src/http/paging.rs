//! Listings in pages: `?cursor=&limit=` asks, `items` and `next_cursor` answer.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use engine::ports::{Page, PageRequest};
use engine::{Code, Error};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error::Failure;
use super::extract::QueryString;

/// Items in a page when the query does not say how many.
const DEFAULT_LIMIT: u32 = 50;

/// Which page is wanted, as written in a query string.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// The `next_cursor` of the page before.
    cursor: Option<i64>,
    /// Items at most; 50 if left out.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Which page is wanted.
pub struct Paging(pub PageRequest);

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let QueryString(query) = QueryString::<PageQuery>::from_request_parts(parts, state).await?;
        let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=PageRequest::MAX_LIMIT).contains(&limit) {
            let message = format!(
                "`limit` is from 1 to {}, not {limit}",
                PageRequest::MAX_LIMIT
            );
            return Err(Error::new(Code::InvalidRequest, message).into());
        }
        Ok(Self(PageRequest {
            cursor: query.cursor,
            limit,
        }))
    }
}

/// Part of a listing, newest first.
#[derive(Serialize, ToSchema)]
pub struct Listing<T> {
    /// The items.
    items: Vec<T>,
    /// Asks for the next page as `cursor`; null when this is the last.
    next_cursor: Option<i64>,
}

impl<T> From<Page<T>> for Listing<T> {
    fn from(page: Page<T>) -> Self {
        Self {
            items: page.items,
            next_cursor: page.next_cursor,
        }
    }
}
