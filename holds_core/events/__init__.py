"""Events: their types, how one is recorded, and how many are imported."""
