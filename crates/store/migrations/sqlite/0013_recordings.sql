-- The table of the first schema was never written.
drop table recording;

-- What was recorded. The audio is a file in its node's data folder; a row exists from the moment its call is settled, or
-- from when a file that a crash left behind was found. A row in state 'deleting' is gone for everybody: its file is
-- removed first, then the row. bytes is null until the file was measured.
create table recording (
  recording_id text primary key,
  account_id text not null,
  sub_account text,
  call_uuid text not null,
  conference_name text,
  kind text not null check (kind in ('call', 'conference', 'trunk')),
  format text not null,
  from_number text not null,
  to_number text not null,
  node text not null,
  file text not null,
  state text not null default 'kept' check (state in ('kept', 'deleting')),
  bytes integer,
  duration_ms integer,
  started_at integer not null,
  created_at integer not null,
  unique (node, file)
) strict;
create index recording_by_account on recording (account_id, created_at desc);
create index recording_by_sub_account on recording (sub_account, created_at desc) where sub_account is not null;
create index recording_by_call on recording (call_uuid);
create index recording_to_do on recording (node, recording_id) where state = 'deleting' or bytes is null;
