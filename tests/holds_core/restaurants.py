"""Restaurants that Hypothesis makes up."""

from __future__ import annotations

from uuid import UUID

from hypothesis import strategies as st

from holds_core import Table

IDS = [UUID(int=number) for number in range(1, 8)]


@st.composite
def restaurants(draw: st.DrawFn) -> list[Table]:
    """Up to seven tables, some of which can be pushed together."""
    count = draw(st.integers(1, len(IDS)))
    # Where all are small, parties need many of them.
    largest = draw(st.sampled_from([2, 3, 8]))
    return [
        Table(
            id=IDS[n],
            capacity=draw(st.integers(1, largest)),
            minimum_party=draw(st.integers(1, 4)),
            combinable_with=frozenset(draw(st.sets(st.sampled_from(IDS[:count])))),
            minimum_combined_party=draw(st.sampled_from([1, 1, 1, 4, 9])),
        )
        for n in range(count)
    ]
