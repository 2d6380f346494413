//! The reference pages of docs/reference as the server shows them under `/docs/NAME`: what the list of operations points
//! to, in the binary, so that a node without the repository explains itself too.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Response};
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment};
use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};
use serde::Serialize;

use super::page::with_policy;

const TEMPLATE: &str = include_str!("library.html");

/// A page: its name in the address, and its text as docs/reference/NAME.md has it.
#[derive(Clone, Copy)]
pub(super) struct Page {
    pub(super) name: &'static str,
    pub(super) text: &'static str,
}

macro_rules! pages {
    ($($name:literal),* $(,)?) => {
        &[$(Page {
            name: $name,
            text: include_str!(concat!("../../../../../docs/reference/", $name, ".md")),
        }),*]
    };
}

/// All of them, what a program needs first.
pub(super) const PAGES: &[Page] = pages![
    "xml",
    "xml-coverage",
    "errors",
    "hangup-causes",
    "auth",
    "call-records",
    "limits",
    "configuration",
    "carrier-simulator",
    "sim-script",
    "payment-provider",
    "kyc-verifier",
    "coverage",
    "sip-scenarios",
    "sip-torture",
];

/// What the template shows.
#[derive(Serialize)]
struct Whole {
    title: &'static str,
    /// HTML of ours.
    body: String,
    links: Vec<Link>,
    here: &'static str,
}

/// A link to a page.
#[derive(Clone, Serialize)]
pub(super) struct Link {
    name: &'static str,
    title: &'static str,
}

/// Links to every page, with the words of its first heading.
pub(super) fn links() -> Vec<Link> {
    PAGES.iter().map(|page| Link { name: page.name, title: title(page) }).collect()
}

fn title(page: &Page) -> &'static str {
    page.text.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or(page.name)
}

/// `GET /docs/{name}`.
pub(super) async fn show(Path(name): Path<String>) -> Response {
    static SHOWN: OnceLock<BTreeMap<&'static str, String>> = OnceLock::new();
    let shown = SHOWN.get_or_init(|| {
        let rendered = |page: &Page| match rendered(page) {
            Ok(text) => text,
            Err(error) => {
                tracing::error!(%error, name = page.name, "a reference page cannot be written");
                String::new()
            }
        };
        PAGES.iter().map(|page| (page.name, rendered(page))).collect()
    });
    match shown.get(name.trim_end_matches(".md")) {
        Some(text) => with_policy(Html(text.clone()).into_response()),
        None => with_policy(
            (StatusCode::NOT_FOUND, Html("<p>There is no such page. <a href=\"/docs\">All of them</a></p>"))
                .into_response(),
        ),
    }
}

fn rendered(page: &Page) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("library", TEMPLATE)?;
    let whole = Whole { title: title(page), body: marked_up(page.text), links: links(), here: page.name };
    environment.get_template("library")?.render(Serde(&whole))
}

/// Markdown as HTML: headings can be linked to, links lead to pages that are here, and HTML in the text is shown, not obeyed.
fn marked_up(text: &str) -> String {
    let mut events = Vec::new();
    // Links that lead nowhere from here, to the end of which nothing is to be written either.
    let mut open_links = Vec::new();
    let mut heading: Option<(usize, String)> = None;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Html(raw) | Event::InlineHtml(raw) => events.push(Event::Text(raw)),
            Event::Start(Tag::Heading { .. }) => {
                heading = Some((events.len(), String::new()));
                events.push(event);
            }
            Event::End(TagEnd::Heading(level)) => {
                if let Some((at, words)) = heading.take()
                    && let Some(start) = events.get_mut(at)
                {
                    *start = linkable(level, &words);
                }
                events.push(event);
            }
            Event::Start(Tag::Link { link_type, dest_url, title, .. }) => {
                let dest_url = led_here(&dest_url);
                open_links.push(dest_url.is_some());
                if let Some(dest_url) = dest_url {
                    let link = Tag::Link { link_type, dest_url, title, id: CowStr::Borrowed("") };
                    events.push(Event::Start(link));
                }
            }
            Event::End(TagEnd::Link) => {
                if open_links.pop() == Some(true) {
                    events.push(event);
                }
            }
            // Nothing is loaded: what a picture says instead of itself stays.
            Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => {}
            Event::Text(ref words) | Event::Code(ref words) => {
                if let Some((_, heard)) = &mut heading {
                    heard.push_str(words);
                }
                events.push(event);
            }
            other => events.push(other),
        }
    }
    let mut out = String::with_capacity(text.len() * 2);
    html::push_html(&mut out, events.into_iter());
    out
}

fn linkable(level: HeadingLevel, words: &str) -> Event<'static> {
    let slug: String = words
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            c if c.is_ascii_alphanumeric() || c == '_' => Some(c),
            ' ' | '-' => Some('-'),
            _ => None,
        })
        .collect();
    Event::Start(Tag::Heading { level, id: Some(slug.into()), classes: Vec::new(), attrs: Vec::new() })
}

/// Where a link of docs/reference leads on this server; `None` for what only the repository has.
fn led_here(to: &str) -> Option<CowStr<'static>> {
    if to.starts_with('#') || to.starts_with("https://") || to.starts_with("http://") {
        return Some(to.to_owned().into());
    }
    let (file, fragment) = to.split_once('#').map_or((to, None), |(file, fragment)| (file, Some(fragment)));
    if file == "openapi.json" {
        return Some(CowStr::Borrowed("/openapi.json"));
    }
    let name = file.trim_start_matches("./").strip_suffix(".md")?;
    let page = PAGES.iter().find(|page| page.name == name)?;
    let fragment = fragment.map(|fragment| format!("#{fragment}")).unwrap_or_default();
    Some(format!("/docs/{}{fragment}", page.name).into())
}

#[cfg(test)]
mod tests {
    use std::path::Path as File;

    use super::*;

    #[test]
    fn every_reference_page_is_in_the_binary() {
        let folder = File::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter_map(|name| name.strip_suffix(".md").map(str::to_owned))
            .collect();
        files.sort();
        let mut served: Vec<&str> = PAGES.iter().map(|page| page.name).collect();
        served.sort_unstable();
        assert_eq!(files, served);
        for page in PAGES {
            let shown = rendered(page).unwrap();
            assert!(shown.contains("<h1 id="), "{}", page.name);
            assert!(!shown.contains("src=\"http") && !shown.contains("href=\"../"), "{}", page.name);
        }
    }

    #[test]
    fn html_in_a_text_is_shown_and_not_obeyed() {
        let shown = marked_up("# A `b` c\n\n<script>alert(1)</script>\n\nx <b onclick=\"y\">z</b>\n");
        assert!(shown.contains("<h1 id=\"a-b-c\">"), "{shown}");
        assert!(!shown.contains("<script>") && !shown.contains("<b "), "{shown}");
        assert!(shown.contains("&lt;script&gt;"), "{shown}");
    }

    #[test]
    fn links_lead_to_what_is_here_or_nowhere() {
        let shown =
            marked_up("[a](errors.md#x) [b](../decisions/1.md) [c](javascript:f) ![d](https://e.example/f)");
        assert!(shown.contains("<a href=\"/docs/errors#x\">a</a>"), "{shown}");
        assert_eq!(shown.matches("<a ").count(), 1, "{shown}");
        assert!(!shown.contains("<img") && shown.contains('d'), "{shown}");
    }

    #[tokio::test]
    async fn a_name_that_is_none_is_not_found() {
        assert_eq!(show(Path("xml".to_owned())).await.status(), StatusCode::OK);
        assert_eq!(show(Path("errors.md".to_owned())).await.status(), StatusCode::OK);
        assert_eq!(show(Path("../secrets".to_owned())).await.status(), StatusCode::NOT_FOUND);
    }
}
