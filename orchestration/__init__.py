"""Wires the holds core, dbt, the expectations and the dashboards together: server, soak, Dagster, command line."""
