//! Trunks and what hangs on them.

use std::collections::HashSet;

use tandem_model::{AccountId, Ids, Money, TrunkId};
use tandem_store::audit::Actor;
use tandem_store::directory::DirectoryKind;
use tandem_store::resources::acl::*;
use tandem_store::resources::credential::*;
use tandem_store::resources::origination_uri::*;
use tandem_store::resources::trunk::*;
use tandem_store::resources::{Removed, Updated};

use crate::support::*;

fn actor() -> Actor {
    Actor { name: "MA_A".to_owned(), request_id: None, source_ip: None }
}

fn trunk(account: &AccountId) -> Trunk {
    Trunk {
        id: TrunkId::random(),
        account: account.clone(),
        domain_label: String::new(),
        name: "pbx".to_owned(),
        description: "front desk".to_owned(),
        direction: "both".to_owned(),
        enabled: true,
        secure: true,
        transport: "tcp".to_owned(),
        inbound_destination: Some("pbx.example:5080".to_owned()),
        concurrent_calls_limit: 7,
        cps_limit: 3,
        credential_id: None,
        acl_id: None,
        primary_uri_id: None,
        fallback_uri_id: None,
        recording: true,
        enable_transcription: true,
        pii_redaction: true,
        pii_entity_types: Some("name".to_owned()),
        webhook_url: Some("https://a.example/".to_owned()),
        webhook_method: "GET".to_owned(),
        webhook_events: "StartApp,Hangup".parse().unwrap(),
        recording_webhook_enabled: true,
        number_format: "e164".to_owned(),
        caller_id: Some("+918045670000".parse().unwrap()),
        secret_sealed: Some(vec![1, 2, 3]),
        created_at: at(1),
        updated_at: at(1),
    }
}

fn credential(account: &AccountId, trunk: Option<TrunkId>, username: &str) -> Credential {
    Credential {
        id: Ids::random().to_string(),
        account: account.clone(),
        trunk,
        username: username.to_owned(),
        password_sealed: vec![9],
        description: String::new(),
        enabled: true,
        domain_label: trunk.map(|trunk| trunk.label()),
        created_at: at(1),
        updated_at: at(1),
    }
}

fn acl(account: &AccountId, trunk: Option<TrunkId>) -> Acl {
    Acl {
        id: Ids::random().to_string(),
        account: account.clone(),
        trunk,
        cidr: "8.8.8.8/32".to_owned(),
        description: "office".to_owned(),
        enabled: true,
        created_at: at(1),
        updated_at: at(1),
    }
}

fn uri(account: &AccountId, trunk: Option<TrunkId>) -> OriginationUri {
    OriginationUri {
        id: Ids::random().to_string(),
        account: account.clone(),
        trunk,
        uri: "sip:a@pbx.example".to_owned(),
        priority: 1,
        weight: 10,
        transport: "udp".to_owned(),
        description: "first".to_owned(),
        enabled: true,
        created_at: at(1),
        updated_at: at(1),
    }
}

impl House {
    async fn create_trunk(&self, trunk: Trunk, draws: Vec<TrunkId>) -> CreateTrunkOutcome {
        let create = CreateTrunk { trunk, draws, credential: None, acls: Vec::new(), actor: actor() };
        self.writer.submit(create).await.unwrap()
    }

    async fn trunk(&self, account: &AccountId) -> Trunk {
        let id = TrunkId::random();
        assert_eq!(self.create_trunk(trunk(account), vec![id]).await, CreateTrunkOutcome::Created(id));
        self.store.reader().trunk(account, id).await.unwrap().unwrap()
    }

    async fn create_credential(&self, credential: &Credential) -> CreateCredentialOutcome {
        self.writer.submit(CreateCredential { credential: credential.clone(), actor: actor() }).await.unwrap()
    }

    async fn delete_trunk(&self, account: &AccountId, id: TrunkId) -> Removed {
        let delete = DeleteTrunk { id, account: account.clone(), actor: actor(), at: at(9) };
        self.writer.submit(delete).await.unwrap()
    }
}

on_both! {
    async fn a_trunk_is_made_read_changed_and_removed(house: House) {
        let account = house.account("MA_A", 0).await;
        let other = AccountId::new("MA_B");
        let made = house.trunk(&account).await;
        let reader = house.store.reader();
        assert_eq!(made, Trunk { id: made.id, domain_label: made.id.label(), ..trunk(&account) });
        assert_eq!(reader.trunk(&other, made.id).await.unwrap(), None, "not another's");
        house.trunk(&account).await;
        let (page, total) = reader.trunks(&account, 0, 1).await.unwrap();
        assert_eq!((page.len(), total), (1, 2));

        let changed = Trunk { name: "renamed".to_owned(), enabled: false, webhook_url: None, updated_at: at(2), ..made.clone() };
        let update = |expected, trunk: Trunk| house.writer.submit(UpdateTrunk { trunk, expected, fields: vec!["name"], actor: actor() });
        assert_eq!(update(at(1), changed.clone()).await.unwrap(), Updated::Updated);
        assert_eq!(update(at(1), changed.clone()).await.unwrap(), Updated::Stale);
        assert_eq!(reader.trunk(&account, made.id).await.unwrap(), Some(changed.clone()));
        let strange = Trunk { credential_id: Some("nothing".to_owned()), ..changed };
        assert_eq!(update(at(2), strange.clone()).await.unwrap(), Updated::Unknown("credential_uuid"));
        assert_eq!(house.create_trunk(strange, vec![TrunkId::random()]).await, CreateTrunkOutcome::Unknown("credential_uuid"));

        assert_eq!(house.delete_trunk(&other, made.id).await, Removed::NotFound);
        assert_eq!(house.delete_trunk(&account, made.id).await, Removed::Removed);
        assert_eq!(reader.trunk(&account, made.id).await.unwrap(), None);
        let audit = reader.audit(&account, 10).await.unwrap();
        assert_eq!(audit.iter().map(|entry| entry.action.as_str()).collect::<Vec<_>>(), ["delete", "update", "create", "create"]);
        let changes = reader.changes_since(0).await.unwrap();
        assert!(changes.len() == 4 && changes.iter().all(|change| change.kind == DirectoryKind::Trunk));
    }

    async fn a_domain_that_is_taken_is_drawn_again(house: House) {
        let account = house.account("MA_A", 0).await;
        let first = house.trunk(&account).await;
        let mut twin = *first.id.0.as_bytes();
        twin[15] ^= 1;
        let twin = TrunkId(uuid_of(twin));
        assert_eq!(twin.label(), first.domain_label);
        let spare = TrunkId::random();
        assert_eq!(house.create_trunk(trunk(&account), vec![twin]).await, CreateTrunkOutcome::DomainsTaken);
        assert_eq!(house.create_trunk(trunk(&account), vec![twin, spare]).await, CreateTrunkOutcome::Created(spare));
    }

    async fn a_thousand_trunks_of_one_second_have_a_thousand_domains(house: House) {
        let account = house.account("MA_A", 0).await;
        let create = || house.create_trunk(trunk(&account), (0..8).map(|_| TrunkId::random()).collect());
        let outcomes = futures_util::future::join_all((0..1000).map(|_| create())).await;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, CreateTrunkOutcome::Created(_))));
        let (trunks, total) = house.store.reader().trunks(&account, 0, 2000).await.unwrap();
        assert_eq!(total, 1000);
        let domains: HashSet<_> = trunks.iter().map(|trunk| trunk.domain_label.as_str()).collect();
        assert_eq!(domains.len(), 1000);
        assert!(trunks.iter().all(|trunk| trunk.id.to_string().starts_with(&trunk.domain_label)));
    }

    async fn a_trunk_with_a_live_call_stays_and_keeps_its_credential(house: House) {
        let account = house.account("MA_A", 10).await;
        let made = house.trunk(&account).await;
        let secret = credential(&account, Some(made.id), "pbx");
        assert_eq!(house.create_credential(&secret).await, CreateCredentialOutcome::Created);
        let mut take = reserve(&account, Money::ZERO);
        take.call.trunk = Some(made.id);
        let call = take.call.call;
        house.writer.submit(take).await.unwrap();
        assert_eq!(house.delete_trunk(&account, made.id).await, Removed::InUse(1));
        let delete = || house.writer.submit(DeleteCredential { id: secret.id.clone(), account: account.clone(), actor: actor(), at: at(5) });
        assert_eq!(delete().await.unwrap(), Removed::InUse(1));
        house.writer.submit(settle(&account, call, Money::ZERO)).await.unwrap();
        assert_eq!(delete().await.unwrap(), Removed::Removed);
        assert_eq!(delete().await.unwrap(), Removed::NotFound);
        assert_eq!(house.delete_trunk(&account, made.id).await, Removed::Removed);
    }

    async fn a_trunk_goes_with_what_hangs_on_it_and_leaves_what_others_name(house: House) {
        let account = house.account("MA_A", 0).await;
        let reader = house.store.reader();
        let (own, shared, named) = (acl(&account, None), acl(&account, None), acl(&account, None));
        let first = house.trunk(&account).await;
        let own = Acl { trunk: Some(first.id), ..own };
        let shared = Acl { trunk: Some(first.id), ..shared };
        let uri = uri(&account, None);
        for acl in [&own, &shared, &named] {
            assert!(house.writer.submit(CreateAcl { acl: acl.clone(), actor: actor() }).await.unwrap());
        }
        assert!(house.writer.submit(CreateOriginationUri { uri: uri.clone(), actor: actor() }).await.unwrap());
        let naming = Trunk { acl_id: Some(named.id.clone()), fallback_uri_id: Some(uri.id.clone()), updated_at: at(2), ..first.clone() };
        let update = UpdateTrunk { trunk: naming, expected: at(1), fields: Vec::new(), actor: actor() };
        assert_eq!(house.writer.submit(update).await.unwrap(), Updated::Updated);
        let second = Trunk { acl_id: Some(shared.id.clone()), ..trunk(&account) };
        let second_id = TrunkId::random();
        house.create_trunk(second, vec![second_id]).await;
        house.run("insert into number (e164, id, country, currency, trunk_id, created_at, updated_at)
            select '918065551234', 'n1', 'IN', 'INR', trunk_id, 0, 0 from trunk where fallback_uri_id is not null").await;

        assert_eq!(reader.acls(&account, Some(first.id), 0, 10).await.unwrap().1, 3);
        assert_eq!(house.delete_trunk(&account, first.id).await, Removed::Removed);
        assert_eq!(reader.acl(&account, &own.id).await.unwrap(), None);
        assert_eq!(reader.acl(&account, &named.id).await.unwrap(), None, "named by the trunk alone");
        assert_eq!(reader.origination_uri(&account, &uri.id).await.unwrap(), None);
        let left = reader.acl(&account, &shared.id).await.unwrap().unwrap();
        assert_eq!(left.trunk, None, "the other trunk still names it");
        assert_eq!(reader.acls(&account, Some(second_id), 0, 10).await.unwrap().0, [left]);
        let number = reader.directory_number("918065551234").await.unwrap().unwrap();
        assert_eq!(number.trunk, None);
    }

    async fn credentials_are_unique_by_trunk_and_can_be_changed(house: House) {
        let account = house.account("MA_A", 0).await;
        let reader = house.store.reader();
        let (one, two) = (house.trunk(&account).await, house.trunk(&account).await);
        let first = credential(&account, Some(one.id), "pbx");
        assert_eq!(house.create_credential(&first).await, CreateCredentialOutcome::Created);
        assert_eq!(reader.credential(&account, &first.id).await.unwrap(), Some(first.clone()));
        assert_eq!(house.create_credential(&credential(&account, Some(one.id), "pbx")).await, CreateCredentialOutcome::UsernameTaken);
        assert_eq!(house.create_credential(&credential(&account, Some(two.id), "pbx")).await, CreateCredentialOutcome::Created);
        let loose = credential(&account, None, "pbx");
        assert_eq!(house.create_credential(&loose).await, CreateCredentialOutcome::Created);
        assert_eq!(house.create_credential(&credential(&account, None, "pbx")).await, CreateCredentialOutcome::UsernameTaken);
        let nowhere = credential(&account, Some(TrunkId::random()), "pbx");
        assert_eq!(house.create_credential(&nowhere).await, CreateCredentialOutcome::TrunkNotFound);
        assert_eq!(reader.credentials(&account, None, 0, 10).await.unwrap().1, 3);
        assert_eq!(reader.credentials(&account, Some(one.id), 0, 10).await.unwrap().0, std::slice::from_ref(&first));

        let naming = Trunk { credential_id: Some(loose.id.clone()), updated_at: at(2), ..two.clone() };
        house.writer.submit(UpdateTrunk { trunk: naming, expected: at(1), fields: Vec::new(), actor: actor() }).await.unwrap();
        let realm = reader.credential(&account, &loose.id).await.unwrap().unwrap().domain_label;
        assert_eq!(realm, Some(two.domain_label.clone()), "the realm is that of the trunk it serves");

        let update = |account: &AccountId| UpdateCredential {
            id: first.id.clone(), account: account.clone(), password_sealed: Some(vec![7]), description: None,
            enabled: Some(false), actor: actor(), at: at(3),
        };
        assert!(!house.writer.submit(update(&AccountId::new("MA_B"))).await.unwrap());
        assert!(house.writer.submit(update(&account)).await.unwrap());
        let changed = reader.credential(&account, &first.id).await.unwrap().unwrap();
        assert_eq!((changed.password_sealed, changed.enabled, changed.description.as_str()), (vec![7], false, ""));
        assert_eq!(reader.audit(&account, 1).await.unwrap()[0].fields, ["password", "enabled"]);

        let delete = DeleteCredential { id: loose.id.clone(), account: account.clone(), actor: actor(), at: at(4) };
        assert_eq!(house.writer.submit(delete).await.unwrap(), Removed::Removed);
        assert_eq!(reader.trunk(&account, two.id).await.unwrap().unwrap().credential_id, None, "no trunk names what is gone");
    }

    async fn acl_entries_and_uris_are_made_changed_and_removed(house: House) {
        let account = house.account("MA_A", 0).await;
        let other = AccountId::new("MA_B");
        let reader = house.store.reader();
        let entry = acl(&account, None);
        assert!(house.writer.submit(CreateAcl { acl: entry.clone(), actor: actor() }).await.unwrap());
        assert!(!house.writer.submit(CreateAcl { acl: acl(&account, Some(TrunkId::random())), actor: actor() }).await.unwrap());
        assert_eq!(reader.acl(&account, &entry.id).await.unwrap(), Some(entry.clone()));
        let update = |account: &AccountId| UpdateAcl {
            id: entry.id.clone(), account: account.clone(), cidr: Some("9.9.9.0/24".to_owned()), description: None,
            enabled: Some(false), actor: actor(), at: at(2),
        };
        assert!(!house.writer.submit(update(&other)).await.unwrap());
        assert!(house.writer.submit(update(&account)).await.unwrap());
        let changed = Acl { cidr: "9.9.9.0/24".to_owned(), enabled: false, updated_at: at(2), ..entry.clone() };
        assert_eq!(reader.acls(&account, None, 0, 10).await.unwrap(), (vec![changed], 1));
        let delete = |account: &AccountId| DeleteAcl { id: entry.id.clone(), account: account.clone(), actor: actor(), at: at(3) };
        assert!(!house.writer.submit(delete(&other)).await.unwrap());
        assert!(house.writer.submit(delete(&account)).await.unwrap());
        assert_eq!(reader.acls(&account, None, 0, 10).await.unwrap().1, 0);

        let first = uri(&account, None);
        assert!(house.writer.submit(CreateOriginationUri { uri: first.clone(), actor: actor() }).await.unwrap());
        let lost = uri(&account, Some(TrunkId::random()));
        assert!(!house.writer.submit(CreateOriginationUri { uri: lost, actor: actor() }).await.unwrap());
        let update = |account: &AccountId| UpdateOriginationUri {
            id: first.id.clone(), account: account.clone(), uri: Some(("sip:b@c".to_owned(), "tcp".to_owned())),
            priority: Some(5), weight: None, description: Some("x".to_owned()), enabled: None, actor: actor(), at: at(2),
        };
        assert!(!house.writer.submit(update(&other)).await.unwrap());
        assert!(house.writer.submit(update(&account)).await.unwrap());
        let changed = OriginationUri {
            uri: "sip:b@c".to_owned(), transport: "tcp".to_owned(), priority: 5, description: "x".to_owned(),
            updated_at: at(2), ..first.clone()
        };
        assert_eq!(reader.origination_uri(&account, &first.id).await.unwrap(), Some(changed.clone()));
        assert_eq!(reader.origination_uris(&account, None, 0, 10).await.unwrap(), (vec![changed], 1));
        let named = Trunk { primary_uri_id: Some(first.id.clone()), ..trunk(&account) };
        let id = TrunkId::random();
        assert_eq!(house.create_trunk(named, vec![id]).await, CreateTrunkOutcome::Created(id));
        assert_eq!(reader.origination_uris(&account, Some(id), 0, 10).await.unwrap().1, 1);
        let delete = |account: &AccountId| DeleteOriginationUri { id: first.id.clone(), account: account.clone(), actor: actor(), at: at(3) };
        assert!(!house.writer.submit(delete(&other)).await.unwrap());
        assert!(house.writer.submit(delete(&account)).await.unwrap());
        assert_eq!(reader.trunk(&account, id).await.unwrap().unwrap().primary_uri_id, None);
    }

    async fn an_older_clients_trunk_brings_its_credential_and_addresses(house: House) {
        let account = house.account("MA_A", 0).await;
        let id = TrunkId::random();
        let create = CreateTrunk {
            trunk: trunk(&account),
            draws: vec![id],
            credential: Some(credential(&account, None, "pbx")),
            acls: vec![acl(&account, None), acl(&account, None)],
            actor: actor(),
        };
        assert_eq!(house.writer.submit(create).await.unwrap(), CreateTrunkOutcome::Created(id));
        let reader = house.store.reader();
        assert_eq!(reader.credentials(&account, Some(id), 0, 10).await.unwrap().0[0].trunk, Some(id));
        assert_eq!(reader.acls(&account, Some(id), 0, 10).await.unwrap().1, 2);
    }

    async fn a_signing_secret_is_read_once_and_rotated_with_an_overlap(house: House) {
        let account = house.account("MA_A", 0).await;
        let made = house.trunk(&account).await;
        let show = |account: &AccountId| house.writer.submit(ShowTrunkSecret { id: made.id, account: account.clone(), actor: actor(), at: at(2) });
        assert_eq!(show(&AccountId::new("MA_B")).await.unwrap(), SecretOutcome::NotFound);
        assert_eq!(show(&account).await.unwrap(), SecretOutcome::Shown(vec![1, 2, 3]));
        assert_eq!(show(&account).await.unwrap(), SecretOutcome::Spent);
        let rotate = |account: &AccountId| house.writer.submit(RotateTrunkSecret {
            id: made.id, account: account.clone(), sealed: vec![4], previous_until: at(100), actor: actor(), at: at(3),
        });
        assert!(!rotate(&AccountId::new("MA_B")).await.unwrap());
        assert!(rotate(&account).await.unwrap());
        let row = house.store.reader().directory_trunk(&made.id.to_string()).await.unwrap().unwrap();
        assert_eq!(row.secret_sealed, Some(vec![4]));
        assert_eq!((row.secret_previous_sealed, row.secret_previous_until), (Some(vec![1, 2, 3]), Some(at(100))));
        assert_eq!(show(&account).await.unwrap(), SecretOutcome::Spent, "the answer to the rotation showed it");
    }
}

fn uuid_of(bytes: [u8; 16]) -> uuid::Uuid {
    uuid::Uuid::from_bytes(bytes)
}
