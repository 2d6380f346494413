//! `/admin/status` and `/admin/metrics`: how full everything is, in JSON and as Prometheus reads it; `/admin/certificate`:
//! the certificate of SIP over TLS, read again when told.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tandem_engine::{Reading, ReadingKind};
use tandem_model::ErrorCode;

use crate::api::{ApiError, AppState, Live};

/// The version of the text format that is written.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/admin/status", get(status))
        .route("/admin/metrics", get(metrics))
        .route("/admin/certificate", post(renew))
}

/// The routes of `metrics.listen`.
pub(crate) fn metrics_routes(state: AppState) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(state)
}

fn live(state: &AppState) -> Result<&Live, ApiError> {
    state
        .live
        .as_ref()
        .ok_or_else(|| ApiError::because(ErrorCode::Conflict, "No node runs: start tandem serve"))
}

/// The engine's readings and the service's own.
async fn readings(state: &AppState) -> Result<Vec<Reading>, ApiError> {
    let mut readings = live(state)?.engine.readings().await;
    readings.push(Reading::drains(
        "waiting_calls",
        "API calls that wait for their turn of their account's calls per second",
        live(state)?.waiting.count(),
    ));
    readings.extend([
        Reading::drains("writer_queue", "writes waiting for the store", state.writer.backlog()),
        Reading::stays(
            "names",
            "hosts of carriers and trunks whose addresses are kept",
            state.directory.names_kept(),
        ),
        Reading::stays("gateways_down", "addresses whose probes fail", state.directory.gateways_down()),
    ]);
    Ok(readings)
}

async fn status(State(state): State<AppState>) -> Result<Json<Value>, ApiError> {
    let readings = readings(&state).await?;
    let certificate = live(&state)?.certificate.as_ref().map(|certificate| certificate.report());
    let readings: Vec<_> = readings
        .iter()
        .map(|reading| {
            json!({"name": reading.name, "value": reading.value, "kind": kind(reading.kind), "help": reading.help})
        })
        .collect();
    Ok(Json(json!({"node": state.config.node.name, "readings": readings, "certificate": certificate})))
}

async fn metrics(State(state): State<AppState>) -> Result<impl IntoResponse, ApiError> {
    Ok(([(CONTENT_TYPE, PROMETHEUS)], exposition(&readings(&state).await?)))
}

/// Reads the certificate again; what is wrong with it is the answer.
async fn renew(State(state): State<AppState>) -> Result<Json<Value>, ApiError> {
    let Some(certificate) = &live(&state)?.certificate else {
        return Err(ApiError::because(
            ErrorCode::Conflict,
            "SIP over TLS is off: set sip.tls_certificate and sip.tls_key",
        ));
    };
    certificate
        .renew()
        .map_err(|error| ApiError::because(ErrorCode::Conflict, format!("{error}; the old one stays")))?;
    Ok(Json(json!(certificate.report())))
}

fn kind(kind: ReadingKind) -> &'static str {
    match kind {
        ReadingKind::Drains => "drains",
        ReadingKind::Stays => "stays",
        ReadingKind::Counts => "counts",
    }
}

fn exposition(readings: &[Reading]) -> String {
    let mut text = String::with_capacity(readings.len() * 160);
    for Reading { name, help, kind, value } in readings {
        let kind = if *kind == ReadingKind::Counts { "counter" } else { "gauge" };
        let _ =
            writeln!(text, "# HELP tandem_{name} {help}\n# TYPE tandem_{name} {kind}\ntandem_{name} {value}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_written_as_prometheus_reads_them() {
        let text = exposition(&[
            Reading::drains("sip_legs", "SIP legs", 3),
            Reading::counts("sip_strays_total", "strays", 4),
        ]);
        assert_eq!(
            text,
            "# HELP tandem_sip_legs SIP legs\n# TYPE tandem_sip_legs gauge\ntandem_sip_legs 3\n\
             # HELP tandem_sip_strays_total strays\n# TYPE tandem_sip_strays_total counter\ntandem_sip_strays_total 4\n"
        );
    }
}
