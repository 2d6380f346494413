-- Channels and calls per second moved between a partner and its customers, never changed: slots are positive when given,
-- negative when taken back. What a customer has of its partner's is their sum.
create table capacity_transfer (
  reference text primary key,
  partner_id text not null,
  account_id text not null,
  resource text not null check (resource in ('concurrent_calls', 'cps')),
  slots bigint not null check (slots <> 0),
  partner_after bigint not null check (partner_after >= 0),
  account_after bigint not null check (account_after >= 0),
  description text not null default '',
  actor text not null,
  created_at bigint not null
);
create index capacity_transfer_by_partner on capacity_transfer (partner_id, created_at);
create index capacity_transfer_by_account on capacity_transfer (account_id, resource);

-- Capacity bought by the month.
create table channel_subscription (
  id text primary key,
  account_id text not null references account (auth_id),
  resource text not null check (resource in ('concurrent_calls', 'cps')),
  quantity bigint not null check (quantity > 0),
  monthly_cost bigint not null check (monthly_cost >= 0),
  currency text not null,
  status text not null default 'active' check (status in ('active', 'cancelled')),
  last_billing_at bigint not null,
  next_billing_at bigint not null,
  purchased_at bigint not null,
  cancelled_at bigint,
  cancellation_reason text,
  created_at bigint not null,
  updated_at bigint not null
);
create index channel_subscription_by_account on channel_subscription (account_id, created_at);
create index channel_subscription_due on channel_subscription (next_billing_at) where status = 'active';
