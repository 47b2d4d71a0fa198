"""How holdwatch reaches PostgreSQL: settings, connections, named queries, migrations."""
