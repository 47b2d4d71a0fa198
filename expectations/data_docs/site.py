"""Writes the site: adds a gate's newest result, forgets the oldest, and puts the pages in place."""

from __future__ import annotations

import fcntl
import logging
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expectations.data_docs.documents import as_gx_result, as_gx_suite
from expectations.data_docs.history import kept
from expectations.model import SuiteResult
from expectations.suites.events import events_suite
from expectations.suites.views import views_suite
from expectations.validate import warm_up

if TYPE_CHECKING:
    from great_expectations.data_context.data_context.abstract_data_context import AbstractDataContext

INDEX = "index.html"

_RESULTS = "results"
_PAGES = "validations"


class DataDocsError(Exception):
    """The pages could not be written."""


def add_result(folder: Path, result: SuiteResult, run: str, checked_at: datetime) -> Path:
    """Add a gate's result to the site in ``folder``, which is made if it is missing; return the result's page.

    Who reads meanwhile sees each page as it was or as it is now, and no link to a page that is not there. Any number
    may call it at once.

    Args:
        folder: Its own: pages of results that are not kept are removed.
        result: Of a suite of :mod:`expectations.suites`.
        run: The id of the run that asked.
        checked_at: With a time zone.

    Raises:
        DataDocsError: Great Expectations could not write a page.
    """
    with _draft(folder) as draft:
        context = _context(draft, (folder / _RESULTS, draft / _RESULTS))
        gx_result, key = as_gx_result(result, run, checked_at)
        context.validation_results_store.set(key, gx_result)
        context.build_data_docs()
        page = Path(_PAGES, *key.to_tuple()).with_suffix(".html")
        _put_in_place(draft, folder, wanted=[page])
    return folder / page


def rebuild(folder: Path) -> Path:
    """Write all pages anew, of the results that are kept; return the index.

    Raises:
        DataDocsError: Great Expectations could not write a page.
    """
    with _draft(folder) as draft:
        context = _context(draft, (draft / _RESULTS,))
        for path in kept(folder / _RESULTS):
            target = draft / path.relative_to(folder)
            target.parent.mkdir(parents=True)
            shutil.copyfile(path, target)
        _forget_unreadable(context, folder)
        context.build_data_docs()
        _put_in_place(draft, folder, wanted=[_page_of(path, draft) for path in kept(draft / _RESULTS)])
    return folder / INDEX


@contextmanager
def _draft(folder: Path) -> Iterator[Path]:
    """A folder beside the site to write to; nobody else writes to the site meanwhile."""
    warm_up()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with tempfile.TemporaryDirectory(prefix=f"{folder.name}-", dir=folder.parent) as name:
            yield Path(name)


def _put_in_place(draft: Path, folder: Path, wanted: Iterable[Path]) -> None:
    """Move each file over the one it replaces, the index last; then remove what no index links any more.

    Great Expectations logs what goes wrong with a page, and goes on: so what is wanted has to be there.
    """
    for page in (*wanted, Path(INDEX)):
        if not (draft / page).exists() or not (draft / page).stat().st_size:
            raise DataDocsError(f"Great Expectations could not write {page}; its log says why.")
    # Fonts and pictures of Great Expectations' own pages, 4 MB: nothing here shows them.
    shutil.rmtree(draft / "static")
    paths = [path.relative_to(draft) for path in draft.rglob("*") if path.is_file()]
    for path in sorted(paths, key=lambda path: path == Path(INDEX)):
        (folder / path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (draft / path).chmod(0o600)
        (draft / path).replace(folder / path)
    results = set(kept(folder / _RESULTS))
    linked = {folder / _page_of(path, folder) for path in results}
    for path in (*(folder / _RESULTS).rglob("*.json"), *(folder / _PAGES).rglob("*.html")):
        if path not in results and path not in linked:
            path.unlink()
            for parent in (path.parent, path.parent.parent):
                if not any(parent.iterdir()):
                    parent.rmdir()


def _page_of(result: Path, folder: Path) -> Path:
    return Path(_PAGES, result.relative_to(folder / _RESULTS)).with_suffix(".html")


def _forget_unreadable(context: AbstractDataContext, folder: Path) -> None:
    """Forget results that this release cannot read: of another one, or cut off where a disk was full."""
    store = context.validation_results_store
    for key in store.list_keys():
        try:
            store.get(key)
        except Exception:  # noqa: BLE001  whatever the readers of JSON, of marshmallow, of Great Expectations raise
            store.remove_key(key)
            (folder / _RESULTS).joinpath(*key.to_tuple()).with_suffix(".json").unlink()


def _context(draft: Path, results: Sequence[Path]) -> AbstractDataContext:
    """A context that keeps its results in the draft, writes its pages there, and an index of what is in ``results``."""
    import great_expectations as gx  # noqa: PLC0415
    from great_expectations.data_context.types.base import (  # noqa: PLC0415
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    defaults = InMemoryStoreBackendDefaults()
    defaults.stores[defaults.validation_results_store_name] = {
        "class_name": "ValidationResultsStore",
        "store_backend": _files(draft / _RESULTS),
    }
    renderers = {"module_name": "expectations.data_docs.renderers"}
    view = {"module_name": "expectations.data_docs.view", "class_name": "PageView"}
    site = {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": _files(draft),
        "site_index_builder": {
            "class_name": "DefaultSiteIndexBuilder",
            "renderer": renderers | {"class_name": "IndexPage", "results": [str(path) for path in results]},
            "view": view,
        },
        "site_section_builders": {
            "expectations": {"renderer": renderers | {"class_name": "SuitePage"}, "view": view},
            "validations": {"renderer": renderers | {"class_name": "ResultPage"}, "view": view},
            # No suite here describes data that nobody has looked at yet.
            "profiling": "None",
        },
    }
    config = DataContextConfig(
        store_backend_defaults=defaults,
        data_docs_sites={"holdwatch": site},
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False),
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    for suite in (events_suite(datetime.now(UTC)), views_suite()):
        context.suites.add(as_gx_suite(suite))
    return context


def _files(folder: Path) -> dict[str, Any]:
    return {
        "class_name": "TupleFilesystemStoreBackend",
        "base_directory": str(folder),
        # The id of a store is a random number in a file: nothing here asks for it.
        "suppress_store_backend_id": True,
    }
