//! What an element is: the one description from which parsing, defaults, limits, messages and the
//! reference page come.

/// One element.
#[derive(Debug)]
pub(crate) struct Spec {
    /// The canonical name.
    pub(crate) name: &'static str,
    /// Other names it goes by.
    pub(crate) aliases: &'static [&'static str],
    /// First line of the reference.
    pub(crate) summary: &'static str,
    /// What its text is; empty when it has none.
    pub(crate) text: &'static str,
    /// Elements allowed inside.
    pub(crate) children: &'static [&'static str],
    /// Attributes in order of importance.
    pub(crate) attributes: &'static [Attribute],
    /// Behaviour, a paragraph or two.
    pub(crate) behaviour: &'static str,
    /// A document that works.
    pub(crate) example: &'static str,
}

/// One attribute.
#[derive(Debug)]
pub(crate) struct Attribute {
    /// The canonical name.
    pub(crate) name: &'static str,
    /// Other names it goes by.
    pub(crate) aliases: &'static [&'static str],
    /// What values it takes.
    pub(crate) kind: Kind,
    /// The value when absent or unreadable; empty for none.
    pub(crate) default: &'static str,
    /// What it does.
    pub(crate) doc: &'static str,
    /// How far it works.
    pub(crate) support: Support,
}

/// The type of an attribute's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// A URL, absolute or relative to the document's own.
    Url,
    /// `GET` or `POST`.
    Method,
    /// `true`/`false`, also `1`/`0`, in any case.
    Switch,
    /// A whole number, clamped into these limits.
    Whole {
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// A whole number clamped into these limits, or `auto`.
    WholeOrAuto {
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
}

/// How far an attribute works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Support {
    /// As documented.
    Built,
    /// Accepted without effect; the words say why that does no harm.
    Ignored(&'static str),
    /// Accepted without effect so far, with a warning unless one of these values is written, which ask for nothing.
    NotBuilt {
        /// Values that ask for nothing.
        except: &'static [&'static str],
    },
}

impl Attribute {
    /// An attribute that works as documented.
    pub(crate) const fn built(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        Self { name, aliases: &[], kind, default, doc, support: Support::Built }
    }

    /// Accepted without effect.
    pub(crate) const fn ignored(name: &'static str, kind: Kind, why: &'static str) -> Self {
        Self { name, aliases: &[], kind, default: "", doc: "", support: Support::Ignored(why) }
    }

    /// Without effect so far, unless one of `except` is written.
    pub(crate) const fn not_built(name: &'static str, kind: Kind, except: &'static [&'static str]) -> Self {
        Self { name, aliases: &[], kind, default: "", doc: "", support: Support::NotBuilt { except } }
    }

    /// Also known as.
    pub(crate) const fn also(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Whether a written name means this attribute.
    pub(crate) fn is_called(&self, written: &str) -> bool {
        self.name.eq_ignore_ascii_case(written)
            || self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(written))
    }
}

impl Spec {
    /// Whether a written name means this element.
    pub(crate) fn is_called(&self, written: &str) -> bool {
        self.name.eq_ignore_ascii_case(written)
            || self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(written))
    }

    /// An attribute by its canonical name.
    pub(crate) fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }
}
