"""What the assets and checks work with."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
from dagster_dbt import DbtCliInvocation, DbtCliResource
from packaging.version import Version
from pydantic import Field, PrivateAttr

from dashboards.files import DASHBOARDS_DIR
from expectations.model import Suite, SuiteResult
from holds_core.database.connections import connect
from orchestration.dagster_instance import environment_variables
from orchestration.dbt import dbt_environment
from orchestration.dbt_manifest import prepare_target
from orchestration.paths import DATA_DOCS
from orchestration.pipeline.runs import at_work
from orchestration.validation_worker import ValidationWorker, take_worker

# A server that restarts is back by then, and nobody waits long to see that it is not.
_STEP_RETRIES = 2
_STEP_RETRY_SECONDS = 3

DATABASE_URL: Any = Field(
    description="The database that everything is about, by the environment variable that names it. Leave it as it is."
)
"""No default: a value would stand in Dagster's storage and UI, password and all."""


class DatabaseResource(dg.ConfigurableResource[Any]):
    """The database that the pipeline reads and builds in."""

    url: str = DATABASE_URL

    def connect(self) -> psycopg.Connection:
        """Open an autocommit connection in UTC."""
        return connect(self.url, application_name="holdwatch-pipeline")

    @contextmanager
    def connect_in_step(self) -> Generator[psycopg.Connection]:
        """Open one for a step of a run; a step whose connection breaks begins anew, twice, before the run fails.

        Raises:
            RetryRequested: The database could not be reached, or went away.
        """
        try:
            with self.connect() as connection:
                yield connection
        except psycopg.OperationalError as error:
            raise dg.RetryRequested(max_retries=_STEP_RETRIES, seconds_to_wait=_STEP_RETRY_SECONDS) from error


class PipelineLock(dg.ConfigurableResource[Any]):
    """Held through a whole run: other runs wait for it, and who holds it is alive."""

    url: str = DATABASE_URL

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[PipelineLock]:
        """Take the lock for as long as the run lasts."""
        with at_work(self.url, context.run.run_id if context.run is not None else "without an id"):
            yield self


class ExpectationsResource(dg.ConfigurableResource[Any]):
    """Great Expectations, in a process of its own that starts with the run, or has started before."""

    url: str = DATABASE_URL
    _worker: ValidationWorker | None = PrivateAttr(default=None)
    _run_id: str = PrivateAttr(default="")

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Start the process."""
        self._worker = take_worker()
        self._run_id = context.run.run_id if context.run is not None else "without-an-id"

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002
        """End the process."""
        if self._worker is not None:
            self._worker.close()

    def check(self, suite: Suite) -> tuple[SuiteResult, Path | None]:
        """Check a suite against the database; also return its page of the Data Docs, beside Dagster's home.

        None where the page could not be written: a gate decides by what it found, not by whether that can be shown.
        """
        assert self._worker is not None
        checked_at = datetime.now(UTC)
        result = self._worker.validate(self.url, suite)
        folder = Path(os.environ["DAGSTER_HOME"]).parent / DATA_DOCS
        try:
            return result, self._worker.document(folder, result, self._run_id, checked_at)
        except Exception as error:  # noqa: BLE001  whatever Great Expectations raises where its pages are written
            dg.get_dagster_logger().warning("The Data Docs stay as they were: %s", error)
            return result, None


class DashboardsResource(dg.ConfigurableResource[Any]):
    """Where the dashboard files go: the package's own folder, which is committed, unless told otherwise."""

    directory: str | None = Field(
        None, description="The folder to write the dashboard files to; left out, the package's own folder."
    )

    def path(self) -> Path:
        """Return the folder."""
        return DASHBOARDS_DIR if self.directory is None else Path(self.directory)


class DbtResource(DbtCliResource):
    """dbt as this project runs it: one subprocess, no look-ups on the network, one target folder for all runs."""

    url: str = DATABASE_URL

    @cached_property
    def _cli_version(self) -> Version:
        # As installed: asking the program takes 3 CPU-seconds, and looks for news on the network.
        return Version(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> Any:  # noqa: ARG002
        # It loads dbt into this process, for column metadata that the manifest has already.
        return None

    def build(self, context: dg.AssetExecutionContext) -> DbtCliInvocation:
        """Start ``dbt build`` for the assets that the context selects.

        Without the unit tests: they test the models' code, which no run changes, and are a quarter of the work.
        """
        with environment_variables(dbt_environment(self.url)):
            return self.cli(
                ["build", "--exclude-resource-types", "unit_test"],
                context=context,
                target_path=prepare_target(Path(os.environ["DAGSTER_HOME"])),
            )
