"""The suites, one module for each boundary: pure functions that return plain values, so that reading them is free."""
