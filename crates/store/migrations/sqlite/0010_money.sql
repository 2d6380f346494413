-- Below this many micro-units an account is told, once each time its balance falls through it. alert_endpoint is what
-- delivery counts alert_url by.
alter table account add column low_balance_threshold integer not null default 100000000;
alter table account add column alert_url text;
alter table account add column alert_endpoint text;
alter table account add column alert_email text;

-- What somebody means to pay in through a payment provider. Money is credited by the one change to 'completed'.
create table payment_intent (
  id text primary key,
  account_id text not null references account (auth_id),
  amount integer not null check (amount > 0),
  currency text not null,
  provider text not null,
  provider_reference text not null,
  checkout_url text not null,
  state text not null default 'pending' check (state in ('pending', 'failed', 'completed')),
  reason text,
  created_at integer not null,
  updated_at integer not null,
  completed_at integer
) strict;
create index payment_intent_by_account on payment_intent (account_id, created_at);
