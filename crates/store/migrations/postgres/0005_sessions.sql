-- Sessions of people who signed in: refresh tokens by their hash, each good once. Tokens of one sign-in are a family: who shows a
-- used one revokes what is left of it. A token is void once its account's epoch is another.
create table refresh_token (
  hash text primary key,
  family text not null,
  account_id text not null,
  epoch bigint not null,
  state text not null check (state in ('live', 'used', 'revoked')),
  expires_at bigint not null,
  created_at bigint not null,
  used_at bigint
);
create index refresh_token_by_family on refresh_token (family);
create index refresh_token_by_account on refresh_token (account_id) where state = 'live';
create index refresh_token_by_age on refresh_token (expires_at);

-- Links to set a new password, by the hash of their secret. Good once, and until they expire.
create table password_link (
  hash text primary key,
  account_id text not null,
  expires_at bigint not null,
  used_at bigint,
  created_at bigint not null
);
create index password_link_by_account on password_link (account_id, created_at);
create index password_link_by_age on password_link (expires_at);
