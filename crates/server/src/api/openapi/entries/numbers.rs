//! Phone numbers (REST reference §6).

use tandem_model::ErrorCode::{
    AccountMismatch, Conflict, InsufficientBalance, NotFound, PermissionMissing, TrunkNotFound,
    ValidationError,
};

use crate::api::openapi::operation::{Operation, delete, get, post, put};

pub(super) const NUMBER: &str =
    "id:uuid account_id e164 country capabilities:{voice:bool sms:bool mms:bool fax:bool} status provider
  setup_fee:num monthly_fee:num currency voice_enabled:bool tags:[str] is_blocked:bool created_at:time updated_at:time
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
        delete(&at("/{e164}"), "Give a number back")
            .note("Takes the release fee (700 INR unless the operator sets numbers.release_fee; accounts of another currency pay none) and detaches where the number led. For a day it can be cancelled; immediate=true ends it at once. Afterwards nobody can buy it for 45 days.")
            .query("immediate:bool")
            .answers(200, "{cancel_url cooldown_ends_at:time message note* release_fee:num status:pending_release|released}")
            .refuses(&[AccountMismatch, Conflict, InsufficientBalance]),
        post(&at("/{e164}/cancel-release"), "Cancel the release of a number")
            .note("While its window is open. The fee is refunded; what the number led to is not restored.")
            .answers(200, "{message status currency* refund_amount*:num refund_status*:success|failed}")
            .refuses(&[NotFound, ValidationError]),
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
    let entries = entries.into_iter().chain(beside(&at)).map(|entry| entry.tag("Numbers"));
    entries.chain(plivo().into_iter().map(|entry| entry.tag("Older number routes"))).collect()
}

const SNAPSHOT: &str =
    "{id ts:time total_calls:int answered_calls:int failed_calls:int answer_rate:num total_duration:int
  avg_duration:num total_minutes:num}";
const URLS: &str =
    "{number:e164 answer_url:url? answer_method:GET|POST input_url:url? input_method:GET|POST hangup_url:url?
  hangup_method:GET|POST}";

/// Whose it is, how it fares, what it is set to.
fn beside(at: &dyn Fn(&str) -> String) -> Vec<Operation> {
    vec![
        post(&at("/{e164}/assign-subaccount"), "Give a number to a sub-account")
            .note("A number that another sub-account has had calls on lately stays there: 409 did_cool_off_in_effect.")
            .body(r#"sub_account_id!:id="{sub_auth_id}""#)
            .answers(204, "")
            .refuses(&[NotFound, Conflict, PermissionMissing]),
        delete(&at("/{e164}/assign-subaccount"), "Take a number back from its sub-account")
            .note("Not within 15 days of a call. force is the operator's.")
            .query("force:bool")
            .answers(204, "")
            .refuses(&[NotFound, Conflict, PermissionMissing]),
        get(&at("/{e164}/health"), "Read how a number fares")
            .note("Its calls by the day (90 days at most) or by the hour (7 days).")
            .query("granularity:daily|hourly days:int(1..90)")
            .answers(
                200,
                &format!(
                    "{{e164:e164 status usage_status:active|idle|unused is_spam:bool granularity:daily|hourly
                    summary:{{period_days:int total_calls:int answered_calls:int answer_rate:num total_minutes:num
                      avg_duration:num}} snapshots:[{SNAPSHOT}]}}"
                ),
            )
            .refuses(&[NotFound]),
        get(&at("/{e164}/urls"), "Read a number's own URLs").answers(200, URLS).refuses(&[NotFound]),
        put(&at("/{e164}/urls"), "Steer a number's calls without an application")
            .note("The answer URL goes before an application and a trunk; what is gathered without an action goes to the input URL. What is not sent stays, null takes away.")
            .body(
                r#"answer_url:url="https://shop.example/answer" answer_method:GET|POST input_url:url input_method:GET|POST
                hangup_url:url hangup_method:GET|POST"#,
            )
            .answers(200, URLS)
            .refuses(&[NotFound]),
    ]
}

const PLIVO: &str = "number alias country region number_type type voice_enabled:bool sms_enabled:bool
  monthly_rental_rate:money setup_rate:money currency application? sub_account? status added_on? resource_uri";

/// What older clients ask for, over the same operations.
fn plivo() -> Vec<Operation> {
    let list = "/Account/{auth_id}/Number";
    let one = "/Account/{auth_id}/Number/{e164}";
    let meta = "meta:{limit:int next offset:int previous? total_count:int}";
    let bought = "{api_id:uuid message status numbers:[{number status}]}";
    let buy = |pattern: &str| {
        post(pattern, "Buy a number")
            .body(r#"app_id:str(32)="{app_id}""#)
            .answers(201, bought)
            .refuses(&[NotFound, InsufficientBalance])
    };
    vec![
        get(list, "List the account's numbers, newest first")
            .query("limit:int(1..100)=20 offset:int(0..)=0 search")
            .answers(200, &format!("{{api_id:uuid {meta} objects:[{{{PLIVO}}}]}}")),
        post(list, "Buy a number named in the body")
            .body(r#"number!:e164="{spare_e164}" app_id:str(32)="{app_id}""#)
            .answers(201, bought)
            .refuses(&[NotFound, InsufficientBalance]),
        get(one, "Read a number").answers(200, &format!("{{{PLIVO} api_id:uuid}}")).refuses(&[NotFound]),
        post(one, "Let another application steer a number's calls")
            .body(r#"app_id:str(32)="{app_id}""#)
            .answers(202, "{api_id:uuid message}")
            .refuses(&[NotFound]),
        delete(one, "Begin the release of a number").answers(204, "").refuses(&[
            AccountMismatch,
            Conflict,
            InsufficientBalance,
        ]),
        get("/Account/{auth_id}/PhoneNumber", "List numbers for sale")
            .query("country_iso:str(2) region pattern limit:int(1..100)=20 offset:int(0..)=0")
            .answers(200, &format!("{{api_id:uuid {meta} objects:[{{{PLIVO}}}]}}")),
        buy("/Account/{auth_id}/PhoneNumber/{e164}"),
        buy("/Account/{auth_id}/AvailablePrefix/{e164}"),
    ]
}
