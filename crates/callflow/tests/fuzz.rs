//! The fuzz target of documents as an ordinary test; see `fuzz/`.

#[path = "../../../fuzz/bodies/document.rs"]
mod document;
#[path = "../../../fuzz/bodies/mutation.rs"]
mod mutation;

use mutation::Mutator;

#[test]
fn mutated_documents_are_refused_with_a_position_or_run() {
    let mut mutator = Mutator::new(1);
    let folder = format!("{}/tests/golden", env!("CARGO_MANIFEST_DIR"));
    let mut documents = 0;
    for entry in std::fs::read_dir(folder).expect("the documents are there") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "xml") {
            continue;
        }
        documents += 1;
        let text = std::fs::read(path).expect("readable");
        document::check(&text);
        for _ in 0..600 {
            document::check(&mutator.mutate(&text));
        }
    }
    assert!(documents > 10, "{documents} documents");
}
