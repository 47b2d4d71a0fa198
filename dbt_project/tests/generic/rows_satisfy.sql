{#
    Fails with each row that breaks a rule, and names the rules it breaks. A rule whose expression is NULL is broken.

    rules: {name of the rule: SQL expression over the model's columns}
#}
{% test rows_satisfy(model, rules) %}
{# The rules are written in PostgreSQL's words. #}
{{ config(enabled=(target.type == 'postgres')) }}

select *
from (
    select
        *,
        array_remove(
            array[
                {%- for name, expression in rules.items() %}
                case when ({{ expression }}) is not true then '{{ name }}' end{{ "," if not loop.last }}
                {%- endfor %}
            ],
            null
        ) as broken_rules
    from {{ model }}
) as checked
where cardinality(broken_rules) > 0

{% endtest %}
