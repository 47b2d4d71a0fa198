{# Fails with each combination of the columns that more than one row has. NULLs count as equal. #}
{% test unique_rows(model, columns) %}

select
    {{ columns | join(', ') }},
    count(*) as row_count
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1

{% endtest %}
