-- What the row was before and after a change, as a hash: two entries that fit together are a history without gaps.
alter table audit add column before_hash text;
alter table audit add column after_hash text;
create index audit_by_resource on audit (resource_kind, resource_id, id);
create index audit_by_actor on audit (actor, id);
create index audit_pages on audit (account_id, id);

-- Nothing that was written here is changed or taken away, by this program or by a hand.
create function audit_is_append_only() returns trigger language plpgsql as $$
begin
  raise exception 'the audit is append-only';
end $$;
create trigger audit_is_not_changed before update or delete on audit
  for each row execute function audit_is_append_only();
create trigger audit_is_not_emptied before truncate on audit
  for each statement execute function audit_is_append_only();

-- Where events go that nothing more specific takes (a call's URL, an application's, a trunk's).
alter table account add column default_callback_url text;
alter table account add column default_callback_method text not null default 'POST';
