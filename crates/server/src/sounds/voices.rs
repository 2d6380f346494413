//! What is asked for, and the nearest that espeak-ng has. An unknown language never fails: a caller
//! would rather hear an accent than silence.

/// Tags whose nearest voice is not simply their primary language. Voices are named by their file:
/// espeak-ng drops the variant (`+f3`) of a voice named by another of its tags, such as `en-gb`.
const SPECIAL: &[(&str, &str)] = &[
    ("arb", "ar"),
    ("cmn-cn", "cmn"),
    ("cmn-hans-cn", "cmn"),
    ("cmn-hant-tw", "cmn"),
    ("en-au", "en"),
    ("en-gb", "en"),
    ("en-gb-wls", "en"),
    ("en-ie", "en"),
    ("en-in", "en"),
    ("en-nz", "en"),
    ("en-sg", "en"),
    ("en-za", "en"),
    ("es-mx", "es-419"),
    ("es-us", "es-419"),
    ("fr-be", "fr-BE"),
    ("fr-ch", "fr-CH"),
    ("pt-br", "pt-BR"),
    ("zh-hk", "yue"),
];

/// Primary languages whose voice has another name.
const RENAMED: &[(&str, &str)] =
    &[("arb", "ar"), ("en", "en-US"), ("iw", "he"), ("ji", "he"), ("nn", "nb"), ("no", "nb"), ("zh", "cmn")];

/// Primary languages espeak-ng has a voice for under their own name.
const SPOKEN: &[&str] = &[
    "af", "am", "an", "ar", "as", "az", "be", "bg", "bn", "bs", "ca", "cmn", "cs", "cy", "da", "de", "el",
    "eo", "es", "et", "eu", "fa", "fi", "fr", "ga", "gd", "gu", "he", "hi", "hr", "hu", "hy", "id", "is",
    "it", "ja", "ka", "kk", "kn", "ko", "kok", "ku", "ky", "la", "lb", "lt", "lv", "mk", "ml", "mr", "ms",
    "mt", "my", "nb", "ne", "nl", "om", "or", "pa", "pl", "pt", "ro", "ru", "sd", "si", "sk", "sl", "sq",
    "sr", "sv", "sw", "ta", "te", "th", "tk", "tn", "tr", "tt", "ug", "uk", "ur", "uz", "vi", "yue",
];

/// When nothing is near.
const DEFAULT: &str = "en-US";

/// Amazon Polly's men, whom applications name as `Polly.<Name>`; all others are women.
const MEN: &[&str] = &[
    "adriano",
    "andres",
    "arthur",
    "brian",
    "cristiano",
    "daniel",
    "enrique",
    "geraint",
    "giorgio",
    "gregory",
    "hans",
    "jacek",
    "jan",
    "joey",
    "justin",
    "karl",
    "kevin",
    "liam",
    "mads",
    "mathieu",
    "matthew",
    "maxim",
    "miguel",
    "ola",
    "pedro",
    "remi",
    "ricardo",
    "ruben",
    "russell",
    "sergio",
    "stephen",
    "takumi",
    "thiago",
];

/// The espeak-ng voice for a language tag and a voice name.
pub(super) fn espeak_voice(language: &str, voice: &str) -> String {
    format!("{}+{}", base(language), variant(voice))
}

fn base(language: &str) -> &'static str {
    let tag = language.trim().to_ascii_lowercase().replace('_', "-");
    let primary = tag.split('-').next().unwrap_or_default();
    let look_up =
        |table: &[(&str, &'static str)], key: &str| table.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
    look_up(SPECIAL, &tag)
        .or_else(|| look_up(RENAMED, primary))
        .or_else(|| SPOKEN.iter().copied().find(|spoken| *spoken == primary))
        .unwrap_or(DEFAULT)
}

fn variant(voice: &str) -> &'static str {
    let voice = voice.trim().to_ascii_lowercase();
    let name = voice.rsplit('.').next().unwrap_or_default();
    let name = name.strip_suffix("-neural").unwrap_or(name);
    if name == "man" || name == "male" || MEN.contains(&name) { "m3" } else { "f3" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_language_has_a_voice_and_unknown_ones_the_nearest() {
        for (language, voice, expected) in [
            ("en-US", "WOMAN", "en-US+f3"),
            ("en-US", "MAN", "en-US+m3"),
            ("en-GB", "man", "en+m3"),
            ("en-IN", "WOMAN", "en+f3"),
            ("hi-IN", "WOMAN", "hi+f3"),
            ("ta-IN", "", "ta+f3"),
            ("te-IN", "WOMAN", "te+f3"),
            ("kn-IN", "WOMAN", "kn+f3"),
            ("pt-BR", "WOMAN", "pt-BR+f3"),
            ("pt-PT", "MAN", "pt+m3"),
            ("fr-CA", "WOMAN", "fr+f3"),
            ("es-US", "MAN", "es-419+m3"),
            ("nb-NO", "WOMAN", "nb+f3"),
            ("cmn-CN", "WOMAN", "cmn+f3"),
            ("yue-CN", "WOMAN", "yue+f3"),
            ("arb", "WOMAN", "ar+f3"),
            ("ja_JP", "WOMAN", "ja+f3"),
            ("de", "Polly.Hans", "de+m3"),
            ("en-US", "Polly.Joanna-Neural", "en-US+f3"),
            ("en-XX", "WOMAN", "en-US+f3"),
            ("xx-YY", "WOMAN", "en-US+f3"),
            ("", "", "en-US+f3"),
        ] {
            assert_eq!(espeak_voice(language, voice), expected, "{language} {voice}");
        }
    }
}
