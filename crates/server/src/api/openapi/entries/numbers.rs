//! Phone numbers (REST reference §6).

use tandem_model::ErrorCode::{InsufficientBalance, NotBuilt, NotFound, TrunkNotFound, ValidationError};

use crate::api::openapi::operation::{Operation, delete, get, post};

pub(super) const NUMBER: &str =
    "id:uuid account_id e164 country capabilities:{voice:bool sms:bool mms:bool fax:bool} status provider
  setup_fee:int monthly_fee:int currency voice_enabled:bool tags:[str] is_blocked:bool created_at:time updated_at:time
  is_trial_number:bool minimum_commitment_months:int aadhaar_verification_required:bool aadhaar_verified:bool region?";
pub(super) const OWNED: &str =
    "application_id? purchased_at:time last_billing_date:time? next_billing_date:time? source
  released_at:time? trunk_group_id?";

pub(super) fn entries() -> Vec<Operation> {
    let owned = format!("{{{NUMBER} {OWNED}}}");
    let application = super::applications::APPLICATION;
    let at = |path: &str| format!("/Account/{{auth_id}}/numbers{path}");
    let entries = vec![
        get("/Account/{auth_id}/inventory/numbers", "List numbers for sale")
            .note("search is part of the number, exclude leaves out prefixes with country code.")
            .query("country:str(2) region search exclude page:int(1..)=1 per_page:int(1..100)=25")
            .answers(200, &format!("{{items:[{{{NUMBER}}}] page:int per_page:int total:int}}")),
        get(&at(""), "List the account's numbers")
            .query("page:int(1..)=1 per_page:int(1..100)=25 search include_subaccounts:bool")
            .answers(200, &format!("{{items:[{owned}] page:int per_page:int total:int}}")),
        post(&at("/purchase-from-inventory"), "Buy a number")
            .note("Setup fee and first month are debited in the same step. number and phoneNumber are taken for e164.")
            .body(r#"e164!:e164="{spare_e164}" currency:str(3)="{currency}""#)
            .answers(200, &format!("{{message number:{owned}}}"))
            .refuses(&[NotFound, InsufficientBalance]),
        get(&at("/{e164}"), "Read a number").answers(200, &owned).refuses(&[NotFound]),
        delete(&at("/{e164}"), "Give a number back").answers(501, "").refuses(&[NotBuilt]),
        post(&at("/{e164}/application"), "Let an application steer a number's calls")
            .note("Another one is replaced. app_id is taken for application_id.")
            .body(r#"application_id!:str(32)="{app_id}""#)
            .answers(200, &format!("{{message number application:{{{application} api_id:uuid}}}}"))
            .refuses(&[NotFound]),
        delete(&at("/{e164}/application"), "Take the application from a number")
            .answers(200, "{message number}")
            .refuses(&[NotFound]),
        post(&at("/{e164}/assign"), "Send a number's calls to a trunk")
            .note("trunk_id is taken for trunk_group_id.")
            .body(r#"trunk_group_id!:uuid="{trunk_id}""#)
            .answers(204, "")
            .refuses(&[NotFound, TrunkNotFound, ValidationError]),
        delete(&at("/{e164}/assign"), "Take the trunk from a number").answers(204, "").refuses(&[NotFound]),
    ];
    entries.into_iter().map(|entry| entry.tag("Numbers")).collect()
}
