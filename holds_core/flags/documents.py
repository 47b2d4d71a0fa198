"""A YAML file read so that every complaint names the file, the line and what to do."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from enum import StrEnum
from typing import Any, NoReturn, TypeVar

import yaml

from holds_core.errors import FlagDefinitionError

Choice = TypeVar("Choice", bound=StrEnum)

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where it was built in; the same, faster


class Part:
    """One value of a file, and where it stands."""

    def __init__(self, node: yaml.Node, file: str, name: str) -> None:
        self.name = name
        self._node = node
        self._file = file

    def fail(self, problem: str) -> NoReturn:
        """Refuse the value.

        Raises:
            FlagDefinitionError: Always.
        """
        raise FlagDefinitionError(f"{self._file}:{self._node.start_mark.line + 1}: {problem}")

    def value(self) -> Any:
        """Return the value as YAML has it: a text, a number, a date, a boolean."""
        if not isinstance(self._node, yaml.ScalarNode):
            self.fail(f"{self.name} must be one value, not a list or a mapping")
        try:
            return yaml.SafeLoader("").construct_object(self._node)
        except ValueError as error:  # for example the 31st of February
            self.fail(f"{self.name} cannot be read: {error}")

    def text(self) -> str:
        """Return a text that says something."""
        value = self.value()
        if not isinstance(value, str) or not value.strip():
            self.fail(f"{self.name} must be a text; write what it is")
        return " ".join(value.split())

    def number(self) -> float:
        """Return a number."""
        value = self.value()
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fail(f"{self.name} must be a number, not {value!r}")
        return float(value)

    def whole_number(self, least: int, most: int) -> int:
        """Return a whole number within bounds."""
        value = self.value()
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.fail(f"{self.name} must be a whole number from {least} to {most}, not {value!r}")
        return int(value)

    def choice(self, choices: type[Choice]) -> Choice:
        """Return one of these words."""
        try:
            return choices(self.value())
        except ValueError:
            self.fail(f"{self.name} must be one of {', '.join(choices)}, not {self.value()!r}")

    def items(self) -> Iterator[Part]:
        """Return the parts of a list."""
        if not isinstance(self._node, yaml.SequenceNode):
            self.fail(f"{self.name} must be a list: a line with a dash for each entry")
        for node in self._node.value:
            yield Part(node, self._file, f"an entry of {self.name}")

    def entries(self) -> dict[str, Part]:
        """Return the parts of a mapping by their keys.

        Raises:
            FlagDefinitionError: It is none, or a key stands there twice.
        """
        if not isinstance(self._node, yaml.MappingNode):
            self.fail(f"{self.name} must be a mapping: a line 'key: value' for each entry")
        found: dict[str, Part] = {}
        for key_node, node in self._node.value:
            key = str(key_node.value)
            part = Part(node, self._file, key)
            if key in found:
                Part(key_node, self._file, key).fail(f"{key} is said twice; keep one of the two")
            found[key] = part
        return found

    def fields(self, required: Collection[str], optional: Collection[str] = ()) -> dict[str, Part]:
        """Return the parts of a mapping whose keys are known.

        Raises:
            FlagDefinitionError: A key is missing, or unknown.
        """
        found = self.entries()
        for key, part in found.items():
            if key not in required and key not in optional:
                part.fail(f"{self.name} has no {key!r}; it has {', '.join([*required, *optional])}")
        if missing := [key for key in required if key not in found]:
            self.fail(f"{self.name} lacks {', '.join(missing)}; add a line for it")
        return found


def read_document(text: str, file: str, name: str) -> Part:
    """Read the one document of a file.

    Args:
        text: The file's content.
        file: How complaints name the file.
        name: How complaints name the whole of it.

    Raises:
        FlagDefinitionError: It is no YAML, or empty.
    """
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 1
        raise FlagDefinitionError(f"{file}:{line}: this is no YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise FlagDefinitionError(f"{file}:1: this is no YAML: {' '.join(str(error).split())}") from error
    if node is None:
        raise FlagDefinitionError(f"{file}:1: the file is empty; write a definition, or delete it")
    return Part(node, file, name)
