//! Requests outside a dialog that the door let in: OPTIONS is answered, REGISTER goes to the registrar, the rest is
//! refused. None is kept but a REGISTER that has proven its phone.

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
        match (request.method, located) {
            (Method::Register, Located::Endpoint { realm, policy }) => {
                self.on_register(transaction, &request, &realm, policy);
            }
            _ if !self.may_refuse(now, request.flow) => {
                let _ = self.endpoint.borrow_mut().overlook_request(transaction);
            }
            (Method::Options, _) => {
                let accept = HeaderField::new(FieldName::Accept, "application/sdp").ok();
                self.respond_once(transaction, 200, accept.as_slice());
            }
            (Method::Register, Located::UnknownDomain) => self.respond_once(transaction, 404, &[]),
            (Method::Register, _) => self.respond_once(transaction, 403, &[]),
            (Method::Unknown, _) => self.respond_once(transaction, 501, &[]),
            _ => self.respond_once(transaction, 405, &[]),
        }
    }

    /// Answers somebody of whom nothing is kept; the caller flushes.
    pub(super) fn respond_once(&self, transaction: TransactionId, status: u16, headers: &[HeaderField]) {
        let now = clock::monotonic();
        let _ = self.endpoint.borrow_mut().respond_once(now, transaction, status, headers);
    }

    /// Answers without a body; the caller flushes.
    pub(super) fn respond(&self, transaction: TransactionId, status: u16, headers: &[HeaderField]) {
        let now = clock::monotonic();
        let _ = self.endpoint.borrow_mut().respond(now, transaction, status, None, headers, None);
    }
}
