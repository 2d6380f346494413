//! The reference pages that are generated from the code; a test and CI keep them fresh.

use tandem_model::{ErrorCode, HangupCause};

/// File names and texts.
pub fn pages() -> Vec<(&'static str, String)> {
    vec![
        ("xml.md", tandem_callflow::document::reference()),
        ("errors.md", errors()),
        ("hangup-causes.md", causes()),
        ("configuration.md", configuration()),
        ("carrier-simulator.md", simulator()),
        ("openapi.json", crate::api::document_text()),
        ("coverage.md", crate::api::coverage_page()),
    ]
}

fn errors() -> String {
    let mut page = String::from(
        "# Errors\n\nEvery refusal carries one of these codes: in the API's error body, in the record, in the event and in the text\nof the SIP `Reason` header.\n\n| Code | HTTP | SIP | Hangup cause | What happened | What to do |\n|---|---|---|---|---|---|\n",
    );
    for code in ErrorCode::ALL {
        page.push_str(&format!(
            "| `{}` | {} | {} | {} | {} | {} |\n",
            code.slug(),
            code.http_status(),
            code.sip_status(),
            code.hangup_cause().code(),
            code.title(),
            code.remedy()
        ));
    }
    page
}

fn causes() -> String {
    let mut page = String::from(
        "# Hangup causes\n\n| Code | Name | Raw cause | SIP status | Q.850 |\n|---|---|---|---|---|\n",
    );
    for cause in HangupCause::ALL {
        page.push_str(&format!(
            "| {} | {} | `{}` | {} | {} |\n",
            cause.code(),
            cause.name(),
            cause.text().as_str(),
            cause.sip_status(),
            cause.q850()
        ));
    }
    page
}

fn configuration() -> String {
    format!(
        "# Configuration\n\nA file given with `--config`, then variables (`TANDEM_SIP__LISTEN`), then command-line options override these defaults.\n\n```toml\n{}```\n",
        crate::config::DEFAULTS
    )
}

fn simulator() -> String {
    let mut page = String::from(
        "# The carrier simulator\n\n`tandem sim carrier` is a telephone network on its own SIP port. The last digits of the dialled number choose what it\ndoes, whatever the country code before them.\n\n| Last digits | Behaviour | What a caller notices |\n|---|---|---|\n",
    );
    for row in tandem_engine::simulator::behaviours() {
        page.push_str(&format!("| `{}` | {} | {} |\n", row.pattern, row.title, row.what));
    }
    page
}
