{# A setting or a time of the one row of the clock: a subquery, worked out once. #}
{% macro alert_clock(column) -%}
(select {{ column }} from {{ ref('int_alert_clock') }})
{%- endmacro %}

{# How many finished periods are looked at. #}
{% macro alert_periods() %}{{ return(24) }}{% endmacro %}

{#
    Whether something happened in the last days, or is ahead of the clock by less than one. Said beside the bound that is meant, which
    is worked out while the query runs: this one is known when it starts, so that partitions beyond it are not even opened.
#}
{% macro happened_within_days(occurred_at, days) -%}
{{ occurred_at }} >= now() - interval '{{ days }} days' and {{ occurred_at }} <= now() + interval '1 day'
{%- endmacro %}

{# The start of the evaluation period that a time falls into. #}
{% macro alert_period_start(at) -%}
date_bin({{ alert_clock('period') }}, {{ at }}, '2000-01-01 00:00:00+00')
{%- endmacro %}

{# Whether a restaurant, or the whole environment as '(all)', is in known maintenance in a part of a stretch of time. #}
{% macro is_in_maintenance(environment, restaurant_key, starts_at, ends_at) -%}
exists (
    select from {{ ref('maintenance_periods') }} as maintenance
    where
        maintenance.environment = {{ environment }}
        and maintenance.restaurant_key = {{ restaurant_key }}
        and maintenance.starts_at < {{ ends_at }}
        and maintenance.ends_at > {{ starts_at }}
)
{%- endmacro %}

{#
    How often what is of a restaurant counts towards all: not at all while the environment is in maintenance; (all) itself once;
    a restaurant's own share, which (all) holds, is taken away again while that is in maintenance. `row` is what is weighed; its
    columns are named in full, since a bare name would be that of the maintenance it is compared with.
#}
{% macro weight_beside_maintenance(row, starts_at, ends_at) -%}
{%- set bounds = [row ~ '.' ~ starts_at, row ~ '.' ~ ends_at] -%}
case
            when {{ is_in_maintenance(row ~ '.environment', "'(all)'", *bounds) }} then 0
            when {{ row }}.restaurant_key = '(all)' then 1
            when {{ is_in_maintenance(row ~ '.environment', row ~ '.restaurant_key', *bounds) }} then -1
            else 0
        end
{%- endmacro %}

{# The restaurants whose rows the weights ask for. #}
{% macro restaurants_beside_maintenance() -%}
array(select '(all)' union all select '(none)' union all select restaurant_key from {{ ref('maintenance_periods') }})
{%- endmacro %}
