//! Requests outside a dialog: OPTIONS answers whom we know, REGISTER goes to the registrar, the
//! rest is refused to whom we know and met with silence otherwise.

use std::rc::Rc;

use tandem_model::clock;
use tandem_model::ports::Located;
use tandem_sip::message::{FieldName, HeaderField, Method};
use tandem_sip::{RequestFacts, TransactionId};

use super::Shard;
use super::facts::Hosts;

impl Shard {
    /// Answers a request outside a dialog, or keeps silent.
    pub(super) fn on_request(self: &Rc<Self>, transaction: TransactionId, request: Box<RequestFacts>) {
        let hosts = Hosts::of(&request);
        let located = self.ports.directory.locate(&hosts.edge(&request));
        let now = clock::monotonic();
        let stranger = matches!(located, Located::Stranger)
            && !(request.method == Method::Options && self.is_our_name(hosts.request()));
        if stranger || !self.limiter.borrow_mut().allow(now) {
            let _ = self.endpoint.borrow_mut().ignore_request(now, transaction);
            return;
        }
        match request.method {
            Method::Options => {
                let accept = HeaderField::new(FieldName::Accept, "application/sdp").ok();
                self.respond(transaction, 200, accept.as_slice());
            }
            Method::Register => match located {
                Located::Endpoint { realm, policy } => {
                    self.on_register(transaction, &request, &realm, policy)
                }
                Located::UnknownDomain => self.respond(transaction, 404, &[]),
                _ => self.respond(transaction, 403, &[]),
            },
            Method::Unknown => self.respond(transaction, 501, &[]),
            _ => self.respond(transaction, 405, &[]),
        }
    }

    /// Answers without a body; the caller flushes.
    pub(super) fn respond(&self, transaction: TransactionId, status: u16, headers: &[HeaderField]) {
        let now = clock::monotonic();
        let _ = self.endpoint.borrow_mut().respond(now, transaction, status, None, headers, None);
    }

    fn is_our_name(&self, host: &str) -> bool {
        self.config.hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host))
    }
}
