//! The `where` of a list, made of the filters that were given: a count without filters then needs the
//! index alone. Texts are constants of ours with one `?` each; values travel as parameters.

use crate::value::Value;

/// Clauses joined by `and`, with their parameters.
pub(crate) struct Conditions<'v> {
    sql: String,
    params: Vec<Value<'v>>,
}

impl<'v> Conditions<'v> {
    /// Begins with one clause.
    pub(crate) fn new(clause: &'static str, value: impl Into<Value<'v>>) -> Self {
        let mut conditions = Self { sql: String::new(), params: Vec::new() };
        conditions.push(" where ", clause, value.into());
        conditions
    }

    /// Adds a clause if there is a value for it. Every `?` in it is that value.
    pub(crate) fn and(mut self, clause: &'static str, value: Option<impl Into<Value<'v>>>) -> Self {
        if let Some(value) = value {
            self.push(" and ", clause, value.into());
        }
        self
    }

    fn push(&mut self, joint: &str, clause: &'static str, value: Value<'v>) {
        self.params.push(value);
        self.sql.push_str(joint);
        self.sql.push_str(&clause.replace('?', &format!("${}", self.params.len())));
    }

    /// `where … and …`.
    pub(crate) fn sql(&self) -> &str {
        &self.sql
    }

    /// Their values, in order.
    pub(crate) fn params(&self) -> &[Value<'v>] {
        &self.params
    }

    /// ` limit $n offset $n+1` and all parameters, for a page.
    pub(crate) fn page(self, limit: u32, offset: u64) -> (String, Vec<Value<'v>>) {
        let mut params = self.params;
        params.push(limit.into());
        params.push(offset.into());
        (format!(" limit ${} offset ${}", params.len() - 1, params.len()), params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_given_filters_appear_and_numbers_follow_their_order() {
        let conditions =
            Conditions::new("a = ?", "x").and("b = ?", None::<i64>).and("(c = ? or d = ?)", Some(7));
        assert_eq!(conditions.sql(), " where a = $1 and (c = $2 or d = $2)");
        let (tail, params) = conditions.page(20, 40);
        assert_eq!(tail, " limit $3 offset $4");
        assert_eq!(params, ["x".into(), 7.into(), 20.into(), Value::from(40)]);
    }
}
