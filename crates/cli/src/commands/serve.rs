//! `tandem serve`: one node, until a signal.

use std::io::Write as _;
use std::time::Duration;

use serde_json::json;
use tandem_server::config::Overrides;
use tandem_server::{Node, NodeOptions};
use tokio::signal::unix::{SignalKind, signal};

use super::{block_on, load};
use crate::arguments::{Arguments, Serve};

pub(crate) fn run(arguments: &Arguments, serve: &Serve) -> anyhow::Result<()> {
    let mut overrides = Overrides::default()
        .set_some("api.listen", serve.api.clone())
        .set_some("sip.listen", serve.sip.clone())
        .set_some("node.name", serve.node.clone());
    if serve.dev {
        overrides = overrides
            .set("webhooks.allow_private", vec!["127.0.0.0/8", "::1/128"])
            .set("recordings.all", true)
            .set_default("kyc.verifier", "sandbox");
    }
    if let Some(seconds) = serve.clock_ahead {
        tandem_server::set_clock_ahead(seconds);
    }
    let loaded = load(&serve.configuration, overrides)?;
    let threads = loaded.config.node.threads;
    let node_data = loaded.config.node.data.clone();
    block_on(threads, async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let options = NodeOptions { dev: serve.dev, fault: serve.fault.clone() };
        let node = Node::start(loaded, options).await?;
        if serve.ready_json || arguments.json {
            let place = |address: Option<std::net::SocketAddr>| address.map(|address| address.to_string());
            let (tcp, tls) = (place(node.sip_tcp_addr()), place(node.sip_tls_addr()));
            println!(
                "{}",
                json!({"api": node.api_url(), "sip": node.sip_addr().to_string(), "sip_tcp": tcp, "sip_tls": tls})
            );
            std::io::stdout().flush()?;
        }
        let mut places = format!("{} (UDP)", node.sip_addr());
        for (address, word) in [(node.sip_tcp_addr(), "TCP"), (node.sip_tls_addr(), "TLS")] {
            if let Some(address) = address {
                places += &format!(", {address} ({word})");
            }
        }
        let api = node.api_url();
        eprintln!("Ready. API {api}   SIP {places}");
        if serve.dev {
            eprintln!(
                "  calls as they happen: {api}/   letters: {api}/dev/mail   every operation: {api}/docs"
            );
            eprintln!(
                "  `tandem admin --data {} partner create …` makes the first account",
                node_data.display()
            );
        }
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => node.renew_certificate(),
                fatal = node.failed() => anyhow::bail!("the node stopped: {fatal}"),
            }
        }
        eprintln!("Draining: new calls are refused, live ones have {} s.", serve.drain);
        node.shutdown(Duration::from_secs(serve.drain)).await;
        Ok(())
    })
}
