//! The audit is append-only in the database itself.

use tandem_model::AccountId;
use tandem_store::audit::*;
use tandem_store::resources::account::RotateToken;

use crate::support::*;

async fn rotated(house: &House, account: &AccountId, hash: &str) {
    let rotate = RotateToken {
        account: account.clone(),
        token_hash: hash.to_owned(),
        token_sealed: hash.as_bytes().to_vec(),
        previous_until: None,
        actor: Actor::system(),
        at: at(1),
    };
    assert!(house.writer.submit(rotate).await.unwrap());
}

on_both! {
    async fn what_was_written_is_neither_changed_nor_taken_away(house: House) {
        let a = house.account("MA_A", 0).await;
        rotated(&house, &a, "one").await;
        for sql in ["update audit set actor = 'nobody'", "delete from audit"] {
            let refused = house.writer.submit(RunSql(sql)).await;
            let words = refused.unwrap_err().to_string();
            assert!(words.contains("append-only"), "{sql}: {words}");
        }
        if house.url.is_some() {
            assert!(house.writer.submit(RunSql("truncate audit")).await.is_err());
        }
        assert_eq!(house.store.reader().audit(&a, 10).await.unwrap().len(), 1);
    }

    async fn hashes_tell_a_change_from_none_and_money_from_configuration(house: House) {
        let a = house.account("MA_A", 0).await;
        rotated(&house, &a, "one").await;
        rotated(&house, &a, "two").await;
        house.top_up(&a, 5).await;
        rotated(&house, &a, "two").await;
        let entries = house.store.reader().audit(&a, 10).await.unwrap();
        let [third, second, first] = entries.as_slice() else { panic!("{entries:?}") };
        assert_eq!((first.before_hash.as_ref(), second.before_hash.as_ref()), (None, first.after_hash.as_ref()));
        assert_ne!(second.after_hash, first.after_hash);
        assert_eq!(third.after_hash, second.after_hash, "a balance is no configuration");
        assert!(first.after_hash.as_ref().is_some_and(|hash| hash.len() == 64));
    }

    async fn a_refused_change_leaves_no_entry(house: House) {
        let a = house.account("MA_A", 0).await;
        let audited = |told: bool| Audited {
            command: RunSql("update account set name = 'x'"),
            entry: move |_: &u64| if told { vec![Entry {
                at: at(1), account: Some(AccountId::new("MA_A")), action: "rename", resource_kind: "account",
                resource_id: "MA_A".to_owned(), fields: vec!["name"],
            }] } else { Vec::new() },
            actor: Actor::system(),
        };
        house.writer.submit(audited(false)).await.unwrap();
        assert!(house.store.reader().audit(&a, 10).await.unwrap().is_empty());
        house.writer.submit(audited(true)).await.unwrap();
        assert_eq!(house.store.reader().audit(&a, 10).await.unwrap()[0].fields, ["name"]);
    }
}
