//! Refresh tokens are good once; a copy gives its family away; another password ends everything.

use jiff::SignedDuration;
use tandem_model::AccountId;
use tandem_store::audit::Actor;
use tandem_store::sessions::*;

use crate::support::*;

fn session(hash: &str, family: &str, seconds: i64) -> NewSession {
    NewSession {
        hash: hash.to_owned(),
        family: family.to_owned(),
        expires_at: at(seconds) + SignedDuration::from_hours(1),
        at: at(seconds),
    }
}

async fn signed_in(house: &House, account: &AccountId, hash: &str) -> bool {
    let session = Some(session(hash, &format!("family of {hash}"), 0));
    let sign_in = SignIn { account: account.clone(), epoch: 1, session, actor: Actor::system(), at: at(0) };
    house.writer.submit(sign_in).await.unwrap()
}

async fn renew(house: &House, hash: &str, next: &str, seconds: i64) -> RenewOutcome {
    let next = session(next, "", seconds);
    let renew = RenewSession { hash: hash.to_owned(), next, actor: Actor::system() };
    house.writer.submit(renew).await.unwrap()
}

on_both! {
    async fn a_refresh_token_is_good_once_and_a_copy_revokes_its_family_only(house: House) {
        let a = house.account("MA_A", 0).await;
        assert!(signed_in(&house, &a, "one").await && signed_in(&house, &a, "other").await);
        let renewed = RenewOutcome::Renewed { account: a.clone(), epoch: 1 };
        assert_eq!(renew(&house, "one", "two", 10).await, renewed);
        assert_eq!(renew(&house, "two", "three", 20).await, renewed);
        assert_eq!(renew(&house, "nobody's", "x", 20).await, RenewOutcome::Unknown);
        assert_eq!(renew(&house, "one", "thief", 30).await, RenewOutcome::Reused);
        assert_eq!(renew(&house, "three", "four", 40).await, RenewOutcome::Unknown, "the newest is revoked too");
        assert_eq!(renew(&house, "other", "other 2", 50).await, renewed, "another sign-in goes on");
        let reader = house.store.reader();
        assert_eq!(reader.refresh_token_owner("thief").await.unwrap(), None);
        assert_eq!(reader.refresh_token_owner("one").await.unwrap(), Some(a.clone()));
        let actions: Vec<_> = reader.audit(&a, 10).await.unwrap().into_iter().map(|entry| entry.action).collect();
        assert_eq!(actions, ["refresh_token_reused", "login", "login"]);
    }

    async fn twins_of_one_refresh_token_get_one_successor(house: House) {
        let a = house.account("MA_A", 0).await;
        assert!(signed_in(&house, &a, "one").await);
        let nexts: Vec<String> = (0..20).map(|index| format!("next {index}")).collect();
        let twins = nexts.iter().map(|next| renew(&house, "one", next, 10));
        let outcomes = futures_util::future::join_all(twins).await;
        let renewed = outcomes.iter().filter(|outcome| matches!(outcome, RenewOutcome::Renewed { .. })).count();
        assert_eq!(renewed, 1, "{outcomes:?}");
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == RenewOutcome::Reused).count(), 19);
    }

    async fn an_expired_token_or_one_of_a_disabled_account_or_older_epoch_renews_nothing(house: House) {
        let a = house.account("MA_A", 0).await;
        assert!(signed_in(&house, &a, "one").await);
        assert_eq!(renew(&house, "one", "x", 3600).await, RenewOutcome::Expired, "at its last second");
        house.run("update account set enabled = 0").await;
        assert_eq!(renew(&house, "one", "x", 10).await, RenewOutcome::Inactive);
        assert!(!signed_in(&house, &a, "no").await);
        house.run("update account set enabled = 1, epoch = 2").await;
        assert_eq!(renew(&house, "one", "x", 10).await, RenewOutcome::Unknown);
        assert!(!signed_in(&house, &a, "no").await, "the password was read in another epoch");
    }

    async fn another_password_ends_every_session_and_every_link(house: House) {
        let a = house.account("MA_A", 0).await;
        let b = house.account("MA_B", 0).await;
        for (account, hash) in [(&a, "a1"), (&a, "a2"), (&b, "b1")] {
            assert!(signed_in(&house, account, hash).await);
        }
        let link = |hash: &str, seconds| OpenPasswordLink {
            hash: hash.to_owned(), account: a.clone(), expires_at: at(seconds) + SignedDuration::from_hours(1),
            actor: Actor::system(), at: at(seconds),
        };
        for (index, hash) in ["l1", "l2", "l3", "l4"].into_iter().enumerate() {
            house.writer.submit(link(hash, index as i64)).await.unwrap();
        }
        let reset = |hash: &str, seconds| ResetPassword {
            hash: hash.to_owned(), password_hash: "$new".to_owned(), actor: Actor::system(), at: at(seconds),
        };
        let outcome = house.writer.submit(reset("l1", 10)).await.unwrap();
        assert_eq!(outcome, PasswordLinkOutcome::Void, "three links are good at once");
        assert_eq!(house.writer.submit(reset("l2", 3601)).await.unwrap(), PasswordLinkOutcome::Void, "too old");
        assert_eq!(house.writer.submit(reset("l2", 3600)).await.unwrap(), PasswordLinkOutcome::Done(a.clone()));
        assert_eq!(house.writer.submit(reset("l2", 11)).await.unwrap(), PasswordLinkOutcome::Void, "used");
        assert_eq!(house.writer.submit(reset("l3", 11)).await.unwrap(), PasswordLinkOutcome::Void, "its sisters too");
        let person = house.store.reader().person(&a).await.unwrap().unwrap();
        assert_eq!((person.password_hash.as_deref(), person.epoch), (Some("$new"), 2));
        for hash in ["a1", "a2"] {
            assert_eq!(renew(&house, hash, "x", 12).await, RenewOutcome::Unknown);
        }
        assert!(matches!(renew(&house, "b1", "b2", 12).await, RenewOutcome::Renewed { .. }));
        let change = |epoch, hash: &str| ChangePassword {
            account: b.clone(), epoch, password_hash: hash.to_owned(), actor: Actor::system(), at: at(13),
        };
        assert!(!house.writer.submit(change(7, "$x")).await.unwrap());
        assert!(house.writer.submit(change(1, "$y")).await.unwrap());
        assert_eq!(renew(&house, "b2", "x", 14).await, RenewOutcome::Unknown);
        let purge = PurgeSessions { before: at(20_000) };
        assert!(house.writer.submit(purge).await.unwrap() > 0);
    }
}
