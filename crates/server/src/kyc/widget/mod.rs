//! The hosted page: what the link of a session opens. Server-rendered, no script, one form a step, English and Hindi.
//!
//! - `routes`: the requests and their guards; `steps`: what a form does; `stage`: which step is next;
//! - `fields`: forms parsed, each error at its field; `page`: the template; `texts`: its words;
//! - `pretend`: the sandbox's DigiLocker.
//!
//! The link's secret leaves the address bar at once for a cookie of this page alone. Every form carries a token bound to that
//! secret. A step that was done answers a repeated form by showing the next one, so that back and refresh harm nothing.

mod fields;
mod page;
mod pretend;
mod routes;
mod stage;
mod steps;
mod texts;

pub(crate) use routes::router;
