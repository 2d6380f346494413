-- The carrier a live call goes out through, for limits that nodes share; how a trunk's numbers are written, and its own caller id.
alter table live_call add column carrier_id text;
create index live_call_by_carrier on live_call (carrier_id) where carrier_id is not null;
alter table trunk add column number_format text not null default 'e164-plus';
alter table trunk add column caller_id text;
