//! `tandem admin`: over the admin socket of a running node, or on its files when none runs.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use http::Method;
use serde_json::{Value, json};
use tandem_server::config::{Loaded, Overrides};

use super::{block_on, load};
use crate::arguments::{
    Admin, AdminCommand, Arguments, BansCommand, CarrierCommand, CarrierFields, DeadLettersCommand,
    InventoryCommand, KycCommand, MoneyMovement, NdncCommand, NumberCommand, PartnerCommand, RatesCommand,
};
use crate::{http as wire, output};

pub(crate) fn run(arguments: &Arguments, admin: &Admin) -> anyhow::Result<()> {
    let loaded = load(&admin.configuration, Overrides::default())?;
    block_on(1, async {
        let request = request(&admin.command)?;
        let value = perform(&loaded, &request).await?;
        output::data(arguments, &value, |value| (request.text)(value));
        if matches!(admin.command, AdminCommand::VerifyLedger) {
            anyhow::ensure!(value["ok"] == true, "the ledger does not verify");
        }
        Ok(())
    })
}

/// An operator request and how its answer reads.
struct OperatorRequest {
    method: Method,
    path: String,
    body: Option<Value>,
    text: fn(&Value) -> String,
}

impl OperatorRequest {
    fn get(path: &str, text: fn(&Value) -> String) -> Self {
        Self { method: Method::GET, path: path.to_owned(), body: None, text }
    }

    fn post(path: String, body: Value, text: fn(&Value) -> String) -> Self {
        Self { method: Method::POST, path, body: Some(body), text }
    }
}

/// Sends it over the socket of a running node; without one, opens the files under the exclusive lock.
async fn perform(loaded: &Loaded, request: &OperatorRequest) -> anyhow::Result<Value> {
    let socket = loaded.config.node.data.join("admin.sock");
    if is_listening(&socket).await {
        let reply =
            wire::to_socket(&socket, request.method.clone(), &request.path, request.body.as_ref()).await?;
        return wire::accepted(reply);
    }
    let data = &loaded.config.node.data;
    let has_database = !loaded.config.database.url.is_empty() || data.join("tandem.db").exists();
    if request.method == Method::GET && !has_database {
        anyhow::bail!(
            "there is no database in {}: name the data folder of the node with --data DIR",
            data.display()
        );
    }
    let reply = tandem_server::operator::offline(
        loaded,
        request.method.as_str(),
        &request.path,
        request.body.as_ref(),
    )
    .await
    .context("no node runs on this data folder, and its files cannot be opened")?;
    wire::accepted(reply)
}

async fn is_listening(socket: &Path) -> bool {
    tokio::net::UnixStream::connect(socket).await.is_ok()
}

fn request(command: &AdminCommand) -> anyhow::Result<OperatorRequest> {
    Ok(match command {
        AdminCommand::Partner(PartnerCommand::Create {
            name,
            email,
            currency,
            balance,
            company,
            phone,
            country,
            max_accounts,
        }) => OperatorRequest::post(
            "/admin/partners".to_owned(),
            json!({"name": name, "email": email, "currency": currency, "balance": balance, "company": company,
                "phone": phone, "country": country, "max_accounts": max_accounts}),
            |value| {
                format!(
                    "Partner {}\n  auth_id     {}\n  auth_token  {}   (shown once)\n  balance     {} {}",
                    output::plain(&value["name"]),
                    output::plain(&value["auth_id"]),
                    output::plain(&value["auth_token"]),
                    output::plain(&value["balance"]),
                    output::plain(&value["currency"])
                )
            },
        ),
        AdminCommand::Partner(PartnerCommand::List) => OperatorRequest::get("/admin/partners", |value| {
            output::table(
                &value["partners"],
                &["auth_id", "name", "email", "balance", "currency", "account_count"],
            )
        }),
        AdminCommand::Status => OperatorRequest::get("/admin/status", status),
        AdminCommand::RenewCertificate => {
            OperatorRequest::post("/admin/certificate".to_owned(), json!({}), |_| "Read again.".to_owned())
        }
        AdminCommand::Credit(movement) => money("credit", movement),
        AdminCommand::Adjust(movement) => money("adjust", movement),
        AdminCommand::Refund(movement) => money("refund", movement),
        AdminCommand::Carrier(CarrierCommand::Add(fields)) => {
            OperatorRequest::post("/admin/carriers".to_owned(), carrier(fields)?, told_carrier)
        }
        AdminCommand::Carrier(CarrierCommand::Update(fields)) => OperatorRequest {
            method: Method::PUT,
            path: format!("/admin/carriers/{}", encoded(&fields.name)),
            body: Some(carrier(fields)?),
            text: told_carrier,
        },
        AdminCommand::Carrier(CarrierCommand::List) => OperatorRequest::get("/admin/carriers", |value| {
            output::table(
                &value["carriers"],
                &[
                    "name",
                    "host",
                    "port",
                    "transport",
                    "prefixes",
                    "priority",
                    "weight",
                    "cps_limit",
                    "concurrent_limit",
                    "failover",
                    "enabled",
                    "down",
                    "registration",
                ],
            )
        }),
        AdminCommand::Carrier(CarrierCommand::Remove { name }) => OperatorRequest {
            method: Method::DELETE,
            path: format!("/admin/carriers/{}", encoded(name)),
            body: None,
            text: |_| "Removed.".to_owned(),
        },
        AdminCommand::Rates(RatesCommand::Import {
            deck,
            currency,
            default,
            dry_run: _,
            yes,
            base,
            file,
        }) => {
            let csv = if file == "-" {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text)?;
                text
            } else {
                std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?
            };
            OperatorRequest {
                method: Method::PUT,
                path: format!("/admin/decks/{}", encoded(deck)),
                body: Some(json!({"currency": currency, "default": default, "csv": csv, "dry_run": !yes,
                    "base": base})),
                text: deck_changes,
            }
        }
        AdminCommand::Rates(RatesCommand::List) => OperatorRequest::get("/admin/decks", |value| {
            output::table(&value["decks"], &["name", "currency", "default", "prefixes"])
        }),
        AdminCommand::Inventory(InventoryCommand::Add {
            numbers,
            country,
            region,
            setup,
            monthly,
            currency,
            months,
        }) => OperatorRequest::post(
            "/admin/inventory".to_owned(),
            json!({"numbers": numbers, "country": country, "region": region, "setup_fee": setup,
                    "monthly_fee": monthly, "currency": currency, "minimum_commitment_months": months}),
            |value| {
                let (added, known) = (output::plain(&value["added"]), &value["known_before"]);
                match known.as_u64() {
                    Some(0) | None => format!("{added} numbers added"),
                    Some(known) => {
                        format!("{added} numbers added; already there and left as they are: {known}")
                    }
                }
            },
        ),
        AdminCommand::Inventory(InventoryCommand::List) => {
            OperatorRequest::get("/admin/inventory", |value| {
                output::table(
                    &value["numbers"],
                    &["e164", "country", "status", "account_id", "setup_fee", "monthly_fee"],
                )
            })
        }
        AdminCommand::VerifyLedger => OperatorRequest::get("/admin/ledger/verify", |value| {
            serde_json::to_string_pretty(value).unwrap_or_default()
        }),
        AdminCommand::Number(command) => number(command),
        AdminCommand::Ndnc(command) => ndnc(command),
        AdminCommand::Kyc(command) => kyc(command)?,
        AdminCommand::DeadLetters(DeadLettersCommand::List) => {
            OperatorRequest::get("/admin/dead-letters", |value| {
                output::table(
                    &value["events"],
                    &["event_id", "kind", "account_id", "call_id", "url", "attempts", "last_status"],
                )
            })
        }
        AdminCommand::DeadLetters(DeadLettersCommand::Replay { event }) => {
            OperatorRequest::post("/admin/dead-letters/replay".to_owned(), json!({"event": event}), |value| {
                format!("{} events will be sent again", output::plain(&value["replayed"]))
            })
        }
        AdminCommand::Bans(BansCommand::List) => OperatorRequest::get("/admin/bans", |value| {
            output::table(&value["bans"], &["source", "reason", "since", "until", "times", "dropped"])
        }),
        AdminCommand::Bans(BansCommand::Lift { source }) => OperatorRequest {
            method: Method::DELETE,
            path: format!("/admin/bans/{}", encoded(source)),
            body: None,
            text: |value| format!("{} is listened to again.", output::plain(&value["lifted"])),
        },
        AdminCommand::Edge => OperatorRequest::get("/admin/edge", |value| {
            let dropped = value["dropped"].as_object().into_iter().flatten();
            let lines = dropped.map(|(name, count)| format!("{name:<16} {}", output::plain(count)));
            lines.collect::<Vec<_>>().join("\n")
        }),
    })
}

fn number(command: &NumberCommand) -> OperatorRequest {
    let at = |number: &str, rest: &str| format!("/admin/numbers/{}{rest}", encoded(number));
    let shown = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
    match command {
        NumberCommand::Show { number } => OperatorRequest::get(&at(number, ""), shown),
        NumberCommand::Give { number, account } => {
            OperatorRequest::post(at(number, "/give"), json!({ "account": account }), |value| {
                format!("{} is {}'s", output::plain(&value["e164"]), output::plain(&value["account_id"]))
            })
        }
        NumberCommand::Set { number, blocked, aadhaar_verified, months, monthly, tags } => {
            let mut body = json!({
                "is_blocked": blocked, "aadhaar_verified": aadhaar_verified, "minimum_commitment_months": months,
                "monthly_fee": monthly, "tags": (!tags.is_empty()).then_some(tags),
            });
            if let Some(body) = body.as_object_mut() {
                body.retain(|_, value| !value.is_null());
            }
            OperatorRequest { method: Method::PUT, path: at(number, ""), body: Some(body), text: shown }
        }
        NumberCommand::Unassign { number } => OperatorRequest {
            method: Method::DELETE,
            path: at(number, "/sub-account"),
            body: None,
            text: |value| format!("{} is the main account's again", output::plain(&value["e164"])),
        },
    }
}

fn ndnc(command: &NdncCommand) -> OperatorRequest {
    match command {
        NdncCommand::Webhook { account, url, secret } => OperatorRequest {
            method: Method::PUT,
            path: format!("/admin/ndnc/{}", encoded(account)),
            body: Some(json!({ "url": url, "secret": secret })),
            text: |value| match value["url"].as_str() {
                Some(url) => format!("Complaints go to {url}"),
                None => "The account is told of complaints no more.".to_owned(),
            },
        },
        NdncCommand::Complain { urn, number, complainant, date, description } => OperatorRequest::post(
            "/admin/ndnc".to_owned(),
            json!({"urn": urn, "number": number, "complainant": complainant, "date": date,
                "description": description}),
            |value| match (value["repeated"] == true, value["told"] == true) {
                (true, _) => "Already written down under this reference.".to_owned(),
                (false, true) => format!("Written down; {} is told.", output::plain(&value["account_id"])),
                (false, false) => {
                    let account = output::plain(&value["account_id"]);
                    format!("Written down. {account} is not told: it has no webhook for complaints.")
                }
            },
        ),
        NdncCommand::List => OperatorRequest::get("/admin/ndnc", |value| {
            output::table(
                &value["complaints"],
                &["urn", "number", "account_id", "complainant", "date", "description"],
            )
        }),
    }
}

fn kyc(command: &KycCommand) -> anyhow::Result<OperatorRequest> {
    let decided = |value: &Value| {
        format!("{} of {}", output::plain(&value["state"]), output::plain(&value["account_id"]))
    };
    Ok(match command {
        KycCommand::List => OperatorRequest::get("/admin/kyc", |value| {
            output::table(&value["checks"], &["check_id", "account_id", "document", "session_id", "since"])
        }),
        KycCommand::Show { check } => {
            OperatorRequest::get(&format!("/admin/kyc/{}", encoded(check)), |value| {
                serde_json::to_string_pretty(value).unwrap_or_default()
            })
        }
        KycCommand::Approve { check } => {
            OperatorRequest::post(format!("/admin/kyc/{}/approve", encoded(check)), json!({}), decided)
        }
        KycCommand::Reject { check, reason } => {
            let path = format!("/admin/kyc/{}/reject", encoded(check));
            OperatorRequest::post(path, json!({ "reason": reason }), decided)
        }
        KycCommand::Erase { account, yes } => {
            anyhow::ensure!(yes, "erasing cannot be undone: repeat with --yes");
            let path = format!("/admin/accounts/{}/kyc-data/erase", encoded(account));
            OperatorRequest::post(path, json!({}), |value| {
                format!(
                    "Erased: {} sessions, {} documents, {} events",
                    output::plain(&value["sessions"]),
                    output::plain(&value["documents"]),
                    output::plain(&value["events"])
                )
            })
        }
    })
}

fn money(kind: &str, movement: &MoneyMovement) -> OperatorRequest {
    OperatorRequest::post(
        format!("/admin/accounts/{}/{kind}", encoded(&movement.account)),
        json!({"amount": movement.amount, "reference": movement.reference, "description": movement.description}),
        |value| {
            format!(
                "{}; balance {} {}",
                if value["repeated"] == true { "Already booked under this reference" } else { "Booked" },
                output::plain(&value["balance"]),
                output::plain(&value["currency"])
            )
        },
    )
}

/// A deck's changes for people: `+` added, `~` changed, `-` removed.
fn deck_changes(value: &Value) -> String {
    let price = |rate: &Value| {
        format!(
            "{} a minute, pulse {} s, minimum {} s, connection {}",
            output::plain(&rate["per_minute"]),
            output::plain(&rate["pulse"]),
            output::plain(&rate["minimum"]),
            output::plain(&rate["connection_fee"])
        )
    };
    let diff = &value["diff"];
    let mut lines: Vec<String> = diff["changes"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|change| {
            let prefix = Some(output::plain(&change["prefix"])).filter(|prefix| !prefix.is_empty());
            let prefix = prefix.unwrap_or_else(|| "(all)".to_owned());
            match change["change"].as_str() {
                Some("added") => format!("+ {prefix:<16} {}", price(&change["new"])),
                Some("removed") => format!("- {prefix:<16} {}", price(&change["old"])),
                _ => format!(
                    "~ {prefix:<16} {}\n  {:<16} now {}",
                    price(&change["old"]),
                    "",
                    price(&change["new"])
                ),
            }
        })
        .collect();
    if diff["more"].as_u64().unwrap_or_default() > 0 {
        lines.push(format!("  and {} more", output::plain(&diff["more"])));
    }
    lines.push(format!(
        "Deck {} ({}): {} added, {} changed, {} removed, {} unchanged.",
        output::plain(&value["name"]),
        output::plain(&value["currency"]),
        output::plain(&diff["added"]),
        output::plain(&diff["changed"]),
        output::plain(&diff["removed"]),
        output::plain(&diff["unchanged"])
    ));
    lines.push(if value["applied"] == true {
        format!("Applied: {} prefixes.", output::plain(&value["prefixes"]))
    } else {
        let base = output::plain(&value["base"]);
        format!("Nothing is changed yet. To apply it as shown, repeat with --yes --base {base}")
    });
    lines.join("\n")
}

/// Statuses with commas; `default` is the empty list.
fn statuses(text: &str) -> anyhow::Result<Vec<u16>> {
    if text == "default" {
        return Ok(Vec::new());
    }
    let status = |word: &str| {
        word.trim().parse::<u16>().with_context(|| format!("--failover: {word:?} is not a SIP status"))
    };
    text.split(',').map(status).collect()
}

/// The readings, and the certificate if there is one.
fn status(value: &Value) -> String {
    let mut text = output::table(&value["readings"], &["name", "value", "kind", "help"]);
    let certificate = &value["certificate"];
    if certificate.is_object() {
        text += &format!("\nCertificate read {}", output::plain(&certificate["read_at"]));
        if let Some(file) = certificate["file"].as_str() {
            text += &format!(" from {file}");
        }
        if let Some(problem) = certificate["problem"].as_str() {
            text += &format!("; what is there now is NOT in use: {problem}");
        }
    }
    text
}

/// A carrier in a line, with where its own calls have to come from.
fn told_carrier(value: &Value) -> String {
    let part = |key: &str| output::plain(&value[key]);
    let sources = match part("sources") {
        none if none.is_empty() => {
            "its host (on this machine: its host and port; --source changes that)".to_owned()
        }
        sources => sources,
    };
    let mut text = format!("Carrier {}: calls to {} go to {}", part("name"), prefixes(value), part("host"));
    if let Some(port) = value["port"].as_u64() {
        text += &format!(":{port}");
    }
    text += &format!(" over {}; calls from it are known by {sources}.", part("transport"));
    if value["enabled"] == false {
        text += " It is disabled.";
    }
    text
}

fn prefixes(carrier: &Value) -> String {
    match output::plain(&carrier["prefixes"]) {
        none if none.is_empty() => "every number".to_owned(),
        prefixes => prefixes,
    }
}

/// Only what was given.
fn carrier(fields: &CarrierFields) -> anyhow::Result<Value> {
    let mut body = json!({
        "name": fields.name, "host": fields.host, "port": fields.port, "transport": fields.transport, "priority": fields.priority,
        "weight": fields.weight, "cps_limit": fields.cps, "concurrent_limit": fields.concurrent,
        "number_format": fields.number_format, "caller_format": fields.caller_format,
        "failover": fields.failover.as_deref().map(statuses).transpose()?, "username": fields.username, "password": fields.password,
        "realm": fields.realm, "register": fields.register, "enabled": fields.enabled,
    });
    if let Some(body) = body.as_object_mut() {
        body.retain(|_, value| !value.is_null());
        if !fields.prefixes.is_empty() {
            body.insert("prefixes".to_owned(), json!(fields.prefixes));
        }
        if !fields.sources.is_empty() {
            body.insert("sources".to_owned(), json!(fields.sources));
        }
    }
    Ok(body)
}

fn encoded(segment: &str) -> String {
    form_urlencoded::byte_serialize(segment.as_bytes()).collect::<String>().replace('+', "%20")
}
