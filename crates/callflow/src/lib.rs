//! Sans-IO call control: XML documents, verbs, the interpreter, legs and bridges.
