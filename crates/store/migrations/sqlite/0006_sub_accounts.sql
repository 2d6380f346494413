-- The sub-account a call was made by or for: its record stands in the name of the main account, which pays.
alter table call_record add column sub_account text;
create index call_record_by_sub_account on call_record (sub_account, start_time desc) where sub_account is not null;
-- A removed sub-account keeps its row, without a parent: what it did stays explained, and what is still to be sent is signed.
alter table account add column removed_at integer;
