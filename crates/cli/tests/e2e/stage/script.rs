//! sipp scenarios, put together from messages: what a PBX and what a carrier say. The text is plain RFC 3261;
//! branches are spelled out, so that an ACK, a CANCEL and a retransmission have the one they must have.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::handset::TELEPHONE_EVENT;

/// One call from sipp's side as caller, message by message.
pub(crate) struct Dialog {
    to: String,
    from: String,
    host: String,
    media: SocketAddr,
    credentials: Option<(String, String)>,
    headers: String,
    steps: String,
    cseq: u32,
}

/// What an offer or answer says of the direction.
#[derive(Clone, Copy)]
pub(crate) enum Audio {
    /// Both ways.
    Both,
    /// Hold.
    SendOnly,
    /// No SDP at all.
    None,
}

impl Dialog {
    /// A call that has not begun. `host` is the Request-URI's, whatever address it is sent to.
    pub(crate) fn new(from: &str, to: &str, host: &str, media: SocketAddr) -> Self {
        Self {
            to: to.to_owned(),
            from: from.to_owned(),
            host: host.to_owned(),
            media,
            credentials: None,
            headers: String::new(),
            steps: String::new(),
            cseq: 0,
        }
    }

    /// Answers the challenge with these.
    pub(crate) fn credentials(mut self, username: &str, password: &str) -> Self {
        self.credentials = Some((username.to_owned(), password.to_owned()));
        self
    }

    /// A further header of the INVITE.
    pub(crate) fn header(mut self, line: &str) -> Self {
        writeln!(self.headers, "{line}").expect("a string takes it");
        self
    }

    /// INVITE, and again with the answer to the challenge if there are credentials.
    pub(crate) fn invite(self) -> Self {
        self.invite_with(Audio::Both)
    }

    /// The same with an offer of one's choice.
    pub(crate) fn invite_with(mut self, audio: Audio) -> Self {
        self.cseq += 1;
        let first = self.invitation(audio, "");
        self.send("retrans=\"500\"", &first);
        let answer = self.authorization();
        if answer.is_empty() {
            return self;
        }
        self.steps
            .push_str("<recv response=\"100\" optional=\"true\"/><recv response=\"401\" auth=\"true\"/>\n");
        let ack = self.ack_of_failure();
        self.send("", &ack);
        self.cseq += 1;
        let second = self.invitation(audio, &answer);
        self.send("retrans=\"500\"", &second);
        self
    }

    /// The same INVITE again once it rings, as after a lost response.
    pub(crate) fn repeat_invite(mut self) -> Self {
        self = self.rings();
        let answer = self.authorization();
        let again = self.invitation(Audio::Both, &answer);
        self.send("", &again);
        self
    }

    /// It must ring.
    pub(crate) fn rings(mut self) -> Self {
        self.steps.push_str("<recv response=\"100\" optional=\"true\"/><recv response=\"180\"/>\n");
        self
    }

    /// It must be answered; logs `MEDIA ip:port` of the answer.
    pub(crate) fn answered(mut self) -> Self {
        self.provisional();
        self.steps.push_str(
            r#"<recv response="200" rrs="true"><action>
<ereg regexp="c=IN IP4 ([0-9.]+)" search_in="body" check_it="true" assign_to="c,ip"/>
<ereg regexp="m=audio ([0-9]+)" search_in="body" check_it="true" assign_to="m,port"/>
<log message="MEDIA [$ip]:[$port]"/></action></recv>
<Reference variables="c,m"/>
"#,
        );
        self
    }

    /// ACK.
    pub(crate) fn ack(self) -> Self {
        self.ack_with(Audio::None)
    }

    /// ACK with the answer to a late offer.
    pub(crate) fn ack_with(mut self, audio: Audio) -> Self {
        let message = self.in_dialog("ACK", &format!("ack{}", self.cseq), self.cseq, audio);
        self.send("", &message);
        self
    }

    /// Time passes.
    pub(crate) fn pause(mut self, milliseconds: u64) -> Self {
        writeln!(self.steps, "<pause milliseconds=\"{milliseconds}\"/>").expect("a string takes it");
        self
    }

    /// re-INVITE, its 200 and the ACK. The answer must hold `direction`.
    pub(crate) fn reinvite(mut self, audio: Audio, direction: &str) -> Self {
        self.cseq += 1;
        let message = self.in_dialog("INVITE", &format!("re{}", self.cseq), self.cseq, audio);
        self.send("retrans=\"500\"", &message);
        writeln!(
            self.steps,
            "<recv response=\"100\" optional=\"true\"/><recv response=\"200\"><action>\
             <ereg regexp=\"a={direction}\" search_in=\"body\" check_it=\"true\" assign_to=\"d{0}\"/></action></recv>\
             <Reference variables=\"d{0}\"/>",
            self.cseq
        )
        .expect("a string takes it");
        self.ack()
    }

    /// BYE and its 200.
    pub(crate) fn bye(mut self) -> Self {
        self.cseq += 1;
        let message = self.in_dialog("BYE", "bye", self.cseq, Audio::None);
        self.send("retrans=\"500\"", &message);
        self.steps.push_str("<recv response=\"200\"/>\n");
        self
    }

    /// The far side must hang up.
    pub(crate) fn hears_bye(mut self) -> Self {
        self.steps.push_str("<recv request=\"BYE\"/>\n");
        let answer = answer_to_last("200 OK", "");
        self.send("", &answer);
        self
    }

    /// CANCEL of a ringing call: 200 for it, 487 for the INVITE, ACK.
    pub(crate) fn cancel(mut self) -> Self {
        let cancel = format!(
            "CANCEL {uri} SIP/2.0\n{head}Via: SIP/2.0/UDP [local_ip]:[local_port];branch={branch}\n\
             To: <{uri}>\nCSeq: {cseq} CANCEL\nContent-Length: 0\n\n",
            uri = self.uri(),
            head = self.head(),
            branch = branch(&format!("inv{}", self.cseq)),
            cseq = self.cseq
        );
        self.send("retrans=\"500\"", &cancel);
        // The order of the two is the platform's.
        self.steps.push_str("<recv response=\"200\"/><recv response=\"487\"/>\n");
        let ack = self.ack_of_failure();
        self.send("", &ack);
        self
    }

    /// It must be refused with this status.
    pub(crate) fn refused(mut self, status: u16) -> Self {
        self.provisional();
        writeln!(self.steps, "<recv response=\"{status}\"/>").expect("a string takes it");
        let ack = self.ack_of_failure();
        self.send("", &ack);
        self
    }

    /// It must be refused with this status, a Reason that names the code of the catalogue, and no Retry-After: that is
    /// for a node's own limits.
    pub(crate) fn refused_because(mut self, status: u16, code: &str) -> Self {
        self.provisional();
        writeln!(
            self.steps,
            "<recv response=\"{status}\"><action>\
             <ereg regexp=\"Q.850;cause=[0-9]+;text=.{code}\" search_in=\"hdr\" header=\"Reason:\" check_it=\"true\" assign_to=\"why\"/>\
             <ereg regexp=\"[0-9]\" search_in=\"hdr\" header=\"Retry-After:\" check_it_inverse=\"true\" assign_to=\"when\"/>\
             </action></recv>\n<Reference variables=\"why,when\"/>"
        )
        .expect("a string takes it");
        let ack = self.ack_of_failure();
        self.send("", &ack);
        self
    }

    /// Nothing at all may come back for so long.
    pub(crate) fn silence(mut self, milliseconds: u64) -> Self {
        writeln!(self.steps, "<recv response=\"100\" timeout=\"{milliseconds}\" ontimeout=\"quiet\"/>")
            .expect("a string takes it");
        // Whatever came was a word too many.
        self.steps.push_str(
            "<recv response=\"699\" timeout=\"100\"/>\n<label id=\"quiet\"/><pause milliseconds=\"1\"/>\n",
        );
        self
    }

    /// The scenario.
    pub(crate) fn xml(self) -> String {
        format!("<?xml version=\"1.0\"?>\n<scenario name=\"caller\">\n{}</scenario>\n", self.steps)
    }

    fn provisional(&mut self) {
        for status in [100, 180, 183] {
            writeln!(self.steps, "<recv response=\"{status}\" optional=\"true\"/>")
                .expect("a string takes it");
        }
    }

    fn send(&mut self, attributes: &str, message: &str) {
        writeln!(self.steps, "<send {attributes}><![CDATA[\n{message}]]></send>").expect("a string takes it");
    }

    fn authorization(&self) -> String {
        let words =
            |(name, word): &(String, String)| format!("[authentication username={name} password={word}]\n");
        self.credentials.as_ref().map(words).unwrap_or_default()
    }

    fn uri(&self) -> String {
        format!("sip:{}@{}", self.to, self.host)
    }

    fn head(&self) -> String {
        format!(
            "From: \"{from}\" <sip:{from}@{host}>;tag=[pid]a[call_number]\nCall-ID: [call_id]\nMax-Forwards: 70\n\
             User-Agent: sipp\nContact: <sip:{from}@[local_ip]:[local_port]>\n",
            from = self.from,
            host = self.host
        )
    }

    fn invitation(&self, audio: Audio, authorization: &str) -> String {
        format!(
            "INVITE {uri} SIP/2.0\n{head}Via: SIP/2.0/UDP [local_ip]:[local_port];branch={branch}\nTo: <{uri}>\n\
             CSeq: {cseq} INVITE\n{authorization}{further}{body}",
            uri = self.uri(),
            head = self.head(),
            branch = branch(&format!("inv{}", self.cseq)),
            cseq = self.cseq,
            further = self.headers,
            body = sdp(self.media, audio)
        )
    }

    fn in_dialog(&self, method: &str, word: &str, cseq: u32, audio: Audio) -> String {
        format!(
            "{method} [next_url] SIP/2.0\n{head}Via: SIP/2.0/UDP [local_ip]:[local_port];branch={branch}\n\
             To: <{uri}>[peer_tag_param]\nCSeq: {cseq} {method}\n{body}",
            head = self.head(),
            branch = branch(word),
            uri = self.uri(),
            body = sdp(self.media, audio)
        )
    }

    fn ack_of_failure(&self) -> String {
        format!(
            "ACK {uri} SIP/2.0\n{head}Via: SIP/2.0/UDP [local_ip]:[local_port];branch={branch}\n\
             To: <{uri}>[peer_tag_param]\nCSeq: {cseq} ACK\nContent-Length: 0\n\n",
            uri = self.uri(),
            head = self.head(),
            branch = branch(&format!("inv{}", self.cseq)),
            cseq = self.cseq
        )
    }
}

fn branch(word: &str) -> String {
    format!("z9hG4bK-[pid]-[call_number]-{word}")
}

/// Headers of a body and the body.
fn sdp(media: SocketAddr, audio: Audio) -> String {
    let direction = match audio {
        Audio::Both => "sendrecv",
        Audio::SendOnly => "sendonly",
        Audio::None => return "Content-Length: 0\n\n".to_owned(),
    };
    format!(
        "Content-Type: application/sdp\nContent-Length: [len]\n\n{}",
        description(&media.ip().to_string(), &media.port().to_string(), direction)
    )
}

fn description(ip: &str, port: &str, direction: &str) -> String {
    format!(
        "v=0\no=sipp 1 1 IN IP4 {ip}\ns=-\nc=IN IP4 {ip}\nt=0 0\nm=audio {port} RTP/AVP 0 {TELEPHONE_EVENT}\n\
         a=rtpmap:0 PCMU/8000\na=rtpmap:{TELEPHONE_EVENT} telephone-event/8000\na=fmtp:{TELEPHONE_EVENT} 0-15\n\
         a=ptime:20\na={direction}\n"
    )
}

fn answer_to_last(status: &str, tag: &str) -> String {
    format!(
        "SIP/2.0 {status}\n[last_Via:]\n[last_From:]\n[last_To:]{tag}\n[last_Call-ID:]\n[last_CSeq:]\n\
         Contact: <sip:sipp@[local_ip]:[local_port]>\nContent-Length: 0\n\n"
    )
}

/// What a carrier does with every call.
pub(crate) mod carrier_side {
    use super::{answer_to_last, description};

    const TAG: &str = ";tag=[pid]b[call_number]";

    /// Rings for a while, answers with the echo port, and waits for the BYE.
    pub(crate) fn echo(ringing_ms: u64) -> String {
        scenario(&format!("{}{}{}", ring(ringing_ms), answer(), waits_for_bye()))
    }

    /// The same, and hangs up after a while.
    pub(crate) fn echo_and_hang_up(ringing_ms: u64, talk_ms: u64) -> String {
        let bye = "<pause milliseconds=\"".to_owned()
            + &talk_ms.to_string()
            + "\"/>\n<send retrans=\"500\"><![CDATA[\nBYE [next_url] SIP/2.0\n\
               Via: SIP/2.0/UDP [local_ip]:[local_port];branch=z9hG4bK-[pid]-[call_number]-bye\n\
               From: <sip:[$called]@[local_ip]>;tag=[pid]b[call_number]\nTo: [$peer]\n[last_Call-ID:]\nCSeq: 7 BYE\n\
               Max-Forwards: 70\nContent-Length: 0\n\n]]></send>\n<recv response=\"200\"/>\n";
        scenario(&format!("{}{}{bye}", ring(ringing_ms), answer()))
    }

    /// The same, but lets the BYE be sent again before it answers.
    pub(crate) fn echo_slow_to_bye(ignored_ms: u64) -> String {
        let last = format!(
            "<recv request=\"BYE\"/>\n<pause milliseconds=\"{ignored_ms}\"/>\n{}",
            send("", &answer_to_last("200 OK", ""))
        );
        scenario(&format!("{}{}{last}", ring(0), answer()))
    }

    /// Refuses at once.
    pub(crate) fn refuse(status: &str) -> String {
        scenario(&format!(
            "{}<recv request=\"ACK\"/>\n",
            send("retrans=\"500\"", &answer_to_last(status, TAG))
        ))
    }

    /// Rings until the CANCEL.
    pub(crate) fn ring_until_cancelled() -> String {
        let refusal =
            answer_to_last("487 Request Terminated", TAG).replace("[last_CSeq:]", "CSeq: [$cseq] INVITE");
        scenario(&format!(
            "{}<recv request=\"CANCEL\"/>\n{}{}<recv request=\"ACK\"/>\n",
            send("", &answer_to_last("180 Ringing", TAG)),
            send("", &answer_to_last("200 OK", TAG)),
            send("retrans=\"500\"", &refusal)
        ))
    }

    fn ring(milliseconds: u64) -> String {
        let ringing = send("", &answer_to_last("180 Ringing", TAG));
        if milliseconds == 0 {
            ringing
        } else {
            format!("{ringing}<pause milliseconds=\"{milliseconds}\"/>\n")
        }
    }

    fn answer() -> String {
        let head = answer_to_last("200 OK", TAG).replace("Content-Length: 0\n\n", "");
        let body = description("[media_ip]", "[media_port]", "sendrecv");
        let message = format!("{head}Content-Type: application/sdp\nContent-Length: [len]\n\n{body}");
        format!("{}<recv request=\"ACK\"/>\n", send("retrans=\"500\"", &message))
    }

    fn waits_for_bye() -> String {
        format!("<recv request=\"BYE\"/>\n{}", send("", &answer_to_last("200 OK", "")))
    }

    fn send(attributes: &str, message: &str) -> String {
        format!("<send {attributes}><![CDATA[\n{message}]]></send>\n")
    }

    fn scenario(steps: &str) -> String {
        format!(
            r#"<?xml version="1.0"?>
<scenario name="carrier">
<recv request="INVITE" rrs="true"><action>
<ereg regexp="[0-9]+" search_in="hdr" header="CSeq:" assign_to="cseq"/>
<ereg regexp="sip:([^@]+)@" search_in="hdr" header="To:" assign_to="t,called"/>
<ereg regexp=".*" search_in="hdr" header="From:" assign_to="peer"/>
<ereg regexp="sip:([^@]+)@" search_in="hdr" header="From:" assign_to="f,caller"/>
<ereg regexp="[0-9]+" search_in="hdr" header="Max-Forwards:" assign_to="forwards"/>
<ereg regexp="[0-9a-f.]+" search_in="hdr" header="X-Tandem-Hops:" assign_to="hops"/>
<log message="INVITE [$called]"/>
<log message="FROM [$called] [$caller]"/>
<log message="HOPS [$called] [$hops] [$forwards]"/></action></recv>
<Reference variables="cseq,called,caller,f,forwards,hops,peer,t"/>
{steps}</scenario>
"#
        )
    }
}
