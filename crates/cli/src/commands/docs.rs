//! `tandem docs`: the reference pages that are generated from the code.

use std::fs;

use anyhow::Context as _;

use crate::arguments::Docs;

pub(crate) fn run(docs: &Docs) -> anyhow::Result<()> {
    let mut stale = Vec::new();
    let pages = tandem_server::reference::pages();
    for (file, text) in pages.into_iter().chain([("sim-script.md", tandem_script::reference())]) {
        let path = docs.out.join(file);
        if docs.check {
            if fs::read_to_string(&path).ok().as_deref() != Some(text.as_str()) {
                stale.push(path.display().to_string());
            }
        } else {
            fs::create_dir_all(&docs.out)?;
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    anyhow::ensure!(stale.is_empty(), "stale: {}; run `make docs`", stale.join(", "));
    Ok(())
}
