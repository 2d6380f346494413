//! The page's forms, parsed: what was typed, or which words stand at which field.

use std::collections::BTreeMap;

use jiff::civil::Date;
use tandem_model::kyc::{Pan, holds_aadhaar, parse_gstin};

/// Longest name.
const NAME_MAX: usize = 100;
/// Years that somebody has lived.
const YEARS: std::ops::RangeInclusive<i16> = 18..=120;

/// A form as it was sent. Unknown fields are ignored.
#[derive(Clone, Debug, Default)]
pub(super) struct Form(BTreeMap<String, String>);

/// Keys of [`super::texts`] by field.
pub(super) type Errors = BTreeMap<&'static str, &'static str>;

impl Form {
    /// From `application/x-www-form-urlencoded`; the first of equal names counts.
    pub(super) fn parse(body: &[u8]) -> Self {
        let mut fields = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(body).take(32) {
            fields.entry(name.into_owned()).or_insert_with(|| value.trim().to_owned());
        }
        Self(fields)
    }

    /// A field, or nothing.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    /// What may be shown again in a form that was not accepted: not what could be an Aadhaar number.
    pub(super) fn echo(&self) -> BTreeMap<&str, &str> {
        self.0
            .iter()
            .filter(|(name, value)| {
                name.as_str() != "csrf" && !holds_aadhaar(value) && value.chars().count() <= 200
            })
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }

    fn refuse_aadhaar(&self, errors: &mut Errors, fields: &[&'static str]) {
        for field in fields {
            if holds_aadhaar(self.get(field)) {
                errors.insert(field, "aadhaar_full");
            }
        }
    }

    /// The first step.
    pub(super) fn pan(&self) -> Result<Pan, Errors> {
        let mut errors = Errors::new();
        let pan = Pan::parse(self.get("pan"));
        if pan.is_none() {
            errors.insert("pan", "pan_wrong");
        }
        if self.get("consent").is_empty() {
            errors.insert("consent", "consent_wrong");
        }
        self.refuse_aadhaar(&mut errors, &["pan"]);
        pan.filter(|_| errors.is_empty()).ok_or(errors)
    }

    /// A person: name and date of birth.
    pub(super) fn person(&self, today: Date) -> Result<(String, Date), Errors> {
        let mut errors = Errors::new();
        let name = self.name("name", &mut errors);
        let birth =
            self.get("birth_date").parse::<Date>().ok().filter(|birth| YEARS.contains(&age(*birth, today)));
        if birth.is_none() {
            errors.insert("birth_date", "birth_wrong");
        }
        match birth.filter(|_| errors.is_empty()) {
            Some(birth) => Ok((name, birth)),
            None => Err(errors),
        }
    }

    /// An organisation: its registered name.
    pub(super) fn company(&self) -> Result<String, Errors> {
        let mut errors = Errors::new();
        let name = self.name("entity_name", &mut errors);
        if errors.is_empty() { Ok(name) } else { Err(errors) }
    }

    /// A GSTIN of this PAN.
    pub(super) fn gstin(&self, pan: &str) -> Result<String, Errors> {
        match parse_gstin(self.get("gstin")) {
            None => Err(Errors::from([("gstin", "gst_wrong")])),
            Some(gstin) if gstin.get(2..12) != Some(pan) => Err(Errors::from([("gstin", "gst_other")])),
            Some(gstin) => Ok(gstin),
        }
    }

    /// Name and last four digits.
    pub(super) fn aadhaar(&self) -> Result<(String, String), Errors> {
        let mut errors = Errors::new();
        let name = self.name("name", &mut errors);
        let four = self.get("last_four");
        if four.len() != 4 || !four.bytes().all(|byte| byte.is_ascii_digit()) {
            errors.insert("last_four", "four_wrong");
        }
        self.refuse_aadhaar(&mut errors, &["last_four"]);
        if errors.is_empty() { Ok((name, four.to_owned())) } else { Err(errors) }
    }

    fn name(&self, field: &'static str, errors: &mut Errors) -> String {
        let name = self.get(field);
        if !(1..=NAME_MAX).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            errors.insert(field, "name_wrong");
        }
        self.refuse_aadhaar(errors, &[field]);
        name.to_owned()
    }
}

fn age(birth: Date, today: Date) -> i16 {
    let had_birthday = (today.month(), today.day()) >= (birth.month(), birth.day());
    today.year() - birth.year() - i16::from(!had_birthday)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(body: &str) -> Form {
        Form::parse(body.as_bytes())
    }

    #[test]
    fn each_error_stands_at_its_field() {
        assert_eq!(
            form("pan=abc").pan().unwrap_err(),
            Errors::from([("pan", "pan_wrong"), ("consent", "consent_wrong")])
        );
        assert!(form("pan=abcpe1234f&consent=yes").pan().is_ok());
        let today: Date = "2026-11-21".parse().unwrap();
        assert!(form("name=A&birth_date=2008-11-21").person(today).is_ok());
        assert_eq!(
            form("name=&birth_date=2008-11-22").person(today).unwrap_err(),
            Errors::from([("name", "name_wrong"), ("birth_date", "birth_wrong")])
        );
        assert!(form(&format!("entity_name={}", "x".repeat(100))).company().is_ok());
        assert!(form(&format!("entity_name={}", "x".repeat(101))).company().is_err());
        assert!(form("gstin=27AAPFU0939F1ZV").gstin("AAPFU0939F").is_ok());
        assert_eq!(
            form("gstin=27AAPFU0939F1ZV").gstin("ABCPE1234F").unwrap_err(),
            Errors::from([("gstin", "gst_other")])
        );
    }

    #[test]
    fn a_full_aadhaar_number_is_refused_in_any_field_and_not_shown_again() {
        let typed = form("name=9999+4105+7058&last_four=999941057058");
        let errors = typed.aadhaar().unwrap_err();
        assert_eq!(errors, Errors::from([("name", "aadhaar_full"), ("last_four", "aadhaar_full")]));
        assert!(typed.echo().is_empty());
        assert!(form("name=Anita&last_four=7058").aadhaar().is_ok());
    }
}
