-- What is leased to a node stands behind what is free, so that looking for due events costs nothing while a server hangs.
drop index outbox_due;
create index outbox_ready on outbox (max(due_at, coalesce(lease_until, 0))) where state = 'pending';

-- Where those that are done with are found when their time has come to be forgotten.
create index outbox_ended on outbox (created_at) where state <> 'pending';
