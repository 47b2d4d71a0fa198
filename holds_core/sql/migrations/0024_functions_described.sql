-- Every function that a role may execute says what it does. docs/reference/functions.md is made of this; psql shows it by \df+.

comment on function holds.add_maintenance_window(
    text, timestamptz, interval, text, uuid, smallint[], text, timestamptz, time
) is
'Makes maintenance known, once or (with weekdays, 1 is Monday) every week; returns its id. A NULL environment is '
'this database''s own. Alerts but that of double bookings are quiet meanwhile.';

comment on function holds.end_maintenance_window(uuid) is
'Ends maintenance at once; true where it had not ended before.';

comment on function holds.list_maintenance_windows(boolean) is
'Known maintenance, with when it is active until and when it starts next (UTC); with what has ended, if asked for.';

comment on function holds.maintenance_occurrences(timestamptz, timestamptz) is
'Each occurrence of known maintenance that overlaps [from, until).';

comment on function holds.set_alert_period(integer) is
'Sets how often alerts are evaluated, in seconds: a part of a minute from 5 on, or whole minutes. 300 is usual.';

comment on function holds.store_event(uuid, timestamptz, text, text, text, uuid, uuid, jsonb) is
'Stores one event of this database''s environment, and raises where it cannot; record_event says false instead. '
'The same id and time twice is one event.';

comment on function holds.apply_flag_change(bigint, integer, text, jsonb) is
'Puts into force what has been approved for later, if it is still right.';

comment on function holds.edit_flag_change(
    bigint, integer, jsonb, text, integer, text, text, interval, jsonb, text, jsonb
) is
'Asks for something else instead: one''s own request, anew. An approval that it had is void.';

comment on function holds.reject_flag_change(bigint, text, text) is
'Says no to what somebody else has asked for.';

comment on function holds.withdraw_flag_change(bigint, text, text) is
'Takes back what one has asked for, or ends a break-glass change before its time, whoever made it.';

comment on function holds.review_flag_change(bigint, text, text) is
'Says what was found of a break-glass change that somebody else has made.';

comment on function holds.list_flag_changes(boolean, text, bigint, integer) is
'Changes of flags, the newest first: those that wait for somebody, or all of them, or one.';

comment on function holds.list_flag_overrides(text) is
'What is set, by environment, flag and restaurant: since when, by whom, why.';

comment on function holds.list_flag_actors() is
'Who may ask for changes of flags and approve them, and with which logins.';

comment on function holds.list_flag_audit(bigint, integer) is
'Entries of the trail after a place in its chain, the oldest first, with the text that each hash seals.';

comment on function holds.flag_anchor_problems() is
'Every event that names an entry of the trail which is not there, or has another hash. No row: none does.';

comment on function holds.is_in_rollout(text, text, integer, uuid) is
'Whether a stage of a flag in an environment includes a restaurant, and nothing of the restaurant''s own takes it out.';

comment on function holds.list_rollout_cohort(text) is
'The restaurants that take part in the stages of a flag, since when, and who named them; no row: all do.';

comment on function holds.flag_cohort_problems() is
'Every flag whose cohort is not as the trail''s last word has it. No row: all are.';
