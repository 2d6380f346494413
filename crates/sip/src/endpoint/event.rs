//! What the endpoint reports: facts about calls and requests, owned, so that they can travel to
//! another task.

use crate::endpoint::handle::{LegId, RequestId, TransactionId};
use crate::flow::Flow;
use crate::message::{Method, OwnedUri};

/// Something the owner of calls should know.
///
/// The events of one leg come in the order they happened. [`Event::Rejected`],
/// [`Event::Redirected`], [`Event::Cancelled`], [`Event::Bye`], [`Event::AckTimeout`] and
/// [`Event::Terminated`] are final: exactly one of them ends a leg that the peer or the network ends,
/// and after it every command answers [`Outcome::Gone`](crate::Outcome::Gone). A leg ended by our
/// own command (`bye`, `reject`, `ignore`, `challenge`) reports nothing more; one ended by our
/// `cancel` reports `Rejected` (487 or whatever came) or `LateAnswerAfterCancel` or `Terminated`.
#[derive(Clone, Debug)]
pub enum Event {
    /// A new INVITE. Nothing has been sent. Decide with `challenge`, `reject`, `ignore`, `trying`,
    /// `ringing`, `progress` or `answer`.
    Invite {
        /// The new leg.
        leg: LegId,
        /// What the INVITE said.
        facts: Box<RequestFacts>,
    },
    /// A request outside any dialog (REGISTER, OPTIONS, MESSAGE, …). Answer with `respond`.
    Request {
        /// Handle for `respond`.
        transaction: TransactionId,
        /// What the request said.
        facts: Box<RequestFacts>,
    },
    /// The far side rings (180, 181, 182 or 183 without SDP).
    Ringing {
        /// The outgoing leg.
        leg: LegId,
        /// To-tag of the early dialog; empty if the response had none.
        early_tag: String,
        /// The provisional status.
        status: u16,
    },
    /// A provisional response with SDP: early media.
    Progress {
        /// The outgoing leg.
        leg: LegId,
        /// To-tag of the early dialog.
        early_tag: String,
        /// The provisional status.
        status: u16,
        /// The far side's answer (or offer, when the INVITE had none).
        sdp: Vec<u8>,
    },
    /// The INVITE was answered. The ACK has been sent unless `needs_answer`, or unless the INVITE left it to
    /// [`AckTiming::ByCommand`](crate::AckTiming::ByCommand): then `acknowledge` sends it.
    Answered {
        /// The outgoing leg.
        leg: LegId,
        /// SDP of the 2xx; `None` if it had none.
        sdp: Option<Vec<u8>>,
        /// The INVITE had no offer, so this SDP is one: call `acknowledge` with the answer.
        needs_answer: bool,
    },
    /// 401 or 407. Call `retry_with_auth`, or `abandon` the leg.
    Challenged {
        /// The outgoing leg.
        leg: LegId,
        /// 401 or 407; picks Authorization or Proxy-Authorization.
        status: u16,
        /// Values of WWW-Authenticate or Proxy-Authenticate, in order.
        challenges: Vec<String>,
    },
    /// The outgoing INVITE failed. Final.
    Rejected {
        /// The outgoing leg.
        leg: LegId,
        /// 400–699.
        status: u16,
        /// Reason phrase of the status line.
        phrase: String,
        /// The Reason header, if any (RFC 3326, RFC 6432).
        reason: Option<Reason>,
        /// `Retry-After` in seconds.
        retry_after: Option<u32>,
    },
    /// 3xx: reported, never followed. Final.
    Redirected {
        /// The outgoing leg.
        leg: LegId,
        /// 300–399.
        status: u16,
        /// Contact URIs that we can read, in order.
        contacts: Vec<OwnedUri>,
    },
    /// The caller gave up: 200 to CANCEL and 487 to INVITE have been sent. Final; commands answer
    /// `AlreadyCancelled` for a while before they answer `Gone`. (A cancelled re-INVITE is not
    /// reported: answering it comes to `WrongState` and the call goes on.)
    Cancelled {
        /// The incoming leg.
        leg: LegId,
        /// The CANCEL's Reason header.
        reason: Option<Reason>,
    },
    /// Our 2xx to INVITE or re-INVITE was acknowledged: media may start.
    Acked {
        /// The leg.
        leg: LegId,
        /// SDP in the ACK: the answer to our offer, after an INVITE without one.
        sdp: Option<Vec<u8>>,
    },
    /// No ACK to our 2xx within 64×T1: BYE has been sent. Final.
    AckTimeout {
        /// The incoming leg.
        leg: LegId,
    },
    /// The peer offers anew (re-INVITE, or UPDATE with SDP). Call `accept_reinvite` or
    /// `reject_reinvite`. With `sdp: None` the peer wants our offer and answers in `Acked`.
    Reinvited {
        /// The leg.
        leg: LegId,
        /// The offer.
        sdp: Option<Vec<u8>>,
    },
    /// Our re-INVITE was accepted and acknowledged.
    ReinviteAnswered {
        /// The leg.
        leg: LegId,
        /// The answer.
        sdp: Option<Vec<u8>>,
    },
    /// Our re-INVITE failed; the session stays as it was. 491 is retried by the endpoint itself
    /// (RFC 3261 §14.1) a bounded number of times and is reported only after that.
    ReinviteFailed {
        /// The leg.
        leg: LegId,
        /// The failing status; 408 on timeout.
        status: u16,
    },
    /// INFO arrived and was answered 200.
    Info {
        /// The leg.
        leg: LegId,
        /// Content-Type without parameters, lower case (`application/dtmf-relay`, …).
        content_type: String,
        /// Body.
        body: Vec<u8>,
    },
    /// Our INFO was answered, or failed (408 on timeout).
    InfoAnswered {
        /// The leg.
        leg: LegId,
        /// Status.
        status: u16,
    },
    /// The peer hung up: 200 has been sent. Final.
    Bye {
        /// The leg.
        leg: LegId,
        /// The BYE's Reason header.
        reason: Option<Reason>,
    },
    /// The leg ended for another cause. Final.
    Terminated {
        /// The leg.
        leg: LegId,
        /// The cause.
        why: Termination,
    },
    /// A 2xx arrived for a leg we had cancelled: ACK and BYE have been sent, or a further 2xx from
    /// another fork was refused the same way. For a cancelled leg this is final.
    LateAnswerAfterCancel {
        /// The outgoing leg.
        leg: LegId,
    },
    /// A response to `request`; provisional ones are not reported.
    Response {
        /// The request.
        request: RequestId,
        /// What came.
        facts: Box<ResponseFacts>,
    },
    /// No response to `request`.
    RequestFailed {
        /// The request.
        request: RequestId,
        /// The cause.
        why: Termination,
    },
}

/// Why a leg ended without BYE, CANCEL or a failure response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Termination {
    /// No final response within 64×T1 (timers B and F), or the peer answered 408 inside the dialog.
    Timeout,
    /// It rang until its ring timeout (timer C); CANCEL has been sent.
    RingTimeout,
    /// The peer answered 481 to an in-dialog request: it no longer knows the call.
    Gone481,
    /// The path to the peer failed.
    TransportFailed,
    /// The peer did not refresh the session in time (RFC 4028); BYE has been sent.
    SessionExpired,
    /// The peer broke the protocol in a way that ends the call (a 2xx without the offer that the
    /// INVITE left to it); ACK and BYE have been sent.
    ProtocolError,
    /// A PRACK never came for a reliable provisional response (RFC 3262); 504 has been sent.
    NoPrack,
}

/// Which registry a [`Reason`]'s cause belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReasonProtocol {
    /// ITU-T Q.850.
    Q850,
    /// A SIP status.
    Sip,
}

/// One value of a Reason header (RFC 3326).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Registry.
    pub protocol: ReasonProtocol,
    /// Cause number.
    pub cause: u16,
    /// Text, unquoted.
    pub text: Option<String>,
}

/// A From or To header, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Display name, unquoted.
    pub display_name: Option<String>,
    /// URI.
    pub uri: OwnedUri,
    /// Tag.
    pub tag: Option<String>,
}

/// A body other than SDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Content-Type as written.
    pub content_type: String,
    /// Bytes.
    pub bytes: Vec<u8>,
}

/// What a request outside a dialog said.
#[derive(Clone, Debug)]
pub struct RequestFacts {
    /// The path it came over.
    pub flow: Flow,
    /// Method.
    pub method: Method,
    /// Request-URI.
    pub request_uri: OwnedUri,
    /// From.
    pub from: Party,
    /// To.
    pub to: Party,
    /// Call-ID.
    pub call_id: String,
    /// CSeq number.
    pub cseq: u32,
    /// Max-Forwards; 70 if absent.
    pub max_forwards: u8,
    /// Host of the topmost Via's `sent-by`: differs from the source behind NAT.
    pub via_host: String,
    /// Port of the topmost Via's `sent-by`.
    pub via_port: Option<u16>,
    /// Contact values as written, one per element (`*` included).
    pub contacts: Vec<String>,
    /// Authorization values, raw.
    pub authorization: Vec<String>,
    /// Proxy-Authorization values, raw.
    pub proxy_authorization: Vec<String>,
    /// P-Asserted-Identity values, raw.
    pub p_asserted_identity: Vec<String>,
    /// Remote-Party-ID, raw, as older PBXes send it.
    pub remote_party_id: Option<String>,
    /// Diversion values, raw, topmost (latest) first.
    pub diversion: Vec<String>,
    /// Privacy, raw.
    pub privacy: Option<String>,
    /// Path values, raw (RFC 3327).
    pub path: Vec<String>,
    /// Expires in seconds.
    pub expires: Option<u32>,
    /// User-Agent.
    pub user_agent: Option<String>,
    /// Every `X-` header: name as written and value, in order.
    pub custom: Vec<(String, String)>,
    /// SDP of the body, taken out of multipart/mixed if need be.
    pub sdp: Option<Vec<u8>>,
    /// Another body.
    pub body: Option<Body>,
}

/// What a response to [`Endpoint::request`](crate::Endpoint::request) said.
#[derive(Clone, Debug)]
pub struct ResponseFacts {
    /// The path it came over.
    pub flow: Flow,
    /// 200–699.
    pub status: u16,
    /// Reason phrase.
    pub phrase: String,
    /// Values of WWW-Authenticate or Proxy-Authenticate.
    pub challenges: Vec<String>,
    /// Contact values as written.
    pub contacts: Vec<String>,
    /// Expires in seconds.
    pub expires: Option<u32>,
    /// Min-Expires in seconds.
    pub min_expires: Option<u32>,
    /// Retry-After in seconds.
    pub retry_after: Option<u32>,
    /// `received` of our Via: how the peer sees us.
    pub received: Option<String>,
    /// `rport` of our Via.
    pub rport: Option<u16>,
    /// Service-Route values, raw.
    pub service_route: Vec<String>,
}
