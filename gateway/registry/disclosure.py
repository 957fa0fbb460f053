"""Disclosure: what may be told of each measure of an index. A setting of the service, not law."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from gateway.registry.measures import MEASURES

FILE = Path(__file__).with_name("disclosure.toml")

Level = Literal["values", "directions", "nothing"]
# From the most open to the most reserved.
LEVELS: tuple[Level, ...] = get_args(Level)


class BadDisclosure(Exception):
    """The file names a level or a measure that there is not; the message names the place."""


@dataclass(frozen=True)
class Disclosure:
    """The level of each measure; those not named have the `default`."""

    default: Level = "values"
    measures: Mapping[str, Level] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.default not in LEVELS:
            raise BadDisclosure(f"default: is one of {', '.join(LEVELS)}")
        for name, level in self.measures.items():
            if name not in MEASURES:
                raise BadDisclosure(f"measures.{name}: there is no such measure")
            if level not in LEVELS:
                raise BadDisclosure(f"measures.{name}: is one of {', '.join(LEVELS)}")

    @classmethod
    def load(cls, file: Path = FILE) -> Disclosure:
        """Raises `BadDisclosure`."""
        try:
            document = tomllib.loads(file.read_text(encoding="utf-8"))
            return cls(document.pop("default"), document.pop("measures", {}), **document)
        except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
            raise BadDisclosure(f"{file.name}: {error}") from None

    def level(self, measures: Iterable[str]) -> Level:
        """What may be told of a thing that is made of these measures: the constants of the formula are no secret."""
        levels = [self.measures.get(name, self.default) for name in measures if name in MEASURES]
        return max(levels, key=LEVELS.index, default="values")
