"""The ``holdwatch`` command: one module for each noun."""

from orchestration.cli.app import main

__all__ = ["main"]
