//! Sub-accounts: made under their main account, changed at the revision read, ended with all that hangs on them.

use tandem_model::{AccountId, CallId, Ids};
use tandem_store::audit::Actor;
use tandem_store::calls::{CallRecord, RecordFilter, RecordStatus, RecordsOf, RefuseCall};
use tandem_store::resources::account::*;

use crate::support::*;

fn wanted(parent: &AccountId, id: &str, email: Option<&str>) -> CreateSubAccount {
    let account = NewSubAccount {
        candidates: vec![AccountId::new(id)],
        api_id: Ids::random(),
        parent: parent.clone(),
        name: "QA".to_owned(),
        email: email.map(str::to_owned),
        phone: String::new(),
        description: String::new(),
        enabled: true,
        profile: "{}".to_owned(),
        token_hash: format!("hash of {id}"),
        token_sealed: vec![1],
        password_hash: None,
    };
    CreateSubAccount { account, session: None, actor: Actor::system(), at: at(1) }
}

on_both! {
    async fn a_sub_account_shares_its_parents_country_and_currency(house: House) {
        let parent = house.account("MA_A", 10).await;
        let made = house.writer.submit(wanted(&parent, "SA_1", Some("s@a.example"))).await.unwrap();
        assert!(matches!(made, CreateSubAccountOutcome::Created { id, .. } if id.as_str() == "SA_1"));
        let taken = house.writer.submit(wanted(&parent, "SA_2", Some("s@a.example"))).await.unwrap();
        assert_eq!(taken, CreateSubAccountOutcome::EmailTaken);
        assert_eq!(house.writer.submit(wanted(&parent, "SA_1", None)).await.unwrap(), CreateSubAccountOutcome::NoFreeId);
        let nobody = AccountId::new("MA_NOBODY");
        assert_eq!(house.writer.submit(wanted(&nobody, "SA_3", None)).await.unwrap(), CreateSubAccountOutcome::NoParent);
        house.writer.submit(wanted(&parent, "SA_4", None)).await.unwrap();
        let reader = house.store.reader();
        let (rows, total) = reader.sub_accounts(&parent, Some(true), 0, 10).await.unwrap();
        assert_eq!((rows.len(), total), (2, 2));
        assert!(rows.iter().all(|row| row.currency == tandem_model::Currency::INR && row.parent.as_ref() == Some(&parent)));
        assert_eq!(reader.sub_account(&nobody, &AccountId::new("SA_1")).await.unwrap(), None);
        let grandchild = wanted(&AccountId::new("SA_1"), "SA_5", None);
        assert_eq!(house.writer.submit(grandchild).await.unwrap(), CreateSubAccountOutcome::NoParent);
        assert_eq!(reader.audit(&parent, 10).await.unwrap().len(), 2);
    }

    async fn a_change_of_what_changed_meanwhile_is_stale(house: House) {
        let parent = house.account("MA_A", 0).await;
        for (id, email) in [("SA_1", "1@a.example"), ("SA_2", "2@a.example")] {
            house.writer.submit(wanted(&parent, id, Some(email))).await.unwrap();
        }
        let id = AccountId::new("SA_1");
        let change = |expected, email: &str| UpdateSubAccount {
            id: id.clone(), parent: parent.clone(), expected, fields: vec!["name"], actor: Actor::system(), at: at(9),
            change: SubAccountChange { name: "New".to_owned(), email: Some(email.to_owned()), phone: String::new(),
                description: String::new(), enabled: false, profile: "{\"x\":1}".to_owned() },
        };
        let submit = async |change| house.writer.submit(change).await.unwrap();
        assert_eq!(submit(change(at(1), "2@a.example")).await, UpdateSubAccountOutcome::EmailTaken);
        assert_eq!(submit(change(at(1), "1@a.example")).await, UpdateSubAccountOutcome::Updated);
        assert_eq!(submit(change(at(1), "1@a.example")).await, UpdateSubAccountOutcome::Stale);
        let row = house.store.reader().sub_account(&parent, &id).await.unwrap().unwrap();
        assert_eq!((row.name.as_str(), row.enabled, row.updated_at), ("New", false, at(9)));
    }

    async fn an_end_waits_for_live_calls_and_leaves_no_credentials(house: House) {
        let parent = house.account("MA_A", 10).await;
        house.writer.submit(wanted(&parent, "SA_1", Some("1@a.example"))).await.unwrap();
        let id = AccountId::new("SA_1");
        house.run("insert into application (app_id, account_id, name, answer_url, created_at, updated_at)
            values ('7', 'SA_1', 'x', 'https://a.example', 0, 0)").await;
        house.run("insert into number (e164, id, account_id, sub_account, application_id, country, currency, created_at, updated_at)
            values ('+911', 'n1', 'MA_A', 'SA_1', '7', 'IN', 'INR', 0, 0)").await;
        house.run("insert into trunk (trunk_id, account_id, domain_label, name, direction, created_at, updated_at)
            values ('t1', 'SA_1', 'aaaaaaaa', 'x', 'both', 0, 0)").await;
        house.run("insert into trunk_credential (id, account_id, trunk_id, username, password_sealed, created_at, updated_at)
            values ('c1', 'SA_1', 't1', 'u', (select token_sealed from account where auth_id = 'SA_1'), 0, 0)").await;
        house.run("insert into endpoint (endpoint_id, account_id, username, password_sealed, app_id, created_at, updated_at)
            values ('e1', 'SA_1', 'u1', (select token_sealed from account where auth_id = 'SA_1'), '7', 0, 0)").await;
        let mut call = reserve(&parent, tandem_model::Money::from_units(1));
        call.call.facts = "{\"facts\":{\"account\":\"SA_1\"}}".to_owned();
        let live = call.call.call;
        house.writer.submit(call).await.unwrap();
        let end = async || house.writer.submit(RemoveSubAccount {
            id: id.clone(), parent: parent.clone(), actor: Actor::system(), at: at(20),
        }).await.unwrap();
        assert_eq!(end().await, RemoveSubAccountOutcome::InUse(1));
        house.writer.submit(settle(&parent, live, tandem_model::Money::ZERO)).await.unwrap();
        let before = house.store.reader().last_change().await.unwrap();
        assert_eq!(end().await, RemoveSubAccountOutcome::Removed);
        assert_eq!(end().await, RemoveSubAccountOutcome::NotFound);
        let reader = house.store.reader();
        let row = reader.account_in_full(&id).await.unwrap().unwrap();
        assert!(!row.enabled && row.parent.is_none() && row.email.is_empty() && row.token_sealed.is_some());
        let directory = reader.directory_account("SA_1").await.unwrap().unwrap();
        assert!(directory.token_hash.is_none());
        for table in ["application", "trunk", "trunk_credential", "endpoint"] {
            let left = reader.query(format!("select 1 as one from {table} where account_id = 'SA_1'"), &[]).await.unwrap();
            assert!(left.is_empty(), "{table}");
        }
        let number = reader.query("select sub_account, application_id from number", &[]).await.unwrap().remove(0);
        assert_eq!((number.opt_text("sub_account").unwrap(), number.opt_text("application_id").unwrap()), (None, None));
        assert_eq!(reader.changes_since(before).await.unwrap().len(), 6, "each row that went, and the account");
    }

    async fn records_are_the_payers_and_the_sub_accounts_and_its_partners(house: House) {
        let parent = house.account("MA_A", 10).await;
        let other = house.account("MA_B", 10).await;
        house.run("update account set partner_id = 'PA_P' where auth_id = 'MA_A'").await;
        let refuse = async |account: &AccountId, sub: Option<&str>, answered: bool, cause: &str| {
            let mut refused = CallRecord { sub_account: sub.map(AccountId::new), ..record(account, CallId::random()) };
            (refused.refused, refused.hangup_cause) = (true, Some(cause.to_owned()));
            refused.answer_time = refused.answer_time.filter(|_| answered);
            house.writer.submit(RefuseCall { record: refused, events: Vec::new() }).await.unwrap();
        };
        refuse(&parent, Some("SA_1"), true, "NORMAL_CLEARING").await;
        refuse(&parent, None, false, "USER_BUSY").await;
        refuse(&parent, None, false, "NO_ANSWER").await;
        refuse(&parent, Some("SA_2"), false, "CALL_REJECTED").await;
        refuse(&other, None, true, "NORMAL_CLEARING").await;
        let reader = house.store.reader();
        let (partner, sub) = (AccountId::new("PA_P"), AccountId::new("SA_1"));
        let count = async |whose: RecordsOf<'_>, status: Option<RecordStatus>| {
            let filter = RecordFilter { status, ..RecordFilter::default() };
            let found = reader.call_records(whose, &filter, 0, 10).await.unwrap();
            let summary = reader.call_record_summary(whose, &filter).await.unwrap();
            assert_eq!((found.total, found.records.len() as u64), (summary.total, summary.total));
            found.total
        };
        assert_eq!(count(RecordsOf::Account(&parent), None).await, 4);
        assert_eq!(count(RecordsOf::SubAccount(&sub), None).await, 1);
        assert_eq!(count(RecordsOf::CustomersOf(&partner), None).await, 4);
        assert_eq!(count(RecordsOf::CustomersOf(&AccountId::new("PA_Q")), None).await, 0);
        for (status, expected) in [
            (RecordStatus::Answered, 1), (RecordStatus::Busy, 1), (RecordStatus::NoAnswer, 1), (RecordStatus::Failed, 1),
        ] {
            assert_eq!(count(RecordsOf::Account(&parent), Some(status)).await, expected, "{status:?}");
        }
    }
}
