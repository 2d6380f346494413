//! `digitsMatch`: key sequences looked for while two legs talk.

/// Patterns kept per side.
const MAX_PATTERNS: usize = 20;
/// Longest pattern.
const MAX_PATTERN_KEYS: usize = 24;

/// Reads a comma list of key sequences. What is no sequence of keys is left out.
pub(super) fn read(list: Option<&str>) -> Vec<String> {
    list.unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|pattern| (1..=MAX_PATTERN_KEYS).contains(&pattern.len()))
        .filter(|pattern| pattern.chars().all(|key| matches!(key, '0'..='9' | '*' | '#')))
        .take(MAX_PATTERNS)
        .map(str::to_owned)
        .collect()
}

/// Looks for patterns at the end of what was pressed.
#[derive(Debug)]
pub(super) struct Watch {
    patterns: Vec<String>,
    pressed: String,
}

impl Watch {
    /// Nothing pressed yet.
    pub(super) fn new(patterns: Vec<String>) -> Self {
        Self { patterns, pressed: String::new() }
    }

    /// A key was pressed: the pattern it completes, if any. A key serves one match only.
    pub(super) fn press(&mut self, key: char) -> Option<String> {
        if self.patterns.is_empty() || !key.is_ascii() {
            return None;
        }
        if self.pressed.len() >= MAX_PATTERN_KEYS {
            self.pressed.remove(0);
        }
        self.pressed.push(key);
        let found = self.patterns.iter().find(|pattern| self.pressed.ends_with(pattern.as_str())).cloned();
        if found.is_some() {
            self.pressed.clear();
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_found_at_the_end_of_what_was_pressed_and_its_keys_are_used_up() {
        let mut watch = Watch::new(read(Some("*9, 55,x1,,")));
        assert_eq!(watch.patterns, ["*9", "55"]);
        let found: Vec<_> = "1*9555".chars().filter_map(|key| watch.press(key)).collect();
        assert_eq!(found, ["*9", "55"]);
    }

    #[test]
    fn a_pattern_of_the_greatest_length_is_found_after_many_other_keys() {
        let longest = "123456789012345678901234";
        let mut watch = Watch::new(read(Some(longest)));
        let keys = format!("{}{longest}", "0".repeat(50));
        assert_eq!(keys.chars().filter_map(|key| watch.press(key)).count(), 1);
        assert!(read(Some(&format!("{longest}5"))).is_empty(), "one past the limit");
    }
}
