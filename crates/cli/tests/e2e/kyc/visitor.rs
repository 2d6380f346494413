//! Somebody with a browser that has cookies and no scripts: reads pages and sends their forms.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A page as it came.
#[derive(Clone, Debug)]
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) html: String,
}

impl Page {
    /// A header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// What stands in the page between two texts.
    pub(super) fn between(&self, before: &str, after: &str) -> Option<String> {
        let (_, rest) = self.html.split_once(before)?;
        Some(rest.split_once(after)?.0.replace("&#x2f;", "/").replace("&amp;", "&"))
    }
}

/// Their cookies.
#[derive(Default)]
pub(super) struct Visitor(BTreeMap<String, String>);

impl Visitor {
    /// Opens an address and follows where it leads on the same server.
    pub(super) async fn open(&mut self, url: &str) -> Page {
        let page = self.request("GET", url, None).await;
        self.follow(url, page).await
    }

    /// Sends the form of `page` to `/verify/{action}`, its hidden token included.
    pub(super) async fn send(
        &mut self,
        base: &str,
        page: &Page,
        action: &str,
        fields: &[(&str, &str)],
    ) -> Page {
        let csrf = page.between("name=\"csrf\" value=\"", "\"").unwrap_or_default();
        let url = format!("{base}/verify/{action}");
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("csrf", &csrf).extend_pairs(fields);
        let page = self.request("POST", &url, Some(&form.finish())).await;
        self.follow(&url, page).await
    }

    async fn follow(&mut self, from: &str, mut page: Page) -> Page {
        let origin = from.split('/').take(3).collect::<Vec<_>>().join("/");
        for _ in 0..5 {
            let Some(location) = page.header("location").map(str::to_owned) else { return page };
            let url = if location.starts_with('/') { format!("{origin}{location}") } else { location };
            if !url.starts_with(&origin) {
                return page;
            }
            page = self.request("GET", &url, None).await;
        }
        panic!("{from} leads nowhere");
    }

    async fn request(&mut self, method: &str, url: &str, body: Option<&str>) -> Page {
        let (host, path) =
            url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("http://");
        let cookies: Vec<_> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let body = body.unwrap_or_default();
        let request = format!(
            "{method} /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncookie: {}\r\ncontent-type: \
             application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            cookies.join("; "),
            body.len()
        );
        let exchange = async {
            let mut stream = TcpStream::connect(host).await.expect("the server listens");
            stream.write_all(request.as_bytes()).await.expect("it reads");
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.expect("an answer");
            String::from_utf8(bytes).expect("text")
        };
        let answer =
            tokio::time::timeout(Duration::from_secs(20), exchange).await.expect("an answer in time");
        let (head, html) = answer.split_once("\r\n\r\n").expect("a head");
        for line in head.lines().filter_map(|line| line.strip_prefix("set-cookie: ")) {
            if let Some((name, value)) = line.split(';').next().and_then(|pair| pair.split_once('=')) {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        Page { status, head: head.to_owned(), html: html.to_owned() }
    }
}
