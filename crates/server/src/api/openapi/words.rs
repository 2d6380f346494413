//! The texts that families of operations print in `error` instead of a code of the catalogue, as programs written for
//! Vobiz read them. Whoever adds one says here what it stands for; a test reads the handlers and demands it.

use tandem_model::ErrorCode::{self, *};

/// The status of a word that several statuses print.
pub(crate) const SEVERAL: u16 = 0;

/// A text of `error`.
pub(crate) struct Word {
    pub(crate) text: &'static str,
    pub(crate) status: u16,
    /// What it is an instance of.
    pub(crate) code: ErrorCode,
    pub(crate) says: &'static str,
}

const fn word(text: &'static str, status: u16, code: ErrorCode, says: &'static str) -> Word {
    Word { text, status, code, says }
}

/// Every one.
pub(crate) const WORDS: &[Word] = &[
    word("invalid request parameters", 400, ValidationError, "fields are wrong: `details` names each"),
    word(
        "invalid request",
        400,
        ValidationError,
        "the number cannot do that as it stands: `message` says why",
    ),
    word("invalid_request", 400, ValidationError, "money cannot be moved so"),
    word("invalid_amount", 400, ValidationError, "`amount` is no positive amount"),
    word("currency_mismatch", 400, ValidationError, "not the currency of both accounts"),
    word("insufficient_balance", 400, InsufficientBalance, "the partner has less than it gives"),
    word("insufficient_capacity", 400, ValidationError, "fewer channels are there than asked for"),
    word("no_pricing_tier", 400, ValidationError, "capacity has no price in the account's currency"),
    word("number is not pending release", 400, ValidationError, "there is no release to cancel"),
    word("invalid_credentials", 401, InvalidCredentials, "wrong e-mail address or password of a partner"),
    word("forbidden", 403, CapabilityMissing, "the partner lacks a capability, or the number is another's"),
    word("max_accounts_reached", 403, CapabilityMissing, "the partner has all the customers it may have"),
    word(
        "max_sub_accounts_reached",
        403,
        CapabilityMissing,
        "the account has all the sub-accounts it may have",
    ),
    word("not_found", 404, NotFound, "nothing of that name"),
    word("account_not_found", 404, NotFound, "no customer of this partner"),
    word("parent_account_not_found", 404, NotFound, "no account of this caller"),
    word("sub_account_not_found", 404, NotFound, "no sub-account of this account"),
    word("Sub-account not found", 404, NotFound, "no sub-account of this account"),
    word("payment_not_found", 404, NotFound, "no payment of this account"),
    word("Application not found", 404, NotFound, "no application of this account"),
    word("CDR not found", 404, NotFound, "no record of that call yet, or not this account's"),
    word("call not found", 404, NotFound, "no such call now: ended ones are records"),
    word("Credential not found", 404, NotFound, "no credential of this account"),
    word("Endpoint not found", 404, NotFound, "no endpoint of this account"),
    word("IP ACL not found", 404, NotFound, "no access entry of this account"),
    word("Number not assigned", 404, NotFound, "the number leads to no trunk or sub-account"),
    word("Number not found", 404, NotFound, "no number of this account"),
    word("number not found", 404, NotFound, "no number of this account"),
    word("Origination URI not found", 404, NotFound, "no origination URI of this account"),
    word("Recording not found", 404, NotFound, "no recording of this account, or its file is elsewhere"),
    word("METHOD_NOT_ALLOWED", 405, NotFound, "the path takes other methods: see `Allow`"),
    word("email_taken", 409, Conflict, "an account has that e-mail address"),
    word("already_owned", 409, Conflict, "the account has that number"),
    word("Username already exists for this trunk", 409, DuplicateUsername, "choose another"),
    word("username already exists", 409, DuplicateUsername, "choose another"),
    word("Cannot delete application", 409, Conflict, "numbers or endpoints use it"),
    word("amount_mismatch", 409, Conflict, "the provider speaks of another amount"),
    word("sub_account_in_use", 409, Conflict, "it has live calls"),
    word("release_pending", 409, Conflict, "the number is being given back"),
    word("minimum_commitment", 409, Conflict, "the number is bound for some months"),
    word("did_cool_off_in_effect", 409, Conflict, "the number had calls lately and stays where it is"),
    word("SECRET_ALREADY_SHOWN", 410, Conflict, "rotate the secret to see one"),
    word("changed_meanwhile", 409, Conflict, "others change it at the same time: try again"),
    word("HTTPError", SEVERAL, ValidationError, "KYC: the status and `message` say what"),
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Every text written out in a handler's `.word("…")`.
    fn written(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                written(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let calls = text.lines().filter(|line| !line.trim_start().starts_with("//"));
                let words = calls.flat_map(|line| line.split(".word(\"").skip(1).map(str::to_owned));
                found.extend(words.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
            }
        }
    }

    #[test]
    fn every_word_of_a_handler_is_explained_once() {
        let mut found = Vec::new();
        written(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api"), &mut found);
        assert!(found.len() > 30, "{found:?}");
        for text in found.iter().filter(|text| !text.is_empty() && !text.contains('\u{2026}')) {
            let explained = WORDS.iter().filter(|word| word.text == text).count();
            assert_eq!(explained, 1, "{text:?} of a handler is to be in openapi/words.rs once");
        }
    }
}
