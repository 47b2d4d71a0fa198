{#
    Latencies as DDSketches (Masson, Rim, Lee: DDSketch, VLDB 2019): a value v > 0 falls into the cell of index
    ceil(ln v / ln γ), and stands there for 2γ^index / (γ + 1), which is off by at most α of it, where γ = (1 + α) / (1 - α).
    Sketches of the same γ are merged by adding up their cells, so the percentiles of any stretch of time and of any set of
    restaurants come from the rows of the rollup.

    α is 0.99 %: the promise is 1 %, and rounding has a share of it. 0 has a cell of its own.
#}
{% macro sketch_alpha() %}{{ return(0.0099) }}{% endmacro %}

{# ln γ = 2 artanh α, by its series, since Jinja has no logarithm; the first term left out is below 1e-18. #}
{% macro sketch_log_gamma() %}
    {%- set alpha = sketch_alpha() -%}
    {{ return(2 * (alpha + alpha ** 3 / 3 + alpha ** 5 / 5 + alpha ** 7 / 7)) }}
{% endmacro %}

{# The index of the cell of 0, below any other: that of the least float8, 5e-324, is -37,597. #}
{% macro sketch_zero() %}{{ return(-40000) }}{% endmacro %}

{# The index of a value's cell; the value is finite and >= 0. #}
{% macro sketch_index(value) -%}
case when {{ value }} > 0 then cast(ceil(ln({{ value }}) / {{ as_double(sketch_log_gamma()) }}) as integer) else {{ sketch_zero() }} end
{%- endmacro %}

{#
    What a cell stands for: 2γ^index / (γ + 1), which is γ^(index - 1) (1 + α). An exponent above 709.7728 would make it more
    than the largest float8, and stays within α of it. Below index -35,000 the power alone is so small that PostgreSQL
    refuses it, so it is made e^100 times larger and then smaller.
#}
{% macro sketch_value(index) -%}
{%- set exponent = "(" ~ index ~ " - 1) * " ~ as_double(sketch_log_gamma()) -%}
case
            when {{ index }} = {{ sketch_zero() }} then {{ as_double(0) }}
            when {{ index }} < -35000
                then exp({{ exponent }} + 100) * exp({{ as_double(-100) }}) * {{ as_double(1 + sketch_alpha()) }}
            else exp(least({{ exponent }}, {{ as_double(709.7728) }})) * {{ as_double(1 + sketch_alpha()) }}
        end
{%- endmacro %}

{% macro sketch_percents() %}{{ return([50, 95, 99]) }}{% endmacro %}


{#
    The CTEs that turn cells (the columns of the key, sketch_index, sample_count; several rows per cell are added up) into
    sketches: one row per key, with its cells as two arrays and its percentiles worked out. The last one is `sketches`. Without
    a key the cells are those of one sketch; how many latencies they are need not be counted where it is known.

    A percentile is the nearest rank: the first cell with which at least that share of the sample is counted, reckoned in
    whole numbers. (Integers throughout: the sum of a bigint is a numeric, and several times slower.)
#}
{% macro sketches_of(cells, key=[], total_count=none) -%}
{%- set key_columns = key | join(", ") ~ ("," if key) -%}
{%- set partition = "partition by " ~ key | join(", ") if key -%}
summed_cells as (
    select
        {{ key_columns }}
        sketch_index,
        cast(sum(sample_count) as integer) as sample_count
    from {{ cells }}
    group by {{ key_columns }} sketch_index
),

ranked_cells as (
    select
        *,
        {{ total_count or "sum(sample_count) over (" ~ partition ~ ")" }} as total_count,
        sum(sample_count) over ({{ partition }} order by sketch_index rows unbounded preceding) as counted
    from summed_cells
),

packed_sketches as (
    select
        {{ key_columns }}
        {{ sketch_arrays() }},
        {% for percent in sketch_percents() -%}
        min(case when counted * 100 >= total_count * {{ percent }} then sketch_index end) as p{{ percent }}_index,
        {% endfor -%}
        sum(sample_count) as sample_count
    from ranked_cells
    {{ "group by " ~ key | join(", ") if key }}
),

sketches as (
    select
        {{ key_columns }}
        cast(sample_count as integer) as sample_count,
        {% for percent in sketch_percents() -%}
        {{ sketch_value("p" ~ percent ~ "_index") }} as p{{ percent }}_ms,
        {% endfor -%}
        sketch_indexes,
        sketch_counts
    from packed_sketches
)
{%- endmacro %}


{% macro merged_sketches(new_cells, rollup, key, where="true") %}
    {{- return(adapter.dispatch("merged_sketches")(new_cells, rollup, key, where)) -}}
{% endmacro %}

{#
    The CTEs that merge new cells with the closed sketches of the same keys, where the condition allows. The last one is
    `sketches`, the one before `gathered_cells`: a row per key that has any new cell.

    Each sketch by itself: sorting the cells of all of them together, by all columns of the key, takes twice as long, and a
    view that is asked for one restaurant would merge the sketches of all. In the order of the rollup's index, which is
    probed for each of them, so that neighbours find its pages at hand.
#}
{% macro postgres__merged_sketches(new_cells, rollup, key, where) -%}
gathered_cells as (
    select
        {{ key | join(", ") }},
        array_agg(sketch_index) as sketch_indexes,
        array_agg(sample_count) as sketch_counts,
        sum(sample_count) as sample_count
    from {{ new_cells }}
    group by {{ key | join(", ") }}
    order by {{ key | join(", ") }}
),

sketches as (
    select
        {% for column in key %}gathered.{{ column }}, {% endfor %}
        merged.*
    from gathered_cells as gathered
    left join lateral {{ closed_row(rollup, 'gathered', key, where) }} as closed on true
    cross join lateral (
        with

        cells as (
            select unnest(gathered.sketch_indexes) as sketch_index, unnest(gathered.sketch_counts) as sample_count
            union all
            select unnest(closed.sketch_indexes), unnest(closed.sketch_counts)
        ),

        {{ sketches_of(
            'cells', total_count='gathered.sample_count + coalesce(closed.sample_count, 0)'
        ) | indent(8) }}

        select * from sketches
    ) as merged
)
{%- endmacro %}


{# The cells of the sketches of a relation, one row each. #}
{% macro cells_of(sketches, key) %}{{ return(adapter.dispatch("cells_of")(sketches, key)) }}{% endmacro %}

{% macro postgres__cells_of(sketches, key) -%}
select
        {{ key | join(", ") }},
        unnest(sketch_indexes) as sketch_index,
        unnest(sketch_counts) as sample_count
    from {{ sketches }}
{%- endmacro %}


{# Two aggregates: the indexes of the cells in ascending order, and the counts in the same order. #}
{% macro sketch_arrays() %}{{ return(adapter.dispatch("sketch_arrays")()) }}{% endmacro %}

{% macro postgres__sketch_arrays() -%}
array_agg(sketch_index order by sketch_index) as sketch_indexes,
        array_agg(sample_count order by sketch_index) as sketch_counts
{%- endmacro %}

