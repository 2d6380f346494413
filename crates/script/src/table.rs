//! Every key of a script, once: the reader refuses what is not here, its messages list what is, and the reference
//! page and `--explain` are printed from it.

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    /// As it is written.
    pub name: &'static str,
    /// The shape of its value.
    pub value: &'static str,
    /// What it says.
    pub what: &'static str,
}

/// A mapping and its keys.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// What one of its keys is, in messages: "key of a party".
    pub of: &'static str,
    /// Heading of the page.
    pub title: &'static str,
    /// What it is.
    pub intro: &'static str,
    /// Its keys.
    pub keys: &'static [KeySpec],
}

/// One kind of step.
#[derive(Clone, Copy, Debug)]
pub struct StepSpec {
    /// The key that names it.
    pub name: &'static str,
    /// The shape of its value.
    pub value: &'static str,
    /// What it does.
    pub what: &'static str,
    /// Keys beside it.
    pub options: &'static [KeySpec],
    /// As it is written.
    pub example: &'static str,
}

const fn key(name: &'static str, value: &'static str, what: &'static str) -> KeySpec {
    KeySpec { name, value, what }
}

/// The top of a script.
pub const SCRIPT: Block = Block {
    of: "key of a script",
    title: "A script",
    intro: "One YAML file. Lengths of time are written `250ms`, `1.5s`, `2m`; `${name}` is replaced by `--set name=…` or `variables`, \
            `${env:NAME}` by the environment, `${name:-default}` gives a default, `$${` is a plain `${`.",
    keys: &[
        key("name", "text", "What the script is called in output; the file's name where absent."),
        key(
            "platform",
            "HOST:PORT",
            "SIP address of the platform under test; default `127.0.0.1:5060`. `--platform` wins.",
        ),
        key(
            "listen",
            "ADDR:PORT",
            "SIP address of this script's telephones; default `0.0.0.0:0`: a free port, and the address that leads to the platform.",
        ),
        key("timeout", "time", "Longest the whole script may take; default `60s`. `--timeout` wins."),
        key("variables", "mapping", "Defaults of variables, by name."),
        key("webhooks", "mapping", "A web server for the time of the script: see below."),
        key("parties", "mapping", "The telephones, by name; at least one. All run at once."),
    ],
};

/// One party.
pub const PARTY: Block = Block {
    of: "key of a party",
    title: "A party",
    intro: "A party has `dial`, or `answer`, or `register`. One that dials calls the platform as a carrier, a trunk or an endpoint does. \
            One that answers waits for one call to its address, as a carrier or a trunk's target; `register` makes it an endpoint, \
            which waits for a call too unless it dials.",
    keys: &[
        key("dial", "number or sip: URI", "Call this."),
        key(
            "answer",
            "number or `any`",
            "Wait for a call to this number (leading `+` or not) at the party's address.",
        ),
        key(
            "register",
            "mapping",
            "Register with the platform as `user` with `password`; `host` is the domain.",
        ),
        key(
            "from",
            "number or user",
            "Who calls: the caller's number; default `+919812345678`, with `user` that.",
        ),
        key("user", "text", "User name for digest, as a trunk or an endpoint."),
        key("password", "text", "Its password."),
        key(
            "host",
            "host name",
            "Host of the dialled URI: the trunk's or endpoint's domain; default the platform's address.",
        ),
        key(
            "headers",
            "mapping",
            "Further SIP headers of the INVITE: `X-…`, `P-Asserted-Identity`, `Diversion`, `Privacy`.",
        ),
        key("listen", "ADDR:PORT", "SIP address of this party alone; parties with the same one share it."),
        key("codec", "pcmu or pcma", "Speak this codec only."),
        key("ring_limit", "time", "Give up (CANCEL) after ringing so long; default `60s`."),
        key("after", "time", "Dial so long after the script's start; default `0s`."),
        key("within", "time", "A party that answers must be called this soon; default `30s`."),
        key("steps", "list", "What it does, one after the other. At the end of them it hangs up."),
        key("expect", "mapping", "What must be so when its call is over: see below."),
    ],
};

/// `register` of a party.
pub const REGISTER: Block = Block {
    of: "key of `register`",
    title: "`register`",
    intro: "The registration is taken back at the script's end.",
    keys: &[
        key("user", "text", "User name; calls to it are taken."),
        key("password", "text", "Its password."),
        key("host", "host name", "Domain of the registrar; default the platform's address."),
    ],
};

const WITHIN: KeySpec = key("within", "time", "It must begin this soon; default `10s`.");
const LANGUAGE: KeySpec = key("language", "tag", "Language of the text; default `en-US`.");
const VOICE: KeySpec = key("voice", "text", "`WOMAN` (default), `MAN` or a named voice.");
const BARGE_IN: KeySpec = key("barge_in", "time", "Begin when what is being heard has lasted so long.");
const STOPS: KeySpec = key(
    "stops_within",
    "time",
    "What is heard must fall silent this soon after the beginning, for 200 ms: what follows without a pause is no silence.",
);

/// The kinds of steps.
pub const STEPS: &[StepSpec] = &[
    StepSpec {
        name: "wait_for",
        value: "audio, silence, tone, digits, ringing, answer, hangup or webhook",
        what: "Wait until something is so. `audio` is louder than −45 dBFS; pauses of up to 400 ms belong to it. A sound or tone that goes on when the step begins counts from its own beginning. `silence` is the rest, \
               packets or none. `digits` counts telephone-events, INFO and tones alike.",
        options: &[
            WITHIN,
            key(
                "for",
                "time",
                "It must last so long; default 100 ms of audio, 200 ms of a tone, 700 ms of silence.",
            ),
            key("hz", "number", "Frequency of the tone."),
            key("tolerance", "number", "How many Hz it may be off; default 5."),
            key("digits", "keys", "These keys, one after the other; any one key where absent."),
            key("path", "text", "Path of the webhook; any where absent."),
            key("method", "text", "Method of the webhook."),
            key("parameters", "mapping", "Parameters of the webhook, as under `webhooks: expect`."),
        ],
        example: "wait_for: silence\n  for: 1s\n  within: 20s",
    },
    StepSpec {
        name: "say",
        value: "text",
        what: "Speak a text with the synthesiser that the platform uses (espeak-ng).",
        options: &[LANGUAGE, VOICE, BARGE_IN, STOPS],
        example: "say: I would like to speak to somebody\n  barge_in: 1s",
    },
    StepSpec {
        name: "play",
        value: "file",
        what: "Play a WAV file, named relative to the script.",
        options: &[BARGE_IN, STOPS],
        example: "play: order.wav",
    },
    StepSpec {
        name: "tone",
        value: "Hz, or `Hz for time`",
        what: "Play a tone.",
        options: &[key("for", "time", "Its length; default `1s`."), BARGE_IN, STOPS],
        example: "tone: 440 for 1s",
    },
    StepSpec {
        name: "press",
        value: "keys",
        what: "Press keys: `0-9*#A-D`, `w` waits half a second, `W` one. The step is over when all are sent.",
        options: &[
            key("by", "rfc4733, inband or info", "How they are sent; default `rfc4733`, telephone-event."),
            BARGE_IN,
            STOPS,
        ],
        example: "press: 1234#\n  barge_in: 800ms\n  stops_within: 300ms",
    },
    StepSpec {
        name: "expect",
        value: "mapping",
        what: "Judge what was heard since the last `expect`, or since the beginning: see below.",
        options: &[],
        example: "expect: {length: {at_least: 1s, at_most: 4s}, energy: {above: -35}}",
    },
    StepSpec {
        name: "answer",
        value: "nothing",
        what: "Take the call (200). Before it, the caller hears ringing.",
        options: &[key("after", "time", "Ring so long first; default `0s`.")],
        example: "answer:\n  after: 1s",
    },
    StepSpec {
        name: "refuse",
        value: "SIP status",
        what: "Refuse the call with a status of 400 to 699, such as 486 for busy.",
        options: &[],
        example: "refuse: 486",
    },
    StepSpec {
        name: "pause",
        value: "time",
        what: "Let time pass, sending silence.",
        options: &[],
        example: "pause: 500ms",
    },
    StepSpec {
        name: "record",
        value: "file",
        what: "Write what is heard from here to the end of the call into a WAV file, named relative to the working directory.",
        options: &[],
        example: "record: heard.wav",
    },
    StepSpec {
        name: "request",
        value: "mapping",
        what: "Send an HTTP request and check its status: an API call that starts, transfers or ends a call. See below.",
        options: &[],
        example: "request: {method: POST, url: \"${api}/Call/\", user: \"${id}\", password: \"${token}\", json: '{…}'}",
    },
    StepSpec {
        name: "hang_up",
        value: "nothing",
        what: "End the call: BYE, or CANCEL before the answer.",
        options: &[],
        example: "hang_up:",
    },
];

/// `expect` as a step.
pub const HEARD: Block = Block {
    of: "key of a step's `expect`",
    title: "`expect` among the steps",
    intro: "What was heard since the last `expect`.",
    keys: &[
        key("tone", "Hz, or `Hz for time`", "A tone, for so long; default 200 ms."),
        key("tolerance", "number", "How many Hz it may be off; default 5."),
        key("energy", "mapping", "Level of what was heard, in dBFS: `above`, `below`. Silence is −96."),
        key(
            "length",
            "mapping",
            "How long something was heard, short pauses included: `at_least`, `at_most`.",
        ),
        key("digits", "keys", "These keys, no more and no fewer; quoted nothing for none."),
        key("early_media", "true or false", "Whether audio came before the answer."),
    ],
};

/// `expect` of a party.
pub const ENDING: Block = Block {
    of: "key of a party's `expect`",
    title: "`expect` of a party",
    intro: "Judged when the call is over. Bounds are a time (at most that) or a mapping of `at_least` and `at_most`.",
    keys: &[
        key("answered", "true or false", "Whether the call was answered."),
        key("status", "SIP status", "The final status: 200, or how the call was refused."),
        key("cause", "number", "Q.850 cause in the Reason header of the BYE or the refusal."),
        key("ended_by", "us, platform or failure", "Who ended the call."),
        key("post_dial_delay", "bounds", "From the INVITE to ringing, or to the answer where none rang."),
        key("answered_within", "bounds", "From the INVITE to the answer."),
        key("first_audio_within", "bounds", "From the answer to the first audio."),
        key("duration", "bounds", "From the answer to the end."),
        key("digits", "keys", "All keys heard in the call."),
        key("early_media", "true or false", "Whether audio came before the answer."),
    ],
};

/// The web server.
pub const WEBHOOKS: Block = Block {
    of: "key of `webhooks`",
    title: "`webhooks`",
    intro: "A web server that stands for the application: it serves answer documents and remembers what it was asked. Its base URL is \
            `${webhook_url}` in the script.",
    keys: &[
        key("listen", "ADDR:PORT", "Where it listens; default `127.0.0.1:0`, a free port."),
        key("url", "URL", "Its base URL as the platform reaches it, where that is not `listen`."),
        key("token", "text", "The account's token, by which signatures are checked (X-Vobiz-Signature-V3)."),
        key(
            "serve",
            "mapping",
            "What is answered, by path: a text (an answer document), a mapping, or a list of them, of which the first request gets \
             the first and the last is repeated. Other paths get 404, those that `expect` names an empty 200.",
        ),
        key("expect", "list", "What must have been requested."),
        key("ordered", "true or false", "Whether the expected requests come in that order; default false."),
    ],
};

/// One answer of the web server.
pub const ANSWER: Block = Block {
    of: "key of an answer",
    title: "An answer under `serve`",
    intro: "One of `xml`, `file`, `tone`, or a `status` alone.",
    keys: &[
        key("xml", "text", "An answer document."),
        key("file", "file", "A file, named relative to the script; its ending decides the type."),
        key("tone", "Hz, or `Hz for time`", "A WAV file with a tone, to `<Play>`."),
        key("status", "HTTP status", "Default 200."),
        key("type", "text", "`Content-Type`."),
        key("delay", "time", "Answer so late."),
    ],
};

/// One expected request.
pub const REQUEST_EXPECTATION: Block = Block {
    of: "key of an expected request",
    title: "One of `webhooks: expect`",
    intro: "How often requests must have come that fit. A parameter's value is a text, `/an expression/`, or `~` where it must be absent.",
    keys: &[
        key("path", "text", "Path, without the query; any where absent."),
        key("method", "GET or POST", "Any where absent."),
        key("parameters", "mapping", "Parameters of query and form, by name."),
        key("count", "number or bounds", "How many; default at least one."),
        key("within", "time", "Each of the needed ones must come this soon."),
        key("of", "start or end", "After what: the script's start, or (default) the end of the last call."),
        key("signature", "valid", "Their X-Vobiz-Signature-V3 must be right for `token`."),
    ],
};

/// An HTTP request as a step.
pub const REQUEST: Block = Block {
    of: "key of `request`",
    title: "`request` among the steps",
    intro: "Sent as it stands; the body as `application/json` unless a header says otherwise. Plain HTTP only.",
    keys: &[
        key("method", "text", "Default `GET`, with a body `POST`."),
        key("url", "URL", "Where to: `http://…`."),
        key("user", "text", "For HTTP Basic: an account's id."),
        key("password", "text", "For HTTP Basic: its token."),
        key("headers", "mapping", "Further headers."),
        key("json", "text", "The body."),
        key("status", "HTTP status", "What must come back; any 2xx where absent."),
    ],
};

/// Lower and upper bound.
pub(crate) const BOUNDS: Block = Block {
    of: "bound",
    title: "Bounds",
    intro: "",
    keys: &[key("at_least", "value", "Not less."), key("at_most", "value", "Not more.")],
};

/// Bounds of a level.
pub(crate) const LEVELS: Block = Block {
    of: "bound of a level",
    title: "Levels",
    intro: "",
    keys: &[key("above", "dBFS", "Not quieter."), key("below", "dBFS", "Not louder.")],
};

/// The blocks of the page, in its order; steps stand after [`REGISTER`].
pub(crate) const PAGE: &[&Block] =
    &[&SCRIPT, &PARTY, &REGISTER, &HEARD, &REQUEST, &ENDING, &WEBHOOKS, &ANSWER, &REQUEST_EXPECTATION];
