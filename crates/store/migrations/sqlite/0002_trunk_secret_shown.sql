-- A trunk's signing secret may be read once after it was made.
alter table trunk add column secret_shown integer not null default 0;
