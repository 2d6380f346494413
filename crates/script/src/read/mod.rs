//! From text to a [`Script`], or to the first thing that is wrong with it.
//!
//! `fields` reads mappings by the table, `steps` the steps, `party` the telephones, `webhooks` the web server.

mod fields;
mod party;
mod steps;
mod webhooks;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use self::fields::{Fields, scalar};
use crate::problem::Problem;
use crate::script::Script;
use crate::table::SCRIPT;
use crate::variables::Variables;
use crate::yaml::{self, Value};

/// Parties of one script at most.
pub const MAX_PARTIES: usize = 64;
/// Where the platform is, unless told.
const PLATFORM: &str = "127.0.0.1:5060";
/// Where telephones listen, unless told: any port, the address that the host uses towards the platform.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);
/// Where web servers listen, unless told.
const WEB: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
/// Longest a script takes, unless told.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Reads a script.
pub fn read(text: &str, variables: &Variables) -> Result<Script, Problem> {
    let mut root = yaml::parse(text)?;
    let mut variables = variables.clone();
    for (name, value) in Fields::of(&root, &SCRIPT)?.pairs("variables")? {
        variables.or(&name, value);
    }
    variables.fill(&mut root)?;
    let fields = Fields::of(&root, &SCRIPT)?;
    let listen = fields.read("listen", address)?.unwrap_or(LISTEN);
    let Some(parties) = fields.node("parties") else {
        return Err(Problem::new(
            fields.place,
            "`parties` is missing: a script needs at least one telephone",
        ));
    };
    let Value::Map(members) = &parties.value else {
        return Err(Problem::new(
            parties.place,
            "`parties`: a mapping of names to telephones is needed here",
        ));
    };
    if members.is_empty() || members.len() > MAX_PARTIES {
        return Err(Problem::new(parties.place, format!("a script has 1 to {MAX_PARTIES} parties")));
    }
    let webhooks = fields.node("webhooks").map(webhooks::webhooks).transpose()?;
    let parties: Result<Vec<_>, _> =
        members.iter().map(|(name, node)| party::party(name, node, listen)).collect();
    let parties = parties?;
    if webhooks.is_none() {
        party::need_no_webhooks(&parties)?;
    }
    Ok(Script {
        name: fields.text("name")?,
        platform: fields.read("platform", host_and_port)?.unwrap_or_else(|| PLATFORM.to_owned()),
        timeout: fields.time("timeout", TIMEOUT)?,
        webhooks,
        parties,
    })
}

/// `ADDR:PORT`.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is no ADDR:PORT such as 127.0.0.1:5070"))
}

/// `HOST:PORT`, by name or address.
pub fn host_and_port(text: &str) -> Result<String, String> {
    let port =
        text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
    match port {
        Some(Ok(1..)) => Ok(text.to_owned()),
        _ => Err(format!("`{text}` is no HOST:PORT such as 127.0.0.1:5060")),
    }
}

/// A path, `/` at its beginning.
fn path(text: &str) -> Result<String, String> {
    if text.starts_with('/') && !text.contains(['?', '#', ' ']) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is no path: it begins with / and has no query"))
    }
}

fn http_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").filter(|rest| !rest.is_empty() && !rest.starts_with('/'));
    rest.map(|_| text.to_owned()).ok_or_else(|| format!("`{text}` is no http:// URL"))
}

fn http_status(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(status @ 100..=599) => Ok(status),
        _ => Err(format!("`{text}` is no HTTP status")),
    }
}

/// A number's or user's text: what may stand in a SIP URI is checked when it is written.
fn not_empty(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("nothing stands here".to_owned()) } else { Ok(text.to_owned()) }
}

/// The first line of a text, shortened, for titles.
fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() > LONGEST || line.len() < text.trim_end().len() {
        format!("{}…", line.chars().take(LONGEST).collect::<String>())
    } else {
        line.to_owned()
    }
}

/// A scalar's text for a step's title, whatever it is.
fn shown_value(node: &yaml::Node) -> String {
    scalar(node, "").map(shown).unwrap_or_default()
}
