-- Which events of calls a place is told of, names with commas between; empty for all.
alter table account add column default_callback_events text not null default '';
alter table application add column callback_events text not null default '';
alter table trunk add column status_callback_events text not null default '';
