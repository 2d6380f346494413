-- Recordings that a document or the API asked for, from their beginning until their row in recording is written: whatever
-- process has this node next completes them. facts is the service's own JSON: whose, how, and who is told.
create table open_recording (
  recording_id text primary key,
  node text not null,
  file text not null,
  facts text not null,
  started_at bigint not null
);
create index open_recording_by_node on open_recording (node);

-- Where to tell that a recording can be fetched, of rows whose file was not measured when they were written.
alter table recording add column webhook text;
