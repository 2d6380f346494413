//! A partner and its customers (REST reference §5).

use tandem_model::ErrorCode::{CapabilityMissing, Conflict, InsufficientBalance, NotFound, ValidationError};

use crate::api::openapi::operation::{Operation, get, post};

/// The profile but for the balance.
pub(super) const PROFILE: &str =
    "id:uuid account_id:int name slug company auth_id:id email phone billing_model is_active:bool
  is_verified:bool max_accounts:int can_create_accounts:bool can_create_pricing_tiers:bool can_view_cdrs:bool
  can_transfer_balance:bool default_pricing_tier_id account_count:int created_at:time updated_at:time";

const CUSTOMER: &str = "{name email phone description? gstin? gst_status? tds_enabled:bool tds_percentage:int business_type
  id auth_id:id api_id:uuid account_type role postpaid:bool address? city? state? timezone? country zip_code? company
  billing_mode auto_recharge:bool cash_credits:money cps_limit:int concurrent_calls_limit:int base_cps_limit:int?
  base_concurrent_calls_limit:int? purchased_cps:int? purchased_concurrent_calls:int? is_active:bool is_verified:bool
  is_trial_account:bool enabled:bool kyc_status google_id? referral_code? referral_disabled:bool
  custom_referrer_reward_amount:num? custom_referee_reward_amount:num? created_at:time updated_at:time last_login:time?
  pricing_tier_id pricing_tier:{id name currency rate_per_minute:num streaming_rate_per_minute:num
  recording_rate_per_minute:num whatsapp_voice_rate:num transcription_rate_per_minute:num
  pii_redaction_rate_per_minute:num charge_non_connected_calls:bool non_connected_call_fee:num did_release_fee:int
  is_active:bool is_default:bool partner_id?} partner_id auto_recharge_config:{}? resource_uri auth_token}";

pub(super) fn entries() -> Vec<Operation> {
    vec![
        get("/partner/me", "Read the partner's profile, capabilities and balance").answers(200, &format!("{{{PROFILE} balance:money}}")),
        get("/partner/accounts", "List customers, newest first")
            .note("search is part of a name or e-mail address.")
            .query("page:int(1..)=1 per_page:int(1..100)=20 search")
            .answers(200, &format!("{{accounts:[{CUSTOMER}] total:int page:int size:int}}")),
        post("/partner/accounts", "Create a customer")
            .note(
                "It starts with no money and KYC pending; its currency is its country's. The password has a digit and a \
                 special character.",
            )
            .body(
                r#"name!:str(200)="Anita Rao" email!:email="new.{email}" phone!:e164="+919800000001"
                password!:str(128)="Change-me-1" country!:str(2)="IN" company:str(200)="Shop Example"
                description:str(500) address:str(200) city:str(200) state:str(200) zip_code:str(200) timezone:str(64)
                gstin:str(200) gst_status:str(200) account_type:str(200)"#,
            )
            .answers(
                201,
                "{auth_id:id auth_token name email status balance:num currency country created_at:time}",
            )
            .refuses(&[Conflict])
            .refuses_as(422, ValidationError),
        get("/partner/accounts/{auth_id}", "Read a customer, its auth_token included")
            .answers(200, CUSTOMER)
            .refuses(&[NotFound]),
        get("/partner/accounts/{auth_id}/balance", "Read a customer's balance")
            .answers(200, "{auth_id:id name cash_credits:money currency updated_at:time}")
            .refuses(&[NotFound]),
        post("/partner/accounts/{auth_id}/transfer-balance", "Give money to a customer")
            .note("At once and for good; both ledgers show it.")
            .body(r#"amount!:num=1000 currency!:str(3)="{currency}" description:str(500)="March""#)
            .answers(
                200,
                "{transaction_id from_account:id to_account:id amount:num currency description status
                partner_balance_after:num customer_balance_after:num timestamp:time}",
            )
            .refuses(&[NotFound, CapabilityMissing])
            .refuses_as(400, InsufficientBalance),
    ]
}
