{#
    Everything that another SQL engine says differently, in one place, as PostgreSQL says it; dialect_spark.sql is the same for
    Spark. A port to another engine adds a file like it, with a `<engine>__<macro>` for each, and leaves the models alone.
#}


{% macro bucket_start(grain, at) %}{{ return(adapter.dispatch("bucket_start")(grain, at)) }}{% endmacro %}

{# The start of the bucket (minute, hour or day, in UTC whatever the session's time zone) that `at` falls into. #}
{% macro postgres__bucket_start(grain, at) -%}
{#- Arithmetic: date_trunc looks the time zone up for each value, at several times the cost. -#}
date_bin('1 {{ grain }}', {{ at }}, '2000-01-01 00:00:00+00')
{%- endmacro %}


{% macro history_start(grain) %}{{ return(adapter.dispatch("history_start")(grain)) }}{% endmacro %}

{#
    Where the history of a grain begins: minutes 48 hours back; hours and days at 00:00 UTC, 90 days before today.
    Days are counted in UTC (`at time zone`), since a session's own days may have 23 or 25 hours. A subquery, because it is
    worked out once, where an expression is for every row.
#}
{% macro postgres__history_start(grain) -%}
{%- if grain == "minute" -%}
(select date_trunc('minute', now(), 'UTC') - interval '48 hours')
{%- else -%}
(select (date_trunc('day', now() at time zone 'UTC') - interval '90 days') at time zone 'UTC')
{%- endif -%}
{%- endmacro %}


{% macro cross_join_rows(name, columns, rows) %}{{ return(adapter.dispatch("cross_join_rows")(name, columns, rows)) }}{% endmacro %}

{# Each row of what stands before it with each of the given rows, whose values may be taken from it. #}
{% macro postgres__cross_join_rows(name, columns, rows) -%}
cross join lateral (
        values
        {%- for row in rows %}
        ({{ row | join(", ") }}){{ "," if not loop.last }}
        {%- endfor %}
    ) as {{ name }} ({{ columns | join(", ") }})
{%- endmacro %}


{% macro as_double(value) %}{{ return(adapter.dispatch("as_double")(value)) }}{% endmacro %}

{# The value as a float of 64 bits. #}
{% macro postgres__as_double(value) -%}
cast({{ value }} as float8)
{%- endmacro %}


{% macro one_run_at_a_time() %}{{ return(adapter.dispatch("one_run_at_a_time")()) }}{% endmacro %}

{# The hook before a model that two runs at once must not build: the second waits for the first. #}
{% macro postgres__one_run_at_a_time() -%}
select pg_advisory_xact_lock(hashtextextended('holdwatch.{{ this.identifier }}', 0))
{%- endmacro %}


{% macro open_exported_events() %}{{ return(adapter.dispatch("open_exported_events")()) }}{% endmacro %}

{# The hook before a run: nothing to do where the events are a table. #}
{% macro postgres__open_exported_events() %}{% endmacro %}


{% macro text_type() %}{{ return(adapter.dispatch("text_type")()) }}{% endmacro %}

{% macro postgres__text_type() %}{{ return("text") }}{% endmacro %}


{% macro uuid_type() %}{{ return(adapter.dispatch("uuid_type")()) }}{% endmacro %}

{% macro postgres__uuid_type() %}{{ return("uuid") }}{% endmacro %}


{% macro contains_word(text, word) %}{{ return(adapter.dispatch("contains_word")(text, word)) }}{% endmacro %}

{# Whether the text contains the word, case included. #}
{% macro postgres__contains_word(text, word) -%}
strpos({{ text }}, '{{ word }}') > 0
{%- endmacro %}


{% macro json_flag(json, key) %}{{ return(adapter.dispatch("json_flag")(json, key)) }}{% endmacro %}

{# Whether the key is JSON true, or a string that says true in any case. #}
{% macro postgres__json_flag(json, key) -%}
coalesce(lower({{ json }} ->> '{{ key }}') = 'true', false)
{%- endmacro %}


{% macro json_object(json, fields) %}{{ return(adapter.dispatch("json_object")(json, fields)) }}{% endmacro %}

{# The JSON as the macros below take it, where they read the given fields (`field`, or `field.inner_field`) and no others. #}
{% macro postgres__json_object(json, fields) -%}
{{ json }}
{%- endmacro %}


{% macro json_text(json, key) %}{{ return(adapter.dispatch("json_text")(json, key)) }}{% endmacro %}

{# What a key holds as text: a string's own, of anything else its JSON; NULL where it is missing or null. #}
{% macro postgres__json_text(json, key) -%}
{{ json }} ->> '{{ key }}'
{%- endmacro %}


{% macro json_nonnegative_float(json, field) %}{{ return(adapter.dispatch("json_nonnegative_float")(json, field)) }}{% endmacro %}

{#
    The JSON value of a field as a float8 that is finite and >= 0, else NULL; never an error, whatever the value is.

    A number counts, and so does a string that, trimmed as Python's str.strip() does it, is written as a JSON number. Both are
    rounded as IEEE 754 has it (to the nearest float8, ties to even): beyond the largest float8 is infinite and so no
    number here, closer to 0 than half the smallest one is 0.

    PostgreSQL raises where a numeric or a text is too large or too small for a float8, and has no order of evaluation but
    that of CASE. So every cast stands behind a CASE that has made sure of it. (A PL/pgSQL exception block would cost a
    subtransaction a row and forbid parallel plans.)
#}
{% macro postgres__json_nonnegative_float(json, field) -%}
{%- set value = "(" ~ json ~ " -> '" ~ field.split(".") | join("' -> '") ~ "')" -%}
case jsonb_typeof({{ value }})
    when 'number' then {{ postgres__nonnegative_float_of_numeric("(" ~ value ~ ")::numeric") }}
    when 'string' then {{ postgres__nonnegative_float_of_text(postgres__stripped(value ~ " #>> '{}'")) }}
end
{%- endmacro %}

{# 2^1024 - 2^970 is the least number that rounds to infinity, 2^-1075 the largest that rounds to 0. #}
{% macro postgres__nonnegative_float_of_numeric(number) -%}
case
    when {{ number }} >= {{ 2 ** 1024 - 2 ** 970 }} then null
    when {{ number }} > {{ 5 ** 1075 }}e-1075 then ({{ number }})::float8
    when {{ number }} >= -{{ 5 ** 1075 }}e-1075 then 0::float8
end
{%- endmacro %}

{# Without the characters that Python's str.strip() takes off: those that str.isspace() is true of. #}
{% macro postgres__stripped(text) -%}
btrim(
    {{ text }},
    E'\t\n\u000b\f\r\u001c\u001d\u001e\u001f \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000'
)
{%- endmacro %}

{#
    The branch with the plain decimals is the usual case, and the quick one. The last branch takes a number apart as
    ±0.<digits> x 10^<point>, which bounds what is cast to numeric, however long the digits or the exponent are. 1,100 digits
    decide any rounding (the longest tie of two float8 has 767); a 1 stands for those cut off, so that no tie arises.
#}
{% macro postgres__nonnegative_float_of_text(text) -%}
case
    when length({{ text }}) <= 300 and {{ text }} ~ '^(0|[1-9][0-9]*)(\.[0-9]+)?$' then ({{ text }})::float8
    when {{ text }} ~ '^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$' then (
        select
            case
                when parts.digits = '' then 0::float8
                when parts.point > 309 then null
                when parts.point < -323 then 0::float8
                else {{
                    postgres__nonnegative_float_of_numeric(
                        "(parts.sign || '0.' || left(parts.digits, 1100)"
                        ~ " || case when length(parts.digits) > 1100 then '1' else '' end"
                        ~ " || 'e' || parts.point)::numeric"
                    )
                }}
            end
        from (
            select
                substring(shape.written from '^-?') as sign,
                rtrim(ltrim(shape.integer_part || shape.fraction, '0'), '0') as digits,
                length(shape.integer_part)
                - (length(shape.fraction) + length(shape.integer_part) - length(ltrim(shape.integer_part || shape.fraction, '0')))
                + case
                    when length(shape.exponent) <= 9 then (shape.exponent_sign || '0' || shape.exponent)::bigint
                    -- More digits than a text has room for: nothing in the mantissa makes up for it.
                    else (shape.exponent_sign || '1000000000')::bigint
                end as point
            from (
                select
                    number.written,
                    substring(number.written from '^-?([0-9]+)') as integer_part,
                    coalesce(substring(number.written from '\.([0-9]+)'), '') as fraction,
                    coalesce(substring(number.written from '[eE](-)'), '') as exponent_sign,
                    ltrim(coalesce(substring(number.written from '[eE][+-]?([0-9]+)$'), ''), '0') as exponent
                from (select {{ text }} as written) as number
            ) as shape
        ) as parts
    )
end
{%- endmacro %}
