//! Configuration: changes with audit and directory feed, directory rows, idempotency, registrations.

use futures_util::future::join_all;
use tandem_model::ports::{BindingChange, StoredBinding};
use tandem_model::{AccountId, ApplicationId, CallbackEvents};
use tandem_store::audit::Actor;
use tandem_store::directory::{DirectoryKind, PutSetting};
use tandem_store::idempotency::*;
use tandem_store::registrations::{PurgeBindings, SaveBindings};
use tandem_store::resources::account::ChangeSettings;
use tandem_store::resources::application::*;
use tandem_store::{BoxFuture, Command, Dialect, StoreError, Tx, WriterConfig};

use crate::support::*;

fn application(account: &AccountId, id: &str) -> Application {
    let url = |path: &str| Some(format!("https://ivr.example/{path}"));
    Application {
        id: ApplicationId::new(id),
        account: account.clone(),
        sub_account: Some(AccountId::new("SA_1")),
        name: "front-desk".to_owned(),
        application_type: "XML".to_owned(),
        answer_url: "https://ivr.example/a".to_owned(),
        answer_method: "POST".to_owned(),
        hangup_url: url("h"),
        hangup_method: "GET".to_owned(),
        fallback_answer_url: url("f"),
        fallback_method: "POST".to_owned(),
        callback_events: "Hangup,call.failed".parse().unwrap(),
        message_url: url("m"),
        message_method: "POST".to_owned(),
        sip_transfer_url: None,
        sip_transfer_method: "POST".to_owned(),
        default_app: true,
        default_number_app: false,
        default_endpoint_app: true,
        enabled: true,
        log_incoming_message: false,
        public_uri: true,
        created_at: at(1),
        updated_at: at(1),
    }
}

fn key(body: &str) -> IdempotencyKey {
    IdempotencyKey {
        account: AccountId::new("MA_A"),
        key: "POST /x k1".to_owned(),
        fingerprint: body.to_owned(),
        at: at(1),
    }
}

/// Does something once per key.
struct OncePerKey(IdempotencyKey);

impl Command for OncePerKey {
    type Output = Claim;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<Claim, StoreError>> {
        Box::pin(async move {
            let found = claim(tx, &self.0).await?;
            if found == Claim::Fresh {
                tx.next_number("account").await?;
                finish(tx, &self.0, &KeptAnswer { status: 201, sealed_body: vec![1, 2, 3] }).await?;
            }
            Ok(found)
        })
    }
}

on_both! {
    async fn settings_change_by_what_is_given_and_the_directory_reads_them(house: House) {
        let account = house.account("MA_A", 0).await;
        let change = |events: Option<&str>, method: Option<&str>| ChangeSettings {
            account: account.clone(),
            default_callback_url: None,
            default_callback_method: method.map(str::to_owned),
            default_callback_events: events.map(|events| events.parse().unwrap()),
            fields: vec!["default_callback_events"],
            actor: Actor::system(),
            at: at(1),
        };
        let reader = house.store.reader();
        let stored = async || {
            let settings = reader.settings(&account).await.unwrap().unwrap();
            let row = reader.directory_account("MA_A").await.unwrap().unwrap();
            assert_eq!(row.default_callback_events, settings.default_callback_events);
            (settings.default_callback_events.to_string(), settings.default_callback_method)
        };
        assert_eq!(stored().await, (String::new(), "POST".to_owned()), "all, until somebody says otherwise");
        house.writer.submit(change(Some("call.failed,Ring"), None)).await.unwrap();
        house.writer.submit(change(None, Some("GET"))).await.unwrap();
        assert_eq!(stored().await, ("Ring,call.failed".to_owned(), "GET".to_owned()));
        house.writer.submit(change(Some(""), None)).await.unwrap();
        assert_eq!(stored().await, (String::new(), "GET".to_owned()));
    }

    async fn an_application_is_made_read_changed_and_removed(house: House) {
        let account = house.account("MA_A", 0).await;
        let actor = Actor { name: "MA_A".to_owned(), request_id: Some("r1".to_owned()), source_ip: None };
        let first = application(&account, "31985999331899218");
        let create = |application: &Application| CreateApplication { application: application.clone(), actor: actor.clone() };
        assert!(house.writer.submit(create(&first)).await.unwrap());
        assert!(!house.writer.submit(create(&first)).await.unwrap(), "the id is taken");
        let reader = house.store.reader();
        assert_eq!(reader.application(&account, &first.id).await.unwrap().as_ref(), Some(&first));
        assert_eq!(reader.application(&AccountId::new("MA_B"), &first.id).await.unwrap(), None, "not another's");

        let second = application(&account, "41985999331899218");
        house.writer.submit(create(&second)).await.unwrap();
        let (page, total) = reader.applications(&account, 0, 1).await.unwrap();
        assert_eq!((page.len(), total), (1, 2));
        let first = reader.application(&account, &first.id).await.unwrap().unwrap();
        assert!(!first.default_app, "one default per account");

        let changed = Application { name: "renamed".to_owned(), callback_events: CallbackEvents::ALL, updated_at: at(2), ..first.clone() };
        let update = |expected| UpdateApplication { application: changed.clone(), expected, fields: vec!["app_name"], actor: actor.clone() };
        assert_eq!(house.writer.submit(update(first.updated_at)).await.unwrap(), UpdateOutcome::Updated);
        assert_eq!(house.writer.submit(update(first.updated_at)).await.unwrap(), UpdateOutcome::Stale);

        house.run("insert into number (e164, id, country, currency, application_id, created_at, updated_at)
            values ('918065551234', 'n1', 'IN', 'INR', '31985999331899218', 0, 0)").await;
        let delete = |account: &AccountId| DeleteApplication { id: first.id.clone(), account: account.clone(), actor: actor.clone(), at: at(3) };
        assert_eq!(house.writer.submit(delete(&account)).await.unwrap(), DeleteOutcome::InUse { numbers: 1, endpoints: 0, some: vec!["+918065551234".to_owned()] });
        assert_eq!(house.writer.submit(delete(&AccountId::new("MA_B"))).await.unwrap(), DeleteOutcome::NotFound);
        house.run("delete from number").await;
        assert_eq!(house.writer.submit(delete(&account)).await.unwrap(), DeleteOutcome::Deleted);

        let audit = reader.audit(&account, 10).await.unwrap();
        assert_eq!(audit.iter().map(|entry| entry.action.as_str()).collect::<Vec<_>>(), ["delete", "update", "create", "create"]);
        assert_eq!(audit[1].fields, ["app_name"]);
        let changes = reader.changes_since(0).await.unwrap();
        assert_eq!(changes.len(), 4);
        assert!(changes.iter().all(|change| change.kind == DirectoryKind::Application));
        assert_eq!(reader.last_change().await.unwrap(), changes[3].seq);
        assert_eq!(reader.changes_since(changes[2].seq).await.unwrap(), changes[3..]);
    }

    async fn every_kind_of_directory_row_loads_by_id_and_all_at_once(house: House) {
        house.account("MA_A", 5).await;
        for sql in [
            "insert into rate_deck (deck_id, name, currency, kind, created_at, updated_at) values ('d', 'D', 'INR', 'sell', 0, 0)",
            "insert into rate (deck_id, prefix, per_minute, pulse_s, minimum_s, connection_fee) values ('d', '91', 450000, 60, 0, 0)",
            "insert into application (app_id, account_id, name, answer_url, created_at, updated_at) values ('1', 'MA_A', 'n', 'https://x', 0, 0)",
            "insert into trunk (trunk_id, account_id, domain_label, name, direction, created_at, updated_at) values ('3f0e8f0e-7c0e-4c56-9a3f-1d2b3c4d5e6f', 'MA_A', '3f0e8f0e', 't', 'both', 0, 0)",
            "insert into trunk_acl (id, account_id, trunk_id, cidr, created_at, updated_at) values ('a', 'MA_A', '3f0e8f0e-7c0e-4c56-9a3f-1d2b3c4d5e6f', '192.0.2.0/24', 0, 0)",
            "insert into origination_uri (id, account_id, uri, created_at, updated_at) values ('u', 'MA_A', 'sip:x', 0, 0)",
            "insert into number (e164, id, account_id, country, currency, application_id, created_at, updated_at) values ('91806', 'i', 'MA_A', 'IN', 'INR', '1', 0, 0)",
            "insert into country_rule (scope, country, action, created_at) values ('*', 'IN', 'allow', 0)",
        ] {
            house.run(sql).await;
        }
        house.writer.submit(Sealed).await.unwrap();
        let reader = house.store.reader();
        macro_rules! check {
            ($all:ident, $one:ident, $id:expr) => {
                let all = reader.$all().await.unwrap();
                assert_eq!(all.len(), 1);
                assert_eq!(reader.$one($id).await.unwrap().as_ref(), Some(&all[0]));
                assert!(reader.$one("absent").await.unwrap().is_none());
            };
        }
        check!(directory_accounts, directory_account, "MA_A");
        check!(directory_trunks, directory_trunk, "3f0e8f0e-7c0e-4c56-9a3f-1d2b3c4d5e6f");
        check!(directory_credentials, directory_credential, "c");
        check!(directory_acls, directory_acl, "a");
        check!(directory_origination_uris, directory_origination_uri, "u");
        check!(directory_numbers, directory_number, "91806");
        check!(directory_applications, directory_application, "1");
        check!(directory_endpoints, directory_endpoint, "2");
        check!(directory_carriers, directory_carrier, "4f0e8f0e-7c0e-4c56-9a3f-1d2b3c4d5e6f");
        check!(directory_decks, directory_deck, "d");
        assert_eq!(reader.directory_carriers().await.unwrap()[0].source_addresses, ["198.51.100.0/24"]);
        assert_eq!(reader.directory_credentials().await.unwrap()[0].password_sealed, [0, 255]);
        assert_eq!(reader.directory_rates().await.unwrap(), reader.directory_rates_of("d").await.unwrap());
        assert!(reader.directory_country_rules().await.unwrap()[0].allowed);
    }

    async fn the_same_key_has_one_effect_under_any_concurrency(house: House) {
        let claims = join_all((0..50).map(|_| house.writer.submit(OncePerKey(key("body"))))).await;
        let fresh = claims.iter().filter(|claim| **claim == Ok(Claim::Fresh)).count();
        let answer = KeptAnswer { status: 201, sealed_body: vec![1, 2, 3] };
        let replays = claims.iter().filter(|claim| **claim == Ok(Claim::Replay(answer.clone()))).count();
        assert_eq!((fresh, replays), (1, 49));
        assert_eq!(house.writer.submit(OncePerKey(key("other"))).await.unwrap(), Claim::OtherBody);
        let row = house.store.reader().query_one("select value from counter where name = 'account'", &[]).await.unwrap();
        assert_eq!(row.unwrap().int("value").unwrap(), 500_001, "one effect");
        assert_eq!(house.writer.submit(PurgeIdempotent { before: at(2) }).await.unwrap(), 1);
        assert_eq!(house.writer.submit(OncePerKey(key("other"))).await.unwrap(), Claim::Fresh);
    }

    async fn an_operation_of_several_steps_is_in_progress_until_it_finishes(house: House) {
        let node = house.writer.node().unwrap().clone();
        let claim = || house.writer.submit(ClaimIdempotent(key("body")));
        assert_eq!(claim().await.unwrap(), Claim::Fresh);
        assert_eq!(claim().await.unwrap(), Claim::InProgress { node: node.clone() });
        house.writer.submit(AbandonIdempotent(key("body"))).await.unwrap();
        assert_eq!(claim().await.unwrap(), Claim::Fresh);
        let answer = KeptAnswer { status: 202, sealed_body: Vec::new() };
        house.writer.submit(FinishIdempotent { key: key("body"), answer: answer.clone() }).await.unwrap();
        house.writer.submit(AbandonIdempotent(key("body"))).await.unwrap();
        assert_eq!(claim().await.unwrap(), Claim::Replay(answer), "finished is finished");
    }

    async fn bindings_are_replaced_removed_and_expire(house: House) {
        let seconds = |n: i64| at(n).as_second();
        let binding = |contact: &str, expires: i64| StoredBinding {
            username: "alice".to_owned(),
            contact: contact.to_owned(),
            flow: "udp:203.0.113.9:5062".to_owned(),
            expires_at: seconds(expires),
            call_id: "c".to_owned(),
            cseq: 7,
            user_agent: "phone".to_owned(),
            path: "<sip:p>".to_owned(),
        };
        let save = |changes| house.writer.submit(SaveBindings { changes, at: at(0) });
        save(vec![BindingChange::Upsert(binding("a", 10)), BindingChange::Upsert(binding("b", 10))]).await.unwrap();
        save(vec![
            BindingChange::Upsert(binding("a", 60)),
            BindingChange::Remove { username: "alice".to_owned(), contact: "b".to_owned() },
        ]).await.unwrap();
        let reader = house.store.reader();
        assert_eq!(reader.bindings(at(0)).await.unwrap(), [binding("a", 60)]);
        assert_eq!(reader.bindings_of("alice", at(59)).await.unwrap().len(), 1);
        assert!(reader.bindings_of("alice", at(60)).await.unwrap().is_empty());
        assert_eq!(house.writer.submit(PurgeBindings { at: at(61) }).await.unwrap(), 1);
    }

    async fn a_setting_is_kept_and_announced(house: House) {
        for value in ["1", "2"] {
            house.writer.submit(PutSetting { key: "k".to_owned(), value: value.to_owned(), at: at(1) }).await.unwrap();
        }
        let reader = house.store.reader();
        assert_eq!(reader.setting("k").await.unwrap().as_deref(), Some("2"));
        assert_eq!(reader.changes_since(0).await.unwrap().len(), 2);
    }
}

/// Rows with encrypted columns.
struct Sealed;

impl Command for Sealed {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        const ROWS: [&str; 3] = [
            "insert into trunk_credential (id, account_id, username, password_sealed, created_at, updated_at) values ('c', 'MA_A', 'u', $1, 0, 0)",
            "insert into endpoint (endpoint_id, account_id, username, password_sealed, app_id, created_at, updated_at) values ('2', 'MA_A', 'alice', $1, '1', 0, 0)",
            "insert into carrier (carrier_id, name, host, auth_password_sealed, source_addresses, created_at, updated_at)
             values ('4f0e8f0e-7c0e-4c56-9a3f-1d2b3c4d5e6f', 'c', 'h', $1, '[\"198.51.100.0/24\"]', 0, 0)",
        ];
        Box::pin(async move {
            for sql in ROWS {
                tx.execute(sql, &[[0_u8, 255].as_slice().into()]).await?;
            }
            Ok(())
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_two_nodes_appear_in_the_order_of_their_numbers() {
    let house = House::open(Dialect::Postgres).await;
    let (second, _feed) = house.store.start_writer(WriterConfig::for_node("node-2", at(0))).await.unwrap();
    let put = |n: i64| PutSetting { key: format!("k{n}"), value: String::new(), at: at(n) };
    let writes = async {
        for n in 0..100 {
            let (one, two) = tokio::join!(house.writer.submit(put(n * 2)), second.submit(put(n * 2 + 1)));
            one.unwrap();
            two.unwrap();
        }
    };
    let reader = house.store.reader();
    let poll = async {
        let mut seen = 0;
        while seen < 200 {
            for change in reader.changes_since(seen).await.unwrap() {
                assert_eq!(change.seq, seen + 1, "a number appeared before a smaller one");
                seen = change.seq;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(writes, poll);
}
