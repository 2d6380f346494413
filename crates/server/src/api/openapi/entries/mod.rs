//! The entries, one file a resource, in the order in which the document and the docs page show them.

mod account;
mod applications;
mod calls;
mod conferences;
mod endpoints;
mod kyc;
mod money;
mod numbers;
mod partner;
mod partner_views;
mod recordings;
mod sessions;
mod settings;
mod sub_accounts;
mod trunking;

use super::operation::Operation;

/// All of them.
pub(super) fn all() -> Vec<Operation> {
    let mut all = sessions::entries();
    all.extend(account::entries());
    all.extend(settings::entries());
    all.extend(money::entries());
    all.extend(sub_accounts::entries());
    all.extend(partner::entries());
    all.extend(partner_views::entries());
    all.extend(kyc::entries());
    all.extend(numbers::entries());
    all.extend(applications::entries());
    all.extend(endpoints::entries());
    all.extend(trunking::entries());
    all.extend(calls::entries());
    all.extend(recordings::entries());
    all.extend(conferences::entries());
    all
}
