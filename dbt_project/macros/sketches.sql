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
    sketches: one row per key, with its cells as two arrays and its percentiles worked out. The last one is `sketches`.

    A percentile is the nearest rank: the first cell with which at least that share of the sample is counted, reckoned in
    whole numbers.
#}
{% macro sketches_of(cells, key) -%}
summed_cells as (
    select
        {{ key | join(", ") }},
        sketch_index,
        sum(sample_count) as sample_count
    from {{ cells }}
    group by {{ key | join(", ") }}, sketch_index
),

ranked_cells as (
    select
        *,
        sum(sample_count) over (partition by {{ key | join(", ") }}) as total_count,
        sum(sample_count) over (
            partition by {{ key | join(", ") }} order by sketch_index rows unbounded preceding
        ) as counted
    from summed_cells
),

packed_sketches as (
    select
        {{ key | join(", ") }},
        {{ sketch_arrays() }},
        {% for percent in sketch_percents() -%}
        min(case when counted * 100 >= total_count * {{ percent }} then sketch_index end) as p{{ percent }}_index,
        {% endfor -%}
        sum(sample_count) as sample_count
    from ranked_cells
    group by {{ key | join(", ") }}
),

sketches as (
    select
        {{ key | join(", ") }},
        cast(sample_count as integer) as sample_count,
        {% for percent in sketch_percents() -%}
        {{ sketch_value("p" ~ percent ~ "_index") }} as p{{ percent }}_ms,
        {% endfor -%}
        sketch_indexes,
        sketch_counts
    from packed_sketches
)
{%- endmacro %}


{# The cells of the sketches of a relation, one row each. #}
{% macro cells_of(sketches, key) %}{{ return(adapter.dispatch("cells_of")(sketches, key)) }}{% endmacro %}

{% macro postgres__cells_of(sketches, key) -%}
select
        {% for column in key %}packed.{{ column }}, {% endfor %}
        cells.sketch_index,
        cells.sample_count
    from {{ sketches }} as packed
    cross join lateral unnest(packed.sketch_indexes, packed.sketch_counts) as cells (sketch_index, sample_count)
{%- endmacro %}


{# Two aggregates: the indexes of the cells in ascending order, and the counts in the same order. #}
{% macro sketch_arrays() %}{{ return(adapter.dispatch("sketch_arrays")()) }}{% endmacro %}

{% macro postgres__sketch_arrays() -%}
array_agg(sketch_index order by sketch_index) as sketch_indexes,
        array_agg(sample_count::integer order by sketch_index) as sketch_counts
{%- endmacro %}

