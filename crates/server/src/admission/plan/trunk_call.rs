//! A customer's PBX calls the telephone network.

use tandem_model::ports::{InviteFacts, Plan};
use tandem_model::{Dialled, E164, Refusal, normalise};

use super::super::context::Context;
use super::super::policy;
use super::super::routing::Presented;
use super::arrival::caller_text;
use super::{Planned, Planner, Refused};
use crate::directory::{AccountEntry, TrunkEntry};

impl Planner<'_> {
    pub(super) fn trunk_call(
        &self,
        invite: &InviteFacts,
        mut context: Context,
        account: &AccountEntry,
        trunk: &TrunkEntry,
    ) -> Result<Planned, Refused> {
        let refuse = |refusal: Refusal, context: &Context| Refused::on_record(refusal, context);
        let open = &self.config.billing.open_country_codes;
        let number = policy::destination(self.directory, account, open, &invite.dialled)
            .map_err(|refusal| refuse(refusal, &context))?;
        number.digits().clone_into(&mut context.facts.to);
        let caller =
            self.caller_of_trunk(invite, account, trunk).map_err(|refusal| refuse(refusal, &context))?;
        caller.digits().clone_into(&mut context.facts.from);
        self.price(&mut context, account, &number).map_err(|refusal| refuse(refusal, &context))?;
        let presented = Presented {
            number: Some(caller),
            name: invite.display_name.clone().unwrap_or_default(),
            diversion: None,
            private: invite.privacy,
            headers: invite.custom_headers.clone(),
            hops: self.hops.sign(context.visits),
        };
        let routes = self.routes(account, number, &presented).map_err(|refusal| refuse(refusal, &context))?;
        context.carrier = routes.first().and_then(|route| route.carrier).map(|carrier| carrier.to_string());
        let plan = Plan::Bridge { routes, ring_timeout_s: self.config.sip.ring_timeout_s };
        let planned = self.planned(context, plan);
        Ok(Planned {
            max_duration_s: trunk.max_duration_s.unwrap_or(planned.max_duration_s),
            record: trunk.recording || planned.record,
            // A digest trunk is a PBX behind somebody's router until its own SDP says otherwise; an ACL names its address.
            nat: !trunk.acl.iter().any(|net| net.contains(&invite.source.ip())),
            ..planned
        })
    }

    /// The number a PBX calls as. One that is not the account's is refused; an extension, or none at all, becomes the trunk's own
    /// caller id if it has one.
    fn caller_of_trunk(
        &self,
        invite: &InviteFacts,
        account: &AccountEntry,
        trunk: &TrunkEntry,
    ) -> Result<E164, Refusal> {
        let rules = account.country_rules();
        let caller = caller_text(invite);
        let fallback = trunk.caller_id.filter(|number| policy::owns(self.directory, &account.id, number));
        match (normalise(caller, rules), fallback) {
            (Ok(Dialled::Short(_)) | Err(_), Some(own)) => Ok(own),
            _ => policy::owned_caller(self.directory, &account.id, rules, caller, invite.received_at),
        }
    }
}
