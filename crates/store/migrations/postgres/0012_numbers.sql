-- A number's end: what giving it back cost (and which transaction took it), and until when nobody may buy it.
alter table number add column release_fee bigint not null default 0;
alter table number add column release_tx text;
alter table number add column quarantine_until bigint;
-- Its rental: when the clerk looks next, since when a month is owed, and how often that was told.
alter table number add column rent_try_at bigint;
alter table number add column unpaid_since bigint;
alter table number add column unpaid_told bigint not null default 0;
-- URLs of its own, instead of an application's.
alter table number add column answer_url text;
alter table number add column answer_method text not null default 'POST';
alter table number add column input_url text;
alter table number add column input_method text not null default 'POST';
alter table number add column hangup_url text;
alter table number add column hangup_method text not null default 'POST';
update number set rent_try_at = next_billing_at where account_id is not null;
create index number_rent_due on number (rent_try_at) where rent_try_at is not null;
create index number_release_due on number (release_at) where release_at is not null;
create index number_quarantined on number (quarantine_until) where quarantine_until is not null;

-- Calls of a number by the hour, summed from the records up to the one that the counter names.
create table number_traffic (
  account_id text not null,
  e164 text not null,
  hour bigint not null,
  calls bigint not null,
  answered bigint not null,
  billsec bigint not null,
  primary key (account_id, e164, hour)
);
create index number_traffic_by_hour on number_traffic (hour);
insert into counter (name, value) values ('number_traffic', 0);

-- Where complaints about unwanted calls from an account's numbers go, and the secret that signs them.
alter table account add column ndnc_url text;
alter table account add column ndnc_endpoint text;
alter table account add column ndnc_secret_sealed bytea;
create table ndnc_complaint (
  urn text primary key,
  e164 text not null,
  account_id text not null references account (auth_id),
  complainant text not null,
  complaint_date text not null,
  description text not null default '',
  event_id text,
  created_at bigint not null
);
create index ndnc_complaint_by_account on ndnc_complaint (account_id, created_at);
