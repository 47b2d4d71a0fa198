"""The embedded PostgreSQL: where it lives, how it starts and stops, and who is still using it."""
