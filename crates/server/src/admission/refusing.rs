//! Refusing a call: its record and its event are durable before the caller hears no; in a flood they are counted.

use tandem_model::ports::TraceKind;
use tandem_model::{Money, Refusal, clock};
use tandem_store::calls::RefuseCall;

use super::context::Context;
use super::plan::{Planned, Refused};
use super::record;
use super::refusals::Treatment;
use super::service::Admission;

/// How a refused caller was seen on the wire; empty for what began here.
#[derive(Clone, Debug, Default)]
pub(super) struct Wire {
    /// Call-ID.
    pub(super) sip_call_id: String,
    /// User-Agent.
    pub(super) user_agent: Option<String>,
    /// Where the INVITE came from.
    pub(super) network_addr: Option<String>,
}

impl Admission {
    pub(super) async fn refuse_planned(&self, planned: Planned, refusal: Refusal, wire: &Wire) -> Refusal {
        let refused = Refused { refusal, context: Some(Box::new(planned.context)) };
        self.refuse(refused, wire).await
    }

    /// Puts a refusal on record with its event, or counts it on another's. When even that fails the refusal still stands.
    pub(super) async fn refuse(&self, refused: Refused, wire: &Wire) -> Refusal {
        let Some(mut context) = refused.context else { return refused.refusal };
        let refusal = refused.refusal;
        context.hold = Money::ZERO;
        self.trace(context.facts.call, TraceKind::Record, || {
            format!("refused: {} ({})", refusal.reason, refusal.code.slug())
        });
        let treatment = self.0.refusals.treat(&context, refusal.code, clock::monotonic(), clock::wall());
        if treatment == Treatment::Record {
            self.put_on_record(&context, &refusal, wire).await;
        }
        refusal
    }

    async fn put_on_record(&self, context: &Context, refusal: &Refusal, wire: &Wire) {
        let Wire { sip_call_id, user_agent, network_addr } = wire;
        let record = record::of_refusal(
            context,
            refusal,
            sip_call_id,
            user_agent.as_deref(),
            network_addr.clone(),
            clock::wall(),
        );
        let event = record::initiated_event(context, Some(refusal)).filter(|_| context.parent_call.is_none());
        let command = RefuseCall { record, events: event.into_iter().collect() };
        if let Err(error) = self.0.writer.submit(command).await {
            self.0.refusals.failed(context);
            tracing::error!(call_id = %context.facts.call, %error, "a refusal could not be put on record");
        }
    }

    /// Writes what was counted since the last time. Every second, and at the end.
    pub(crate) async fn write_counted_refusals(&self) {
        for counted in self.0.refusals.take(clock::monotonic()) {
            let (record, more) = (counted.record, counted.more);
            match self.0.writer.submit(counted).await {
                Ok(()) => {
                    tracing::info!(call_id = %record, more, "refusals of a flood are counted on one record")
                }
                Err(error) => {
                    tracing::error!(call_id = %record, more, %error, "refusals of a flood could not be counted")
                }
            }
        }
    }
}
