//! KYC: hosted sessions of customers and sub-accounts, documents, erasure (REST reference §4, §5.6).

use tandem_model::ErrorCode::{
    Conflict, Internal, MailNotConfigured, NotFound, RateLimited, ValidationError, VerifierUnavailable,
};

use crate::api::openapi::operation::{Operation, delete, get, post};

const SESSION: &str =
    "{id:uuid account_auth_id:id customer_email? kyc_type:individual|company? status expires_at:time
  first_opened_at:time? completed_at:time? webhook_url? redirect_url? reminder_schedule:[{trigger value:int}]
  metadata:{}? verified_data:{}? created_at:time updated_at:time}";

const TERMS: &str = r#"flow_type:email|redirect="redirect" customer_email:str(254) redirect_url:url="https://shop.example/kyc/done"
  webhook_url:url="https://shop.example/kyc/events" expires_in_days:int(1..90)=7
  reminder_schedule:[{trigger:days_before_expiry| value:int}]=[{"trigger":"days_before_expiry","value":1}]
  metadata:{}={"order":"canary-7"}"#;

const CREATED: &str =
    "{session_id:uuid account_auth_id:id customer_email? email_dispatched_to? kyc_type? status
  expires_at:time widget_url? kyc_link? message}";

const CREATED_FOR_SUB: &str =
    "{session_id:uuid account_auth_id:id customer_email? status expires_at:time widget_url? message}";

const ERASED: &str = "{message account_auth_id:id sessions:int documents:int events:int}";

const RESULT: &str =
    "{verification_type:pan|gst|cin|aadhaar status:verified|failed|pending kyc_calls_blocked:bool}";
const MOCK: &str =
    "{verification_type:pan|gst|cin|aadhaar status:verified|failed|pending kyc_calls_blocked:bool mock:bool}";

/// List, create, read, revoke and resend below a prefix.
fn sessions(prefix: &str, named: &str, created: &str) -> Vec<Operation> {
    let list = format!("{prefix}/kyc-sessions");
    let one = format!("{prefix}/kyc-sessions/{{id}}");
    vec![
        get(&list, "List KYC sessions, newest first")
            .query("page:int(1..)=1 size:int(1..100)=20 status account_auth_id")
            .answers(200, &format!("{{sessions:[{SESSION}] total:int page:int size:int}}")),
        post(&list, "Start KYC: a link by e-mail, or to send people to")
            .note("A session that is still open is revoked without a word. The e-mail flow needs customer_email, the redirect flow redirect_url.")
            .body(&format!("{named} {TERMS}"))
            .answers(201, created)
            .refuses(&[NotFound, Conflict, MailNotConfigured])
            .refuses_as(422, ValidationError),
        get(&one, "Read a KYC session").answers(200, SESSION).refuses(&[NotFound]),
        delete(&one, "Revoke a KYC session: its link stops working at once")
            .body(r#"reason:str(500)="changed our mind""#)
            .answers(200, "{message session_id:uuid}")
            .refuses(&[NotFound, Conflict])
            .refuses_as(422, ValidationError),
        post(&format!("{one}/resend"), "Send the link once more")
            .note("429 with the seconds to wait, within 30 minutes of the last letter. Not for sessions of the redirect flow.")
            .answers(200, "{message session_id:uuid status email_dispatched_to}")
            .refuses(&[NotFound, Conflict, RateLimited, ValidationError]),
    ]
}

/// The documents, in real or in test mode.
fn documents(prefix: &str, test: bool) -> Vec<Operation> {
    let tag = if test { "KYC test mode" } else { "Sub-account KYC" };
    let result = if test { MOCK } else { RESULT };
    let at = |path: &str| format!("{prefix}/{path}");
    let pan = if test { r#"pan!:str(200)="TESTSUCCESS0001""# } else { r#"pan!:str(10)="ABCPE1234F""# };
    let request = if test {
        r#"access_request_id!:str(200)="MOCK_AR_SUCCESS" linked_number:str(13)="9800000001""#
    } else {
        r#"access_request_id!:str(200)="AR_6f0c3a522c554f0b9d0e8d7a4f3c1b77" linked_number:str(13)="9800000001""#
    };
    let operations = vec![
        post(&at("verify-pan"), "Verify a PAN").body(pan).answers(200, result),
        post(&at("verify-gst"), "Verify a GSTIN")
            .body(r#"gstin!:str(15)="27ABCPE1234F1Z5""#)
            .answers(200, result),
        post(&at("cin/search"), "Search companies by name")
            .body(r#"company_name!:str(200)="Lotus Dialers""#)
            .answers(200, "{matches:[{cin company_name* status*}]}"),
        post(&at("cin/confirm"), "Confirm a company of the search")
            .body(r#"company_name!:str(200)="Lotus Dialers" selected_cin!:str(200)="{cin}""#)
            .answers(200, result),
        post(&at("digilocker/initiate"), "Start a visit to DigiLocker")
            .body(r#"redirect_url!:url="https://shop.example/kyc" oauth_state:str(500)="xyz""#)
            .answers(200, "{auth_url:url access_request_id}"),
        post(&at("digilocker/verify"), "Verify with what DigiLocker gave").body(request).answers(200, result),
    ];
    let failing = if test { Internal } else { VerifierUnavailable };
    operations.into_iter().map(|operation| operation.tag(tag).refuses(&[NotFound, failing])).collect()
}

pub(super) fn entries() -> Vec<Operation> {
    let mut entries = sessions("/partner", r#"account_auth_id!:id="{customer}""#, CREATED);
    entries.push(
        delete("/partner/accounts/{auth_id}/kyc-data", "Erase what a customer showed")
            .tag("KYC sessions")
            .note("For good. Whether KYC is complete stays.")
            .answers(200, ERASED)
            .refuses(&[NotFound]),
    );
    entries.push(
        get("/sub-accounts/{sub_auth_id}/kyc/status", "Read what is verified of a sub-account")
            .answers(
                200,
                "{sub_account_id:id kyc_mode:personal_use|customer_use business_type overall_status
                kyc_calls_blocked:bool verifications:{pan gst cin aadhaar}}",
            )
            .refuses(&[NotFound]),
    );
    entries.extend(documents("/sub-accounts/{sub_auth_id}/kyc", false));
    entries.extend(sessions("/sub-accounts/{sub_auth_id}", "account_auth_id:any", CREATED_FOR_SUB));
    entries.push(
        delete("/sub-accounts/{sub_auth_id}/kyc-data", "Erase what was shown for a sub-account")
            .answers(200, ERASED)
            .refuses(&[NotFound]),
    );
    entries.extend(documents("/sub-accounts/test/{sub_auth_id}/kyc", true));
    entries.push(
        post("/sub-accounts/test/{sub_auth_id}/kyc/finalize-pending", "Decide what is pending in test mode")
            .tag("KYC test mode")
            .body(r#"verification_type!:pan|aadhaar|gst|cin="pan" outcome!:verified|failed="verified""#)
            .answers(200, MOCK)
            .refuses(&[NotFound, Conflict]),
    );
    entries
}
