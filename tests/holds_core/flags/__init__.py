"""Feature flags: definitions, evaluation, changes by two people, the trail."""
