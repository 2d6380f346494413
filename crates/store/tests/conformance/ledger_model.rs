//! The ledger against a reference small enough to be believed: random commands, every outcome compared,
//! every balance at the end. SQLite runs commands in the order they were submitted, so waves of them can
//! share commits and still have one right answer each.

use std::collections::{HashMap, HashSet};

use futures_util::future::{BoxFuture, join_all};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tandem_model::{AccountId, CallId, Ids, Money};
use tandem_store::calls::*;
use tandem_store::money::*;
use tandem_store::{Dialect, StoreError};

use crate::support::*;

const ACCOUNTS: usize = 4;
const COMMANDS: usize = 100_000;
const WAVE: usize = 250;

#[derive(Clone, Debug)]
enum Step {
    Reserve { account: usize, hold: i64 },
    Extend { call: usize, extra: i64 },
    Settle { call: usize, cost: i64 },
    Post { account: usize, amount: i64, reference: u16 },
    Transfer { from: usize, to: usize, amount: i64, reference: u16 },
}

fn steps() -> impl Strategy<Value = Step> {
    let account = 0..ACCOUNTS;
    prop_oneof![
        4 => (account.clone(), 0_i64..400).prop_map(|(account, hold)| Step::Reserve { account, hold }),
        1 => (any::<usize>(), 0_i64..100).prop_map(|(call, extra)| Step::Extend { call, extra }),
        4 => (any::<usize>(), 0_i64..500).prop_map(|(call, cost)| Step::Settle { call, cost }),
        2 => (account.clone(), -300_i64..700, any::<u16>())
            .prop_map(|(account, amount, reference)| Step::Post { account, amount, reference }),
        2 => (account.clone(), account, -5_i64..300, any::<u16>())
            .prop_map(|(from, to, amount, reference)| Step::Transfer { from, to, amount, reference }),
    ]
}

#[derive(Clone, Debug, Default)]
struct Purse {
    balance: i64,
    held: i64,
    live: u64,
}

/// The reference: what the ledger should do, without a database.
#[derive(Default)]
struct Model {
    purses: Vec<Purse>,
    /// Per call: account, hold, covered seconds; gone when settled.
    live: HashMap<CallId, (usize, i64, u64)>,
    settled: HashMap<CallId, usize>,
    posted: HashMap<(usize, u16), i64>,
    moved: HashSet<(usize, u16)>,
}

const LIMIT: u64 = 40;

impl Model {
    fn available(&self, account: usize) -> i64 {
        self.purses[account].balance - self.purses[account].held
    }

    fn reserve(&mut self, account: usize, call: CallId, hold: i64) -> ReserveOutcome {
        let available = self.available(account);
        if available < hold {
            let currency = tandem_model::Currency::INR;
            return ReserveOutcome::InsufficientBalance {
                available: Money::from_micros(available),
                currency,
            };
        }
        let purse = &mut self.purses[account];
        if purse.live >= LIMIT {
            return ReserveOutcome::ConcurrencyExceeded { limit: LIMIT };
        }
        purse.held += hold;
        purse.live += 1;
        self.live.insert(call, (account, hold, 60));
        ReserveOutcome::Reserved
    }

    fn extend(&mut self, call: CallId, extra: i64) -> ExtendOutcome {
        let Some(&(account, hold, covered)) = self.live.get(&call) else { return ExtendOutcome::Gone };
        if self.available(account) < extra {
            return ExtendOutcome::Exhausted { available: Money::from_micros(self.available(account)) };
        }
        self.purses[account].held += extra;
        self.live.insert(call, (account, hold + extra, covered + 1));
        ExtendOutcome::Extended { hold: Money::from_micros(hold + extra) }
    }

    fn settle(&mut self, account: usize, call: CallId, cost: i64) -> SettleOutcome {
        let Some(&(_, hold, _)) = self.live.get(&call) else {
            return if self.settled.contains_key(&call) {
                SettleOutcome::AlreadySettled
            } else {
                SettleOutcome::NotLive
            };
        };
        let chargeable = self.available(account) + hold;
        if chargeable < cost {
            let currency = tandem_model::Currency::INR;
            return SettleOutcome::CostExceedsFunds { chargeable: Money::from_micros(chargeable), currency };
        }
        self.live.remove(&call);
        self.settled.insert(call, account);
        let purse = &mut self.purses[account];
        purse.balance -= cost;
        purse.held -= hold;
        purse.live -= 1;
        SettleOutcome::Settled { balance: Money::from_micros(purse.balance) }
    }

    fn post(&mut self, account: usize, amount: i64, reference: u16) -> PostOutcome {
        let balance = self.purses[account].balance;
        match self.posted.get(&(account, reference)) {
            Some(before) if *before == amount => {
                PostOutcome::AlreadyDone { balance: Money::from_micros(balance) }
            }
            Some(before) => PostOutcome::ReferenceConflict { posted: Money::from_micros(*before) },
            None if amount < 0 && self.available(account) + amount < 0 => PostOutcome::Insufficient {
                available: Money::from_micros(self.available(account)),
                currency: tandem_model::Currency::INR,
            },
            None => {
                self.posted.insert((account, reference), amount);
                self.purses[account].balance += amount;
                PostOutcome::Done { balance: Money::from_micros(balance + amount) }
            }
        }
    }

    fn transfer(&mut self, from: usize, to: usize, amount: i64, reference: u16) -> TransferOutcome {
        if amount <= 0 || from == to {
            return TransferOutcome::Impossible;
        }
        if self.moved.contains(&(from, reference)) {
            return TransferOutcome::AlreadyDone;
        }
        if self.available(from) < amount {
            return TransferOutcome::Insufficient {
                available: Money::from_micros(self.available(from)),
                currency: tandem_model::Currency::INR,
            };
        }
        self.moved.insert((from, reference));
        self.purses[from].balance -= amount;
        self.purses[to].balance += amount;
        TransferOutcome::Done {
            from_balance: Money::from_micros(self.purses[from].balance),
            to_balance: Money::from_micros(self.purses[to].balance),
        }
    }
}

/// Submits a command and compares; the error names the step.
fn compare<C: tandem_store::Command>(
    house: &House,
    step: &Step,
    command: C,
    expected: C::Output,
) -> BoxFuture<'static, Result<(), String>>
where
    C::Output: PartialEq + std::fmt::Debug,
{
    let (writer, step) = (house.writer.clone(), step.clone());
    Box::pin(async move {
        let found: Result<C::Output, StoreError> = writer.submit(command).await;
        if found.as_ref() == Ok(&expected) {
            Ok(())
        } else {
            Err(format!("{step:?}: {found:?}, expected {expected:?}"))
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_random_commands_agree_with_the_reference() {
    let house = House::open(Dialect::Sqlite).await;
    let names: Vec<AccountId> = (0..ACCOUNTS).map(|n| AccountId::new(&format!("MA_{n}"))).collect();
    for account in &names {
        let open = OpenAccount {
            account: account.clone(),
            credit_limit: Money::ZERO,
            concurrent_limit: LIMIT as i64,
        };
        house.writer.submit(open).await.unwrap();
    }
    let mut model = Model { purses: vec![Purse::default(); ACCOUNTS], ..Model::default() };
    let seed = *b"tandem ledger model, fixed seed.";
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = steps();
    let mut calls: Vec<(usize, CallId)> = vec![(0, CallId::random())];
    for wave in 0..COMMANDS / WAVE {
        let mut pending = Vec::with_capacity(WAVE);
        for _ in 0..WAVE {
            let step = strategy.new_tree(&mut runner).unwrap().current();
            pending.push(one(&house, &names, &mut model, &mut calls, &step));
        }
        // Polled in order, so queued in order, so run in order.
        for outcome in join_all(pending).await {
            if let Err(difference) = outcome {
                panic!("wave {wave}: {difference}");
            }
        }
    }
    let reader = house.store.reader();
    for (account, purse) in names.iter().zip(&model.purses) {
        let stored = reader.balance(account).await.unwrap().unwrap();
        assert_eq!((stored.balance.micros, stored.held.micros), (purse.balance, purse.held), "{account}");
    }
    let (settled, live, moved) = (model.settled.len(), model.live.len(), model.moved.len());
    assert!(settled > 5_000 && live > 10 && moved > 1_000, "{settled} settled, {live} live, {moved} moved");
    house.assert_clean().await;
}

fn one(
    house: &House,
    names: &[AccountId],
    model: &mut Model,
    calls: &mut Vec<(usize, CallId)>,
    step: &Step,
) -> BoxFuture<'static, Result<(), String>> {
    // Mostly live calls; now and then one that has ended or never was.
    let pick = |index: usize, model: &Model, calls: &[(usize, CallId)]| {
        let live: Vec<_> =
            calls.iter().rev().filter(|(_, call)| model.live.contains_key(call)).take(200).collect();
        match live.get(index % (live.len() + 20)) {
            Some(picked) => **picked,
            None => calls[calls.len() - 1 - index % calls.len().min(60)],
        }
    };
    match *step {
        Step::Reserve { account, hold } => {
            let command = reserve(&names[account], Money::from_micros(hold));
            let call = command.call.call;
            if calls.len() > 1000 {
                let recent = calls.split_off(500);
                calls.retain(|(_, call)| model.live.contains_key(call));
                calls.extend(recent);
            }
            calls.push((account, call));
            compare(house, step, command, model.reserve(account, call, hold))
        }
        Step::Extend { call, extra } => {
            let (account, call) = pick(call, model, calls);
            let covered_s = model.live.get(&call).map_or(61, |(_, _, covered)| covered + 1);
            let command = ExtendCall {
                call,
                account: names[account].clone(),
                extra_hold: Money::from_micros(extra),
                covered_s,
            };
            compare(house, step, command, model.extend(call, extra))
        }
        Step::Settle { call, cost } => {
            let (account, call) = pick(call, model, calls);
            let command = settle(&names[account], call, Money::from_micros(cost));
            compare(house, step, command, model.settle(account, call, cost))
        }
        Step::Post { account, amount, reference } => {
            let posting = Posting {
                id: Ids::random(),
                account: names[account].clone(),
                kind: PostKind::Adjustment,
                amount: Money::from_micros(amount),
                ref_kind: "manual_adjustment".to_owned(),
                ref_id: reference.to_string(),
                description: String::new(),
                at: at(0),
            };
            compare(house, step, Post(posting), model.post(account, amount, reference))
        }
        Step::Transfer { from, to, amount, reference } => {
            let command = Transfer {
                id: Ids::random(),
                from: names[from].clone(),
                to: names[to].clone(),
                amount: Money::from_micros(amount),
                ref_kind: "ptc".to_owned(),
                ref_id: reference.to_string(),
                description: String::new(),
                at: at(0),
            };
            compare(house, step, command, model.transfer(from, to, amount, reference))
        }
    }
}
