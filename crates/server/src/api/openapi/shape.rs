//! Bodies and queries in one line, as the entries write them: `name!:str(200)="Anita Rao" credit_limit:int address?`.
//! One text gives the schema of the OpenAPI document, the example of the docs page and what contract tests hold
//! answers against.
//!
//! A field is `name`, then `!` (a request must have it), `*` (an answer may lack it), `-python` or `-fern` (an answer
//! to that generated client lacks it), then `:type` (text when left out), `?` (may be null), `=example`. Types: `str`,
//! `str(most)`, `int`, `int(least..most)`, `num`, `bool`, `any`, `uuid`, `time`, `url`, `email`, `e164`, `money`
//! (digits with five decimals), `id` (an account's), words as `a|b`, `[type]`, `{fields}`; `{}` takes any keys.

use serde_json::{Map, Value, json};

use super::samples;

/// What a value looks like.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Text {
        most: Option<u32>,
    },
    /// Text of a known form, by its name.
    Form(&'static str),
    Words(Vec<String>),
    Whole {
        least: Option<i64>,
        most: Option<i64>,
    },
    Number,
    Flag,
    Any,
    List(Box<Shape>),
    /// Exactly these keys.
    Object(Vec<Field>),
    /// Any keys.
    Open,
    /// The notation is wrong; a test finds it.
    Wrong(String),
}

/// A key of an object, or a parameter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) required: bool,
    /// An answer may lack it.
    pub(crate) optional: bool,
    pub(crate) nullable: bool,
    pub(crate) shown: Shown,
    pub(crate) shape: Shape,
    pub(crate) example: Option<Value>,
}

/// To which clients an answer shows a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    All,
    NotPython,
    NotFern,
}

const FORMS: [&str; 7] = ["uuid", "time", "url", "email", "e164", "money", "id"];

impl Shape {
    /// Of fields, without braces.
    pub(crate) fn of_fields(text: &str) -> Vec<Field> {
        Reader { rest: text }.fields()
    }

    /// Of a type.
    pub(crate) fn parse(text: &str) -> Self {
        Reader { rest: text }.shape()
    }

    /// JSON Schema, as OpenAPI 3.1 takes it.
    pub(crate) fn schema(&self) -> Value {
        match self {
            Self::Text { most: None } => json!({ "type": "string" }),
            Self::Text { most: Some(most) } => json!({ "type": "string", "maxLength": most }),
            Self::Form("uuid") => json!({ "type": "string", "format": "uuid" }),
            Self::Form("time") => json!({ "type": "string", "format": "date-time" }),
            Self::Form("url") => json!({ "type": "string", "format": "uri" }),
            Self::Form("email") => json!({ "type": "string", "format": "email" }),
            Self::Form("e164") => json!({ "type": "string", "pattern": r"^\+?[1-9][0-9]{6,14}$" }),
            Self::Form("money") => json!({ "type": "string", "pattern": r"^-?[0-9]+\.[0-9]{5}$" }),
            Self::Form(_) => json!({ "type": "string", "pattern": "^[MSP]A_" }),
            Self::Words(words) => json!({ "type": "string", "enum": words }),
            Self::Whole { least, most } => {
                let mut schema = json!({ "type": "integer" });
                if let Some(least) = least {
                    schema["minimum"] = (*least).into();
                }
                if let Some(most) = most {
                    schema["maximum"] = (*most).into();
                }
                schema
            }
            Self::Number => json!({ "type": "number" }),
            Self::Flag => json!({ "type": "boolean" }),
            Self::Any | Self::Wrong(_) => json!({}),
            Self::List(item) => json!({ "type": "array", "items": item.schema() }),
            Self::Open => json!({ "type": "object" }),
            Self::Object(fields) => object(fields, Side::Answer),
        }
    }

    /// The words of the type for people.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Text { most: None } => "text".to_owned(),
            Self::Text { most: Some(most) } => format!("text, at most {most} characters"),
            Self::Form("time") => "instant (ISO 8601, UTC)".to_owned(),
            Self::Form("uuid") => "UUID".to_owned(),
            Self::Form("url") => "URL".to_owned(),
            Self::Form("email") => "e-mail address".to_owned(),
            Self::Form("e164") => "phone number in E.164".to_owned(),
            Self::Form("money") => "amount as text, five decimals".to_owned(),
            Self::Form(_) => "account id".to_owned(),
            Self::Words(words) => words.join(" | "),
            Self::Whole { least, most } => match (least, most) {
                (Some(least), Some(most)) => format!("whole number, {least} to {most}"),
                (Some(least), None) => format!("whole number, {least} or more"),
                _ => "whole number".to_owned(),
            },
            Self::Number => "number".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Any | Self::Wrong(_) => "any".to_owned(),
            Self::List(item) => format!("list of {}", item.words()),
            Self::Object(_) | Self::Open => "object".to_owned(),
        }
    }
}

/// Which way a body goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Request,
    Answer,
}

/// The schema of an object: answers have exactly their keys, requests may have more, which are ignored.
pub(crate) fn object(fields: &[Field], side: Side) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in fields {
        let mut schema = field.schema(side);
        if side == Side::Answer && field.shown != Shown::All {
            let words = match field.shown {
                Shown::NotPython => "Not shown to the generated Python client.",
                _ => "Not shown to generated clients.",
            };
            schema["description"] = words.into();
        }
        let always = match side {
            Side::Request => field.required,
            Side::Answer => !field.optional && field.shown == Shown::All,
        };
        if always {
            required.push(field.name.clone());
        }
        properties.insert(field.name.clone(), schema);
    }
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if side == Side::Answer {
        schema["additionalProperties"] = false.into();
    }
    schema
}

impl Field {
    /// Its schema, null and example included.
    pub(crate) fn schema(&self, side: Side) -> Value {
        let mut schema = match &self.shape {
            Shape::Object(fields) => object(fields, side),
            shape => shape.schema(),
        };
        if self.nullable {
            if let Some(kind) = schema.get("type").cloned() {
                schema["type"] = json!([kind, "null"]);
            }
            if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
                words.push(Value::Null);
            }
        }
        if let Some(example) = &self.example {
            schema["examples"] = json!([samples::filled(example)]);
        }
        schema
    }
}

/// What of the notation is still to be read.
struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
    }

    fn take(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn word(&mut self, is_part: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn fields(&mut self) -> Vec<Field> {
        let mut fields = Vec::new();
        loop {
            self.skip();
            if self.rest.is_empty() || self.rest.starts_with('}') {
                return fields;
            }
            let before = self.rest.len();
            fields.push(self.field());
            if self.rest.len() == before {
                let wrong = Shape::Wrong(std::mem::take(&mut self.rest).to_owned());
                fields.push(Field { shape: wrong, ..Field::named("") });
            }
        }
    }

    fn field(&mut self) -> Field {
        let name = self.word(|c| c.is_ascii_alphanumeric() || c == '_');
        let mut field = Field::named(name);
        field.required = self.take("!");
        field.optional = self.take("*");
        if self.take("-python") {
            field.shown = Shown::NotPython;
        } else if self.take("-fern") {
            field.shown = Shown::NotFern;
        }
        if self.take(":") {
            field.shape = self.shape();
        }
        field.nullable = self.take("?");
        if self.take("=") {
            field.example = Some(self.example());
        }
        field
    }

    fn shape(&mut self) -> Shape {
        if self.take("{") {
            let fields = self.fields();
            let closed = self.take("}");
            return match (closed, fields.is_empty()) {
                (false, _) => Shape::Wrong("no }".to_owned()),
                (true, true) => Shape::Open,
                (true, false) => Shape::Object(fields),
            };
        }
        if self.take("[") {
            let item = self.shape();
            return if self.take("]") {
                Shape::List(Box::new(item))
            } else {
                Shape::Wrong("no ]".to_owned())
            };
        }
        let word = self.word(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '|' | '-' | '.'));
        let bounds = if self.take("(") {
            let bounds = self.word(|c| c != ')');
            let _ = self.take(")");
            bounds
        } else {
            ""
        };
        let (least, most) = bounds.split_once("..").unwrap_or(("", bounds));
        match word {
            "str" => Shape::Text { most: most.parse().ok() },
            "int" => Shape::Whole { least: least.parse().ok(), most: most.parse().ok() },
            "num" => Shape::Number,
            "bool" => Shape::Flag,
            "any" => Shape::Any,
            words if words.contains('|') => {
                Shape::Words(words.split('|').filter(|word| !word.is_empty()).map(str::to_owned).collect())
            }
            form => match FORMS.iter().find(|known| **known == form) {
                Some(form) => Shape::Form(form),
                None => Shape::Wrong(form.to_owned()),
            },
        }
    }

    /// JSON, or a word up to the next space.
    fn example(&mut self) -> Value {
        if self.rest.starts_with(['"', '{', '[']) {
            let mut stream = serde_json::Deserializer::from_str(self.rest).into_iter::<Value>();
            if let Some(Ok(value)) = stream.next() {
                self.rest = self.rest.get(stream.byte_offset()..).unwrap_or_default();
                return value;
            }
        }
        let word = self.word(|c| !c.is_whitespace() && c != '}');
        serde_json::from_str(word).unwrap_or_else(|_| word.into())
    }
}

impl Field {
    fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            required: false,
            optional: false,
            nullable: false,
            shown: Shown::All,
            shape: Shape::Text { most: None },
            example: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_names_types_limits_nulls_and_examples() {
        let fields = Shape::of_fields(
            r#"name!:str(200)="Anita Rao", page:int(1..5)=2 seen?  mode-python:a|b? rows:[{id:uuid n:int}] open:{}"#,
        );
        let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["name", "page", "seen", "mode", "rows", "open"]);
        assert_eq!(fields[0].shape, Shape::Text { most: Some(200) });
        assert!(fields[0].required && fields[0].example == Some(json!("Anita Rao")));
        assert_eq!(fields[1].shape, Shape::Whole { least: Some(1), most: Some(5) });
        assert_eq!(fields[1].example, Some(json!(2)));
        assert!(fields[2].nullable && !fields[1].nullable);
        assert_eq!((fields[3].shown, fields[3].nullable), (Shown::NotPython, true));
        assert_eq!(fields[5].shape, Shape::Open);
        let Shape::List(item) = &fields[4].shape else { panic!("{:?}", fields[4]) };
        assert!(matches!(&**item, Shape::Object(fields) if fields.len() == 2));
    }

    #[test]
    fn what_is_not_in_the_notation_is_found() {
        assert_eq!(Shape::parse("strr"), Shape::Wrong("strr".to_owned()));
        assert!(matches!(Shape::parse("{a:int"), Shape::Wrong(_)));
        assert!(matches!(Shape::of_fields("a %")[1].shape, Shape::Text { .. } | Shape::Wrong(_)));
    }

    #[test]
    fn a_null_is_told_in_the_schema_and_answers_are_closed() {
        let schema = object(&Shape::of_fields("a:int? b*:str c-fern:x|y?"), Side::Answer);
        assert_eq!(schema["properties"]["a"]["type"], json!(["integer", "null"]));
        assert_eq!(schema["properties"]["c"]["enum"], json!(["x", "y", null]));
        assert_eq!((&schema["required"], &schema["additionalProperties"]), (&json!(["a"]), &json!(false)));
        let request = object(&Shape::of_fields("a!:int b"), Side::Request);
        assert_eq!((&request["required"], request.get("additionalProperties")), (&json!(["a"]), None));
    }
}
