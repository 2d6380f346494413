//! The page of all keys, printed from the table.

use crate::table::{Block, KeySpec, PAGE, REGISTER, STEPS};

/// docs/reference/sim-script.md.
pub fn reference() -> String {
    let mut page = String::from(
        "# Scripts of the scripted caller\n\n`tandem sim caller SCRIPT.yaml…` plays telephone calls against a platform and judges what it hears: see \
         [test your IVR](../how-to/test-your-ivr.md). It exits 0 when all held, 1 on a miss, 2 when a script is wrong. `--dry-run` reads \
         scripts only; an unknown key is an error with its line and column.\n",
    );
    for block in PAGE {
        chapter(&mut page, block);
        if block.title == REGISTER.title {
            steps(&mut page);
        }
    }
    page
}

fn chapter(page: &mut String, block: &Block) {
    page.push_str(&format!("\n## {}\n\n{}\n\n", block.title, block.intro));
    keys(page, block.keys);
}

fn keys(page: &mut String, keys: &[KeySpec]) {
    page.push_str("| Key | Value | What |\n|---|---|---|\n");
    for key in keys {
        page.push_str(&format!("| `{}` | {} | {} |\n", key.name, key.value, key.what));
    }
}

fn steps(page: &mut String) {
    page.push_str(
        "\n## Steps\n\nA step is a mapping with the key of its kind and that kind's options. `within` is about the beginning of what is \
         awaited, `for` about its length: `wait_for: silence, within: 300ms, for: 1s` misses if anything is heard later than 300 ms \
         after the step began. After a miss the party hangs up and skips the rest.\n",
    );
    for step in STEPS {
        page.push_str(&format!("\n### `{}`: {}\n\n{}\n\n", step.name, step.value, step.what));
        if !step.options.is_empty() {
            keys(page, step.options);
            page.push('\n');
        }
        let example = step.example.replace('\n', "\n  ").replace("\n    ", "\n  ");
        page.push_str(&format!("```yaml\n- {example}\n```\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Variables;
    use crate::read::read;

    #[test]
    fn the_page_in_the_repository_is_fresh() {
        let page = include_str!("../../../docs/reference/sim-script.md");
        assert!(page == reference(), "docs/reference/sim-script.md is stale: `make docs`");
    }

    #[test]
    fn every_example_of_the_page_is_a_step_that_is_read() {
        for step in STEPS {
            let example = step.example.replace('\n', "\n      ");
            let answering = matches!(step.name, "answer" | "refuse");
            let head = if answering { "answer: any" } else { "dial: '1'" };
            let text = format!(
                "variables: {{api: 'http://a', id: b, token: c}}\nparties:\n  a:\n    {head}\n    steps:\n      - {example}\n"
            );
            let script = read(&text, &Variables::default());
            assert!(script.is_ok(), "{}: {:?}\n{text}", step.name, script.err());
        }
        assert!(reference().contains("### `press`"));
    }
}
