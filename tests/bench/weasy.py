"""Weasy: the same two-page letters set by WeasyPrint."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from datetime import date
from math import ceil
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from channels.letter.fonts import FOLDERS
from channels.letter.page import Letter, _laid_out

FACES = (
    ("Arabic", "400", "Amiri-Regular.ttf"),
    ("Arabic", "700", "Amiri-Bold.ttf"),
    ("Latin", "", "NotoSans[[]wdth,wght[]].ttf"),
    ("Tifinagh", "400", "NotoSansTifinagh-Regular.ttf"),
)


class Weasy:
    def __init__(self) -> None:
        self.weasyprint = importlib.import_module("weasyprint")
        self.font_config = importlib.import_module("weasyprint.text.fonts").FontConfiguration()
        env = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True,
                          lstrip_blocks=True)
        self.template = env.get_template("letter.html.j2").module
        faces = [(f, w, next(p for folder in FOLDERS for p in Path(folder).rglob(n)).as_uri()) for f, w, n in FACES]
        self.css = self.weasyprint.CSS(string=self.template.stylesheet(faces), font_config=self.font_config)

    def html(self, letters):
        data = []
        for letter in letters:
            d = _laid_out(letter)
            d["fit"] = d["fit"].sizes
            d["address_size"] = 11
            for part in d["parts"]:
                rows = part["table"]
                if rows:
                    lens = [max(sum(len(run) for one in row[c] for _, run in one["spans"]) for row in rows) for c in range(len(rows[0]))]
                    lens = [min(max(n, 10), 60) + 5 for n in lens]
                    part["columns"] = [round(100 * n / sum(lens), 2) for n in lens]
            data.append(d)
        return self.template.document(data)

    def render(self, letters):
        return self.weasyprint.HTML(string=self.html(letters)).render(font_config=self.font_config, stylesheets=[self.css])
