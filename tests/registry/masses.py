"""Masses: households as a sample has them, and formulas that differ from the published one."""

from __future__ import annotations

import io
import tomllib
from functools import cache
from typing import Any

from gateway.registry.extract import Row, read
from gateway.registry.formula import FOLDER, Formula
from gateway.registry.sample import write_sample
from tests.conftest import NOON

DOCUMENT = tomllib.loads((FOLDER / "rsu-2021.toml").read_text(encoding="utf-8"))


@cache
def sampled(households: int) -> tuple[Row, ...]:
    """Good rows of an invented extract, in both areas and all regions."""
    out = io.BytesIO()
    write_sample(out, households, 580, NOON.date())
    out.seek(0)
    return tuple(row for row in read(out, NOON.date()) if isinstance(row, Row))


def a_formula(name: str = "rsu-2030", **changes: Any) -> Formula:
    """The published formula with other coefficients (`U35="0.0004"`) or other settings (`decimals=4`)."""
    terms = {area: [{**term, "coefficient": changes.pop(term["name"], term["coefficient"])}
                    for term in DOCUMENT[area]["terms"]] for area in ("urban", "rural")}
    areas = {area: {**DOCUMENT[area], "constant": changes.pop(area, DOCUMENT[area]["constant"]), "terms": terms[area]}
             for area in ("urban", "rural")}
    return Formula.parse({**DOCUMENT, **areas, "id": name, **changes})
