-- Commands that read the views act as analytics_reader while they do. Since PostgreSQL 16 whoever makes a role may grant it and
-- not act as it; whoever migrates owns all that it reads, so that nothing is given away.
do $$
begin
    if not (select rolsuper from pg_roles where rolname = current_user) then
        execute format('grant analytics_reader to %I', current_user);
    end if;
exception
    when insufficient_privilege then
        raise warning 'the login % may not act as analytics_reader, which commands that read the views do; as an administrator '
            'of the server run: grant analytics_reader to %', current_user, quote_ident(current_user);
end
$$;
