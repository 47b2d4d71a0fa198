"""Ends process groups once the process that started this program is gone, however it went.

A program of its own, run as a file. On its standard input, which only the starting process holds open, it reads the ids
of the groups, one a line; ``done`` says that they have been ended in order.
"""

from __future__ import annotations

import os
import signal
import sys
import time

_GRACE_SECONDS = 5.0


def main() -> None:
    """Wait for ``done`` or for the end of the input."""
    groups = []
    for line in sys.stdin:
        if line.strip() == "done":
            return
        groups.append(int(line))
    _signal_all(groups, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_SECONDS
    while time.monotonic() < deadline and any(_exists(group) for group in groups):
        time.sleep(0.1)  # they are no children of this process: nothing announces their end
    _signal_all(groups, signal.SIGKILL)


def _signal_all(groups: list[int], number: signal.Signals) -> None:
    for group in groups:
        try:
            os.killpg(group, number)
        except (ProcessLookupError, PermissionError):
            continue


def _exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    main()
