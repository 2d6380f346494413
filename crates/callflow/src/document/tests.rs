use proptest::prelude::*;

use super::*;

fn elements(xml: &str) -> Vec<&'static str> {
    parse(xml.as_bytes(), Reading::Tolerant).unwrap().elements().collect()
}

fn error(xml: &str) -> DocumentError {
    parse(xml.as_bytes(), Reading::Tolerant).unwrap_err()
}

#[test]
fn names_are_matched_exactly_then_by_alias_then_in_any_case() {
    let xml = "<response><Speak>a</Speak><SAY>b</SAY><Pause/><getdigits/><Reject/><play>x</play></response>";
    assert_eq!(elements(xml), ["Speak", "Speak", "Wait", "Gather", "Hangup", "Play"]);
}

#[test]
fn what_stands_before_and_beside_the_elements_is_tolerated() {
    let xml = "\u{feff} \n <?xml version=\"1.0\" encoding=\"UTF-8\"?><!-- hi --><Response xmlns:x=\"urn:x\" version=\"1\">\
               <!-- a --><x:Speak><![CDATA[a & b]]></x:Speak><Speak>Tom &amp; Jerry<break/> &#x0905;</Speak></Response>";
    assert_eq!(elements(xml), ["Speak", "Speak"]);
}

#[test]
fn text_is_trimmed_and_collapsed_and_markup_inside_it_is_dropped() {
    let document = parse(
        b"<Response><Speak>\n one <emphasis>two</emphasis>\n  three </Speak></Response>",
        Reading::Tolerant,
    )
    .unwrap();
    assert!(format!("{document:?}").contains("\"one two three\""), "{document:?}");
}

#[test]
fn a_document_of_the_greatest_length_is_read_and_one_byte_more_is_not() {
    let xml = |bytes: usize| {
        let frame = "<Response><Speak></Speak></Response>".len();
        format!("<Response><Speak>{}</Speak></Response>", "a".repeat(bytes - frame))
    };
    assert_eq!(elements(&xml(MAX_DOCUMENT_BYTES)), ["Speak"]);
    assert!(error(&xml(MAX_DOCUMENT_BYTES + 1)).message.contains("longer than 102400 bytes"));
}

#[test]
fn what_is_no_xml_is_refused_with_its_position() {
    let ampersand = error("\n\n  <Response>\n<Play>https://a.example/?x=1&y=2</Play></Response>");
    assert_eq!(ampersand.line, 4, "{ampersand}");
    assert!(ampersand.message.starts_with("malformed XML"), "{ampersand}");
    for xml in ["", "hello", "<Response>", "<Response></Response><Response></Response>", "{\"a\":1}"] {
        assert!(parse(xml.as_bytes(), Reading::Tolerant).is_err(), "{xml}");
    }
    assert!(
        parse(b"<Response><Speak>\xff</Speak></Response>", Reading::Tolerant)
            .unwrap_err()
            .message
            .contains("UTF-8")
    );
}

#[test]
fn document_type_definitions_are_refused() {
    let bomb =
        "<!DOCTYPE r [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><Response><Speak>&b;</Speak></Response>";
    assert!(error(bomb).message.contains("DTD"), "{}", error(bomb));
    let outside =
        "<!DOCTYPE r [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><Response><Speak>&a;</Speak></Response>";
    assert!(parse(outside.as_bytes(), Reading::Tolerant).is_err());
}

#[test]
fn another_root_is_refused() {
    assert_eq!(error("<html/>").message, "the root is <html>, not <Response>");
}

#[test]
fn unknown_elements_are_skipped_or_refused_with_their_position() {
    let xml = b"<Response>\n  <Speak>a</Speak>\n  <Speek/>\n</Response>";
    let document = parse(xml, Reading::Tolerant).unwrap();
    assert_eq!(document.elements().collect::<Vec<_>>(), ["Speak"]);
    assert_eq!(document.warnings(), ["<Speek> is no element of the language: it is skipped (line 3)"]);
    let error = parse(xml, Reading::Strict).unwrap_err();
    assert_eq!((error.line, error.column, error.element.as_deref()), (3, 3, Some("Speek")));
    assert_eq!(error.message, "<Speek> is no element of the language");
    assert_eq!(error.remedy, "Did you mean <Speak>?");
}

#[test]
fn elements_that_are_not_built_are_documents_with_a_warning() {
    for (name, canonical) in [
        ("Conference", "Conference"),
        ("Stream", "Stream"),
        ("AudioStream", "Stream"),
        ("Connect", "Stream"),
        ("MultiPartyCall", "MultiPartyCall"),
        ("message", "Message"),
    ] {
        let document = parse(format!("<Response><{name}/></Response>").as_bytes(), Reading::Strict).unwrap();
        assert_eq!(document.elements().collect::<Vec<_>>(), [canonical]);
        let warning = format!("<{canonical}> is not built yet: a call that reaches it ends (5010) (line 1)");
        assert_eq!(document.warnings(), [warning]);
    }
}

#[test]
fn speech_alone_is_not_built_and_speech_beside_keys_is_ignored() {
    for speech in ["<Gather inputType='speech'/>", "<Gather input='speech'/>"] {
        let document = format!("<Response>{speech}</Response>");
        let warnings = parse(document.as_bytes(), Reading::Tolerant).unwrap().warnings();
        assert!(warnings[0].contains("is not built yet"), "{speech}: {warnings:?}");
    }
    for keys in [
        "<Gather inputType='dtmf speech' speechModel='phone_call' hints='a,b'/>",
        "<Gather inputType='speech dtmf'/>",
        "<Gather inputType=''/>",
    ] {
        let document = format!("<Response>{keys}</Response>");
        assert!(parse(document.as_bytes(), Reading::Tolerant).unwrap().warnings().is_empty(), "{keys}");
    }
}

#[test]
fn elements_in_the_wrong_place_are_refused() {
    let message = |xml: &str| error(xml).message;
    assert_eq!(
        message("<Response><Gather><Dial>1</Dial></Gather></Response>"),
        "<Dial> may not stand inside <Gather>"
    );
    assert_eq!(
        message("<Response><Dial><Speak>x</Speak></Dial></Response>"),
        "<Speak> may not stand inside <Dial>"
    );
    assert_eq!(
        message("<Response><PreAnswer><Gather/></PreAnswer></Response>"),
        "<Gather> may not stand inside <PreAnswer>"
    );
    assert_eq!(
        message("<Response><Gather><DTMF>1</DTMF></Gather></Response>"),
        "<DTMF> may not stand inside <Gather>"
    );
}

#[test]
fn a_dial_takes_ten_callees_and_not_eleven_and_not_none() {
    let dial = |callees: usize| {
        format!("<Response><Dial>{}</Dial></Response>", "<Number>1</Number>".repeat(callees))
    };
    assert_eq!(elements(&dial(10)), ["Dial"]);
    assert_eq!(error(&dial(11)).message, "<Dial> takes at most 10 numbers and users");
    assert_eq!(error(&dial(0)).message, "<Dial> needs a <Number> or a <User>");
}

#[test]
fn unknown_attributes_are_noted_and_ignored() {
    let document =
        parse(b"<Response>\n<Speak colour='red'>a</Speak>stray</Response>", Reading::Tolerant).unwrap();
    assert_eq!(
        document.warnings(),
        [
            "text between elements is ignored (line 2)",
            "<Speak> has no attribute colour: it is ignored (line 2)"
        ]
    );
    let many = format!("<Response>{}</Response>", "<Speak x='1'/>".repeat(500));
    assert_eq!(parse(many.as_bytes(), Reading::Tolerant).unwrap().warnings().len(), MAX_WARNINGS);
}

#[test]
fn deep_nesting_does_not_exhaust_the_stack() {
    let deep = format!("<Response><Speak>{}", "<a>".repeat(30_000));
    assert!(parse(deep.as_bytes(), Reading::Tolerant).is_err());
    let closed =
        format!("<Response><Speak>{}{}</Speak></Response>", "<a>".repeat(10_000), "</a>".repeat(10_000));
    let _ = parse(closed.as_bytes(), Reading::Tolerant);
}

#[test]
fn every_example_of_the_reference_is_a_document() {
    for spec in verbs::specs() {
        let document = parse(spec.example.as_bytes(), Reading::Tolerant);
        assert!(document.is_ok_and(|it| it.warnings().is_empty()), "{}", spec.name);
    }
}

#[test]
fn every_default_is_a_value_of_its_kind() {
    use spec::Kind;
    for attribute in verbs::specs().flat_map(|spec| spec.attributes) {
        let default = attribute.default;
        let fits = match attribute.kind {
            Kind::Text | Kind::Url => true,
            Kind::Method => default.is_empty() || tandem_model::HttpMethod::parse(default).is_some(),
            Kind::Switch => default.is_empty() || default.parse::<bool>().is_ok(),
            Kind::WholeOrAuto { .. } if default == "auto" => true,
            Kind::Whole { least, most } | Kind::WholeOrAuto { least, most } => {
                default.is_empty() || default.parse::<u64>().is_ok_and(|it| (least..=most).contains(&it))
            }
        };
        assert!(fits, "{}={default}", attribute.name);
    }
}

/// Text that looks enough like a document to get past the first check.
fn almost_xml() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "<Response>",
        "</Response>",
        "<Speak",
        "<Dial ",
        "<Gather ",
        "<Number>",
        "</Number>",
        "/>",
        ">",
        "</Dial>",
        "loop='",
        "numDigits=\"",
        "timeout='",
        "99999999999999999999",
        "-1",
        "NaN",
        "inf",
        "1e9",
        "'",
        "\"",
        "&",
        "&#0;",
        "&amp;",
        "<![CDATA[",
        "]]>",
        "<!--",
        "-->",
        "<?",
        "?>",
        "\u{feff}",
        "é",
        "\n",
        " ",
        "sipHeaders='X-VH'",
        "xmlns:a='b'",
        "a:",
        "<Wait length='-5'/>",
    ]);
    prop::collection::vec(pieces, 0..30)
        .prop_map(|pieces| format!("<Response>{}</Response>", pieces.concat()))
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes, Reading::Tolerant);
    }

    #[test]
    fn almost_xml_never_panics_and_errors_are_inside_the_text(xml in almost_xml()) {
        if let Err(error) = parse(xml.as_bytes(), Reading::Tolerant) {
            prop_assert!(error.line >= 1 && error.column >= 1);
            prop_assert!(error.line as usize <= xml.matches('\n').count() + 1);
        }
    }

    #[test]
    fn numbers_of_any_size_are_clamped(number in any::<i64>()) {
        let xml = format!("<Response><Wait length='{number}'/><Dial timeLimit='{number}'>1</Dial></Response>");
        prop_assert!(parse(xml.as_bytes(), Reading::Tolerant).is_ok());
    }
}
