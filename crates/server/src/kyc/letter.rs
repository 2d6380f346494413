//! What letters say, in English and Hindi: nobody has been asked yet which one is read.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::post::Letter;

/// A letter that carries a link.
pub(super) fn with_link(step: &str, to: &str, from: &str, link: &str, expires_at: Timestamp) -> Letter {
    let until = expires_at.to_zoned(TimeZone::UTC).strftime("%-d %B %Y, %H:%M UTC").to_string();
    let reminder = step.starts_with("reminder");
    let subject = if reminder {
        format!("Reminder: verify your identity for {from} / अनुस्मारक: पहचान सत्यापन")
    } else {
        format!("Verify your identity for {from} / अपनी पहचान सत्यापित करें")
    };
    let english = format!(
        "{from} asks you to verify your identity (KYC). It takes a few minutes; keep your PAN at hand.\n\n{link}\n\n\
         The link is yours alone and works until {until}. Nobody will ever ask you for your full Aadhaar number \
         or a one-time password by e-mail or phone. If you do not know {from}, ignore this message."
    );
    let hindi = format!(
        "{from} आपसे पहचान सत्यापन (KYC) का अनुरोध करता है। इसमें कुछ मिनट लगेंगे; अपना PAN पास रखें।\n\n{link}\n\n\
         यह लिंक केवल आपके लिए है और {until} तक चलेगा। ई-मेल या फ़ोन पर कोई भी आपसे पूरा आधार नंबर या OTP नहीं माँगेगा। \
         यदि आप {from} को नहीं जानते, तो इस संदेश पर ध्यान न दें।"
    );
    let paragraph = |text: &str| {
        text.split("\n\n")
            .map(|part| {
                if part == link {
                    format!("<p><a href=\"{0}\">{0}</a></p>", escaped(link))
                } else {
                    format!("<p>{}</p>", escaped(part))
                }
            })
            .collect::<String>()
    };
    let html = format!(
        "<!doctype html><html><body style=\"font-family:sans-serif;max-width:36em\"><div lang=\"en\">{}</div><hr>\
         <div lang=\"hi\">{}</div></body></html>",
        paragraph(&english),
        paragraph(&hindi)
    );
    Letter { to: to.to_owned(), subject, text: format!("{english}\n\n----\n\n{hindi}\n"), html }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_carries_its_link_in_both_languages_and_no_markup_of_others() {
        let at: Timestamp = "2026-11-28T10:00:00Z".parse().unwrap();
        let letter =
            with_link("reminder:1", "a@b.example", "<b>Acme</b>", "https://h/verify?token=kst_1", at);
        assert_eq!(letter.text.matches("https://h/verify?token=kst_1").count(), 2);
        assert!(letter.subject.starts_with("Reminder"));
        assert!(letter.text.contains("28 November 2026, 10:00 UTC"));
        assert!(!letter.html.contains("<b>") && letter.html.contains("&lt;b&gt;"));
    }
}
