//! The reference page of elements, generated from their specifications.

use std::fmt::Write as _;

use super::spec::{Attribute, Kind, Spec, Support};
use crate::verbs;

/// The reference of call-control XML in Markdown.
pub fn reference() -> String {
    let mut page = String::from(
        "# Call-control XML\n\n\
         A document is one `<Response>` of at most 100 KiB, UTF-8, without DTD. Its elements run from top to bottom; at the end \
         of the document the call is hung up (4010). Element and attribute names are matched exactly, then by alias, then in any \
         case. Numbers out of range are clamped; unknown attributes and elements are ignored; elements in the wrong place \
         make the document invalid (8011 to 8014). `tandem xml check FILE` tells what is wrong with a document. URLs may be relative to the document's own; fragments are not sent.\n\n\
         This page is generated from the code.\n",
    );
    for spec in verbs::specs() {
        element(&mut page, spec);
    }
    page.push_str(
        "\n## Not built\n\nA call that reaches one of these ends (5010), and its record says why: ",
    );
    let names: Vec<String> = verbs::NOT_BUILT.iter().map(|(name, _)| format!("`<{name}>`")).collect();
    page.push_str(&names.join(", "));
    page.push_str(".\n");
    page
}

fn element(page: &mut String, spec: &Spec) {
    // Writing to a String cannot fail.
    let _ = write!(page, "\n## {}\n\n{}\n", spec.name, spec.summary);
    if !spec.aliases.is_empty() {
        let _ = write!(page, "\nAliases: {}.\n", code_list(spec.aliases));
    }
    if !spec.text.is_empty() {
        let _ = write!(page, "\nText: {}\n", spec.text);
    }
    if !spec.children.is_empty() {
        let _ = write!(page, "\nChildren: {}.\n", code_list(spec.children));
    }
    if !spec.attributes.is_empty() {
        page.push_str("\n| Attribute | Values | Default | Meaning |\n|---|---|---|---|\n");
        for attribute in spec.attributes {
            row(page, attribute);
        }
    }
    if !spec.behaviour.is_empty() {
        let _ = write!(page, "\n{}\n", spec.behaviour);
    }
    if !spec.example.is_empty() {
        let _ = write!(page, "\n```xml\n{}\n```\n", spec.example);
    }
}

fn row(page: &mut String, attribute: &Attribute) {
    let default =
        if attribute.default.is_empty() { "–".to_owned() } else { format!("`{}`", attribute.default) };
    let mut meaning = match attribute.support {
        Support::Built => attribute.doc.to_owned(),
        Support::Ignored(why) => format!("Accepted without effect: {why}."),
        Support::NotBuilt { .. } => "Not built: accepted without effect, with a warning.".to_owned(),
    };
    if !attribute.aliases.is_empty() {
        let _ = write!(meaning, " Also {}.", code_list(attribute.aliases));
    }
    let _ = writeln!(page, "| `{}` | {} | {default} | {meaning} |", attribute.name, values(attribute.kind));
}

fn values(kind: Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Url => "URL".to_owned(),
        Kind::Method => "`GET`, `POST`".to_owned(),
        Kind::Switch => "`true`, `false`".to_owned(),
        Kind::Whole { least, most } => format!("{least}–{most}"),
        Kind::WholeOrAuto { least, most } => format!("{least}–{most}, `auto`"),
    }
}

fn code_list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
