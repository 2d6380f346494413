//! A store on either database, and the rows tests put into it.

use jiff::{SignedDuration, Timestamp};
use tandem_model::{
    AccountId, CallDirection, CallId, Currency, DeliveryChannel, DialogRecord, EventId, HttpMethod, LegRole,
    Money, Rate,
};
use tandem_store::calls::{CallContext, CallRecord, LiveState, NewCall, ReserveCall, SettleCall};
use tandem_store::{
    BoxFuture, Command, Dialect, EventFeed, OutboxEvent, Store, StoreError, Tx, Writer, WriterConfig,
};
use tandem_testkit::databases::PostgresCluster;

/// Runs one body as two tests, `sqlite` and `postgres`, in a module named after the behaviour.
macro_rules! on_both {
    ($($(#[$doc:meta])* async fn $name:ident($house:ident: House) $body:block)*) => {$(
        $(#[$doc])*
        mod $name {
            #[allow(unused_imports, reason = "not every body needs every import")]
            use super::*;

            async fn body($house: House) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                body(House::open(tandem_store::Dialect::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                body(House::open(tandem_store::Dialect::Postgres).await).await;
            }
        }
    )*};
}
pub(crate) use on_both;

/// An open store with its Writer.
pub(crate) struct House {
    pub(crate) store: Store,
    pub(crate) writer: Writer,
    pub(crate) feed: EventFeed,
    pub(crate) url: Option<String>,
    pub(crate) directory: tempfile::TempDir,
}

impl House {
    pub(crate) async fn open(dialect: Dialect) -> Self {
        Self::open_with(dialect, WriterConfig::for_node("node-1", at(0))).await
    }

    pub(crate) async fn open_with(dialect: Dialect, config: WriterConfig) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (store, url) = match dialect {
            Dialect::Sqlite => (Store::open_sqlite(directory.path()).await.unwrap(), None),
            Dialect::Postgres => {
                let url = PostgresCluster::shared().create_database();
                (Store::open_postgres(&url).await.unwrap(), Some(url))
            }
        };
        let (writer, feed) = store.start_writer(config).await.unwrap();
        Self { store, writer, feed, url, directory }
    }

    /// Opens an account with money in it, posted as a top-up.
    pub(crate) async fn account(&self, id: &str, units: i64) -> AccountId {
        let account = AccountId::new(id);
        let open =
            OpenAccount { account: account.clone(), credit_limit: Money::ZERO, concurrent_limit: 1000 };
        self.writer.submit(open).await.unwrap();
        self.top_up(&account, units).await;
        account
    }

    pub(crate) async fn top_up(&self, account: &AccountId, units: i64) {
        use tandem_store::money::{Post, PostKind, PostOutcome, Posting};
        if units == 0 {
            return;
        }
        let posting = Posting {
            id: tandem_model::Ids::random(),
            account: account.clone(),
            kind: PostKind::TopUp,
            amount: Money::from_units(units),
            ref_kind: "payment".to_owned(),
            ref_id: tandem_model::Ids::random().to_string(),
            description: "Opening".to_owned(),
            at: at(0),
        };
        assert!(matches!(self.writer.submit(Post(posting)).await.unwrap(), PostOutcome::Done { .. }));
    }

    pub(crate) async fn run(&self, sql: &'static str) {
        self.writer.submit(RunSql(sql)).await.unwrap();
    }

    pub(crate) async fn assert_clean(&self) {
        let report = self.store.reader().verify_ledger().await.unwrap();
        assert!(report.is_clean(), "{report:?}");
    }
}

/// So many seconds into the test's time.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap() + SignedDuration::from_secs(seconds)
}

pub(crate) const RATE: Rate =
    Rate { per_minute: Money::from_micros(600_000), pulse_s: 1, minimum_s: 0, connection_fee: Money::ZERO };

/// Any statement, as a command.
pub(crate) struct RunSql(pub(crate) &'static str);

impl Command for RunSql {
    type Output = u64;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(tx.execute(self.0, &[]))
    }
}

pub(crate) struct OpenAccount {
    pub(crate) account: AccountId,
    pub(crate) credit_limit: Money,
    pub(crate) concurrent_limit: i64,
}

impl Command for OpenAccount {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        const OPEN: &str = "insert into account (auth_id, numeric_id, api_id, kind, name, country, currency,
            credit_limit, concurrent_limit, created_at, updated_at)
          values ($1, $2, $5, 'master', $1, 'IN', 'INR', $3, $4, 0, 0)";
        Box::pin(async move {
            let number = tx.next_number("account").await?;
            let params = [
                (&self.account).into(),
                number.into(),
                self.credit_limit.into(),
                self.concurrent_limit.into(),
                tandem_model::Ids::random().to_string().into(),
            ];
            tx.execute(OPEN, &params).await?;
            Ok(())
        })
    }
}

pub(crate) fn dialog(role: LegRole, snapshot: &str) -> DialogRecord {
    DialogRecord { role, snapshot: snapshot.to_owned() }
}

pub(crate) fn new_call(account: &AccountId, hold: Money) -> NewCall {
    NewCall {
        call: CallId::random(),
        account: account.clone(),
        parent_call: None,
        state: LiveState::Ringing,
        direction: CallDirection::Outbound,
        from: "918065551234".to_owned(),
        to: "919876543210".to_owned(),
        trunk: Some(tandem_model::TrunkId::random()),
        carrier: None,
        application: None,
        currency: Currency::INR,
        facts: "{\"caller_name\":\"x\"}".to_owned(),
        plan: "{\"hangup\":null}".to_owned(),
        rate: RATE,
        hold,
        covered_s: Some(60),
        started_at: at(1),
        dialogs: vec![dialog(LegRole::A, "{\"cseq\":1}")],
    }
}

pub(crate) fn reserve(account: &AccountId, hold: Money) -> ReserveCall {
    ReserveCall { call: new_call(account, hold), events: Vec::new() }
}

pub(crate) fn settle(account: &AccountId, call: CallId, cost: Money) -> SettleCall {
    let record = CallRecord { cost, ..record(account, call) };
    SettleCall { record, description: "Call to 919876543210".to_owned(), recording: None, events: Vec::new() }
}

pub(crate) fn event(account: &AccountId, call: Option<CallId>, kind: &str, sequence: u64) -> OutboxEvent {
    OutboxEvent {
        event: EventId::random(),
        account: account.clone(),
        call,
        endpoint_key: "https://customer.example".to_owned(),
        kind: kind.to_owned(),
        channel: DeliveryChannel::DurableTrunk,
        url: "https://customer.example/hook?x=%20".to_owned(),
        method: HttpMethod::Post,
        content_type: "application/json".to_owned(),
        body: "{\"Event\":\"é\"}".to_owned(),
        secret_kind: "trunk".to_owned(),
        secret_ref: "3f0e8f0e".to_owned(),
        sequence,
        created_at: at(10),
    }
}

/// A record with every field filled, so that a round trip compares them all.
pub(crate) fn record(account: &AccountId, call: CallId) -> CallRecord {
    let text = |text: &str| Some(text.to_owned());
    CallRecord {
        id: 0,
        uuid: call,
        account: account.clone(),
        answer_time: Some(at(5)),
        billsec: 42,
        bridge_uuid: Some(CallId::random()),
        call_direction: CallDirection::Outbound,
        caller_id_name: "Lotus".to_owned(),
        caller_id_number: "918065551234".to_owned(),
        campaign_id: text("c1"),
        carrier_ip: text("198.51.100.7"),
        codec: text("PCMA"),
        context: CallContext::SipTrunking,
        cost: Money::ZERO,
        created_at: at(47),
        currency: Currency::INR,
        customer_endpoint: text("pbx"),
        destination_number: "919876543210".to_owned(),
        duration: 46,
        end_time: at(47),
        failure_code: text("487"),
        failure_reason: text("Canceled"),
        hangup_cause: text("NORMAL_CLEARING"),
        hangup_cause_code: Some(4000),
        hangup_cause_name: text("Normal Hangup"),
        hangup_disposition: text("recv_bye"),
        hangup_source: text("Caller"),
        jitter_micros: Some(1800),
        mos_milli: Some(4380),
        network_addr: text("192.0.2.4:5060"),
        origination_region: "IN".to_owned(),
        packet_loss_milli: Some(250),
        progress_time: Some(at(2)),
        region: "US".to_owned(),
        ring_time: 4,
        sip_call_id: "a84b4c76e66710@pc33.example".to_owned(),
        sip_user_agent: text("Asterisk PBX 20"),
        start_time: at(1),
        streaming_cost: Money::ZERO,
        terminated_to: text("sip:919876543210@198.51.100.7"),
        trunk: Some(tandem_model::TrunkId::random()),
        updated_at: at(47),
        parent_call: Some(CallId::random()),
        application: Some(tandem_model::ApplicationId::new("31985999331899218")),
        carrier: Some(tandem_model::CarrierId(tandem_model::Ids::random())),
        refused: false,
        code: None,
        occurrences: 1,
        rate: RATE,
        recording: Some(tandem_model::RecordingId(tandem_model::Ids::random())),
        answered_while_cancelling: true,
        sub_account: Some(AccountId::new("SA_A")),
    }
}
