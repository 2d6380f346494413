//! The page's words. A key that is missing in one language is a missing constant: both stand side by side.

use std::collections::BTreeMap;

/// The languages of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    English,
    Hindi,
}

impl Language {
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Hindi => "hi",
        }
    }

    pub(super) fn of(code: &str) -> Option<Self> {
        match code {
            "en" => Some(Self::English),
            "hi" => Some(Self::Hindi),
            _ => None,
        }
    }

    /// By `Accept-Language`: Hindi when it stands before English.
    pub(super) fn accepted(header: &str) -> Self {
        let first = header.split(',').find_map(|entry| Self::of(entry.trim().get(..2)?));
        first.unwrap_or(Self::English)
    }
}

/// One word or sentence in both languages.
#[rustfmt::skip]
const WORDS: &[(&str, &str, &str)] = &[
    ("title", "Identity verification", "पहचान सत्यापन"),
    ("skip", "Skip to the form", "सीधे फ़ॉर्म पर जाएँ"),
    ("language", "Language", "भाषा"),
    ("asked_by", "Requested by", "अनुरोधकर्ता"),
    ("step", "Step", "चरण"),
    ("of", "of", "में से"),
    ("errors", "Please correct the following", "कृपया इन्हें ठीक करें"),
    ("continue", "Continue", "आगे बढ़ें"),
    ("never", "We never ask for your full Aadhaar number or an OTP on this page.", "इस पृष्ठ पर हम आपसे पूरा आधार नंबर या OTP कभी नहीं माँगते।"),
    ("pan_heading", "Your PAN", "आपका PAN"),
    ("pan_intro", "Enter the permanent account number of the person or organisation to be verified. Its fourth letter tells us which of the two it is.", "जिस व्यक्ति या संस्था का सत्यापन होना है, उसका स्थायी खाता संख्या (PAN) लिखें। इसका चौथा अक्षर बताता है कि यह व्यक्ति का है या संस्था का।"),
    ("pan_label", "PAN", "PAN"),
    ("pan_hint", "Ten characters, such as ABCPE1234F", "दस अक्षर, जैसे ABCPE1234F"),
    ("pan_wrong", "Enter a PAN of ten characters, such as ABCPE1234F.", "दस अक्षरों का PAN लिखें, जैसे ABCPE1234F।"),
    ("consent", "I agree that these details are checked with the issuing authorities for this verification only.", "मैं सहमत हूँ कि इन विवरणों की जाँच केवल इस सत्यापन के लिए जारी करने वाले प्राधिकरणों से की जाए।"),
    ("consent_wrong", "We need your consent to go on.", "आगे बढ़ने के लिए आपकी सहमति ज़रूरी है।"),
    ("person_heading", "About you", "आपके बारे में"),
    ("person_intro", "Exactly as they stand on the PAN card.", "बिल्कुल वैसे ही लिखें जैसे PAN कार्ड पर है।"),
    ("name_label", "Full name", "पूरा नाम"),
    ("name_wrong", "Enter the name, at most 100 characters.", "नाम लिखें, अधिकतम 100 अक्षर।"),
    ("birth_label", "Date of birth", "जन्म तिथि"),
    ("birth_wrong", "Enter a date of birth; you must be 18 or older.", "जन्म तिथि लिखें; आयु 18 वर्ष या अधिक होनी चाहिए।"),
    ("company_heading", "About the organisation", "संस्था के बारे में"),
    ("company_intro", "The registered name, exactly as on the PAN card.", "पंजीकृत नाम, बिल्कुल जैसा PAN कार्ड पर है।"),
    ("entity_label", "Registered name", "पंजीकृत नाम"),
    ("other_pan", "Use another PAN", "दूसरा PAN लिखें"),
    ("gst_heading", "GST registration", "GST पंजीकरण"),
    ("gst_intro", "The GSTIN of the organisation. It contains the PAN you entered.", "संस्था का GSTIN लिखें। इसमें आपका लिखा हुआ PAN शामिल होता है।"),
    ("gst_label", "GSTIN", "GSTIN"),
    ("gst_hint", "Fifteen characters", "पंद्रह अक्षर"),
    ("gst_wrong", "Enter a valid GSTIN of fifteen characters.", "पंद्रह अक्षरों का मान्य GSTIN लिखें।"),
    ("gst_other", "This GSTIN belongs to another PAN.", "यह GSTIN किसी दूसरे PAN का है।"),
    ("digi_heading", "Aadhaar through DigiLocker", "DigiLocker से आधार"),
    ("digi_intro", "DigiLocker, the government's document service, asks for your consent and shares your name, date of birth and address with us. Your Aadhaar number is not shared.", "सरकार की दस्तावेज़ सेवा DigiLocker आपकी सहमति लेकर आपका नाम, जन्म तिथि और पता हमें देती है। आपका आधार नंबर साझा नहीं होता।"),
    ("digi_begin", "Prepare DigiLocker", "DigiLocker तैयार करें"),
    ("digi_go", "Go to DigiLocker", "DigiLocker पर जाएँ"),
    ("digi_leave", "You leave this page and come back to it afterwards.", "आप इस पृष्ठ से जाएँगे और बाद में यहीं लौटेंगे।"),
    ("digi_again", "Begin again", "फिर से शुरू करें"),
    ("digi_denied", "DigiLocker was not allowed to share your document. You can try again.", "DigiLocker को दस्तावेज़ साझा करने की अनुमति नहीं मिली। आप फिर कोशिश कर सकते हैं।"),
    ("aadhaar_heading", "Aadhaar", "आधार"),
    ("aadhaar_intro", "Your name as on the Aadhaar card, and only the last four digits of its number. A person will check them.", "आधार कार्ड पर लिखा नाम और नंबर के केवल अंतिम चार अंक। इनकी जाँच एक व्यक्ति करेगा।"),
    ("four_label", "Last four digits of the Aadhaar number", "आधार नंबर के अंतिम चार अंक"),
    ("four_wrong", "Enter the last four digits only.", "केवल अंतिम चार अंक लिखें।"),
    ("aadhaar_full", "Never enter your full Aadhaar number. We did not keep it.", "अपना पूरा आधार नंबर कभी न लिखें। हमने इसे नहीं रखा है।"),
    ("refused", "This could not be verified. Check it against the document and try again.", "इसका सत्यापन नहीं हो सका। दस्तावेज़ से मिलाकर फिर कोशिश करें।"),
    ("tries_left", "Attempts left:", "शेष प्रयास:"),
    ("unavailable", "The verification service does not answer. Nothing was lost; try again in a minute.", "सत्यापन सेवा उत्तर नहीं दे रही है। कुछ भी खोया नहीं है; एक मिनट में फिर कोशिश करें।"),
    ("busy", "Something failed on our side. Nothing was lost; try again in a minute.", "हमारी ओर कुछ गड़बड़ हुई। कुछ भी खोया नहीं है; एक मिनट में फिर कोशिश करें।"),
    ("stale_form", "This form is out of date. Please fill it in again.", "यह फ़ॉर्म पुराना हो गया है। कृपया फिर से भरें।"),
    ("waiting_heading", "Under review", "समीक्षा जारी है"),
    ("waiting_text", "Thank you. Everything has been submitted and is being checked. You can close this page; the requester will be told.", "धन्यवाद। सब कुछ जमा हो गया है और जाँच चल रही है। आप यह पृष्ठ बंद कर सकते हैं; अनुरोधकर्ता को सूचना मिल जाएगी।"),
    ("done_heading", "You are verified", "आपका सत्यापन पूरा हुआ"),
    ("done_text", "Thank you. Nothing more is needed.", "धन्यवाद। अब और कुछ नहीं चाहिए।"),
    ("failed_heading", "Verification failed", "सत्यापन नहीं हो सका"),
    ("failed_text", "The details could not be verified. Please ask the requester for a new link.", "विवरणों का सत्यापन नहीं हो सका। कृपया अनुरोधकर्ता से नया लिंक माँगें।"),
    ("over_heading", "This link no longer works", "यह लिंक अब काम नहीं करता"),
    ("over_text", "It has expired, was replaced by a newer one, or is incomplete. Please ask the requester for a new link.", "इसकी अवधि समाप्त हो गई है, इसकी जगह नया लिंक आ गया है, या यह अधूरा है। कृपया अनुरोधकर्ता से नया लिंक माँगें।"),
    ("back", "Back to the requester's site", "अनुरोधकर्ता की साइट पर लौटें"),
    ("back_soon", "You will be taken back in a few seconds.", "कुछ ही सेकंड में आपको वापस ले जाया जाएगा।"),
    ("until", "The link works until", "लिंक इस समय तक चलेगा:"),
];

/// Every word of a language by its key.
pub(super) fn words(language: Language) -> BTreeMap<&'static str, &'static str> {
    WORDS
        .iter()
        .map(|(key, english, hindi)| (*key, if language == Language::English { *english } else { *hindi }))
        .collect()
}

/// One word.
pub(super) fn word(language: Language, key: &str) -> &'static str {
    words(language).get(key).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_unique_and_hindi_is_written_in_devanagari() {
        assert_eq!(words(Language::English).len(), WORDS.len());
        let latin = ["PAN", "GSTIN"];
        for (key, _, hindi) in WORDS {
            let devanagari = hindi.chars().any(|c| ('\u{900}'..='\u{97f}').contains(&c));
            assert!(devanagari || latin.contains(hindi), "{key}");
        }
    }

    #[test]
    fn the_browsers_first_known_language_is_taken() {
        assert_eq!(Language::accepted("hi-IN,en;q=0.8"), Language::Hindi);
        assert_eq!(Language::accepted("fr,en-US"), Language::English);
        assert_eq!(Language::accepted(""), Language::English);
    }
}
