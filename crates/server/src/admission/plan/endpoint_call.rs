//! A SIP endpoint calls: its application steers the call.

use tandem_model::ports::Plan;
use tandem_model::{ErrorCode, Refusal};

use super::super::context::Context;
use super::{Planned, Planner, Refused};
use crate::directory::EndpointEntry;

impl Planner<'_> {
    pub(super) fn endpoint_call(
        &self,
        mut context: Context,
        endpoint: &EndpointEntry,
    ) -> Result<Planned, Refused> {
        let application = endpoint
            .application
            .as_ref()
            .and_then(|application| self.directory.application(application))
            .filter(|application| application.enabled);
        let Some(application) = application else {
            let words = "The endpoint has no application to steer its calls";
            return Err(Refused::on_record(Refusal::because(ErrorCode::NumberNotRouted, words), &context));
        };
        let plan = application.plan.clone();
        Self::steer(&mut context, &application);
        Ok(Planned { nat: true, ..self.planned(context, Plan::Application(plan)) })
    }
}
