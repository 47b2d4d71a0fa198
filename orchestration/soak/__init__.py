"""Synthetic load on the holds core, and a ledger check that trusts nobody."""
