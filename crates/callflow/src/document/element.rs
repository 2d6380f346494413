//! One element being read: attributes by their [`Spec`], text, children, and where it stands.

use roxmltree::Node;
use tandem_model::HttpMethod;

use super::spec::{Attribute, Kind, Spec, Support};
use super::{DocumentError, Severity, Source, Words, nearest};
use crate::address::Target;

/// An element whose attributes have been checked against its [`Spec`].
#[derive(Clone, Copy)]
pub(crate) struct Element<'a> {
    node: Node<'a, 'a>,
    source: &'a Source<'a>,
    spec: &'static Spec,
}

impl<'a> Element<'a> {
    /// Reads the attributes: what is unknown, unreadable, out of range or without effect is noted.
    pub(crate) fn read(node: Node<'a, 'a>, source: &'a Source<'a>, spec: &'static Spec) -> Self {
        let element = Self { node, source, spec };
        for written in node.attributes() {
            match spec.attributes.iter().find(|it| it.is_called(written.name())) {
                Some(attribute) => element.judge(attribute, &written),
                None => element.unknown(&written),
            }
        }
        if spec.text.is_empty() {
            source.note_stray_text(node, &format!("text inside <{}> is ignored", spec.name));
        }
        element
    }

    fn unknown(&self, written: &roxmltree::Attribute<'_, '_>) {
        let names = self.spec.attributes.iter().flat_map(|it| std::iter::once(&it.name).chain(it.aliases));
        let remedy = match nearest(written.name(), names.copied()) {
            Some(name) => format!("Did you mean `{name}`?"),
            None => "Remove it.".to_owned(),
        };
        let message = format!("<{}> has no attribute {}: it is ignored", self.spec.name, written.name());
        self.found(written, Severity::Warning, message, remedy);
    }

    /// Notes what will not be read the way it is written.
    fn judge(&self, attribute: &Attribute, written: &roxmltree::Attribute<'_, '_>) {
        let value = written.value().trim();
        let (element, name) = (self.spec.name, written.name());
        if let Support::Ignored(why) = attribute.support {
            let message = format!("{name} of <{element}> has no effect: {why}");
            return self.found(written, Severity::Note, message, String::new());
        }
        if value.is_empty() {
            return;
        }
        if let Support::NotBuilt { except } = attribute.support {
            if !except.iter().any(|harmless| harmless.eq_ignore_ascii_case(value)) {
                let message = format!("{name} of <{element}> is not built yet: it has no effect");
                self.found(written, Severity::Warning, message, String::new());
            }
            return;
        }
        match attribute.kind {
            Kind::Text => {}
            Kind::Url if crate::address::could_be_web(value) => {}
            Kind::Url => {
                let message = format!("{name} of <{element}> is no http or https URL");
                let remedy = "Write https://…, or a path relative to this document's own URL.";
                self.found(written, Severity::Error, message, remedy.to_owned());
            }
            Kind::Method if HttpMethod::parse(value).is_some() => {}
            Kind::Method => {
                let message = format!("{name} of <{element}> is neither GET nor POST");
                self.found(written, Severity::Error, message, "Write `GET` or `POST`.".to_owned());
            }
            Kind::Switch if read_switch(value).is_some() => {}
            Kind::Switch => self.unreadable(attribute, written, "true` or `false"),
            Kind::WholeOrAuto { .. } if value.eq_ignore_ascii_case("auto") => {}
            Kind::Whole { least, most } | Kind::WholeOrAuto { least, most } => {
                let range = format!("a whole number from {least} to {most}");
                match read_number(value) {
                    None => self.unreadable(attribute, written, &range),
                    Some(number) if clamp(number, least, most) as f64 == number => {}
                    Some(number) => {
                        let used = clamp(number, least, most);
                        let message =
                            format!("{name}=\"{value}\" of <{element}> is out of range: {used} is used");
                        self.found(written, Severity::Warning, message, format!("Write {range}."));
                    }
                }
            }
        }
    }

    fn unreadable(&self, attribute: &Attribute, written: &roxmltree::Attribute<'_, '_>, right: &str) {
        let message = format!(
            "{}=\"{}\" of <{}> is not understood: {} is used",
            written.name(),
            written.value().trim(),
            self.spec.name,
            if attribute.default.is_empty() { "no value" } else { attribute.default }
        );
        let remedy =
            if right.contains('`') { format!("Write `{right}`.") } else { format!("Write {right}.") };
        self.found(written, Severity::Warning, message, remedy);
    }

    fn found(
        &self,
        written: &roxmltree::Attribute<'_, '_>,
        severity: Severity,
        message: String,
        remedy: String,
    ) {
        let (element, attribute) = (Some(self.spec.name), Some(written.name()));
        self.source.note(&written.range(), severity, Words { element, attribute, message, remedy });
    }

    /// Notes something about the element as a whole.
    pub(crate) fn note(&self, severity: Severity, message: impl Into<String>, remedy: impl Into<String>) {
        let (message, remedy) = (message.into(), remedy.into());
        let words = Words { element: Some(self.spec.name), attribute: None, message, remedy };
        self.source.note(&self.node.range(), severity, words);
    }

    /// Its canonical name.
    pub(crate) fn name(&self) -> &'static str {
        self.spec.name
    }

    /// The line it begins on, from 1.
    pub(crate) fn line(&self) -> u32 {
        self.source.position(self.node.range().start).0
    }

    /// A complaint about it.
    pub(crate) fn error(&self, message: String) -> DocumentError {
        self.source.error_at(self.node.range().start, message, Some(self.spec.name))
    }

    /// All text inside it, markup dropped, white space collapsed.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for node in self.node.descendants().filter(Node::is_text) {
            text.push_str(node.text().unwrap_or_default());
        }
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// What it says when it is spoken: its text, with pauses and rates where it has any.
    pub(crate) fn speech(&self) -> String {
        super::ssml::speech(self.node)
    }

    /// The elements inside it.
    pub(crate) fn children(&self) -> impl Iterator<Item = Node<'a, 'a>> + use<'a> {
        self.node.children().filter(Node::is_element)
    }

    /// The elements that may stand inside it.
    pub(crate) fn children_allowed(&self) -> &'static [&'static str] {
        self.spec.children
    }

    /// Reads a child by another spec.
    pub(crate) fn child(&self, node: Node<'a, 'a>, spec: &'static Spec) -> Element<'a> {
        Element::read(node, self.source, spec)
    }

    /// The document it stands in.
    pub(crate) fn source(&self) -> &'a Source<'a> {
        self.source
    }

    /// The value written, trimmed, or the default; `None` when both are empty.
    pub(crate) fn value(&self, name: &str) -> Option<&'a str> {
        let attribute = self.spec.attribute(name)?;
        self.written(attribute).filter(|value| !value.is_empty()).or_else(|| some(attribute.default))
    }

    /// The value as written, trimmed; `None` only when the attribute is absent.
    pub(crate) fn as_written(&self, name: &str) -> Option<&'a str> {
        self.written(self.spec.attribute(name)?)
    }

    /// A switch.
    pub(crate) fn switch(&self, name: &str) -> bool {
        let default = self.spec.attribute(name).and_then(|attribute| read_switch(attribute.default));
        self.value(name).and_then(read_switch).or(default).unwrap_or(false)
    }

    /// A whole number within the limits of its kind; `None` for `auto` and for none at all.
    pub(crate) fn whole(&self, name: &str) -> Option<u64> {
        let attribute = self.spec.attribute(name)?;
        let (Kind::Whole { least, most } | Kind::WholeOrAuto { least, most }) = attribute.kind else {
            return None;
        };
        let number = self.value(name).and_then(read_number).or_else(|| read_number(attribute.default))?;
        Some(clamp(number, least, most))
    }

    /// A URL with the method beside it; `None` when the URL is not written.
    pub(crate) fn target(&self, url: &str, method: &str) -> Option<Target> {
        Some(Target { url: self.as_written(url)?.to_owned(), method: self.method(method) })
    }

    /// A method; `None` when it is neither GET nor POST.
    pub(crate) fn method(&self, name: &str) -> Option<HttpMethod> {
        self.value(name).map_or(Some(HttpMethod::Post), HttpMethod::parse)
    }

    /// Exact names win over aliases, those over other casings.
    fn written(&self, attribute: &Attribute) -> Option<&'a str> {
        let exact = |name: &str| self.node.attribute(name);
        exact(attribute.name)
            .or_else(|| attribute.aliases.iter().find_map(|alias| exact(alias)))
            .or_else(|| {
                let mut written = self.node.attributes();
                written.find(|it| attribute.is_called(it.name())).map(|it| it.value())
            })
            .map(str::trim)
    }
}

fn read_switch(text: &str) -> Option<bool> {
    match text {
        "1" => Some(true),
        "0" => Some(false),
        _ => text.to_ascii_lowercase().parse().ok(),
    }
}

/// Through a float, so that `5.0` and numbers beyond any integer are understood and clamped.
fn read_number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| !number.is_nan())
}

fn clamp(number: f64, least: u64, most: u64) -> u64 {
    (number as u64).clamp(least, most)
}

fn some(text: &'static str) -> Option<&'static str> {
    (!text.is_empty()).then_some(text)
}
