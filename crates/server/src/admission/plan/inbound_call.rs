//! The telephone network calls a number in service: to its application, or through its trunk to the customer's PBX.

use tandem_model::ports::{InviteFacts, Plan};
use tandem_model::{E164, ErrorCode, Refusal};

use super::super::context::Context;
use super::{Planned, Planner, Refused};
use crate::directory::NumberEntry;

impl Planner<'_> {
    pub(super) fn inbound_call(
        &self,
        invite: &InviteFacts,
        mut context: Context,
        number: &NumberEntry,
        called: E164,
    ) -> Result<Planned, Refused> {
        if let Some(plan) = &number.plan {
            context.hangup = Some(super::hangup_of(plan));
            return Ok(self.planned(context, Plan::Application(plan.clone())));
        }
        if let Some(application) = &number.application {
            let application =
                self.directory.application(application).filter(|application| application.enabled);
            let Some(application) = application else {
                return Err(Refused::on_record(Refusal::new(ErrorCode::NumberNotRouted), &context));
            };
            let plan = application.plan.clone();
            Self::steer(&mut context, &application);
            return Ok(self.planned(context, Plan::Application(plan)));
        }
        let Some(trunk) = self.trunk_of(number) else {
            return Err(Refused::on_record(Refusal::new(ErrorCode::NumberNotRouted), &context));
        };
        // The network may try elsewhere; it did nothing wrong.
        if !trunk.enabled || !trunk.inbound {
            return Err(Refused::on_record(Refusal::new(ErrorCode::TrunkUnreachable), &context));
        }
        let routes = self.to_customer(&trunk, called, invite, context.visits);
        if routes.is_empty() {
            let words = "The trunk has no origination URI that can be reached";
            return Err(Refused::on_record(Refusal::because(ErrorCode::TrunkUnreachable, words), &context));
        }
        let plan = Plan::Bridge { routes, ring_timeout_s: self.config.sip.ring_timeout_s };
        let mut planned = self.planned(context, plan);
        planned.record |= trunk.recording;
        Ok(planned)
    }
}
