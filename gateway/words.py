"""Words: every text a person reads or hears, by name and language, with its facts set in.

Plural categories are those of Unicode CLDR (Unicode Technical Standard 35, part 3); Arabic has six.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from babel import Locale
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from channels.text import fold

LOCALES = ("ar-MA", "fr-MA", "zgh-MA")
# What a screen can also be in: Moroccan Arabic in plain Latin letters, for handsets and networks that show no Arabic.
# People write to each other so; whatever is sent or printed stays in Arabic.
SCREENS = (*LOCALES, "ar-Latn-MA")
TEMPLATES = Path(__file__).resolve().parent.parent / "templates"

Medium = Literal["sms", "letter"]
Policy = Literal["at_most_once", "at_least_once"]

INDEX_PLACES = Decimal("0.0000001")
# One hundred and ninety-nine numbers meet every category that a counted phrase of ours can fall into.
COUNTED = range(1, 200)


class NoSuchWords(LookupError):
    """No text of this name in this language."""

    def __init__(self, locale: str, name: str) -> None:
        super().__init__(f"{locale}: no words named {name}")
        self.locale = locale
        self.name = name


@dataclass(frozen=True)
class NoticeAbout:
    """What a notice is for, and how it may be sent.

    `parts` is the most SMS it may cost in each language; `reviewed` says whether a native reader has read it.
    One `by_day` waits for the morning; all others answer somebody who is awake. One `also_by_letter` is posted
    even where a text is sent.
    """

    name: str
    purpose: str
    policy: Policy
    by_day: bool
    also_by_letter: bool
    media: tuple[Medium, ...]
    parts: Mapping[str, int]
    reviewed: Mapping[str, bool]


class Words:
    """All texts, read and compiled once. A counted phrase with a gap raises `NoSuchWords` at once.

    A text may use `count('days', n)`, `say('source.telecom')` and the filters `date`, `index` and `dial`.
    """

    def __init__(self, templates: Path = TEMPLATES) -> None:
        self._screens: dict[tuple[str, str], Template] = {}
        self._counts: dict[tuple[str, str], Mapping[str, str]] = {}
        self._reviewed: dict[str, bool] = {}
        self._notices: dict[tuple[str, str, str], Template] = {}
        self._about: dict[str, NoticeAbout] = {}
        self._plurals = {locale: Locale.parse(locale.partition("-")[0]).plural_form for locale in SCREENS}
        for locale in SCREENS:
            environment = self._environment(locale, templates / "notices")
            for file in sorted((templates / "words").glob(f"*{locale}.toml")):
                self._load_screens(locale, environment, file)
            self._load_notices(locale, environment)
        for file in sorted((templates / "notices").glob("*/notice.toml")):
            self._about[file.parent.name] = _about(file)

    def say(self, locale: str, name: str, /, **facts: object) -> str:
        """The text named `home.text`, say. Raises `NoSuchWords`; a fact left out raises Jinja's error."""
        if (locale, name) not in self._screens:
            raise NoSuchWords(locale, name)
        return self._screens[locale, name].render(facts).strip()

    def has(self, locale: str, name: str) -> bool:
        return (locale, name) in self._screens

    def names(self, locale: str) -> frozenset[str]:
        """The names that `say` knows in this language."""
        return frozenset(name for known, name in self._screens if known == locale)

    def notice(self, name: str, medium: str, locale: str, /, **facts: object) -> str:
        """A whole notice; an SMS comes cleaned, folded where that is cheaper, without empty lines.

        Raises `NoSuchWords`; a fact left out raises Jinja's error.
        """
        template = self._notices.get((name, medium, locale))
        if template is None:
            raise NoSuchWords(locale, f"{name}/{medium}")
        text = re.sub(r"[ \t]+\n", "\n", template.render(facts)).strip()
        if medium == "sms":
            return re.sub(r"\n+", "\n", fold(text).text)
        return re.sub(r"\n{3,}", "\n\n", text)

    def about(self, name: str) -> NoticeAbout:
        """Raises `NoSuchWords`."""
        if name not in self._about:
            raise NoSuchWords("every language", name)
        return self._about[name]

    def notices(self) -> tuple[str, ...]:
        """The names of all notices."""
        return tuple(self._about)

    def reviewed(self, locale: str) -> bool:
        """Whether a native reader has read the screens of this language."""
        return self._reviewed[locale]

    def _environment(self, locale: str, folder: Path) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(folder), undefined=StrictUndefined, auto_reload=False,
            autoescape=False,  # noqa: S701  These are texts for telephones and paper, not pages.
            trim_blocks=True, lstrip_blocks=True,
        )
        environment.globals["count"] = partial(self._count, locale)
        environment.globals["say"] = partial(self.say, locale)
        environment.filters["date"] = _date
        environment.filters["index"] = _index
        environment.filters["dial"] = dial
        return environment

    def _load_screens(self, locale: str, environment: Environment, file: Path) -> None:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
        self._reviewed[locale] = table.pop("reviewed", False) and self._reviewed.get(locale, True)
        for name, forms in table.pop("count", {}).items():
            for category in {self._plurals[locale](number) for number in COUNTED} - forms.keys():
                raise NoSuchWords(locale, f"count.{name}.{category}")
            self._counts[locale, name] = forms
        for name, text in _flat(table):
            self._screens[locale, name] = environment.from_string(text)

    def _load_notices(self, locale: str, environment: Environment) -> None:
        for file in environment.list_templates(filter_func=lambda name: name.endswith(f".{locale}.j2")):
            notice, _, document = file.partition("/")
            if document:
                medium = document.partition(".")[0]
                self._notices[notice, medium, locale] = environment.get_template(file)

    def _count(self, locale: str, name: str, number: int) -> str:
        """`number` and its noun, agreeing: 2 is not 3 in Arabic."""
        forms = self._counts.get((locale, name))
        if forms is None:
            raise NoSuchWords(locale, f"count.{name}")
        form = forms.get(self._plurals[locale](number), forms["other"])
        return form.replace("{n}", str(number))


def dial(service_code: str, shortcut: str) -> str:
    """The code with a shortcut behind it: `*580*66#`."""
    return f"{service_code.rstrip('#')}*{shortcut}#"


def _about(file: Path) -> NoticeAbout:
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    if table["policy"] not in get_args(Policy):
        raise ValueError(f"{file.parent.name}: policy is one of {', '.join(get_args(Policy))}")
    return NoticeAbout(
        name=file.parent.name,
        purpose=table["purpose"],
        policy=table["policy"],
        by_day=table.get("by_day", False),
        also_by_letter=table.get("also_by_letter", False),
        media=tuple(medium for medium in get_args(Medium) if any(file.parent.glob(f"{medium}.*.j2"))),
        parts=table.get("parts", {}),
        reviewed=table["reviewed"],
    )


def _flat(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, str(value)


def _date(day: date | str) -> str:
    """`20/01/2027`: the same in the three languages, in its order within Arabic. Text is ISO 8601."""
    return f"{day if isinstance(day, date) else date.fromisoformat(str(day)):%d/%m/%Y}"


def _index(value: Decimal | str) -> str:
    """Seven decimals and a comma, as the registry's own portal shows it. Never made of a float."""
    if isinstance(value, float):
        raise TypeError("an index is a Decimal, or a decimal number in text")
    return f"{Decimal(str(value)).quantize(INDEX_PLACES, ROUND_HALF_EVEN):f}".replace(".", ",")
