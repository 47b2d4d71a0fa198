{#
    What Spark says differently from PostgreSQL, all of it; what each macro promises stands beside its counterpart in
    dialect.sql, sketches.sql and rollups.sql.

    Times are reckoned in seconds of the epoch, so that a view says the same whatever time zone the session reading it has.
#}


{% macro spark__bucket_start(grain, at) -%}
{%- set seconds = {"minute": 60, "hour": 3600, "day": 86400}[grain] -%}
timestamp_seconds(unix_seconds({{ at }}) - pmod(unix_seconds({{ at }}), {{ seconds }}))
{%- endmacro %}


{% macro spark__history_start(grain) -%}
{%- if grain == "minute" -%}
timestamp_seconds((unix_seconds(current_timestamp()) div 60 - 48 * 60) * 60)
{%- else -%}
timestamp_seconds((unix_seconds(current_timestamp()) div 86400 - 90) * 86400)
{%- endif -%}
{%- endmacro %}


{# No VALUES: Spark's may not take a value from what stands before them. #}
{% macro spark__cross_join_rows(name, columns, rows) -%}
lateral view inline(array(
        {%- for row in rows %}
        named_struct({% for column in columns %}'{{ column }}', {{ row[loop.index0] }}{{ ", " if not loop.last }}{% endfor %}){{ "," if not loop.last }}
        {%- endfor %}
    )) {{ name }} as {{ columns | join(", ") }}
{%- endmacro %}


{# HAVING sees what is selected, and nothing else. #}
{% macro spark__is_bucket() -%}
bucket_at is not null
{%- endmacro %}


{% macro spark__as_double(value) -%}
cast({{ value }} as double)
{%- endmacro %}


{% macro spark__text_type() %}{{ return("string") }}{% endmacro %}


{# It has no type for them. #}
{% macro spark__uuid_type() %}{{ return("string") }}{% endmacro %}


{% macro spark__contains_word(text, word) -%}
contains({{ text }}, '{{ word }}')
{%- endmacro %}


{#
    Parsed once for all fields. Numbers and nesting may be as long as PostgreSQL takes them; beyond limits of its own Spark would
    read nothing of the event at all.
#}
{% macro spark__json_object(json, fields) -%}
{%- set types = {} -%}
{%- for field in fields -%}
    {%- set name, _, inner_name = field.partition(".") -%}
    {%- do types.update({name: types.get(name, []) + ([inner_name ~ ": string"] if inner_name else [])}) -%}
{%- endfor -%}
{%- set columns = [] -%}
{%- for name, inner_fields in types.items() -%}
    {%- do columns.append(name ~ (" struct<" ~ inner_fields | join(", ") ~ ">" if inner_fields else " string")) -%}
{%- endfor -%}
named_struct('text', {{ json }}, 'fields', {{ spark__parsed_json(json, columns | join(", ")) }})
{%- endmacro %}

{% macro spark__parsed_json(json, columns) -%}
from_json({{ json }}, '{{ columns }}', map('maxNumLen', '2147483647', 'maxStringLen', '2147483647', 'maxNestingDepth', '2147483647'))
{%- endmacro %}


{#
    An object or an array (and no string that reads like one) gets its spaces after commas and colons back: PostgreSQL writes
    it with, Spark without.
#}
{% macro spark__json_text(json, key) -%}
{%- set text = json ~ ".fields." ~ key -%}
case
            when
                {{ text }} rlike r'^[{\[]'
                and (
                    {{ spark__parsed_json(json ~ ".text", key ~ " map<string, string>") }}.{{ key }} is not null
                    or {{ spark__parsed_json(json ~ ".text", key ~ " array<string>") }}.{{ key }} is not null
                )
                then regexp_replace({{ text }}, r'\G([^",:]*+(?:"(?:[^"\\]++|\\.)*+"[^",:]*+)*+)([,:])', '$1$2 ')
            else {{ text }}
        end
{%- endmacro %}


{% macro spark__json_flag(json, key) -%}
coalesce(lower({{ json }}.fields.{{ key }}) = 'true', false)
{%- endmacro %}


{#
    As text, a number is as its JSON has it, and a string as what it holds: one rule is good for both. Java rounds a decimal of
    any length as IEEE 754 has it.
#}
{% macro spark__json_nonnegative_float(json, field) -%}
{%- set text = spark__stripped(json ~ ".fields." ~ field) -%}
{%- set number = "try_cast(" ~ text ~ " as double)" -%}
case
            when
                {{ text }} rlike r'^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$'
                and {{ number }} >= 0
                and {{ number }} < double('infinity')
                then abs({{ number }})
        end
{%- endmacro %}

{% macro spark__stripped(text) -%}
trim(
    both '\t\n\u000b\u000c\r\u001c\u001d\u001e\u001f \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000'
    from {{ text }}
)
{%- endmacro %}


{# The cells of a day come together with all its others: there is no closed sketch to merge them with. #}
{% macro spark__merged_sketches(new_cells, rollup, key, where) -%}
{{ sketches_of(new_cells, key) }}
{%- endmacro %}


{% macro spark__cells_of(sketches, key) -%}
select
        {% for column in key %}packed.{{ column }}, {% endfor %}
        cells.sketch_index,
        cells.sample_count
    from {{ sketches }} as packed
    lateral view inline(arrays_zip(packed.sketch_indexes, packed.sketch_counts)) cells as sketch_index, sample_count
{%- endmacro %}


{% macro spark__sketch_arrays() -%}
{%- set cells = "array_sort(collect_list(struct(sketch_index, cast(sample_count as integer) as sample_count)))" -%}
{{ cells }}.sketch_index as sketch_indexes,
        {{ cells }}.sample_count as sketch_counts
{%- endmacro %}


{# Nothing to lock: whoever starts Spark sees to it that no other run is at work (orchestration/spark.py). #}
{% macro spark__one_run_at_a_time() %}{% endmacro %}


{# No earlier release ran here. #}
{% macro spark__drop_retired_views(names) %}{% endmacro %}


{#
    The events as `holdwatch events export` has written them: a folder per UTC day. The view says what the database's table
    says, and which day's folder it is from.
#}
{% macro spark__open_exported_events() %}
{% if execute %}
    {% set events = source('holds', 'observability_events') %}
    {% do run_query("create schema if not exists " ~ events.without_identifier()) %}
    {% do run_query(
        "create or replace view " ~ events ~ " as select * from parquet.`"
        ~ env_var('HOLDWATCH_SPARK_EVENTS') | replace("`", "``") ~ "`"
    ) %}
{% endif %}
{% endmacro %}


{#
    A rollup is kept by whole days: what a run reads is all events of the days that the export has changed since the rollup took
    them in, and what it writes replaces the rollup's partitions of these days. So a run that was broken off is harmless to
    repeat, an event that is late by weeks needs no looking back, and no file format is needed that has MERGE.

    The days stand in the query as they are when it is compiled: bounds that Spark holds against the statistics in the files,
    and so reads no others.
#}
{% macro spark__events_to_read(rollup, columns, where) -%}
{%- set days = spark__days_to_read(rollup) -%}
select
        {% for column in columns %}{{ column }}{{ ", " if not loop.last }}{% endfor %}
    from {{ ref('int_events_classified') }}
    where
        (
            {% for day in days -%}
            occurred_at >= timestamp '{{ day }} 00:00:00Z' and occurred_at < timestamp '{{ day }} 00:00:00Z' + interval 24 hours
            or {% endfor -%}
            false
        )
        and occurred_at >= {{ history_start('day') }}
        and {{ where }}
{%- endmacro %}

{% macro spark__days_to_read(rollup) %}
    {% set exported_days, rolled_up_days = ref('exported_days'), ref('rolled_up_days') %}
    {% if not execute %}{{ return([]) }}{% endif %}
    {% set is_known %}
        not exists (
            select 1 from {{ rolled_up_days }} as known
            where
                known.rollup = '{{ rollup }}'
                and known.day = exported.day
                and known.event_count = exported.event_count
                and known.newest_position = exported.newest_position
        )
    {% endset %}
    {% set exists = adapter.get_relation(none, target.schema, rollup) is not none %}
    {% set days = run_query(
        "select exported.day from " ~ exported_days ~ " as exported where "
        ~ (is_known if exists and not flags.FULL_REFRESH else "true") ~ " order by exported.day"
    ) %}
    {{ return(days.columns[0].values() | list) }}
{% endmacro %}


{# Of a bucket in these days there is no other row: it has been read from its beginning. #}
{% macro spark__with_closed_rows(rollup, new_rows, key) -%}
select * from {{ new_rows }}
{%- endmacro %}


{% macro spark__rollup_config(key) %}
{# Said here because dbt does not look for them in a materialization. #}
{% do ref('exported_days') %}
{% do ref('rolled_up_days') %}
{{ config(materialized='rollup') }}
{% endmacro %}


{# Replaces the days that the model has read, drops those that the export has no more, and then says what has been taken in. #}
{% materialization rollup, adapter='spark' %}

    {% set target_relation = this.incorporate(type='table') %}
    {% set existing_relation = load_cached_relation(this) %}
    {% set exported_days, rolled_up_days = ref('exported_days'), ref('rolled_up_days') %}
    {% set rows %}
        select
            given.*,
            to_date(given.bucket_at) as bucket_day
        from ({{ sql }}) as given
    {% endset %}

    {{ run_hooks(pre_hooks) }}

    {% if existing_relation is not none and flags.FULL_REFRESH %}
        {% do adapter.drop_relation(existing_relation) %}
        {% set existing_relation = none %}
    {% endif %}
    {% if existing_relation is none %}
        {% call statement('main') %}
            create table {{ target_relation }}
            using parquet
            partitioned by (bucket_day)
            {{ comment_clause() }}
            as {{ rows }}
        {% endcall %}
    {% else %}
        {# Else it would replace all partitions, and not those alone that have rows. #}
        {% do run_query("set spark.sql.sources.partitionOverwriteMode = dynamic") %}
        {% call statement('main') %}
            insert overwrite table {{ target_relation }} partition (bucket_day)
            {{ rows }}
        {% endcall %}
        {% set kept = run_query("select concat('bucket_day=', day) from " ~ exported_days).columns[0].values() %}
        {% for partition in run_query("show partitions " ~ target_relation).columns[0].values() if partition not in kept %}
            {% do run_query("alter table " ~ target_relation ~ " drop if exists partition (" ~ partition | replace("=", "='") ~ "')") %}
        {% endfor %}
    {% endif %}
    {% do run_query(
        "insert overwrite table " ~ rolled_up_days ~ " partition (rollup = '" ~ this.identifier ~ "')"
        ~ " select day, event_count, newest_position from " ~ exported_days
    ) %}

    {{ run_hooks(post_hooks) }}

    {{ return({'relations': [target_relation]}) }}

{% endmaterialization %}
