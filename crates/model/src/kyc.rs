//! The words of KYC: documents, what became of them, the life of a session, and which documents a kind of
//! business needs. Pure words; who checks a document and who may ask stands elsewhere.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word on the wire and in the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The word read back.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// A document that somebody can verify.
    Document {
        /// Permanent account number of the income tax department.
        Pan = "pan",
        /// GST identification number.
        Gst = "gst",
        /// Corporate identification number.
        Cin = "cin",
        /// Aadhaar, through DigiLocker; its number is never taken.
        Aadhaar = "aadhaar",
    }
}

words! {
    /// What became of a document.
    CheckState {
        /// Somebody is still looking.
        Pending = "pending",
        /// It is what it claims to be.
        Verified = "verified",
        /// It is not.
        Failed = "failed",
    }
}

words! {
    /// Where a hosted session stands.
    SessionStatus {
        /// The link was mailed.
        EmailSent = "email_sent",
        /// The link was handed out.
        LinkReady = "link_ready",
        /// Somebody opened it.
        Opened = "opened",
        /// A document was given.
        InProgress = "in_progress",
        /// Everything is verified. Final.
        Completed = "kyc_completed",
        /// A document was refused for good. Final.
        Failed = "kyc_failed",
        /// Its time ran out. Final.
        Expired = "expired",
        /// Taken back, or replaced by a newer one. Final.
        Revoked = "revoked",
    }
}

impl SessionStatus {
    /// Nothing changes any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Expired | Self::Revoked)
    }
}

words! {
    /// Who a session is about, told by the PAN's fourth letter.
    KycType {
        /// A person.
        Individual = "individual",
        /// Anything else that has a PAN.
        Company = "company",
    }
}

words! {
    /// What kind of business an account is.
    BusinessType {
        /// A person.
        Individual = "individual",
        /// One person's business.
        Proprietorship = "proprietorship",
        /// Ltd., not listed.
        PrivateLimited = "private_limited",
        /// Limited liability partnership.
        Llp = "llp",
        /// Partnership.
        Partnership = "partnership",
        /// Ltd.
        PublicLimited = "public_limited",
        /// Trust.
        Trust = "trust",
        /// Society.
        Society = "society",
        /// Hindu undivided family.
        Huf = "huf",
        /// Part of a government.
        Government = "government",
    }
}

impl BusinessType {
    /// What it must show: every entry, each by any one of its documents.
    pub const fn required(self) -> &'static [&'static [Document]] {
        match self {
            Self::Individual | Self::Proprietorship | Self::Huf => &[&[Document::Pan], &[Document::Aadhaar]],
            Self::PrivateLimited
            | Self::PublicLimited
            | Self::Llp
            | Self::Partnership
            | Self::Trust
            | Self::Society
            | Self::Government => &[&[Document::Pan], &[Document::Gst, Document::Cin]],
        }
    }

    /// What all documents come to: failed while one is, verified once nothing required is missing.
    pub fn overall(self, states: &[(Document, CheckState)]) -> Option<CheckState> {
        let of =
            |document: Document| states.iter().find(|(given, _)| *given == document).map(|(_, state)| *state);
        if states.iter().any(|(_, state)| *state == CheckState::Failed) {
            return Some(CheckState::Failed);
        }
        let shown = |any: &&[Document]| any.iter().any(|one| of(*one) == Some(CheckState::Verified));
        if self.required().iter().all(shown) {
            return Some(CheckState::Verified);
        }
        (!states.is_empty()).then_some(CheckState::Pending)
    }
}

/// A permanent account number: five letters, four digits, a letter; the fourth letter says whose.
#[derive(Clone, PartialEq, Eq)]
pub struct Pan(String);

impl Pan {
    /// Parses, in any case, spaces around it allowed.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_uppercase();
        let bytes = text.as_bytes();
        let letters = |range: &[u8]| range.iter().all(u8::is_ascii_uppercase);
        let [head @ .., last] = bytes else { return None };
        let (first, digits) = head.split_at_checked(5)?;
        let good = letters(first)
            && digits.len() == 4
            && digits.iter().all(u8::is_ascii_digit)
            && last.is_ascii_uppercase();
        (good && b"PCHFATBLJGK".contains(&first[3])).then_some(Self(text))
    }

    /// Whose it is.
    pub fn kind(&self) -> KycType {
        if self.0.as_bytes().get(3) == Some(&b'P') { KycType::Individual } else { KycType::Company }
    }

    /// In full. Not for logs.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Pan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pan(…)")
    }
}

/// A GSTIN: two digits of the state, the PAN, an entity digit, `Z`, a check character over all before it.
pub fn parse_gstin(text: &str) -> Option<String> {
    const ALPHABET: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let text = text.trim().to_ascii_uppercase();
    if text.len() != 15 || !text.is_ascii() {
        return None;
    }
    let (state, rest) = text.split_at(2);
    let good = state.bytes().all(|byte| byte.is_ascii_digit()) && Pan::parse(&rest[..10]).is_some();
    let mut sum = 0;
    for (index, byte) in text.bytes().take(14).enumerate() {
        let value = ALPHABET.iter().position(|letter| *letter == byte)?;
        let product = value * (1 + index % 2);
        sum += product / 36 + product % 36;
    }
    let check = ALPHABET[(36 - sum % 36) % 36];
    (good && text.as_bytes()[14] == check).then_some(text)
}

/// Whether a text holds what could be a full Aadhaar number: twelve digits, spaces or dashes between, not beginning
/// with 0 or 1, with a good Verhoeff check digit. Such a text is refused wherever it is typed.
pub fn holds_aadhaar(text: &str) -> bool {
    let mut run: Vec<u8> = Vec::new();
    for character in text.chars().chain(std::iter::once('\n')) {
        match character.to_digit(10) {
            Some(digit) => run.push(digit as u8),
            None if matches!(character, ' ' | '-') => {}
            None => {
                if is_aadhaar(&run) {
                    return true;
                }
                run.clear();
            }
        }
    }
    false
}

fn is_aadhaar(digits: &[u8]) -> bool {
    digits.len() == 12 && digits[0] > 1 && verhoeff(digits)
}

/// The Verhoeff check over the dihedral group of ten elements.
fn verhoeff(digits: &[u8]) -> bool {
    const PRODUCT: [[u8; 10]; 10] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
        [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
        [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
        [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
        [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
        [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
        [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
        [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
        [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    ];
    const PERMUTATION: [[u8; 10]; 8] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
        [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
        [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
        [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
        [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
        [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
        [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
    ];
    let mut check = 0;
    for (index, digit) in digits.iter().rev().enumerate() {
        check = PRODUCT[usize::from(check)][usize::from(PERMUTATION[index % 8][usize::from(*digit)])];
    }
    check == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pan_says_whose_it_is_and_prints_nothing() {
        assert_eq!(Pan::parse(" abcpe1234f ").map(|pan| pan.kind()), Some(KycType::Individual));
        assert_eq!(Pan::parse("AAACT2727Q").map(|pan| pan.kind()), Some(KycType::Company));
        for text in ["", "ABCPE1234", "ABCPE12345", "ABCZE1234F", "ABCPE1234FF", "12345ABCDE", "ABCPÉ123F"] {
            assert!(Pan::parse(text).is_none(), "{text}");
        }
        assert!(!format!("{:?}", Pan::parse("ABCPE1234F")).contains("1234"));
    }

    #[test]
    fn a_gstin_is_told_by_its_check_character() {
        assert_eq!(parse_gstin("27aapfu0939f1zv").as_deref(), Some("27AAPFU0939F1ZV"));
        assert!(parse_gstin("27AAPFU0939F1ZW").is_none());
        assert!(parse_gstin("27AAPFU0939F1Z").is_none());
    }

    #[test]
    fn a_full_aadhaar_number_is_recognised_however_it_is_spaced() {
        // The UIDAI's own published test numbers.
        for text in ["999941057058", "9999 4105 7058", "no. 9999-3311-9405!"] {
            assert!(holds_aadhaar(text), "{text}");
        }
        for text in ["7058", "999941057059", "9999410570581", "+919812345678 x", "1234"] {
            assert!(!holds_aadhaar(text), "{text}");
        }
    }

    #[test]
    fn one_failed_document_holds_everything_up() {
        use CheckState::*;
        use Document::*;
        let company = BusinessType::PrivateLimited;
        assert_eq!(company.overall(&[]), None);
        assert_eq!(company.overall(&[(Pan, Verified)]), Some(Pending));
        assert_eq!(company.overall(&[(Pan, Verified), (Cin, Verified)]), Some(Verified));
        assert_eq!(company.overall(&[(Pan, Verified), (Cin, Verified), (Gst, Failed)]), Some(Failed));
        let person = BusinessType::Huf;
        assert_eq!(person.overall(&[(Pan, Verified), (Gst, Verified)]), Some(Pending));
        assert_eq!(person.overall(&[(Pan, Verified), (Aadhaar, Verified)]), Some(Verified));
    }

    #[test]
    fn words_are_read_back() {
        for status in SessionStatus::ALL {
            assert_eq!(SessionStatus::parse(status.as_str()), Some(*status));
        }
        assert_eq!(Document::parse("passport"), None);
    }
}
