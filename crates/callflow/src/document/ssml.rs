//! What a `<Speak>` says: its text, and of SSML what a speech engine carries.
//!
//! Everything else is settled here: aliases and spelled words become text, paragraphs become pauses, unknown markup its
//! text. What is left is plain text; or, when there is a pause or a rate, `<speak>` with nothing inside but text,
//! `<break time="…ms"/>` and `<prosody rate="…%">`. An engine that reads markup is so never shown a customer's.

use std::fmt::Write as _;

use roxmltree::Node;

/// Longest pause of one `<break>`.
const BREAK_MAX_MS: u32 = 10_000;
/// After a sentence and after a paragraph.
const SENTENCE_MS: u32 = 300;
const PARAGRAPH_MS: u32 = 600;
/// Rates in percent.
const RATE_MIN: u32 = 20;
const RATE_MAX: u32 = 300;
/// Elements inside one another; what is deeper is only text.
const DEPTH_MAX: usize = 24;

/// A piece of speech.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Pause(u32),
    /// Percent of the normal rate, from here.
    Rate(u32),
    /// The rate before.
    RateEnds,
}

/// What is said inside an element.
pub(super) fn speech(node: Node<'_, '_>) -> String {
    let mut pieces = Vec::new();
    read(node, 0, &mut pieces);
    write(&tidy(pieces))
}

/// Whether a text is speech that this module wrote, or could have: safe for an engine that reads markup.
pub fn is_speech_markup(text: &str) -> bool {
    let Ok(tree) = roxmltree::Document::parse(text) else { return false };
    let root = tree.root_element();
    root.tag_name().name() == "speak"
        && root.attributes().len() == 0
        && root.descendants().filter(|it| *it != root).all(|node| {
            let only = |name: &str| node.attributes().all(|it| it.name() == name && is_amount(it.value()));
            match node.tag_name().name() {
                _ if node.is_text() => true,
                "break" => only("time"),
                "prosody" => only("rate"),
                _ => false,
            }
        })
}

fn is_amount(value: &str) -> bool {
    let number = value.strip_suffix("ms").or_else(|| value.strip_suffix('%')).unwrap_or_default();
    (1..=5).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
}

fn read(node: Node<'_, '_>, depth: usize, pieces: &mut Vec<Piece>) {
    for child in node.children() {
        if let Some(text) = child.text().filter(|_| child.is_text()) {
            pieces.push(Piece::Text(text.to_owned()));
        } else if child.is_element() && depth < DEPTH_MAX {
            element(child, depth + 1, pieces);
        } else if child.is_element() {
            pieces.push(Piece::Text(all_text(child)));
        }
    }
}

fn element(node: Node<'_, '_>, depth: usize, pieces: &mut Vec<Piece>) {
    let attribute = |name: &str| node.attribute(name).map(str::trim);
    match node.tag_name().name().to_ascii_lowercase().as_str() {
        "break" => pieces.push(Piece::Pause(pause(attribute("time"), attribute("strength")))),
        "sub" => match attribute("alias").filter(|alias| !alias.is_empty()) {
            Some(alias) => pieces.push(Piece::Text(alias.to_owned())),
            None => read(node, depth, pieces),
        },
        "say-as" => match attribute("interpret-as").unwrap_or_default() {
            "characters" | "character" | "spell-out" | "digits" | "telephone" => {
                pieces.push(Piece::Text(spelled(&all_text(node))));
            }
            _ => read(node, depth, pieces),
        },
        "p" => {
            read(node, depth, pieces);
            pieces.push(Piece::Pause(PARAGRAPH_MS));
        }
        "s" => {
            read(node, depth, pieces);
            pieces.push(Piece::Pause(SENTENCE_MS));
        }
        "prosody" => match attribute("rate").and_then(rate) {
            Some(rate) => {
                pieces.push(Piece::Rate(rate));
                read(node, depth, pieces);
                pieces.push(Piece::RateEnds);
            }
            None => read(node, depth, pieces),
        },
        _ => read(node, depth, pieces),
    }
}

fn all_text(node: Node<'_, '_>) -> String {
    node.descendants().filter(Node::is_text).filter_map(|text| text.text()).collect()
}

/// Letter by letter: each stands alone, capital, so that an `a` is no article.
fn spelled(text: &str) -> String {
    let mut letters = String::new();
    for letter in text.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, '+' | '*' | '#'))
    {
        letters.extend(letter.to_uppercase());
        letters.push(' ');
    }
    format!(" {letters}")
}

/// `2s`, `500ms`, or one of the strengths; half a second when neither is said.
fn pause(time: Option<&str>, strength: Option<&str>) -> u32 {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| *number >= 0.0);
    let timed = time.and_then(|time| match time.strip_suffix("ms") {
        Some(ms) => number(ms),
        None => number(time.strip_suffix('s')?).map(|seconds| seconds * 1_000.0),
    });
    let ms = timed.unwrap_or(match strength.unwrap_or("medium") {
        "none" => 0.0,
        "x-weak" => 100.0,
        "weak" => 250.0,
        "strong" => 1_000.0,
        "x-strong" => 1_500.0,
        _ => 500.0,
    });
    (ms as u32).min(BREAK_MAX_MS)
}

/// A word, a percentage, or a change in percent.
fn rate(written: &str) -> Option<u32> {
    let percent = match written {
        "x-slow" => 50,
        "slow" => 75,
        "medium" | "default" => 100,
        "fast" => 125,
        "x-fast" => 175,
        number => {
            let amount = number.strip_suffix('%')?.trim();
            let value = amount.parse::<f64>().ok().filter(|value| value.is_finite())?;
            let is_change = amount.starts_with(['+', '-']);
            (if is_change { 100.0 + value } else { value }).max(0.0) as u32
        }
    };
    Some(percent.clamp(RATE_MIN, RATE_MAX))
}

/// White space collapsed, pauses at either end dropped, rates without words too.
fn tidy(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut tidied: Vec<Piece> = Vec::new();
    // A space is owed when the text before ended in one, or a pause parts two words.
    let mut space = false;
    for piece in pieces {
        match piece {
            Piece::Text(text) => {
                let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
                if words.is_empty() {
                    space |= !text.is_empty();
                    continue;
                }
                let gap = space || text.starts_with(char::is_whitespace);
                let follows = tidied.iter().any(|it| matches!(it, Piece::Text(_)));
                let words = if gap && follows { format!(" {words}") } else { words };
                space = text.ends_with(char::is_whitespace);
                match tidied.last_mut() {
                    Some(Piece::Text(before)) => before.push_str(&words),
                    _ => tidied.push(Piece::Text(words)),
                }
            }
            Piece::Pause(0) => space = true,
            Piece::Pause(ms) => {
                space = true;
                match tidied.last_mut() {
                    Some(Piece::Pause(before)) => *before = ms.max(*before),
                    Some(_) => tidied.push(Piece::Pause(ms)),
                    None => {}
                }
            }
            Piece::RateEnds if matches!(tidied.last(), Some(Piece::Rate(_))) => {
                tidied.pop();
            }
            other => tidied.push(other),
        }
    }
    while matches!(tidied.last(), Some(Piece::Pause(_))) {
        tidied.pop();
    }
    tidied
}

fn write(pieces: &[Piece]) -> String {
    if pieces.iter().all(|piece| matches!(piece, Piece::Text(_))) {
        let text = pieces.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            _ => None,
        });
        return text.collect();
    }
    let mut markup = String::from("<speak>");
    // Writing to a String cannot fail.
    for piece in pieces {
        match piece {
            Piece::Text(text) => markup.extend(text.chars().map(|character| match character {
                '&' => "&amp;".to_owned(),
                '<' => "&lt;".to_owned(),
                '>' => "&gt;".to_owned(),
                other => other.to_string(),
            })),
            Piece::Pause(ms) => drop(write!(markup, "<break time=\"{ms}ms\"/>")),
            Piece::Rate(percent) => drop(write!(markup, "<prosody rate=\"{percent}%\">")),
            Piece::RateEnds => markup.push_str("</prosody>"),
        }
    }
    markup.push_str("</speak>");
    markup
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(inside: &str) -> String {
        let xml = format!("<Speak>{inside}</Speak>");
        let tree = roxmltree::Document::parse(&xml).unwrap();
        let said = speech(tree.root_element());
        assert!(!said.starts_with("<speak>") || is_speech_markup(&said), "{said}");
        said
    }

    #[test]
    fn plain_text_and_markup_without_effect_stay_text() {
        for (inside, expected) in [
            ("\n  Tom &amp; <emphasis>Jerry</emphasis>\n  run ", "Tom & Jerry run"),
            ("<lang xml:lang='fr-FR'>oui</lang>, <w role='x'>read</w>", "oui, read"),
            ("<phoneme alphabet='ipa' ph='x'>pecan</phoneme><cont/>", "pecan"),
            ("<prosody volume='loud'>hi</prosody>", "hi"),
            ("<audio src='/etc/passwd'>a sound</audio>", "a sound"),
            ("un<emphasis>believ</emphasis>able", "unbelievable"),
            ("", ""),
            ("<break/>", ""),
        ] {
            assert_eq!(said(inside), expected, "{inside}");
        }
    }

    #[test]
    fn aliases_are_said_and_words_spelled() {
        assert_eq!(said("the <sub alias='World Wide Web'>WWW</sub> is"), "the World Wide Web is");
        assert_eq!(said("code <say-as interpret-as='characters'>a1b</say-as>."), "code A 1 B .");
        assert_eq!(said("<say-as interpret-as='digits'>1234</say-as>"), "1 2 3 4");
        assert_eq!(said("<say-as interpret-as='telephone'>+91 98</say-as>"), "+ 9 1 9 8");
        assert_eq!(said("<say-as interpret-as='date'>1 May</say-as>"), "1 May");
    }

    #[test]
    fn breaks_and_paragraphs_are_pauses() {
        assert_eq!(said("a<break time='2s'/>b"), "<speak>a<break time=\"2000ms\"/> b</speak>");
        assert_eq!(said("a <break time='250ms'/> b"), "<speak>a<break time=\"250ms\"/> b</speak>");
        assert_eq!(said("a<break strength='strong'/>b"), "<speak>a<break time=\"1000ms\"/> b</speak>");
        assert_eq!(said("<p>one</p><p>two</p>"), "<speak>one<break time=\"600ms\"/> two</speak>");
        assert_eq!(
            said("<p><s>a</s><s>b</s></p>c"),
            "<speak>a<break time=\"300ms\"/> b<break time=\"600ms\"/> c</speak>"
        );
        assert_eq!(said("a<break strength='none'/>b"), "a b");
    }

    #[test]
    fn pauses_are_bounded() {
        assert_eq!(said("a<break time='10s'/>b"), "<speak>a<break time=\"10000ms\"/> b</speak>");
        assert_eq!(said("a<break time='10001ms'/>b"), "<speak>a<break time=\"10000ms\"/> b</speak>");
        assert_eq!(said("a<break time='1e300s'/>b"), "<speak>a<break time=\"10000ms\"/> b</speak>");
        assert_eq!(said("a<break time='-1s'/>b"), "<speak>a<break time=\"500ms\"/> b</speak>");
    }

    #[test]
    fn rates_are_percentages_within_bounds() {
        for (written, percent) in [
            ("slow", 75),
            ("x-fast", 175),
            ("80%", 80),
            ("-20%", 80),
            ("+50%", 150),
            ("19%", 20),
            ("301%", 300),
            ("-500%", 20),
        ] {
            let expected = format!("<speak><prosody rate=\"{percent}%\">hi</prosody></speak>");
            assert_eq!(said(&format!("<prosody rate='{written}'>hi</prosody>")), expected, "{written}");
        }
        assert_eq!(said("<prosody rate='NaN%'>hi</prosody>"), "hi");
    }

    #[test]
    fn text_cannot_become_markup() {
        let trick = said("a<break/>&lt;audio src=\"x\"/&gt; &amp; b");
        assert_eq!(trick, "<speak>a<break time=\"500ms\"/> &lt;audio src=\"x\"/&gt; &amp; b</speak>");
    }

    #[test]
    fn foreign_markup_is_not_taken_for_ours() {
        for foreign in [
            "<speak><audio src='/etc/passwd'/></speak>",
            "<speak><break time='1s' strength='x'/></speak>",
            "<speak xml:base='x'>a</speak>",
            "<speak><prosody rate='fast'>a</prosody></speak>",
            "<speak><!-- a -->b</speak>",
            "<speak>a",
            "plain",
        ] {
            assert!(!is_speech_markup(foreign), "{foreign}");
        }
    }

    #[test]
    fn deep_nesting_is_only_text() {
        let deep = format!("{}hi{}", "<prosody rate='fast'>".repeat(40), "</prosody>".repeat(40));
        assert_eq!(said(&deep).matches("<prosody").count(), DEPTH_MAX);
    }
}
