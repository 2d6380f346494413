//! Lists by `page` and `per_page` (REST reference §1.3). Absent or senseless values fall back to the
//! default; a page beyond the end is empty.

use serde_json::{Value, json};

/// `page` and `per_page` as they were asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PageQuery {
    page: Option<i64>,
    per_page: Option<i64>,
}

/// One page, numbered from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) number: u64,
    pub(crate) size: u32,
}

impl PageQuery {
    /// What the query said.
    pub(crate) fn new(page: Option<i64>, per_page: Option<i64>) -> Self {
        Self { page, per_page }
    }

    /// At most `max` rows; more is cut to it.
    pub(crate) fn page(&self, default: u32, max: u32) -> Page {
        self.page_or(default, max, max)
    }

    /// At most `max` rows; more than that falls back to `beyond`.
    pub(crate) fn page_or(&self, default: u32, max: u32, beyond: u32) -> Page {
        let asked = self.per_page.filter(|size| *size >= 1);
        let size = match asked {
            Some(size) if size > i64::from(max) => beyond,
            Some(size) => size as u32,
            None => default,
        };
        Page { number: self.page.map_or(1, |page| page.clamp(1, 1_000_000_000)) as u64, size }
    }
}

impl Page {
    /// Rows before it.
    pub(crate) fn offset(self) -> u64 {
        (self.number - 1) * u64::from(self.size)
    }

    /// `{items, page, per_page, total}`.
    pub(crate) fn items(self, items: Vec<Value>, total: u64) -> Value {
        json!({ "items": items, "page": self.number, "per_page": self.size, "total": total })
    }

    /// How many pages there are.
    pub(crate) fn pages(self, total: u64) -> u64 {
        total.div_ceil(u64::from(self.size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(page: i64, per_page: i64) -> PageQuery {
        PageQuery::new(Some(page), Some(per_page))
    }

    #[test]
    fn a_page_is_cut_at_its_limit_and_never_before_the_first() {
        assert_eq!(page(0, 100).page(25, 100), Page { number: 1, size: 100 });
        assert_eq!(page(2, 101).page(25, 100), Page { number: 2, size: 100 });
        assert_eq!(page(1, 1001).page_or(50, 1000, 50).size, 50);
        assert_eq!(page(1, 0).page(25, 100).size, 25);
        assert_eq!(Page { number: 3, size: 20 }.offset(), 40);
        assert_eq!(Page { number: 1, size: 20 }.pages(41), 3);
    }
}
