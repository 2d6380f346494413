-- Fewer trees to write for each call. No column changes.
-- Live calls are few enough to be read through; events of one call are looked for by nobody but people.
drop index live_call_by_account;
drop index outbox_by_call;
