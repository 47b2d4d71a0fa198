"""Great Expectations in a process of its own.

Its import takes about 8 CPU-seconds. In a process that is started early it is done while Dagster and dbt are loaded,
and the one that runs the pipeline never pays for it.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import Self

from expectations.data_docs.site import add_result
from expectations.model import Suite, SuiteResult
from expectations.validate import validate, warm_up
from orchestration.processes import die_with_parent


class ValidationWorker:
    """A process that checks suites, started with the object and ended by :meth:`close`."""

    def __init__(self) -> None:
        # Spawned, not forked: the caller may have threads and open connections.
        self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_initialise)
        self._pool.submit(warm_up)

    def validate(self, url: str, suite: Suite) -> SuiteResult:
        """Check a suite; see :func:`expectations.validate.validate`."""
        (result,) = self._pool.submit(_validate, url, (suite,)).result()
        return result

    def document(self, folder: Path, result: SuiteResult, run: str, checked_at: datetime) -> Path:
        """Add a result to the Data Docs; see :func:`expectations.data_docs.site.add_result`."""
        return self._pool.submit(add_result, folder, result, run, checked_at).result()

    def close(self) -> None:
        """End the process."""
        # Not waited for: nothing depends on it any more, and its end takes a second.
        self._pool.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


_prepared: list[ValidationWorker] = []


def prepare_worker() -> None:
    """Start a worker that the next :func:`take_worker` returns, so that its import runs meanwhile."""
    _prepared.append(ValidationWorker())


def take_worker() -> ValidationWorker:
    """Return a worker for the caller to close: one that was prepared, or else a new one."""
    return _prepared.pop() if _prepared else ValidationWorker()


def discard_prepared() -> None:
    """Close what was prepared and never taken."""
    while _prepared:
        _prepared.pop().close()


def _initialise() -> None:
    # A Ctrl-C in the terminal reaches every process; the one that started this one ends it in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()


def _validate(url: str, suites: Sequence[Suite]) -> tuple[SuiteResult, ...]:
    return validate(url, suites)
