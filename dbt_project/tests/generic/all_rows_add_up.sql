{#
    Fails with each group in which the row of all restaurants together, '(all)', is not the sum of the restaurants' rows
    (the one of events without a restaurant included), or in which either is missing.

    within: the columns that make a group, apart from the restaurant; counts: the columns that must add up.
#}
{% test all_rows_add_up(model, within, counts) %}

select
    {{ within | join(', ') }}
    {%- for count in counts %},
    sum({{ count }}) filter (where restaurant_key = '(all)') as all_{{ count }},
    sum({{ count }}) filter (where restaurant_key <> '(all)') as summed_{{ count }}
    {%- endfor %}
from {{ model }}
group by {{ within | join(', ') }}
having
    {%- for count in counts %}
    sum({{ count }}) filter (where restaurant_key = '(all)')
    is distinct from sum({{ count }}) filter (where restaurant_key <> '(all)')
    {{ "or" if not loop.last }}
    {%- endfor %}

{% endtest %}
