{#
    A rollup is a table that is taken further, and not made anew. Where it is missing it is made from the model's contract; from
    then on each run merges into it what has come in since the last one, all in one transaction:

        lock -> settle what is read -> insert … select … on conflict do update -> move the position on

    The model's SQL gives whole rows, merged already with those of the table that they replace. dbt's own incremental way
    would put them into a temporary table first, and ask the catalogue about both tables several times over.
#}
{% materialization rollup, adapter='postgres' %}

    {% set rollup = this.incorporate(type='table') %}
    {% set key = config.require('unique_key') %}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% call statement('one_refresh_at_a_time') %}
        select pg_advisory_xact_lock(hashtextextended('holdwatch.refresh.{{ rollup.identifier }}', 0))
    {% endcall %}

    {% set columns = columns_beside_contract(rollup) %}
    {% set is_there = columns | selectattr('type') | list | length > 0 %}
    {% set misfits = misfits_of(columns) if is_there else [] %}
    {% if misfits and not flags.FULL_REFRESH %}
        {{ exceptions.raise_compiler_error(
            "The table " ~ rollup.schema ~ "." ~ rollup.identifier ~ " does not have the columns of its contract: " ~ misfits | join("; ")
            ~ ". It was left as it is; to have it and the views above made anew from the events: holdwatch pipeline rebuild"
        ) }}
    {% elif misfits %}
        {# With the views above, which the same run makes anew. #}
        {% do adapter.drop_relation(rollup) %}
    {% endif %}
    {% set is_new = misfits or not is_there %}
    {% if is_new %}
        {% call statement('create') %}
            create table {{ rollup }} {{ get_table_columns_and_constraints() }};
            create unique index {{ rollup.identifier }}_key on {{ rollup }} ({{ key | join(", ") }})
        {% endcall %}
    {% endif %}
    {% do get_assert_columns_equivalent(sql) %}

    {% call statement('settle') %}
        {{ settle_refresh(rollup, is_new) }}
    {% endcall %}
    {% call statement('main') %}
        {{ replace_rows(rollup, sql, key) }}
    {% endcall %}
    {% call statement('move_on') %}
        {{ move_on(rollup) }}
    {% endcall %}

    {% do apply_grants(rollup, config.get('grants'), should_revoke=not is_new) %}
    {# A comment is locked for: it would stop an autovacuum of the table each time. #}
    {% if is_new or columns | rejectattr('is_described') | list %}
        {% do persist_docs(rollup, model) %}
    {% endif %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [rollup]}) }}

{% endmaterialization %}


{#
    The columns of the model's contract beside those that the table has, where there is one: name, wanted_type, type (NULL where
    one of them lacks it), and whether the table's descriptions are the model's. The contract goes as one literal of JSON: dbt
    takes milliseconds to quote a text, and there are dozens.
#}
{% macro columns_beside_contract(rollup) %}
    {% set contract = {"description": model.description, "columns": model.columns.values() | list} %}
    {% set beside %}
        with contract as (
            select '{{ tojson(contract) | replace("'", "''") }}'::jsonb as model
        ),

        wanted as (
            select
                columns.name,
                format_type(columns.data_type::regtype, null) as type,
                columns.description
            from contract
            cross join lateral jsonb_to_recordset(model -> 'columns') as columns (name text, data_type text, description text)
        ),

        actual as (
            select
                attname::text as name,
                format_type(atttypid, atttypmod) as type,
                col_description(attrelid, attnum) as description,
                obj_description(attrelid, 'pg_class') as table_description
            from pg_attribute
            where attrelid = to_regclass('{{ rollup }}') and attnum > 0 and not attisdropped
        )

        select
            name,
            wanted.type as wanted_type,
            actual.type,
            coalesce(
                actual.description = wanted.description
                and actual.table_description = (select model ->> 'description' from contract),
                false
            ) as is_described
        from wanted
        full join actual using (name)
    {% endset %}
    {% set columns = [] %}
    {% for row in run_query(beside).rows %}
        {% do columns.append(row.dict()) %}
    {% endfor %}
    {{ return(columns) }}
{% endmacro %}


{# What keeps rows of the table from being merged with those of the contract, in words. #}
{% macro misfits_of(columns) %}
    {% set misfits = [] %}
    {% for column in columns if column.type != column.wanted_type %}
        {% do misfits.append(
            column.name ~ " is " ~ (column.type or "missing") ~ ", the contract says " ~ (column.wanted_type or "that there is none")
        ) %}
    {% endfor %}
    {{ return(misfits) }}
{% endmacro %}


{# The index on the key is probed for each row, where a MERGE would read the whole rollup. #}
{% macro replace_rows(rollup, sql, key) %}
    {% set columns = model.columns.keys() | list %}
    insert into {{ rollup }} ({{ columns | join(", ") }})
    select {{ columns | join(", ") }}
    from (
        {{ sql }}
    ) as new_rows
    on conflict ({{ key | join(", ") }}) do update
    set
        {% for column in columns | reject('in', key) -%}
        {{ column }} = excluded.{{ column }}{{ "," if not loop.last }}
        {% endfor %}
{% endmacro %}
