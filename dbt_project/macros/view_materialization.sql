{#
    Replaces a view in place. dbt's own way (make a new one, swap the names, drop the old one with CASCADE) takes every
    view above down with it until the run has come to rebuild that one too, and dashboards meet missing relations meanwhile.

    Only where the columns of a view change so that CREATE OR REPLACE VIEW would refuse is it dropped first.
#}
{% materialization view, adapter='postgres' %}

    {% set target_relation = this.incorporate(type='view') %}
    {% set existing_relation = load_cached_relation(this) %}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {# Two runs that replace one view at the same time would fail with "tuple concurrently updated". #}
    {% call statement('one_at_a_time') %}
        select pg_advisory_xact_lock(hashtextextended('dbt {{ target_relation }}', 0))
    {% endcall %}

    {% if existing_relation is not none and not can_be_replaced(existing_relation, sql) %}
        {{ drop_relation_if_exists(existing_relation) }}
    {% endif %}

    {% call statement('main') %}
        {{ postgres__get_replace_view_sql(target_relation, sql) }}
    {% endcall %}

    {% do apply_grants(target_relation, config.get('grants'), should_revoke=should_revoke(existing_relation, full_refresh_mode=True)) %}
    {% do persist_docs(target_relation, model) %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target_relation]}) }}

{% endmaterialization %}


{# CREATE OR REPLACE VIEW takes new columns at the end, and no other change of columns. #}
{% macro can_be_replaced(existing_relation, sql) %}
    {% if not existing_relation.is_view %}
        {{ return(false) }}
    {% endif %}
    {% set old = get_column_schema_from_query("select * from " ~ existing_relation) %}
    {% set new = get_column_schema_from_query(sql) %}
    {% if new | length < old | length %}
        {{ return(false) }}
    {% endif %}
    {% for column in old %}
        {% if column.name != new[loop.index0].name or column.dtype != new[loop.index0].dtype %}
            {{ return(false) }}
        {% endif %}
    {% endfor %}
    {{ return(true) }}
{% endmacro %}
