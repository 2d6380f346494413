//! One operation of the API as it is told to clients: what it is called, takes and answers. The entries hold one for
//! every method and pattern of the route table; a test keeps the two equal.

use serde_json::{Map, Value};
use tandem_model::ErrorCode;

use super::shape::{Field, Shape};

/// What answers are written in, but for files.
pub(crate) const JSON: &str = "application/json";

/// Whose credentials an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// The account of the path, or its parent.
    Account,
    /// Anybody; it is about the caller itself.
    Caller,
    /// A partner.
    Partner,
    /// A main account, for a sub-account of its own.
    Parent,
    /// Nobody's: the body proves who asks.
    Nobody,
}

/// One method of one pattern.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    pub(crate) pattern: String,
    pub(crate) summary: &'static str,
    pub(crate) note: &'static str,
    pub(crate) tag: &'static str,
    pub(crate) who: Who,
    pub(crate) query: Vec<Field>,
    pub(crate) body: Vec<Field>,
    pub(crate) status: u16,
    /// `None` for an empty answer.
    pub(crate) answer: Option<Shape>,
    /// What the answer is written in.
    pub(crate) media: &'static str,
    pub(crate) errors: Vec<(u16, ErrorCode)>,
}

impl Operation {
    fn new(method: &'static str, pattern: &str, summary: &'static str) -> Self {
        let (tag, who) = match pattern {
            p if p.starts_with("/partner/kyc") => ("KYC sessions", Who::Partner),
            p if p.starts_with("/partner/") => ("Partner", Who::Partner),
            p if p.starts_with("/sub-accounts/") => ("Sub-account KYC", Who::Parent),
            p if p.starts_with("/auth/") => ("Sessions", Who::Caller),
            _ => ("Account", Who::Account),
        };
        Self {
            method,
            pattern: pattern.to_owned(),
            summary,
            note: "",
            tag,
            who,
            query: Vec::new(),
            body: Vec::new(),
            status: 200,
            answer: None,
            media: JSON,
            errors: Vec::new(),
        }
    }

    /// The group it is shown in.
    pub(super) fn tag(mut self, tag: &'static str) -> Self {
        self.tag = tag;
        self
    }

    /// Whose credentials it takes, where the pattern does not tell.
    pub(super) fn by(mut self, who: Who) -> Self {
        self.who = who;
        self
    }

    /// More than the summary says.
    pub(super) fn note(mut self, note: &'static str) -> Self {
        self.note = note;
        self
    }

    /// Parameters of the query.
    pub(super) fn query(mut self, fields: &str) -> Self {
        self.query.extend(Shape::of_fields(fields));
        self
    }

    /// Fields of the body. What is marked `=` makes up the example.
    pub(super) fn body(mut self, fields: &str) -> Self {
        self.body.extend(Shape::of_fields(fields));
        self
    }

    /// The answer to the example: a type, or nothing for an empty body.
    pub(super) fn answers(mut self, status: u16, shape: &str) -> Self {
        self.status = status;
        self.answer = (!shape.is_empty()).then(|| Shape::parse(shape));
        self
    }

    /// What the answer is written in, when it is not JSON.
    pub(super) fn media(mut self, media: &'static str) -> Self {
        self.media = media;
        self
    }

    /// Refusals beyond those of every operation.
    pub(super) fn refuses(mut self, codes: &[ErrorCode]) -> Self {
        self.errors.extend(codes.iter().map(|code| (code.http_status(), *code)));
        self
    }

    /// A refusal under another status than the catalogue's.
    pub(super) fn refuses_as(mut self, status: u16, code: ErrorCode) -> Self {
        self.errors.push((status, code));
        self
    }

    /// Every refusal it may answer.
    pub(crate) fn all_errors(&self) -> Vec<(u16, ErrorCode)> {
        let mut errors = self.errors.clone();
        let mut add = |code: ErrorCode| {
            let refusal = (code.http_status(), code);
            if !errors.contains(&refusal) {
                errors.push(refusal);
            }
        };
        if self.who != Who::Nobody {
            add(ErrorCode::InvalidCredentials);
            add(ErrorCode::AccountInactive);
        }
        match self.who {
            Who::Account | Who::Parent => add(ErrorCode::AccountMismatch),
            Who::Partner => add(ErrorCode::CapabilityMissing),
            Who::Caller | Who::Nobody => {}
        }
        // A path, a header, a query or a body may be none.
        add(ErrorCode::ValidationError);
        if self.who == Who::Parent {
            add(ErrorCode::NotFound);
        }
        if self.method == "POST" {
            add(ErrorCode::IdempotencyMismatch);
        }
        add(ErrorCode::RateLimited);
        add(ErrorCode::Overloaded);
        errors.sort_by_key(|(status, code)| (*status, code.slug()));
        errors
    }

    /// Parameters of the path, in order.
    pub(crate) fn parameters(&self) -> Vec<&str> {
        let segments = self.pattern.split('/');
        segments.filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}')).collect()
    }

    /// The body of the example; `None` when the operation takes none.
    pub(crate) fn example(&self) -> Option<Value> {
        let members = self.body.iter().filter_map(|field| Some((field.name.clone(), field.example.clone()?)));
        (!self.body.is_empty()).then(|| Value::Object(members.collect::<Map<_, _>>()))
    }

    /// A name for generated code and links: `getAccountTrunksById`.
    pub(crate) fn id(&self) -> String {
        let mut id = self.method.to_ascii_lowercase();
        for segment in self.pattern.split('/').filter(|segment| !segment.is_empty()) {
            let (prefix, word) = match segment.strip_prefix('{') {
                Some(name) => ("By", name.trim_end_matches('}')),
                None => ("", segment),
            };
            id.push_str(prefix);
            for part in word.split(['-', '_']) {
                let (first, rest) = part.split_at(part.len().min(1));
                id.push_str(&first.to_ascii_uppercase());
                id.push_str(rest);
            }
        }
        id
    }
}

/// GET.
pub(super) fn get(pattern: &str, summary: &'static str) -> Operation {
    Operation::new("GET", pattern, summary)
}

/// POST.
pub(super) fn post(pattern: &str, summary: &'static str) -> Operation {
    Operation::new("POST", pattern, summary)
}

/// PUT.
pub(super) fn put(pattern: &str, summary: &'static str) -> Operation {
    Operation::new("PUT", pattern, summary)
}

/// PATCH.
pub(super) fn patch(pattern: &str, summary: &'static str) -> Operation {
    Operation::new("PATCH", pattern, summary)
}

/// DELETE.
pub(super) fn delete(pattern: &str, summary: &'static str) -> Operation {
    Operation::new("DELETE", pattern, summary)
}
