"""The tutorial, followed as its reader would: every block, in order, in a shell, on an embedded server of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.server.layout import ServerLayout
from tests.docs.pages import DOCS, ROOT, Block, blocks, commands

PAGE = DOCS / "tutorial.md"
IN_THE_CHECKOUT = ("make setup", 'export PATH="$PWD/.venv/bin:$PATH"')
"""What whoever runs the tests has done already."""


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The reader's environment, with the program of this environment and a state folder of its own."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("HOLDWATCH_", "PG"))}
    made = outside | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOLDWATCH_STATE_DIR": str(tmp_path / "state"),
        "HOLDWATCH_SPOOL_DIRECTORY": str(tmp_path / "spool"),
    }
    yield made
    subprocess.run(["holdwatch", "db", "stop"], env=made, check=False, capture_output=True)
    layout = ServerLayout.of(tmp_path / "state")
    if layout.user is not None:  # as root the server's files are elsewhere
        shutil.rmtree(layout.home, ignore_errors=True)


def as_script(page: list[Block]) -> str:
    """Return the whole page as a shell script: files are written, each command's output is marked off."""
    lines = ["set -e"]
    for block in page:
        if block.language == "python":
            (name,) = (part.removeprefix('title="').removesuffix('"') for part in block.info.split())
            lines += [f"cat > {name} <<'END OF FILE'", block.text, "END OF FILE"]
            continue
        assert block.language == "console"
        for command, _ in commands(block.text):
            if command not in IN_THE_CHECKOUT:
                lines += [f"echo '>>>' {len(lines)}", command]
    return "\n".join(lines)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_tutorial_does_what_it_says(tmp_path: Path, environ: dict[str, str]) -> None:
    """Every command succeeds, and says what the page says; in the end there is no double booking."""
    page = blocks(PAGE)
    typed = [one for block in page if block.language == "console" for one in commands(block.text)]
    typed = [one for one in typed if one[0] not in IN_THE_CHECKOUT]

    followed = subprocess.run(
        ["bash", "-c", as_script(page)], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )

    assert followed.returncode == 0, f"{followed.stdout}\n{followed.stderr}"
    said = [part.partition("\n")[2] for part in followed.stdout.split(">>> ")[1:]]
    assert len(said) == len(typed)
    for (command, expected), output in zip(typed, said, strict=True):
        # What a page does not show is left to the reader; what it shows ends the output.
        assert output.endswith(expected), f"{command} says {output!r}"
    assert (tmp_path / "state" / "preview" / "index.html").is_file()


def test_tutorial_names_what_is_done_already() -> None:
    """What the test above leaves out is in the page as it stands here, and the target exists."""
    first = commands(blocks(PAGE)[0].text)

    assert [command for command, _ in first] == list(IN_THE_CHECKOUT)
    assert "\nsetup: " in (ROOT / "Makefile").read_text(encoding="utf-8")
