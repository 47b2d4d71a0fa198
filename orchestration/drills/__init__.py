"""Drills: a regression is injected on purpose, and timed until somebody is told of it, and until it is over."""
