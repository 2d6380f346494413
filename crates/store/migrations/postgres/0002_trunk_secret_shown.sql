-- A trunk's signing secret may be read once after it was made.
alter table trunk add column secret_shown bigint not null default 0;
