{# What is counted for ever, as rows of (metric, kind, count): of a row of the event counts … #}
{% macro event_totals(row) %}
    {%- set counts = [
        ["events", "", "event"],
        ["assignments", "", "assignment"],
        ["skipped", "", "skipped"],
        ["faults", "", "judged_fault"],
        ["retries_exhausted", "", "exhausted"],
        ["cutoffs", "HOLD_RATE_LIMIT", "rate_limit"],
        ["cutoffs", "CUTOFF", "cutoff"],
        ["cutoffs", "MANUAL", "manual"],
        ["double_bookings_found", "", "judged_double_booking"],
        ["flag_contradictions", "", "judged_contradiction"],
    ] -%}
    {%- set rows = [] -%}
    {%- for metric, kind, count in counts -%}
        {%- do rows.append(["'" ~ metric ~ "'", "'" ~ kind ~ "'", (row ~ "." ~ count ~ "_count") if row else "0"]) -%}
    {%- endfor -%}
    {{- return(rows) -}}
{% endmacro %}

{# … and all of it before anything was counted, the classes of errors included. #}
{% macro zero_totals() %}
    {%- set rows = event_totals(none) -%}
    {%- for class in [
        "conflict", "limit", "cutoff", "serialization", "connection", "validation", "schema", "pipeline", "unclassified",
    ] -%}
        {%- do rows.append(["'errors'", "'" ~ class ~ "'", "0"]) -%}
    {%- endfor -%}
    {{- return(rows) -}}
{% endmacro %}
