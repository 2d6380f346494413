//! One canonicaliser in front of the router: every tolerated spelling of a path (casing, slashes, plural,
//! aliases, encodings of phone numbers) becomes the route table's own, without a redirect. Several HTTP
//! libraries drop bodies or credentials on redirects (REST reference §1.2).
//!
//! Only segments that are literals in the matching pattern are touched, and phone numbers; names and ids
//! pass as they are.

use super::routes::PREFIX;

/// Other words for a literal segment (REST reference §1.2, §21 rows 1 and 33).
const ALIASES: &[(&str, &str)] = &[
    ("accounts", "account"),
    ("cdrs", "cdr"),
    ("calls", "call"),
    ("applications", "application"),
    ("purchase", "purchase-from-inventory"),
];
/// The parameter that holds a phone number.
const NUMBER_PARAMETER: &str = "e164";
/// Segments looked at; longer paths are nobody's.
const MAX_SEGMENTS: usize = 16;

/// The patterns of the route table as a tree of segments.
#[derive(Default)]
pub(crate) struct Canonical {
    root: Node,
}

#[derive(Default)]
struct Node {
    literals: Vec<Literal>,
    parameter: Option<Box<(String, Node)>>,
    /// A `{*rest}` pattern ends here.
    takes_rest: bool,
    ends: bool,
}

struct Literal {
    lower: String,
    written: String,
    node: Node,
}

impl Canonical {
    /// From patterns such as `/Account/{auth_id}/numbers/{e164}`.
    pub(crate) fn new<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Self {
        let mut canonical = Self::default();
        for pattern in patterns {
            let mut node = &mut canonical.root;
            for segment in pattern.split('/').filter(|segment| !segment.is_empty()) {
                match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                    Some(rest) if rest.starts_with('*') => {
                        node.takes_rest = true;
                        break;
                    }
                    Some(name) => {
                        let entry = node
                            .parameter
                            .get_or_insert_with(|| Box::new((name.to_owned(), Node::default())));
                        node = &mut entry.1;
                    }
                    None => node = node.literal_mut(segment),
                }
            }
            node.ends |= !node.takes_rest;
        }
        canonical
    }

    /// Whether a path has nothing where the account's id belongs, as when a program's variable is empty:
    /// `/Account//cdr` is not the account called `cdr`. Slashes doubled elsewhere are tolerated.
    pub(crate) fn lacks_account(&self, path: &str) -> bool {
        let lower = path.to_ascii_lowercase();
        let after = ["/account//", "/accounts//"].iter().find_map(|text| lower.split_once(text));
        let Some(word) = after.and_then(|(_, rest)| rest.trim_start_matches('/').split('/').next()) else {
            return false;
        };
        let account = self.root.literals.iter().find(|literal| literal.lower == "account");
        let below = account.and_then(|account| account.node.parameter.as_deref());
        let alias = ALIASES.iter().find(|(from, _)| *from == word).map_or(word, |(_, to)| to);
        below.is_some_and(|(_, node)| node.literals.iter().any(|literal| literal.lower == alias))
    }

    /// The route table's spelling of a path; `None` when the path is not below `/api/v1` (or `/v1`), or
    /// no pattern matches.
    pub(crate) fn path(&self, path: &str) -> Option<String> {
        let mut segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        if segments.first().is_some_and(|first| first.eq_ignore_ascii_case("api")) {
            segments.remove(0);
        }
        let (version, rest) = segments.split_first()?;
        if !version.eq_ignore_ascii_case("v1") || rest.len() > MAX_SEGMENTS {
            return None;
        }
        let mut written = Vec::with_capacity(rest.len());
        self.root.descend(rest, &mut written).then(|| format!("{PREFIX}/{}", written.join("/")))
    }
}

impl Node {
    fn literal_mut(&mut self, segment: &str) -> &mut Self {
        let lower = segment.to_ascii_lowercase();
        let index = match self.literals.iter().position(|literal| literal.lower == lower) {
            Some(index) => index,
            None => {
                self.literals.push(Literal { lower, written: segment.to_owned(), node: Self::default() });
                self.literals.len() - 1
            }
        };
        &mut self.literals[index].node
    }

    /// A literal beats an alias, an alias beats a parameter; what leads nowhere is taken back.
    fn descend(&self, segments: &[&str], written: &mut Vec<String>) -> bool {
        let Some((segment, rest)) = segments.split_first() else { return self.ends };
        let lower = segment.to_ascii_lowercase();
        let alias = ALIASES.iter().find(|(from, _)| *from == lower).map(|(_, to)| *to);
        let literals = [Some(lower.as_str()), alias].into_iter().flatten();
        for word in literals {
            if let Some(literal) = self.literals.iter().find(|literal| literal.lower == word) {
                written.push(literal.written.clone());
                if literal.node.descend(rest, written) {
                    return true;
                }
                written.pop();
            }
        }
        if let Some(parameter) = &self.parameter {
            let (name, node) = &**parameter;
            written.push(if name == NUMBER_PARAMETER { number(segment) } else { (*segment).to_owned() });
            if node.descend(rest, written) {
                return true;
            }
            written.pop();
        }
        if self.takes_rest {
            written.extend(segments.iter().map(|segment| (*segment).to_owned()));
        }
        self.takes_rest
    }
}

/// `%2B91…`, `%252B91…`, `+91…` and `91…` are the same number.
fn number(segment: &str) -> String {
    let mut rest = segment;
    loop {
        let stripped = ["%252b", "%252B", "%2b", "%2B", "+", "%20", "%2520"]
            .iter()
            .find_map(|prefix| rest.strip_prefix(prefix));
        match stripped {
            Some(stripped) => rest = stripped,
            None => return format!("+{rest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Canonical {
        Canonical::new([
            "/auth/me",
            "/Account/{auth_id}/numbers",
            "/Account/{auth_id}/numbers/purchase-from-inventory",
            "/Account/{auth_id}/numbers/{e164}/application",
            "/Account/{auth_id}/Application/{app_id}",
            "/Account/{auth_id}/Call",
            "/Account/{auth_id}/cdr/{call_uuid}",
            "/Account/{auth_id}/Conference/{*rest}",
            "/partner/accounts/{MA}",
            "/partner/cdrs",
        ])
    }

    fn path(text: &str) -> String {
        table().path(text).unwrap_or_default()
    }

    #[test]
    fn casing_slashes_plurals_and_aliases_of_literals_reach_the_same_route() {
        for text in [
            "/api/v1/Account/MA_x/numbers",
            "/API/V1/accounts/MA_x/Numbers/",
            "/v1/account/MA_x/numbers",
            "//api/v1//account/MA_x/numbers//",
        ] {
            assert_eq!(path(text), "/api/v1/Account/MA_x/numbers", "{text}");
        }
        assert_eq!(path("/api/v1/account/M/calls/"), "/api/v1/Account/M/Call");
        assert_eq!(path("/api/v1/Account/M/cdrs/7"), "/api/v1/Account/M/cdr/7");
        assert_eq!(path("/api/v1/Account/M/applications/7/"), "/api/v1/Account/M/Application/7");
        assert_eq!(
            path("/api/v1/Account/M/numbers/purchase"),
            "/api/v1/Account/M/numbers/purchase-from-inventory"
        );
        assert_eq!(path("/api/v1/Partner/Accounts/MA_X"), "/api/v1/partner/accounts/MA_X");
        assert_eq!(path("/api/v1/partner/cdrs"), "/api/v1/partner/cdrs", "a literal beats an alias");
    }

    #[test]
    fn an_empty_account_id_is_seen_and_a_doubled_slash_is_not_one() {
        for text in ["/api/v1/Account//cdr/7", "/v1/accounts//Calls", "/api/v1/account///numbers/9180"] {
            assert!(table().lacks_account(text), "{text}");
        }
        for text in ["/api/v1/Account//MA_x/cdr/7", "//api//v1/Account/MA_x//numbers", "/api/v1/Account/cdr"]
        {
            assert!(!table().lacks_account(text), "{text}");
        }
    }

    #[test]
    fn every_encoding_of_a_number_is_plus_and_digits() {
        for text in ["%2B9180", "%252B9180", "%2b9180", "+9180", "9180"] {
            let asked = format!("/api/v1/account/M/numbers/{text}/APPLICATION/");
            assert_eq!(path(&asked), "/api/v1/Account/M/numbers/+9180/application", "{text}");
        }
    }

    #[test]
    fn names_and_ids_are_never_touched() {
        assert_eq!(
            path("/api/v1/account/Calls/application/ACCOUNTS"),
            "/api/v1/Account/Calls/Application/ACCOUNTS"
        );
        assert_eq!(
            path("/api/v1/account/M/conference/Calls%20A/member/CALLS"),
            "/api/v1/Account/M/Conference/Calls%20A/member/CALLS"
        );
    }

    #[test]
    fn what_no_pattern_matches_is_left_alone() {
        for text in
            ["/", "/dev/calls", "/api/v2/auth/me", "/api/v1/auth/me/more", "/api/v1", "/api/v1/nothing"]
        {
            assert_eq!(table().path(text), None, "{text}");
        }
        let long = format!("/api/v1/Account/M/Conference{}", "/x".repeat(MAX_SEGMENTS));
        assert_eq!(table().path(&long), None);
    }
}
