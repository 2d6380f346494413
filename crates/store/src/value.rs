//! What goes into a statement ([`Value`]) and what comes out ([`Row`]): four types that mean the same on
//! both databases. Instants travel as micro-seconds since the epoch, money as micro-units, flags as 0 or
//! 1, ids and JSON as text.

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use tandem_model::{
    AccountId, ApplicationId, CallId, CarrierId, Currency, E164, EndpointId, EventId, Money, PartnerId,
    RecordingId, TrunkId,
};

use crate::StoreError;

/// A parameter, or a stored value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'v> {
    /// SQL null.
    Null,
    /// Numbers, money, instants, flags.
    Int(i64),
    /// Text, ids, JSON.
    Text(Cow<'v, str>),
    /// Sealed secrets.
    Bytes(Cow<'v, [u8]>),
}

impl Value<'_> {
    /// The same value, owning its data.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Int(n) => Value::Int(n),
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Self::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
        }
    }
}

impl From<i64> for Value<'_> {
    fn from(n: i64) -> Self {
        Self::Int(n)
    }
}

impl From<i32> for Value<'_> {
    fn from(n: i32) -> Self {
        Self::Int(n.into())
    }
}

impl From<u32> for Value<'_> {
    fn from(n: u32) -> Self {
        Self::Int(n.into())
    }
}

impl From<u16> for Value<'_> {
    fn from(n: u16) -> Self {
        Self::Int(n.into())
    }
}

/// Saturates: no count, byte size or number of seconds of ours comes near 2^63.
impl From<u64> for Value<'_> {
    fn from(n: u64) -> Self {
        Self::Int(i64::try_from(n).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Int(flag.into())
    }
}

impl From<Money> for Value<'_> {
    fn from(money: Money) -> Self {
        Self::Int(money.micros)
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(at: Timestamp) -> Self {
        Self::Int(at.as_microsecond())
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl<'v> From<&'v str> for Value<'v> {
    fn from(text: &'v str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'v> From<&'v String> for Value<'v> {
    fn from(text: &'v String) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'v> From<&'v [u8]> for Value<'v> {
    fn from(bytes: &'v [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

impl<'v> From<&'v Vec<u8>> for Value<'v> {
    fn from(bytes: &'v Vec<u8>) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

impl<'v> From<&'v Currency> for Value<'v> {
    fn from(currency: &'v Currency) -> Self {
        Self::Text(Cow::Borrowed(currency.as_str()))
    }
}

impl From<E164> for Value<'_> {
    fn from(number: E164) -> Self {
        Self::Text(Cow::Owned(String::from(number)))
    }
}

impl<'v, T: Into<Value<'v>>> From<Option<T>> for Value<'v> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

macro_rules! uuid_value {
    ($($name:ident),*) => {$(
        impl From<$name> for Value<'_> {
            fn from(id: $name) -> Self {
                Self::Text(Cow::Owned(id.0.hyphenated().to_string()))
            }
        }
    )*};
}

uuid_value!(CallId, TrunkId, EventId, RecordingId, CarrierId);

macro_rules! text_value {
    ($($name:ident),*) => {$(
        impl<'v> From<&'v $name> for Value<'v> {
            fn from(id: &'v $name) -> Self {
                Self::Text(Cow::Borrowed(id.as_str()))
            }
        }
    )*};
}

text_value!(AccountId, PartnerId, ApplicationId, EndpointId);

/// One row of an answer. Getters by column name; a wrong name or type is [`StoreError::Data`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    columns: Arc<[String]>,
    values: Vec<Value<'static>>,
}

impl Row {
    /// A row as a driver read it.
    pub(crate) fn new(columns: Arc<[String]>, values: Vec<Value<'static>>) -> Self {
        Self { columns, values }
    }

    /// The value of a column.
    pub fn value(&self, column: &str) -> Result<&Value<'static>, StoreError> {
        self.columns
            .iter()
            .position(|name| name == column)
            .and_then(|index| self.values.get(index))
            .ok_or_else(|| StoreError::Data(format!("no column {column}")))
    }

    /// Every column with its value.
    pub(crate) fn columns(&self) -> impl Iterator<Item = (&str, &Value<'static>)> {
        self.columns.iter().map(String::as_str).zip(&self.values)
    }

    /// Every value, in the order of its columns.
    pub(crate) fn values(&self) -> &[Value<'static>] {
        &self.values
    }

    /// The value at a position, counted from 0.
    pub fn value_at(&self, index: usize) -> Result<&Value<'static>, StoreError> {
        self.values.get(index).ok_or_else(|| StoreError::Data(format!("no column at {index}")))
    }

    /// A number that is not null.
    pub fn int(&self, column: &str) -> Result<i64, StoreError> {
        self.opt_int(column)?.ok_or_else(|| null(column))
    }

    /// A number or null.
    pub fn opt_int(&self, column: &str) -> Result<Option<i64>, StoreError> {
        match self.value(column)? {
            Value::Int(n) => Ok(Some(*n)),
            Value::Null => Ok(None),
            _ => Err(wrong(column, "a number")),
        }
    }

    /// A count or number of seconds, never negative.
    pub fn count(&self, column: &str) -> Result<u64, StoreError> {
        u64::try_from(self.int(column)?).map_err(|_| wrong(column, "not negative"))
    }

    /// The number at a position, null counting as 0: sums over no rows.
    pub fn int_at(&self, index: usize) -> Result<i64, StoreError> {
        match self.value_at(index)? {
            Value::Int(n) => Ok(*n),
            Value::Null => Ok(0),
            _ => Err(StoreError::Data(format!("column at {index} is not a number"))),
        }
    }

    /// A flag.
    pub fn flag(&self, column: &str) -> Result<bool, StoreError> {
        Ok(self.int(column)? != 0)
    }

    /// Text that is not null.
    pub fn text(&self, column: &str) -> Result<&str, StoreError> {
        self.opt_text(column)?.ok_or_else(|| null(column))
    }

    /// Text or null.
    pub fn opt_text(&self, column: &str) -> Result<Option<&str>, StoreError> {
        match self.value(column)? {
            Value::Text(text) => Ok(Some(text)),
            Value::Null => Ok(None),
            _ => Err(wrong(column, "text")),
        }
    }

    /// Owned text that is not null.
    pub fn string(&self, column: &str) -> Result<String, StoreError> {
        self.text(column).map(str::to_owned)
    }

    /// Owned text or null.
    pub fn opt_string(&self, column: &str) -> Result<Option<String>, StoreError> {
        Ok(self.opt_text(column)?.map(str::to_owned))
    }

    /// Bytes that are not null.
    pub fn bytes(&self, column: &str) -> Result<Vec<u8>, StoreError> {
        self.opt_bytes(column)?.ok_or_else(|| null(column))
    }

    /// Bytes or null.
    pub fn opt_bytes(&self, column: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match self.value(column)? {
            Value::Bytes(bytes) => Ok(Some(bytes.to_vec())),
            Value::Null => Ok(None),
            _ => Err(wrong(column, "bytes")),
        }
    }

    /// An amount.
    pub fn money(&self, column: &str) -> Result<Money, StoreError> {
        self.int(column).map(Money::from_micros)
    }

    /// An instant.
    pub fn instant(&self, column: &str) -> Result<Timestamp, StoreError> {
        self.opt_instant(column)?.ok_or_else(|| null(column))
    }

    /// An instant or null.
    pub fn opt_instant(&self, column: &str) -> Result<Option<Timestamp>, StoreError> {
        self.opt_int(column)?
            .map(|micros| Timestamp::from_microsecond(micros).map_err(|_| wrong(column, "an instant")))
            .transpose()
    }

    /// Anything parsed from text: a UUID id, a currency.
    pub fn parsed<T: FromStr>(&self, column: &str) -> Result<T, StoreError> {
        self.text(column)?.parse().map_err(|_| wrong(column, "well-formed"))
    }

    /// Anything parsed from text, or null.
    pub fn opt_parsed<T: FromStr>(&self, column: &str) -> Result<Option<T>, StoreError> {
        self.opt_text(column)?.map(|text| text.parse().map_err(|_| wrong(column, "well-formed"))).transpose()
    }

    /// An account's id.
    pub fn account(&self, column: &str) -> Result<AccountId, StoreError> {
        self.text(column).map(AccountId::new)
    }

    /// A JSON document.
    pub fn json<T: serde::de::DeserializeOwned>(&self, column: &str) -> Result<T, StoreError> {
        serde_json::from_str(self.text(column)?)
            .map_err(|error| StoreError::Data(format!("column {column}: {error}")))
    }
}

fn null(column: &str) -> StoreError {
    StoreError::Data(format!("column {column} is null"))
}

fn wrong(column: &str, expected: &str) -> StoreError {
    StoreError::Data(format!("column {column} is not {expected}"))
}
