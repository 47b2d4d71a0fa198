"""The dbt project on Spark, over events that were exported to Parquet: for more of them than one machine should hold.

dbt runs Spark in its own process (the session method of dbt-spark). Where Spark is, what it may take and where it keeps
its tables is the configuration's to say: the caller's own (``SPARK_CONF_DIR``), or one for this machine alone.
"""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from holds_core.errors import HoldsError
from holds_core.events.export import exported_days
from orchestration.dbt import DbtResult, call_dbt
from orchestration.errors import MissingExtraError
from orchestration.paths import state_dir

OLDEST_JAVA = 17
"""What Spark 4 runs on."""

_LEAST_MEMORY_MB = 1024

# Of a session that is started anew for each run, on one machine: loopback alone, no web page, few partitions of what is
# shuffled (200 unless said otherwise, which is many small tasks here), and everything that it leaves in one folder.
_CONFIGURATION = """\
spark.master local[*]
spark.driver.memory {memory}m
spark.driver.host 127.0.0.1
spark.driver.bindAddress 127.0.0.1
spark.ui.enabled false
spark.ui.showConsoleProgress false
spark.sql.shuffle.partitions {partitions}
spark.sql.session.timeZone UTC
spark.sql.warehouse.dir {warehouse}
spark.hadoop.javax.jdo.option.ConnectionURL jdbc:derby:;databaseName={home}/metastore;create=true
spark.driver.extraJavaOptions "-Dderby.stream.error.file={home}/derby.log"
"""
_LOGGING = """\
rootLogger.level = error
rootLogger.appenderRef.stderr.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %p %c{{1}}: %m%n%ex{{short}}
"""


class SparkError(HoldsError):
    """Spark cannot be run here, or not on what was named."""


@dataclass(frozen=True)
class SparkRun:
    """What a run on Spark did.

    Attributes:
        result: What dbt says of it.
        configuration: The folder of Spark's configuration (``SPARK_CONF_DIR``), by which others find the views.
    """

    result: DbtResult
    configuration: Path

    def asking(self, query: str) -> str:
        """Return the shell command that asks the views something."""
        program = Path(sys.executable).parent / "spark-sql"
        variables = {"SPARK_CONF_DIR": str(self.configuration), "PYSPARK_PYTHON": sys.executable}
        words = [*(f"{name}={shlex.quote(value)}" for name, value in variables.items()), str(program)]
        return f"{' '.join(words)} -e {shlex.quote(query)}"


def run_on_spark(events: str, *, rebuild: bool = False, state: Path | None = None) -> SparkRun:
    """Build and test the views on Spark from exported events.

    Only the days that the export has changed since the last run are read, and replaced whole. Harmless to repeat.

    Args:
        events: The folder that :func:`holds_core.events.export.export_events` wrote, or the address (``scheme://…``) of
            a copy of it that Spark can read.
        rebuild: Read all days, and make the tables anew.
        state: Where the run's files are kept, and Spark's own unless it is configured otherwise; ``.holdwatch`` unless
            given.

    Raises:
        DbtError: dbt did not come as far as to run anything.
        ExportError: There is no export in the folder.
        MissingExtraError: dbt-spark or PySpark is not installed.
        SparkError: There is no Java for it, the export is empty, or another run is at work.
    """
    _require_extra()
    _require_java()
    location = _location(events)
    home = (state or state_dir()) / "spark"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    variables = {"HOLDWATCH_SPARK_EVENTS": location, "DO_NOT_TRACK": "1"}
    if "SPARK_CONF_DIR" not in os.environ:
        variables |= {"SPARK_CONF_DIR": str(_configure(home)), "SPARK_LOCAL_IP": "127.0.0.1"}
    with _alone(home):
        result = call_dbt(
            home / "dbt",
            variables,
            *("build", "--target", "spark", "--exclude-resource-type", "unit_test"),
            *(["--full-refresh"] if rebuild else []),
        )
    return SparkRun(result, Path(variables.get("SPARK_CONF_DIR") or os.environ["SPARK_CONF_DIR"]))


def _require_extra() -> None:
    try:
        version("dbt-spark"), version("pyspark")
    except PackageNotFoundError as error:
        raise MissingExtraError("spark", "Running on Spark") from error


def _require_java() -> None:
    """Look where Spark's own scripts look."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(f"{home}/bin/java" if home else "java")
    remedy = f"Spark needs Java {OLDEST_JAVA} or later: apt-get install openjdk-17-jre-headless, or set JAVA_HOME."
    if java is None:
        raise SparkError(f"There is no Java {f'in JAVA_HOME ({home})' if home else 'on the PATH'}. {remedy}")
    said = subprocess.run([java, "-version"], check=False, capture_output=True, text=True).stderr
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    if found is None or int(found[1]) < OLDEST_JAVA:
        raise SparkError(f"{java} is {said.partition(chr(10))[0] or 'no Java'}. {remedy}")


def _location(events: str) -> str:
    """Return where Spark finds the events; of a folder of this machine, look whether there are any."""
    if "://" in events:
        return events
    folder = Path(events).absolute()
    if not exported_days(folder):
        raise SparkError(f"The export in {folder} holds no events; once there are some, export into it again.")
    return folder.as_uri()


def _configure(home: Path) -> Path:
    """Write the configuration for this machine alone; return its folder."""
    folder = home / "conf"
    folder.mkdir(exist_ok=True)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024**2
    (folder / "spark-defaults.conf").write_text(
        _CONFIGURATION.format(
            memory=max(memory // 4, _LEAST_MEMORY_MB),
            partitions=2 * (os.cpu_count() or 1),
            warehouse=(home / "warehouse").as_uri(),
            home=home,
        )
    )
    (folder / "log4j2.properties").write_text(_LOGGING.format())
    return folder


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Let no second run at the tables, whose files it would replace under the first one's hands."""
    with (home / "run.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SparkError(f"Another run on Spark is at work in {home}; wait until it has ended.") from None
        # Derby's own lock, by which the catalogue for this machine serves one session at a time.
        if (catalogue := home / "metastore" / "dbex.lck").exists():
            with catalogue.open("r+b") as held:
                try:
                    fcntl.lockf(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    raise SparkError(
                        f"A Spark session (spark-sql, a notebook) is open on {home}, which keeps others out; end it."
                    ) from None
        yield
