"""Holds the dashboards to Grafana's own types, with the TypeScript compiler.

It finds what Grafana would load without a word: a key that it does not know, a value that no list has, an option of
another kind of panel. The types are those of ``@grafana/schema`` as ``node/grafana.ts`` puts them together.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from dashboards.checks.check import CheckResult, Material, counted
from dashboards.checks.findings import Finding
from dashboards.checks.loading import load

NODE_DIR = Path(__file__).resolve().parent / "node"
"""Its packages are pinned, by hash, and used by this check alone."""

_OPTIONS = (
    "--noEmit",
    "--strict",
    # The package's own files are not ours to judge.
    "--skipLibCheck",
    *("--module", "esnext", "--moduleResolution", "bundler", "--target", "es2022"),
    *("--pretty", "false"),
)
_ERROR = re.compile(r"(?P<path>.+)\((?P<line>\d+),\d+\): error TS\d+: (?P<problem>.+)")
_LONGEST = 300
"""Characters of a compiler's message that people still read."""


def check_types(material: Material) -> CheckResult:
    """Compile every dashboard as a constant of Grafana's type."""
    if shutil.which("node") is None:
        return CheckResult.skip("Node is not installed.", "apt-get install nodejs npm")
    compiler = NODE_DIR / "node_modules" / ".bin" / "tsc"
    if not compiler.is_file():
        return CheckResult.skip("The TypeScript compiler is not installed.", f"npm ci --prefix {_shown(NODE_DIR)}")
    dashboards, findings = load(material.directory, "grafana")
    with tempfile.TemporaryDirectory(prefix="holdwatch-types-") as folder:
        sources = {f"dashboard{number}.ts": file for number, file in enumerate(dashboards)}
        for source, file in sources.items():
            text = (material.directory / file).read_text(encoding="utf-8")
            (Path(folder) / source).write_text(_typed(text), encoding="utf-8")
        # An option alone would compile nothing, and say so.
        output = _compile(compiler, Path(folder), list(sources)) if sources else ""
    for match in _ERROR.finditer(output):
        findings.append(
            Finding(
                "grafana-type",
                sources.get(Path(match["path"]).name, match["path"]),
                f"line {match['line']}",
                _short(match["problem"]),
                "Correct it in the generator; node/grafana.ts has the types.",
            )
        )
    return CheckResult(findings, counted(len(dashboards), "dashboard"))


def _typed(text: str) -> str:
    """Say the type in front of the JSON, on its first line, so that a line of the one is a line of the other."""
    types = json.dumps((NODE_DIR / "grafana").as_posix())
    return f"import type {{ Dashboard }} from {types}; export const dashboard: Dashboard = {text.lstrip()}"


def _compile(compiler: Path, folder: Path, sources: list[str]) -> str:
    done = subprocess.run(
        [compiler, *_OPTIONS, *sources], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode and not _ERROR.search(done.stdout):
        raise RuntimeError(f"The TypeScript compiler failed: {done.stdout}{done.stderr}")
    return done.stdout


def _short(problem: str) -> str:
    problem = problem.removeprefix("Object literal may only specify known properties, and ")
    text = problem if len(problem) <= _LONGEST else f"{problem[:_LONGEST]} …"
    return f"{text[0].upper()}{text[1:].rstrip('.')}."


def _shown(path: Path) -> str:
    """Return the path as a person in the project's folder would type it."""
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else path.as_posix()
