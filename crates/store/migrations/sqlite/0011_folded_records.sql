-- What call records add up to by day, and their numbers packed for searching, kept by a job behind the calls: a call's own
-- transaction writes nothing of this.

-- How far the job is. Records up to `watermark` are in the two tables below exactly once, later ones not at all. Up to
-- `horizon` no record can appear any more once transactions before `horizon_xid` are over (PostgreSQL).
create table call_fold (
  id integer primary key,
  watermark integer not null,
  horizon integer not null,
  horizon_xid integer not null
) strict;
insert into call_fold (id, watermark, horizon, horizon_xid) values (1, 0, 0, 0);

create table call_day (
  account_id text not null,
  -- '' for calls of the account itself
  sub_account text not null,
  -- since the epoch, UTC
  day integer not null,
  calls integer not null,
  answered integer not null,
  duration_s integer not null,
  billsec integer not null,
  cost integer not null,
  latest_start integer not null,
  primary key (account_id, sub_account, day)
) strict, without rowid;
create index call_day_by_sub_account on call_day (sub_account, day) where sub_account <> '';

-- A few dozen records of one account, one line of each text for each.
create table call_slice (
  first_id integer primary key,
  account_id text not null,
  sub_account text not null,
  records integer not null,
  earliest_start integer not null,
  latest_start integer not null,
  callers text not null,
  callees text not null,
  facts text not null
) strict;
create index call_slice_by_account on call_slice (account_id, sub_account, first_id);
create index call_slice_by_sub_account on call_slice (sub_account, first_id) where sub_account <> '';
