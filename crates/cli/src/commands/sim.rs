//! `tandem sim carrier`: a telephone network to test applications and trunks with. `tandem sim caller` is next door.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use tandem_server::simulator::{self, CallSpec, Carrier, CarrierConfig, Step};

use super::{block_on, caller};
use crate::arguments::{Arguments, Sim, SimCarrier, SimCommand};
use crate::output;

pub(crate) fn run(arguments: &Arguments, sim: &Sim) -> anyhow::Result<ExitCode> {
    match &sim.command {
        SimCommand::Caller(options) => caller::run(arguments, options),
        SimCommand::Carrier(carrier) if carrier.table => {
            print_table(arguments);
            Ok(ExitCode::SUCCESS)
        }
        SimCommand::Carrier(carrier) => block_on(1, serve(arguments, carrier)).map(|()| ExitCode::SUCCESS),
    }
}

fn print_table(arguments: &Arguments) {
    let rows: Vec<_> = simulator::behaviours()
        .iter()
        .map(|row| json!({"last digits": row.pattern, "behaviour": row.title, "what happens": row.what}))
        .collect();
    output::data(arguments, &json!(rows), |rows| {
        output::table(rows, &["last digits", "behaviour", "what happens"])
    });
}

/// What a call ends with that nobody answered (RFC 3261 §8.1.3.1).
const NO_ANSWER: u16 = 408;

async fn serve(arguments: &Arguments, options: &SimCarrier) -> anyhow::Result<()> {
    let platform = options.platform.parse().with_context(|| format!("--platform {}", options.platform))?;
    let listen = options.listen.parse().with_context(|| format!("--listen {}", options.listen))?;
    let config = CarrierConfig { listen, log_path: options.log.clone(), ..CarrierConfig::new(platform) };
    let carrier = Carrier::start(config).await.with_context(|| format!("cannot listen on {listen}"))?;
    if options.ready_json || arguments.json {
        println!("{}", json!({"sip": carrier.addr().to_string()}));
        std::io::stdout().flush()?;
    }
    eprintln!(
        "The simulated network listens on {} and calls {platform}. The last digits of a number choose what it does:",
        carrier.addr()
    );
    eprintln!("`tandem sim carrier --table` lists them. Ctrl-C ends it.");
    if let Some(number) = &options.call {
        let mut script = vec![Step::Wait(500)];
        script.extend(options.digits.clone().map(Step::SendDigits));
        script.push(Step::Wait(options.seconds.saturating_mul(1000)));
        let spec = CallSpec {
            ring_limit: Duration::from_mins(1),
            ..CallSpec::new(options.from.clone(), number.clone()).script(script)
        };
        let outcome = carrier.call(spec).await?;
        let value = json!({
            "call_id": outcome.call_id, "status": outcome.status, "talk_seconds": outcome.talk_seconds,
            "ended_by": outcome.ended_by, "rtp": outcome.rtp, "timeline": outcome.timeline,
        });
        output::data(arguments, &value, |_| {
            let lines: Vec<_> =
                outcome.timeline.iter().map(|(ms, line)| format!("{ms:>7} ms  {line}")).collect();
            format!(
                "{}\n{} {}; {:.2} s of talk; heard {:.1} dBFS, {} packets",
                lines.join("\n"),
                outcome.status.code,
                outcome.status.phrase,
                outcome.talk_seconds,
                outcome.rtp.heard_rms_dbfs,
                outcome.rtp.packets_received
            )
        });
        if options.once {
            carrier.shutdown().await;
            anyhow::ensure!(
                outcome.status.code != NO_ANSWER,
                "no answer from {platform}: name where the platform's SIP listens with --platform HOST:PORT"
            );
            return Ok(());
        }
    }
    tokio::signal::ctrl_c().await?;
    carrier.shutdown().await;
    Ok(())
}
