//! The docs page: every operation with its fields, its refusals and a curl command to copy. Written by the server, whole
//! without a script; the script only searches and copies.

use std::sync::OnceLock;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment};
use serde::Serialize;
use tandem_model::ErrorCode;

use super::operation::{Operation, Who};
use super::operations;
use super::samples::sample;
use super::shape::{Field, Shape, Shown};
use super::words::{SEVERAL, WORDS};
use super::{command, glossary, library};
use crate::api::routes::PREFIX;

const TEMPLATE: &str = include_str!("page.html");
const GUIDE: &str = include_str!("guide.html");
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("search.js");
/// Nothing from elsewhere, no frame around it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; base-uri 'none'; frame-ancestors 'none'",
);
/// Stands for this server until somebody asks.
const BASE: &str = "THIS-SERVER";

/// Everything the template shows.
#[derive(Serialize)]
struct Whole {
    groups: Vec<Group>,
    count: usize,
    base: &'static str,
    version: &'static str,
    pages: Vec<library::Link>,
    codes: Vec<Refused>,
    words: Vec<Spoken>,
}

/// A text that `error` may have instead of a code.
#[derive(Serialize)]
struct Spoken {
    text: &'static str,
    status: String,
    code: &'static str,
    says: &'static str,
}

#[derive(Serialize)]
struct Group {
    name: &'static str,
    anchor: String,
    operations: Vec<View>,
}

#[derive(Serialize)]
struct View {
    id: String,
    method: &'static str,
    path: String,
    summary: &'static str,
    note: &'static str,
    who: &'static str,
    path_parameters: Vec<Row>,
    query: Vec<Row>,
    body: Vec<Row>,
    status: u16,
    media: &'static str,
    is_built: bool,
    answer: Vec<Row>,
    errors: Vec<Refused>,
    curl: String,
}

/// A field, how deep it lies, and what is to be said of it.
#[derive(Serialize)]
struct Row {
    depth: usize,
    name: String,
    required: bool,
    words: String,
    more: String,
    meaning: &'static str,
}

#[derive(Serialize)]
struct Refused {
    status: u16,
    code: &'static str,
    title: &'static str,
    remedy: &'static str,
}

impl Refused {
    fn of(status: u16, code: ErrorCode) -> Self {
        Self { status, code: code.slug(), title: code.title(), remedy: code.remedy() }
    }
}

/// `GET /docs`. Its commands name the server as the reader reached it: by TLS of ours, or of a proxy that says so.
pub(super) fn page(headers: &HeaderMap, speaks_tls: bool) -> Response {
    static PAGE: OnceLock<Result<String, String>> = OnceLock::new();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let is_plain = |host: &&str| host.bytes().all(|b| b.is_ascii_alphanumeric() || b".:-[]".contains(&b));
    let host = host.filter(is_plain).unwrap_or("127.0.0.1");
    let forwarded = headers.get("x-forwarded-proto").and_then(|scheme| scheme.to_str().ok());
    let scheme = if speaks_tls || forwarded == Some("https") { "https" } else { "http" };
    match PAGE.get_or_init(|| rendered().map_err(|error| error.to_string())) {
        Ok(page) => with_policy(Html(page.replace(BASE, &format!("{scheme}://{host}"))).into_response()),
        Err(error) => {
            tracing::error!(error, "the docs page cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

pub(super) fn with_policy(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// `GET /docs/style.css`.
pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

/// `GET /docs/search.js`.
pub(super) async fn script() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT).into_response()
}

fn rendered() -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("guide", GUIDE)?;
    environment.add_template("page", TEMPLATE)?;
    let groups = groups();
    let count: usize = groups.iter().map(|group| group.operations.len()).sum();
    let spoken = |word: &super::words::Word| Spoken {
        text: word.text,
        status: if word.status == SEVERAL { "any".to_owned() } else { word.status.to_string() },
        code: word.code.slug(),
        says: word.says,
    };
    let whole = Whole {
        groups,
        count,
        base: BASE,
        version: env!("CARGO_PKG_VERSION"),
        pages: library::links(),
        codes: ErrorCode::ALL.iter().map(|code| Refused::of(code.http_status(), *code)).collect(),
        words: WORDS.iter().map(spoken).collect(),
    };
    environment.get_template("page")?.render(Serde(&whole))
}

fn groups() -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for operation in operations() {
        let view = view(&operation);
        match groups.iter_mut().find(|group| group.name == operation.tag) {
            Some(group) => group.operations.push(view),
            None => groups.push(Group {
                name: operation.tag,
                anchor: operation.tag.to_ascii_lowercase().replace(' ', "-"),
                operations: vec![view],
            }),
        }
    }
    groups
}

fn view(operation: &Operation) -> View {
    let parameters = operation.parameters().into_iter().filter_map(sample);
    let answer = match &operation.answer {
        Some(Shape::Object(fields)) => rows(operation, fields, 0),
        _ => Vec::new(),
    };
    let errors = operation.all_errors();
    View {
        id: operation.id(),
        method: operation.method,
        path: format!("{PREFIX}{}", operation.pattern),
        summary: operation.summary,
        note: operation.note,
        who: match operation.who {
            Who::Account => {
                "the account's credentials ($CUSTOMER_ID); a sub-account's path takes its main account's too. A partner's do not open it"
            }
            Who::Caller => "anybody's credentials, customer's or partner's",
            Who::Partner => "a partner's credentials ($PARTNER_ID)",
            Who::Parent => "the credentials of the main account that the sub-account belongs to",
            Who::Nobody => "no credentials",
        },
        path_parameters: parameters
            .map(|sample| Row {
                depth: 0,
                name: sample.name.to_owned(),
                required: true,
                words: sample.what.to_owned(),
                more: String::new(),
                meaning: "",
            })
            .collect(),
        query: rows(operation, &operation.query, 0),
        body: rows(operation, &operation.body, 0),
        status: operation.status,
        media: operation.media,
        is_built: operation.status != 501,
        answer,
        errors: errors.into_iter().map(|(status, code)| Refused::of(status, code)).collect(),
        curl: command::curl(operation),
    }
}

/// Fields, and those within them below.
fn rows(operation: &Operation, fields: &[Field], depth: usize) -> Vec<Row> {
    let mut all = Vec::new();
    for field in fields {
        let mut more = Vec::new();
        if field.nullable {
            more.push("may be null");
        }
        if field.optional {
            more.push("may be absent");
        }
        match field.shown {
            Shown::All => {}
            Shown::NotPython => more.push("not for the generated Python client"),
            Shown::NotFern => more.push("not for generated clients"),
        }
        all.push(Row {
            depth,
            name: field.name.clone(),
            required: field.required,
            words: field.shape.words(),
            more: more.join(", "),
            meaning: glossary::meaning(operation, &field.name).unwrap_or_default(),
        });
        let within = match &field.shape {
            Shape::List(item) => item,
            shape => shape,
        };
        if let Shape::Object(fields) = within {
            all.extend(rows(operation, fields, depth + 1));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_tells_every_operation_and_loads_nothing_from_elsewhere() {
        let page = rendered().unwrap();
        for operation in operations() {
            assert!(page.contains(&format!("id=\"{}\"", operation.id())), "{}", operation.id());
        }
        let loaded: Vec<&str> = ["src=\"", "<link rel=\"stylesheet\" href=\""]
            .iter()
            .flat_map(|opening| page.split(opening).skip(1))
            .map(|rest| rest.split('"').next().unwrap())
            .collect();
        assert!(!loaded.is_empty() && loaded.iter().all(|url| url.starts_with("/docs/")), "{loaded:?}");
    }

    #[test]
    fn every_code_and_every_word_of_a_refusal_is_on_the_page() {
        let page = rendered().unwrap();
        for code in ErrorCode::ALL {
            assert!(page.contains(&format!("<code>{}</code>", code.slug())), "{}", code.slug());
        }
        for word in WORDS {
            assert!(page.contains(&format!("<code>{}</code>", word.text)), "{}", word.text);
        }
    }

    #[test]
    fn the_likeliest_refusals_of_a_fresh_node_stand_at_a_call_with_the_operators_remedy() {
        let page = rendered().unwrap();
        let call = page.split("id=\"postAccountByAuthIdCall\"").nth(1);
        let call = call.unwrap().split("</details>").next().unwrap();
        for said in ["NO_RATE", "tandem admin rates import", "NO_ROUTE", "tandem admin carrier add"] {
            assert!(call.contains(said), "{said}");
        }
    }

    #[test]
    fn what_is_not_built_or_no_json_is_marked() {
        let page = rendered().unwrap();
        let marks = page.matches("<span class=\"absent\">not built</span>").count();
        let absent = operations().iter().filter(|operation| operation.status == 501).count();
        assert_eq!(marks, absent * 2, "in the list and at the operation");
        for media in ["text&#x2f;csv", "audio&#x2f;wav"] {
            assert!(page.contains(&format!("A file: <code>{media}</code>")), "{media}");
        }
    }

    #[test]
    fn the_page_leads_to_every_reference_page_and_links_within_it_lead_somewhere() {
        let page = rendered().unwrap();
        for anchor in page.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(page.contains(&format!("id=\"{anchor}\"")), "{anchor}");
        }
        for link in library::PAGES {
            assert!(page.contains(&format!("href=\"/docs/{}\"", link.name)), "{}", link.name);
        }
    }

    #[test]
    fn a_host_is_told_in_the_commands_only_if_it_is_one() {
        let with = |host: &'static str, speaks_tls| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            page(&headers, speaks_tls)
        };
        for (host, speaks_tls, told) in [
            ("api.shop.example:8080", false, "http://api.shop.example:8080"),
            ("api.shop.example", true, "https://api.shop.example"),
            ("a\"><script>", false, "http://127.0.0.1"),
        ] {
            let body = with(host, speaks_tls).into_body();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let bytes = runtime.block_on(axum::body::to_bytes(body, usize::MAX)).unwrap();
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            assert!(text.contains(&format!("API={told}\n")), "{host}");
            assert!(!text.contains("<script>"), "{host}");
        }
    }
}
