-- Hosted KYC sessions, the documents shown in them or over the API, and the letters that carry their links. Whatever is
-- personal is in columns named *_sealed, under the key of its subject.

-- Whom the data is about: one key per account. Without the row nothing sealed under it can be read, wherever a copy is.
create table kyc_subject (
  subject_id text primary key,
  account_id text not null unique,
  key_sealed blob not null,
  created_at integer not null
) strict;

-- owner_id: the partner or main account that asked, whose token signs the webhooks. request_key: the Idempotency-Key
-- whose kept answer tells of this session.
create table kyc_session (
  id text primary key,
  owner_id text not null,
  account_id text not null,
  subject_id text not null,
  flow text not null check (flow in ('email', 'redirect')),
  status text not null,
  kyc_type text,
  private_sealed blob,
  reminder_schedule text not null default '[]',
  request_key text,
  revision integer not null default 1,
  mailed_at integer,
  expires_at integer not null,
  first_opened_at integer,
  submitted_at integer,
  completed_at integer,
  created_at integer not null,
  updated_at integer not null
) strict;
create index kyc_session_by_owner on kyc_session (owner_id, created_at);
create index kyc_session_by_account on kyc_session (account_id, created_at);
create index kyc_session_live on kyc_session (expires_at)
  where status in ('email_sent', 'link_ready', 'opened', 'in_progress');
create index kyc_session_kept on kyc_session (updated_at) where private_sealed is not null;

-- Keyed hashes of the links that open a session; each letter carries one of its own.
create table kyc_link (
  token_hash text primary key,
  session_id text not null,
  created_at integer not null
) strict;
create index kyc_link_by_session on kyc_link (session_id);

-- One row a letter. 'sending' commits before the letter leaves: a process that died then leaves it in doubt, and a letter
-- in doubt is never sent again.
create table kyc_letter (
  session_id text not null,
  step text not null,
  state text not null check (state in ('pending', 'sending', 'sent', 'failed', 'in_doubt', 'dropped')),
  due_at integer not null,
  attempts integer not null default 0,
  node_name text,
  node_epoch integer,
  error text,
  updated_at integer not null,
  primary key (session_id, step)
) strict;
create index kyc_letter_due on kyc_letter (due_at) where state = 'pending';
create index kyc_letter_sending on kyc_letter (updated_at) where state = 'sending';

-- One row each time a document is shown; the newest of its kind counts.
create table kyc_check (
  check_id text primary key,
  account_id text not null,
  subject_id text not null,
  session_id text,
  document text not null check (document in ('pan', 'gst', 'cin', 'aadhaar')),
  state text not null check (state in ('pending', 'verified', 'failed')),
  verifier text not null,
  mock integer not null default 0,
  reference text,
  poll_at integer,
  polls integer not null default 0,
  evidence_sealed blob,
  created_at integer not null,
  updated_at integer not null
) strict;
create index kyc_check_by_account on kyc_check (account_id, document, created_at);
create index kyc_check_by_session on kyc_check (session_id) where session_id is not null;
create index kyc_check_pending on kyc_check (created_at) where state = 'pending';
create index kyc_check_poll on kyc_check (poll_at) where poll_at is not null;
