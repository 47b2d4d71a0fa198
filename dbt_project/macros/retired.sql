{# Drops views that no model makes any more; one that somebody has built upon stays, and is told of. #}
{% macro drop_retired_views(names) %}{{ return(adapter.dispatch("drop_retired_views")(names)) }}{% endmacro %}

{% macro postgres__drop_retired_views(names) %}
{% for name in names %}
    do $$
    begin
        drop view if exists {{ target.schema }}.{{ name }};
    exception
        when dependent_objects_still_exist then
            raise notice 'The view {{ target.schema }}.{{ name }} is retired, and stays for what was built upon it.';
    end
    $$;
{% endfor %}
{% endmacro %}
