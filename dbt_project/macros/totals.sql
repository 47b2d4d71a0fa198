{# What is counted for ever, as rows of (metric, kind, count): of a row of the event counts … #}
{% macro event_totals(row) %}
    {%- set counts = [
        ["events", "", "event"],
        ["assignments", "", "assignment"],
        ["skipped", "", "skipped"],
        ["faults", "", "judged_fault"],
        ["retries_exhausted", "", "exhausted"],
        ["cutoffs", "HOLD_RATE_LIMIT", "rate_limit"],
        ["cutoffs", "CUTOFF", "cutoff"],
        ["cutoffs", "MANUAL", "manual"],
        ["double_bookings_found", "", "judged_double_booking"],
        ["flag_contradictions", "", "judged_contradiction"],
    ] -%}
    {%- set rows = [] -%}
    {%- for metric, kind, count in counts -%}
        {%- do rows.append(["'" ~ metric ~ "'", "'" ~ kind ~ "'", (row ~ "." ~ count ~ "_count") if row else "0"]) -%}
    {%- endfor -%}
    {{- return(rows) -}}
{% endmacro %}

{# … and all of it before anything was counted, the classes of errors included. #}
{% macro zero_totals() %}
    {%- set rows = event_totals(none) -%}
    {%- for class in [
        "conflict", "limit", "cutoff", "serialization", "connection", "validation", "schema", "pipeline", "unclassified",
    ] -%}
        {%- do rows.append(["'errors'", "'" ~ class ~ "'", "0"]) -%}
    {%- endfor -%}
    {{- return(rows) -}}
{% endmacro %}


{#
    Deletes rows of a rollup. Those that history has left behind are added to the totals in the same statement: a total neither
    falls when they go, nor counts them twice. (Rows that are still in history come again, from their events.)
#}
{% macro delete_rows(rollup, where="true") %}
    {% set left_behind = "grain = 'day' and restaurant_key = '(all)' and not " ~ is_in_history('grain', 'bucket_at') %}
    {% set totals = load_relation(ref('expired_totals')) %}
    {# Missing only until a release that has it is built in full: until then nobody reads totals. #}
    {% if totals is none or rollup.identifier not in ('fct_event_counts', 'fct_error_counts') %}
        delete from {{ rollup }}
        where {{ where }}
    {% else %}
        with deleted as (
            delete from {{ rollup }}
            where {{ where }}
            returning *
        ),

        counts as (
            {% if rollup.identifier == 'fct_error_counts' %}
                select environment, 'errors' as metric, error_class as kind, error_count as counted
                from deleted
                where {{ left_behind }}
            {% else %}
                select deleted.environment, sums.metric, sums.kind, sums.counted
                from deleted
                {{ cross_join_rows('sums', ['metric', 'kind', 'counted'], event_totals('deleted')) }}
                where {{ left_behind }}
            {% endif %}
        )

        insert into {{ totals }} as totals (environment, metric, kind, total)
        select environment, metric, kind, sum(counted)
        from counts
        group by environment, metric, kind
        having sum(counted) > 0
        on conflict (environment, metric, kind) do update set total = totals.total + excluded.total
    {% endif %}
{% endmacro %}
