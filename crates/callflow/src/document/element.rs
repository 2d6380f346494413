//! One element being read: attributes by their [`Spec`], text, children, and where it stands.

use roxmltree::Node;
use tandem_model::HttpMethod;

use super::spec::{Attribute, Kind, Spec, Support};
use super::{DocumentError, Source};
use crate::address::Target;

/// An element whose attributes have been checked against its [`Spec`].
#[derive(Clone, Copy)]
pub(crate) struct Element<'a> {
    node: Node<'a, 'a>,
    source: &'a Source<'a>,
    spec: &'static Spec,
}

impl<'a> Element<'a> {
    /// Checks the attributes: unknown ones are noted, those not built are refused.
    pub(crate) fn read(
        node: Node<'a, 'a>,
        source: &'a Source<'a>,
        spec: &'static Spec,
    ) -> Result<Self, DocumentError> {
        let element = Self { node, source, spec };
        for written in node.attributes() {
            let value = written.value().trim();
            let Some(attribute) = spec.attributes.iter().find(|it| it.is_called(written.name())) else {
                source.warn(format!(
                    "<{}> has no attribute {}: it is ignored (line {})",
                    spec.name,
                    written.name(),
                    element.line()
                ));
                continue;
            };
            if let Support::NotBuilt { except } = attribute.support
                && !value.is_empty()
                && !except.iter().any(|harmless| harmless.eq_ignore_ascii_case(value))
            {
                return Err(element.error(format!(
                    "the attribute {}=\"{value}\" of `<{}>` is not built",
                    attribute.name, spec.name
                )));
            }
        }
        Ok(element)
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

    /// The elements inside it.
    pub(crate) fn children(&self) -> impl Iterator<Item = Node<'a, 'a>> + use<'a> {
        self.node.children().filter(Node::is_element)
    }

    /// Reads a child by another spec.
    pub(crate) fn child(
        &self,
        node: Node<'a, 'a>,
        spec: &'static Spec,
    ) -> Result<Element<'a>, DocumentError> {
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
        let read = |text: &str| match text {
            "1" => Some(true),
            "0" => Some(false),
            _ => text.to_ascii_lowercase().parse().ok(),
        };
        let default = self.spec.attribute(name).and_then(|attribute| read(attribute.default));
        self.value(name).and_then(read).or(default).unwrap_or(false)
    }

    /// A whole number within the limits of its kind; `None` for `auto` and for none at all.
    pub(crate) fn whole(&self, name: &str) -> Option<u64> {
        let attribute = self.spec.attribute(name)?;
        let (Kind::Whole { least, most } | Kind::WholeOrAuto { least, most }) = attribute.kind else {
            return None;
        };
        // Through a float, so that `5.0` and numbers beyond any integer are understood and clamped.
        let read = |text: &str| text.parse::<f64>().ok().filter(|number| !number.is_nan());
        let number = self.value(name).and_then(read).or_else(|| read(attribute.default))?;
        Some((number as u64).clamp(least, most))
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

fn some(text: &'static str) -> Option<&'static str> {
    (!text.is_empty()).then_some(text)
}
