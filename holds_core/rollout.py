"""Who is in a staged rollout: the same answer here and in SQL, for as long as the percentage does not fall."""

from __future__ import annotations

import hashlib
from uuid import UUID

BUCKETS = 100


def rollout_bucket(flag: str, restaurant_id: UUID) -> int:
    """Return the bucket of a restaurant for a flag, 0 to 99; the twin of ``holds.rollout_bucket`` for who takes part.

    The first 4 bytes of SHA-256 of ``flag:restaurant``, big-endian, modulo 100. A restaurant keeps its bucket, so that
    raising a percentage adds restaurants and removes none; another flag deals the buckets anew.
    """
    digest = hashlib.sha256(f"{flag}:{restaurant_id}".encode()).digest()
    return int.from_bytes(digest[:4]) % BUCKETS


def is_in_rollout(flag: str, restaurant_id: UUID, percentage: int) -> bool:
    """Tell whether a restaurant is among the first ``percentage`` in a hundred."""
    return rollout_bucket(flag, restaurant_id) < percentage
