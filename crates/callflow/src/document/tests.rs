use proptest::prelude::*;

use super::*;

fn elements(xml: &str) -> Vec<&'static str> {
    parse(xml.as_bytes()).unwrap().elements().collect()
}

fn error(xml: &str) -> DocumentError {
    parse(xml.as_bytes()).unwrap_err()
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
    let document =
        parse(b"<Response><Speak>\n one <emphasis>two</emphasis>\n  three </Speak></Response>").unwrap();
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
        assert!(parse(xml.as_bytes()).is_err(), "{xml}");
    }
    assert!(parse(b"<Response><Speak>\xff</Speak></Response>").unwrap_err().message.contains("UTF-8"));
}

#[test]
fn document_type_definitions_are_refused() {
    let bomb =
        "<!DOCTYPE r [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><Response><Speak>&b;</Speak></Response>";
    assert!(error(bomb).message.contains("DTD"), "{}", error(bomb));
    let outside =
        "<!DOCTYPE r [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><Response><Speak>&a;</Speak></Response>";
    assert!(parse(outside.as_bytes()).is_err());
}

#[test]
fn another_root_is_refused() {
    assert_eq!(error("<html/>").message, "the root is <html>, not <Response>");
}

#[test]
fn unknown_elements_are_refused_with_their_position() {
    let error = error("<Response>\n  <Speak>a</Speak>\n  <Dance/>\n</Response>");
    assert_eq!((error.line, error.column, error.element.as_deref()), (3, 3, Some("Dance")));
    assert_eq!(error.message, "<Dance> is no element of the language");
}

#[test]
fn elements_that_are_not_built_say_so() {
    for name in ["Record", "Conference", "Stream", "PreAnswer", "DTMF", "MultiPartyCall", "Message"] {
        let error = error(&format!("<Response><{name}/></Response>"));
        assert_eq!(error.message, format!("`<{name}>` is not built"));
    }
    assert_eq!(error("<Response><AudioStream/></Response>").message, "`<Stream>` is not built");
    assert_eq!(error("<Response><Preanswer/></Response>").message, "`<PreAnswer>` is not built");
    assert_eq!(error("<Response><Dial><Record/></Dial></Response>").message, "`<Record>` is not built");
    assert_eq!(error("<Response><Gather><DTMF/></Gather></Response>").message, "`<DTMF>` is not built");
}

#[test]
fn attributes_that_are_not_built_say_so_unless_they_ask_for_nothing() {
    for refused in [
        "<Wait silence='true'/>",
        "<Wait beep='1'/>",
        "<Dial confirmKey='1'>1</Dial>",
        "<Dial dialMusic='https://a.example/'>1</Dial>",
        "<Gather inputType='speech'/>",
        "<Gather input='speech'/>",
        "<Dial><Number sendOnPreanswer='true'>1</Number></Dial>",
    ] {
        let error = error(&format!("<Response>{refused}</Response>"));
        assert!(error.message.contains("is not built"), "{refused}: {error}");
    }
    for accepted in [
        "<Wait silence='false' beep='FALSE'/>",
        "<Dial confirmKey='' dialMusic='real'>1</Dial>",
        "<Gather inputType='dtmf speech' speechModel='phone_call' hints='a,b'/>",
        "<Gather inputType='speech dtmf'/>",
        "<Gather inputType=''/>",
    ] {
        elements(&format!("<Response>{accepted}</Response>"));
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
    assert_eq!(message("<Response><Number>1</Number></Response>"), "<Number> is no element of the language");
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
    let document = parse(b"<Response>\n<Speak colour='red'>a</Speak>stray</Response>").unwrap();
    assert_eq!(
        document.warnings(),
        [
            "<Speak> has no attribute colour: it is ignored (line 2)",
            "text between elements is ignored (line 2)"
        ]
    );
    let many = format!("<Response>{}</Response>", "<Speak x='1'/>".repeat(500));
    assert_eq!(parse(many.as_bytes()).unwrap().warnings().len(), MAX_WARNINGS);
}

#[test]
fn deep_nesting_does_not_exhaust_the_stack() {
    let deep = format!("<Response><Speak>{}", "<a>".repeat(30_000));
    assert!(parse(deep.as_bytes()).is_err());
    let closed =
        format!("<Response><Speak>{}{}</Speak></Response>", "<a>".repeat(10_000), "</a>".repeat(10_000));
    let _ = parse(closed.as_bytes());
}

#[test]
fn every_example_of_the_reference_is_a_document() {
    for spec in verbs::specs() {
        let document = parse(spec.example.as_bytes());
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
        let _ = parse(&bytes);
    }

    #[test]
    fn almost_xml_never_panics_and_errors_are_inside_the_text(xml in almost_xml()) {
        if let Err(error) = parse(xml.as_bytes()) {
            prop_assert!(error.line >= 1 && error.column >= 1);
            prop_assert!(error.line as usize <= xml.matches('\n').count() + 1);
        }
    }

    #[test]
    fn numbers_of_any_size_are_clamped(number in any::<i64>()) {
        let xml = format!("<Response><Wait length='{number}'/><Dial timeLimit='{number}'>1</Dial></Response>");
        prop_assert!(parse(xml.as_bytes()).is_ok());
    }
}
