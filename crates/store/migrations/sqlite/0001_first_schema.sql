-- The first schema. The same tables, columns and meanings on both databases: text, integer, blob.
-- Instants are micro-seconds since the epoch (UTC), money is micro-units, flags are 0 or 1, ids and JSON are text.

create table node (
  name text primary key,
  epoch integer not null,
  started_at integer not null,
  heartbeat_at integer not null
) strict;

-- Rows that hand out ordered numbers. The row lock makes commits come in the order of the numbers.
create table counter (
  name text primary key,
  value integer not null
) strict;
insert into counter (name, value) values ('directory', 0), ('account', 500000);

create table setting (
  key text primary key,
  value text not null
) strict;

create table directory_change (
  seq integer primary key,
  kind text not null,
  id text not null,
  at integer not null
) strict;

create table audit (
  id integer primary key autoincrement,
  at integer not null,
  actor text not null,
  account_id text,
  action text not null,
  resource_kind text not null,
  resource_id text not null,
  fields text not null default '[]',
  request_id text,
  source_ip text
) strict;
create index audit_by_account on audit (account_id, at);

create table idempotency (
  account_id text not null,
  key text not null,
  fingerprint text not null,
  state text not null check (state in ('started', 'finished')),
  node_name text,
  node_epoch integer,
  response_status integer,
  response_sealed blob,
  created_at integer not null,
  primary key (account_id, key)
) strict;
create index idempotency_by_age on idempotency (created_at);

create table rate_deck (
  deck_id text primary key,
  partner_id text,
  name text not null,
  description text not null default '',
  currency text not null,
  kind text not null check (kind in ('sell', 'cost')),
  is_default integer not null default 0,
  profile text not null default '{}',
  created_at integer not null,
  updated_at integer not null
) strict;

create table rate (
  deck_id text not null references rate_deck (deck_id) on delete cascade,
  prefix text not null,
  description text not null default '',
  per_minute integer not null,
  pulse_s integer not null check (pulse_s >= 1),
  minimum_s integer not null,
  connection_fee integer not null,
  primary key (deck_id, prefix)
) strict;

create table account (
  auth_id text primary key,
  numeric_id integer not null unique,
  api_id text not null,
  kind text not null check (kind in ('partner', 'master', 'sub')),
  partner_id text,
  parent_id text,
  name text not null,
  email text unique,
  phone text not null default '',
  description text not null default '',
  company text not null default '',
  country text not null,
  timezone text not null default 'UTC',
  currency text not null,
  profile text not null default '{}',
  enabled integer not null default 1,
  kyc_status text not null default 'pending',
  token_hash text unique,
  token_sealed blob,
  token_previous_hash text unique,
  token_previous_until integer,
  password_hash text,
  epoch integer not null default 1,
  deck_id text references rate_deck (deck_id),
  balance integer not null default 0,
  held integer not null default 0,
  live_calls integer not null default 0,
  credit_limit integer not null default 0 check (credit_limit >= 0),
  postpaid integer not null default 0,
  cps_limit integer not null default 1,
  concurrent_limit integer not null default 3,
  purchased_cps integer not null default 0,
  purchased_concurrent integer not null default 0,
  can_create_accounts integer not null default 0,
  can_transfer_balance integer not null default 0,
  can_view_cdrs integer not null default 0,
  can_create_pricing_tiers integer not null default 0,
  can_transfer_concurrency integer not null default 0,
  max_accounts integer not null default 0,
  created_at integer not null,
  updated_at integer not null,
  last_login_at integer,
  check (held >= 0),
  check (live_calls >= 0),
  check (balance - held >= -credit_limit)
) strict;
create index account_by_partner on account (partner_id, created_at);
create index account_by_parent on account (parent_id, created_at);

create table application (
  app_id text primary key,
  account_id text not null references account (auth_id),
  sub_account text,
  name text not null,
  application_type text not null default 'XML',
  answer_url text not null,
  answer_method text not null default 'POST',
  hangup_url text,
  hangup_method text not null default 'POST',
  fallback_answer_url text,
  fallback_method text not null default 'POST',
  message_url text,
  message_method text not null default 'POST',
  sip_transfer_url text,
  sip_transfer_method text not null default 'POST',
  default_app integer not null default 0,
  default_number_app integer not null default 0,
  default_endpoint_app integer not null default 0,
  enabled integer not null default 1,
  log_incoming_message integer not null default 1,
  public_uri integer not null default 0,
  created_at integer not null,
  updated_at integer not null
) strict;
create index application_by_account on application (account_id, created_at);

create table trunk (
  trunk_id text primary key,
  account_id text not null references account (auth_id),
  domain_label text not null unique,
  custom_domain text unique,
  name text not null,
  description text not null default '',
  direction text not null check (direction in ('inbound', 'outbound', 'both')),
  status text not null default 'active',
  enabled integer not null default 1,
  secure integer not null default 0,
  transport text not null default 'udp',
  inbound_destination text,
  concurrent_calls_limit integer not null default 10,
  cps_limit integer not null default 2,
  max_duration_s integer,
  media_timeout_s integer,
  digest text not null default 'md5' check (digest in ('md5', 'sha256', 'both')),
  credential_id text,
  acl_id text,
  primary_uri_id text,
  fallback_uri_id text,
  recording integer not null default 0,
  enable_transcription integer not null default 0,
  pii_redaction integer not null default 0,
  pii_entity_types text,
  webhook_url text,
  webhook_method text not null default 'POST',
  recording_webhook_enabled integer not null default 0,
  secret_sealed blob,
  secret_previous_sealed blob,
  secret_previous_until integer,
  created_at integer not null,
  updated_at integer not null
) strict;
create index trunk_by_account on trunk (account_id, created_at);

create table trunk_credential (
  id text primary key,
  account_id text not null references account (auth_id),
  trunk_id text references trunk (trunk_id) on delete cascade,
  username text not null,
  password_sealed blob not null,
  description text not null default '',
  enabled integer not null default 1,
  created_at integer not null,
  updated_at integer not null,
  unique (trunk_id, username)
) strict;
create index trunk_credential_by_account on trunk_credential (account_id, created_at);
create unique index trunk_credential_unattached on trunk_credential (account_id, username) where trunk_id is null;

create table trunk_acl (
  id text primary key,
  account_id text not null references account (auth_id),
  trunk_id text references trunk (trunk_id) on delete cascade,
  cidr text not null,
  description text not null default '',
  enabled integer not null default 1,
  created_at integer not null,
  updated_at integer not null
) strict;
create index trunk_acl_by_account on trunk_acl (account_id, created_at);

create table origination_uri (
  id text primary key,
  account_id text not null references account (auth_id),
  trunk_id text references trunk (trunk_id) on delete cascade,
  uri text not null,
  priority integer not null default 1,
  weight integer not null default 10,
  transport text not null default 'udp',
  description text not null default '',
  enabled integer not null default 1,
  created_at integer not null,
  updated_at integer not null
) strict;
create index origination_uri_by_account on origination_uri (account_id, created_at);

create table carrier (
  carrier_id text primary key,
  name text not null unique,
  host text not null,
  port integer not null default 5060,
  transport text not null default 'udp',
  priority integer not null default 1,
  weight integer not null default 10,
  cps_limit integer not null default 0,
  concurrent_limit integer not null default 0,
  prefixes text not null default '[]',
  number_format text not null default 'e164-plus',
  auth_username text,
  auth_password_sealed blob,
  auth_realm text,
  source_addresses text not null default '[]',
  options text not null default '{}',
  deck_id text references rate_deck (deck_id),
  enabled integer not null default 1,
  created_at integer not null,
  updated_at integer not null
) strict;

create table number (
  e164 text primary key,
  id text not null unique,
  account_id text references account (auth_id),
  sub_account text,
  country text not null,
  region text not null default '',
  number_type text not null default 'local',
  provider text not null default '',
  carrier_id text,
  setup_fee integer not null default 0,
  monthly_fee integer not null default 0,
  currency text not null,
  application_id text references application (app_id),
  trunk_id text references trunk (trunk_id),
  status text not null default 'active',
  capabilities text not null default '{"voice":true,"sms":false,"mms":false,"fax":false}',
  tags text not null default '[]',
  source text not null default 'inventory',
  is_blocked integer not null default 0,
  is_trial integer not null default 0,
  minimum_commitment_months integer not null default 0,
  aadhaar_required integer not null default 0,
  aadhaar_verified integer not null default 0,
  purchased_at integer,
  last_billing_at integer,
  next_billing_at integer,
  release_at integer,
  released_at integer,
  last_call_at integer,
  created_at integer not null,
  updated_at integer not null
) strict;
create index number_by_account on number (account_id, created_at);
create index number_by_application on number (application_id) where application_id is not null;
create index number_by_trunk on number (trunk_id) where trunk_id is not null;

create table endpoint (
  endpoint_id text primary key,
  account_id text not null references account (auth_id),
  sub_account text,
  username text not null unique,
  password_sealed blob not null,
  alias text not null default '',
  app_id text references application (app_id),
  allow_voice integer not null default 1,
  allow_message integer not null default 1,
  allow_video integer not null default 0,
  allow_same_domain integer not null default 1,
  allow_other_domains integer not null default 0,
  allow_phones integer not null default 1,
  allow_apps integer not null default 1,
  enabled integer not null default 1,
  created_at integer not null,
  updated_at integer not null
) strict;
create index endpoint_by_account on endpoint (account_id, created_at);

create table registration (
  username text not null,
  contact text not null,
  flow text not null,
  expires_at integer not null,
  call_id text not null,
  cseq integer not null,
  user_agent text not null default '',
  path text not null default '',
  node_name text,
  updated_at integer not null,
  primary key (username, contact)
) strict;

-- scope: an account's auth_id, or '*' for the platform. action: allow or bar.
create table country_rule (
  scope text not null,
  country text not null,
  action text not null check (action in ('allow', 'bar')),
  created_at integer not null,
  primary key (scope, country)
) strict;

-- A live call is its reservation and its concurrency lease at once.
create table live_call (
  call_id text primary key,
  account_id text not null,
  node_name text not null,
  node_epoch integer not null,
  parent_call_id text,
  state text not null check (state in ('queued', 'ringing', 'in-progress')),
  direction text not null,
  from_number text not null,
  to_number text not null,
  trunk_id text,
  application_id text,
  currency text not null,
  facts text not null,
  plan text not null,
  rate text not null,
  hold integer not null check (hold >= 0),
  covered_s integer,
  started_at integer not null,
  answered_at integer,
  elapsed_s integer not null default 0,
  dialogs text not null default '[]'
) strict;
create index live_call_by_account on live_call (account_id);

create table call_record (
  id integer primary key autoincrement,
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
  answered_while_cancelling integer not null default 0
) strict;
create index call_record_by_account on call_record (account_id, start_time desc);

create table recording (
  recording_id text primary key,
  account_id text not null,
  call_id text not null,
  state text not null check (state in ('recording', 'stored', 'lost', 'deleted')),
  format text not null,
  location text not null,
  bytes integer not null default 0,
  duration_ms integer not null default 0,
  started_at integer not null,
  ended_at integer,
  options text not null default '{}'
) strict;
create index recording_by_account on recording (account_id, started_at);
create index recording_by_call on recording (call_id);

-- One ledger transaction per natural key; its entries sum to zero. An entry with balance_after null is
-- on a system account (sys:…), which has no stored balance.
create table ledger_tx (
  id text primary key,
  account_id text not null,
  kind text not null,
  ref_kind text not null,
  ref_id text not null,
  description text not null,
  currency text not null,
  created_at integer not null,
  unique (account_id, kind, ref_kind, ref_id)
) strict;

create table ledger_entry (
  tx_id text not null,
  account text not null,
  amount integer not null,
  balance_after integer,
  created_at integer not null,
  primary key (tx_id, account)
) strict, without rowid;
create index ledger_entry_by_account on ledger_entry (account, created_at) where balance_after is not null;

-- Events waiting for, or done with, delivery. Inserted with the fact they tell of, already leased to the
-- node that committed it.
create table outbox (
  event_id text primary key,
  account_id text not null,
  call_id text,
  endpoint_key text not null,
  kind text not null,
  channel text not null,
  url text not null,
  method text not null,
  content_type text not null,
  body text not null,
  secret_kind text not null,
  secret_ref text not null,
  sequence integer not null,
  state text not null check (state in ('pending', 'delivered', 'dead')),
  attempts integer not null default 0,
  due_at integer not null,
  lease_owner text,
  lease_until integer,
  created_at integer not null,
  delivered_at integer,
  last_status integer
) strict;
create index outbox_due on outbox (due_at) where state = 'pending';
create index outbox_dead on outbox (account_id, created_at) where state = 'dead';
create index outbox_by_call on outbox (call_id);

create table delivery_attempt (
  event_id text not null,
  attempt integer not null,
  at integer not null,
  status integer,
  duration_ms integer not null,
  error text,
  response_excerpt text,
  primary key (event_id, attempt)
) strict, without rowid;
