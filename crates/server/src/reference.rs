//! The reference pages that are generated from the code; a test and CI keep them fresh.

use tandem_model::{ErrorCode, HangupCause};

/// File names and texts.
pub fn pages() -> Vec<(&'static str, String)> {
    vec![
        ("xml.md", tandem_callflow::document::reference()),
        ("xml-coverage.md", tandem_callflow::document::coverage()),
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
        "# Errors\n\nEvery refusal is one of these: in the API's error body, in the record, in the event and in the text of the SIP\n`Reason` header.\n\n| Code | HTTP | SIP | Hangup cause | What happened | What to do |\n|---|---|---|---|---|---|\n",
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
    page.push_str(
        "\n## Texts of single families\n\n`error` of a refusal is the code, except where programs written for Vobiz expect a text of its family's own:\n\n| `error` | HTTP | Stands for | Says |\n|---|---|---|---|\n",
    );
    for (text, status, code, says) in crate::api::words() {
        let status = if status == 0 { "any".to_owned() } else { status.to_string() };
        page.push_str(&format!("| `{text}` | {status} | `{}` | {says} |\n", code.slug()));
    }
    page.push_str(
        "\nTrunks, what hangs on them, and calls put the sentence itself there when a field is wrong (400) or a parameter of calls is not\nbuilt (501). A program looks at the HTTP status first, then at `error`; `message` and `hint` are for people.\n",
    );
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
