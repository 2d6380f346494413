//! SIP endpoints, and the small additions keyed calls need.

use tandem_model::ports::{BindingChange, StoredBinding};
use tandem_model::{AccountId, ApplicationId, CallId, EndpointId};
use tandem_store::NodeIdentity;
use tandem_store::audit::Actor;
use tandem_store::calls::RefuseCall;
use tandem_store::idempotency::*;
use tandem_store::registrations::SaveBindings;
use tandem_store::resources::Updated;
use tandem_store::resources::endpoint::*;

use crate::support::*;

fn actor() -> Actor {
    Actor { name: "MA_A".to_owned(), request_id: None, source_ip: None }
}

fn endpoint(account: &AccountId, id: &str, username: &str) -> Endpoint {
    Endpoint {
        id: EndpointId::new(id),
        account: account.clone(),
        sub_account: None,
        username: username.to_owned(),
        password_sealed: vec![1],
        alias: format!("{username}'s phone"),
        application: None,
        allow_voice: true,
        allow_message: false,
        allow_video: true,
        allow_same_domain: false,
        allow_other_domains: true,
        allow_phones: false,
        allow_apps: true,
        created_at: at(1),
        updated_at: at(1),
    }
}

impl House {
    async fn create(&self, endpoint: &Endpoint) -> CreateEndpointOutcome {
        self.writer.submit(CreateEndpoint { endpoint: endpoint.clone(), actor: actor() }).await.unwrap()
    }

    async fn register(&self, username: &str) {
        let binding = StoredBinding {
            username: username.to_owned(),
            contact: "sip:a@192.0.2.4".to_owned(),
            flow: "{}".to_owned(),
            expires_at: at(500).as_second(),
            call_id: "c".to_owned(),
            cseq: 1,
            user_agent: "phone".to_owned(),
            path: String::new(),
        };
        let save = SaveBindings { changes: vec![BindingChange::Upsert(binding)], at: at(2) };
        self.writer.submit(save).await.unwrap();
    }

    async fn registered(&self, username: &str) -> usize {
        self.store.reader().bindings_of(username, at(3)).await.unwrap().len()
    }
}

on_both! {
    async fn an_endpoint_is_made_read_changed_and_removed(house: House) {
        let account = house.account("MA_A", 0).await;
        let other = house.account("MA_B", 0).await;
        let reader = house.store.reader();
        let made = endpoint(&account, "11", "asha");
        assert_eq!(house.create(&made).await, CreateEndpointOutcome::Created);
        assert_eq!(reader.endpoint(&account, &made.id).await.unwrap(), Some(made.clone()));
        assert_eq!(reader.endpoint(&other, &made.id).await.unwrap(), None, "not another's");
        assert_eq!(house.create(&endpoint(&other, "12", "asha")).await, CreateEndpointOutcome::UsernameTaken, "on the whole platform");
        assert_eq!(house.create(&endpoint(&account, "11", "ravi")).await, CreateEndpointOutcome::IdTaken);
        let strange = Endpoint { application: Some(ApplicationId::new("7")), ..endpoint(&account, "13", "ravi") };
        assert_eq!(house.create(&strange).await, CreateEndpointOutcome::ApplicationNotFound);

        house.register("asha").await;
        let update = |changed: Endpoint, expected, fields| house.writer.submit(UpdateEndpoint { endpoint: changed, expected, fields, actor: actor() });
        let changed = Endpoint { alias: "desk".to_owned(), allow_voice: false, updated_at: at(2), ..made.clone() };
        assert_eq!(update(changed.clone(), at(1), vec!["alias"]).await.unwrap(), Updated::Updated);
        assert_eq!(update(changed.clone(), at(1), vec!["alias"]).await.unwrap(), Updated::Stale);
        assert_eq!(house.registered("asha").await, 1);
        let strange = Endpoint { application: Some(ApplicationId::new("7")), ..changed.clone() };
        assert_eq!(update(strange, at(2), vec!["application"]).await.unwrap(), Updated::Unknown("application"));
        let rekeyed = Endpoint { password_sealed: vec![2], updated_at: at(3), ..changed };
        assert_eq!(update(rekeyed.clone(), at(2), vec!["password"]).await.unwrap(), Updated::Updated);
        assert_eq!(reader.endpoint(&account, &made.id).await.unwrap(), Some(rekeyed));
        assert_eq!(house.registered("asha").await, 0, "a new password drops registrations");

        house.register("asha").await;
        let delete = |account: &AccountId| house.writer.submit(DeleteEndpoint { id: made.id.clone(), account: account.clone(), actor: actor(), at: at(4) });
        assert!(!delete(&other).await.unwrap());
        assert!(delete(&account).await.unwrap());
        assert_eq!(house.registered("asha").await, 0);
        let audit = reader.audit(&account, 10).await.unwrap();
        assert_eq!(audit.iter().map(|entry| entry.action.as_str()).collect::<Vec<_>>(), ["delete", "update", "update", "create"]);
    }

    async fn an_endpoint_without_an_application_gets_the_default_for_endpoints(house: House) {
        let account = house.account("MA_A", 0).await;
        house.run("insert into application (app_id, account_id, name, answer_url, default_endpoint_app, created_at, updated_at)
            values ('7', 'MA_A', 'a', 'https://a.example/', 1, 0, 0)").await;
        house.create(&endpoint(&account, "11", "asha")).await;
        let read = house.store.reader().endpoint(&account, &EndpointId::new("11")).await.unwrap().unwrap();
        assert_eq!(read.application, Some(ApplicationId::new("7")));
    }

    async fn each_endpoint_filter_keeps_what_matches_and_drops_the_rest(house: House) {
        let account = house.account("MA_A", 0).await;
        house.run("insert into application (app_id, account_id, name, answer_url, created_at, updated_at)
            values ('7', 'MA_A', 'a', 'https://a.example/', 0, 0)").await;
        let sub = AccountId::new("SA_A");
        let a = Endpoint { application: Some(ApplicationId::new("7")), ..endpoint(&account, "11", "as_ha") };
        let b = Endpoint { sub_account: Some(sub.clone()), alias: "desk".to_owned(), created_at: at(2), ..endpoint(&account, "12", "xasxha") };
        house.create(&a).await;
        house.create(&b).await;
        let none = EndpointFilter::default;
        let text = |text: &str| Some(text.to_owned());
        let found = async |filter: EndpointFilter| {
            let (rows, total) = house.store.reader().endpoints(&account, &filter, 0, 10).await.unwrap();
            assert_eq!(rows.len() as u64, total);
            rows.into_iter().map(|row| row.id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(found(none()).await, ["12", "11"], "newest first");
        assert_eq!(found(EndpointFilter { username_contains: text("s_h"), ..none() }).await, ["11"], "_ is literal");
        assert_eq!(found(EndpointFilter { username_exact: text("as_ha"), ..none() }).await, ["11"]);
        assert_eq!(found(EndpointFilter { username_startswith: text("as"), ..none() }).await, ["11"]);
        assert_eq!(found(EndpointFilter { alias_contains: text("phone"), ..none() }).await, ["11"]);
        assert_eq!(found(EndpointFilter { alias_exact: text("desk"), ..none() }).await, ["12"]);
        assert_eq!(found(EndpointFilter { application: Some(ApplicationId::new("7")), ..none() }).await, ["11"]);
        assert_eq!(found(EndpointFilter { application_is_null: Some(true), ..none() }).await, ["12"]);
        assert_eq!(found(EndpointFilter { application_is_null: Some(false), ..none() }).await, ["11"]);
        assert_eq!(found(EndpointFilter { sub_account: Some(sub), ..none() }).await, ["12"]);
        assert_eq!(house.store.reader().endpoints(&account, &none(), 1, 1).await.unwrap().0[0].id, a.id);
    }

    async fn the_claim_of_a_dead_process_is_retaken_by_one(house: House) {
        let account = house.account("MA_A", 0).await;
        let key = IdempotencyKey { account: account.clone(), key: "POST /Call k".to_owned(), fingerprint: "f".to_owned(), at: at(7) };
        assert_eq!(house.writer.submit(ClaimIdempotent(key.clone())).await.unwrap(), Claim::Fresh);
        house.run("update idempotency set node_epoch = 0").await;
        let dead = NodeIdentity { name: "node-1".to_owned(), epoch: 0 };
        let later = IdempotencyKey { at: at(9), ..key.clone() };
        assert_eq!(house.writer.submit(ClaimIdempotent(later)).await.unwrap(), Claim::InProgress { node: dead.clone() });
        let reader = house.store.reader();
        assert_eq!(reader.idempotency_claimed_at(&account, &key.key).await.unwrap(), Some(at(7)), "the first claim's moment");
        assert_eq!(reader.idempotency_claimed_at(&account, "other").await.unwrap(), None);
        let retake = || house.writer.submit(RetakeIdempotent { key: key.clone(), from: dead.clone() });
        assert!(retake().await.unwrap());
        assert!(!retake().await.unwrap(), "only one may");
    }

    async fn a_call_is_known_to_have_its_record(house: House) {
        let account = house.account("MA_A", 0).await;
        let call = CallId::random();
        assert!(!house.store.reader().has_call_record(call).await.unwrap());
        house.writer.submit(RefuseCall { record: record(&account, call), events: Vec::new() }).await.unwrap();
        assert!(house.store.reader().has_call_record(call).await.unwrap());
    }
}
