-- Fewer trees to write for each call. No column changes, and PostgreSQL only loses the two indexes.
-- Live calls are few enough to be read through; events of one call are looked for by nobody but people.
drop index live_call_by_account;
drop index outbox_by_call;

-- A ledger transaction is looked up by its id: its rows live in that index.
create table ledger_tx_lean (
  id text primary key,
  account_id text not null,
  kind text not null,
  ref_kind text not null,
  ref_id text not null,
  description text not null,
  currency text not null,
  created_at integer not null,
  unique (account_id, kind, ref_kind, ref_id)
) strict, without rowid;
insert into ledger_tx_lean select id, account_id, kind, ref_kind, ref_id, description, currency, created_at
  from ledger_tx;
drop table ledger_tx;
alter table ledger_tx_lean rename to ledger_tx;

-- Without `autoincrement`, which writes a row of its own for each record. Records are deleted oldest first, if ever.
create table call_record_lean (
  id integer primary key,
  uuid text not null unique,
  account_id text not null,
  answer_time integer,
  billsec integer not null,
  bridge_uuid text,
  call_direction text not null,
  caller_id_name text not null,
  caller_id_number text not null,
  campaign_id text,
  carrier_ip text,
  codec text,
  context text not null,
  cost integer not null,
  created_at integer not null,
  currency text not null,
  customer_endpoint text,
  destination_number text not null,
  duration integer not null,
  end_time integer not null,
  failure_code text,
  failure_reason text,
  hangup_cause text,
  hangup_cause_code integer,
  hangup_cause_name text,
  hangup_disposition text,
  hangup_source text,
  jitter_micros integer,
  mos_milli integer,
  network_addr text,
  origination_region text not null,
  packet_loss_milli integer,
  progress_time integer,
  region text not null,
  ring_time integer not null,
  sip_call_id text not null,
  sip_user_agent text,
  start_time integer not null,
  streaming_cost integer not null default 0,
  terminated_to text,
  trunk_id text,
  updated_at integer not null,
  -- not among Vobiz's keys
  parent_call_id text,
  application_id text,
  carrier_id text,
  refused integer not null default 0,
  code text,
  occurrences integer not null default 1,
  rate text not null,
  recording_id text,
  answered_while_cancelling integer not null default 0,
  sub_account text
) strict;
insert into call_record_lean (id, uuid, account_id, answer_time, billsec, bridge_uuid, call_direction, caller_id_name, caller_id_number,
  campaign_id, carrier_ip, codec, context, cost, created_at, currency, customer_endpoint, destination_number,
  duration, end_time, failure_code, failure_reason, hangup_cause, hangup_cause_code, hangup_cause_name,
  hangup_disposition, hangup_source, jitter_micros, mos_milli, network_addr, origination_region,
  packet_loss_milli, progress_time, region, ring_time, sip_call_id, sip_user_agent, start_time,
  streaming_cost, terminated_to, trunk_id, updated_at, parent_call_id, application_id, carrier_id, refused,
  code, occurrences, rate, recording_id, answered_while_cancelling, sub_account)
  select
  id, uuid, account_id, answer_time, billsec, bridge_uuid, call_direction, caller_id_name, caller_id_number,
  campaign_id, carrier_ip, codec, context, cost, created_at, currency, customer_endpoint, destination_number,
  duration, end_time, failure_code, failure_reason, hangup_cause, hangup_cause_code, hangup_cause_name,
  hangup_disposition, hangup_source, jitter_micros, mos_milli, network_addr, origination_region,
  packet_loss_milli, progress_time, region, ring_time, sip_call_id, sip_user_agent, start_time,
  streaming_cost, terminated_to, trunk_id, updated_at, parent_call_id, application_id, carrier_id, refused,
  code, occurrences, rate, recording_id, answered_while_cancelling, sub_account
  from call_record;
drop table call_record;
alter table call_record_lean rename to call_record;
create index call_record_by_account on call_record (account_id, start_time desc);
create index call_record_by_sub_account on call_record (sub_account, start_time desc) where sub_account is not null;
