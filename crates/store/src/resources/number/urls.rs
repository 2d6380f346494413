//! URLs of a number's own: answer, input and hangup, as a receptionist is set up without an application.

use jiff::Timestamp;
use tandem_model::{AccountId, E164, HttpMethod, UrlCall};

use super::noted;
use crate::audit::Actor;
use crate::command::BoxFuture;
use crate::value::Row;
use crate::{Command, StoreError, Tx};

/// The URLs; without an answer URL the others are kept and do nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberUrls {
    /// Returns the first document of a call to the number.
    pub answer: Option<UrlCall>,
    /// Takes what is gathered by elements that name no action.
    pub input: Option<UrlCall>,
    /// Told of the end.
    pub hangup: Option<UrlCall>,
}

/// A URL and its method, from two columns.
fn url_of(row: &Row, url: &str, method: &str) -> Result<Option<UrlCall>, StoreError> {
    let Some(url) = row.opt_string(url)? else { return Ok(None) };
    let method = HttpMethod::parse(row.text(method)?).unwrap_or_default();
    Ok(Some(UrlCall { url, method }))
}

pub(crate) fn urls_of(row: &Row) -> Result<NumberUrls, StoreError> {
    Ok(NumberUrls {
        answer: url_of(row, "answer_url", "answer_method")?,
        input: url_of(row, "input_url", "input_method")?,
        hangup: url_of(row, "hangup_url", "hangup_method")?,
    })
}

/// Puts URLs in the place of those that were read.
pub struct PutNumberUrls {
    /// Which number.
    pub e164: E164,
    /// Its owner.
    pub owner: AccountId,
    /// As they are to be.
    pub urls: NumberUrls,
    /// Names of the fields that change, for the audit.
    pub fields: Vec<&'static str>,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

impl Command for PutNumberUrls {
    /// False when the account has no such number in service.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const PUT: &str = "update number set answer_url = cast($3 as text), answer_method = $4,
            input_url = cast($5 as text), input_method = $6, hangup_url = cast($7 as text), hangup_method = $8,
            updated_at = $9
          where e164 = $1 and account_id = $2 and status = 'active'";
        Box::pin(async move {
            let url = |call: &Option<UrlCall>| call.as_ref().map(|call| call.url.clone());
            let method =
                |call: &Option<UrlCall>| call.as_ref().map_or(HttpMethod::Post, |call| call.method).as_str();
            let urls = &self.urls;
            let params = [
                self.e164.into(),
                (&self.owner).into(),
                url(&urls.answer).into(),
                method(&urls.answer).into(),
                url(&urls.input).into(),
                method(&urls.input).into(),
                url(&urls.hangup).into(),
                method(&urls.hangup).into(),
                self.at.into(),
            ];
            if tx.execute(PUT, &params).await? == 0 {
                return Ok(false);
            }
            noted(tx, &self.actor, self.e164, Some(&self.owner), "update", &self.fields, self.at).await?;
            Ok(true)
        })
    }
}
