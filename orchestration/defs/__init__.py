"""Dagster's definitions, one package for each topic; each has ``definitions()``."""
