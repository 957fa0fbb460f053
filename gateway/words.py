"""Words: every text a person reads or hears, by name and language, with its facts set in.

Each is written once. Who reads it is given the text (`say`); who hears it, its pieces (`hear`).

Plural categories are those of Unicode CLDR (Unicode Technical Standard 35, part 3); Arabic has six.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from pathlib import Path
from typing import Literal, Protocol, get_args

from babel import Locale
from babel.dates import get_month_names
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, pass_context
from jinja2.runtime import Context

from channels.text import Folded, fold
from gateway.spoken import MARK, Day, Digits, Number, Phrase, Spoken, mark, plain, split

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
# Set in a template's context when it is rendered for the ear. No template can name it.
EAR = "for the ear"
# Facts that are read sign by sign wherever they stand.
SIGN_BY_SIGN = ("number", "service_code")


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
    `lane` says how urgent it is; a reply answers somebody who is awake. One `also_by_letter` is posted
    even where a text is sent. One of the `api` may be sent for a programme.
    """

    name: str
    purpose: str
    policy: Policy
    lane: str
    also_by_letter: bool
    api: bool
    media: tuple[Medium, ...]
    parts: Mapping[str, int]
    reviewed: Mapping[str, bool]


class Wording(Protocol):
    """Whatever words a text by its name: for the eye (`Words`) or for the ear (`Ear`)."""

    def say(self, locale: str, name: str, /, **facts: object) -> str: ...


class Words:
    """All texts, read and compiled once. A counted phrase with a gap raises `NoSuchWords` at once.

    A text may use `count('days', n)`, `say('source.telecom')` and the filters `date`, `index`, `digits` and `dial`.
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
        return self._screen(locale, name).render(facts).strip()

    def written(self, locale: str, day: date) -> str:
        """`20 janvier 2027`: the month is called as CLDR's calendar of Morocco calls it."""
        month = get_month_names("wide", locale=Locale.parse(locale, sep="-"))[day.month]
        return self.say(locale, "day.written", day=day.day, month=month, year=day.year)

    def hear(self, locale: str, name: str, /, **facts: object) -> list[Spoken]:
        """The same text in the pieces in which it is heard. Raises as `say` does."""
        heard = {fact: mark(Digits(str(value))) if fact in SIGN_BY_SIGN and isinstance(value, str)
                 else value for fact, value in facts.items()}
        return split(name, self._screen(locale, name).render({**heard, EAR: True}))

    def marked(self, locale: str, name: str, /, **facts: object) -> str:
        """What is heard of a text, to be a fact of another that is heard. Raises as `say` does."""
        return "".join(map(mark, self.hear(locale, name, **facts)))

    def has(self, locale: str, name: str) -> bool:
        return (locale, name) in self._screens

    def names(self, locale: str) -> frozenset[str]:
        """The names that `say` knows in this language."""
        return frozenset(name for known, name in self._screens if known == locale)

    def notice(self, name: str, medium: str, locale: str, /, **facts: object) -> str:
        """A whole notice; an SMS comes cleaned, folded where that is cheaper, without empty lines.

        Raises `NoSuchWords`; a fact left out raises Jinja's error.
        """
        if medium == "sms":
            return self.folded(name, locale, **facts).text
        return re.sub(r"\n{3,}", "\n\n", self._rendered(name, medium, locale, facts))

    def folded(self, name: str, locale: str, /, **facts: object) -> Folded:
        """The SMS of a notice, and what of its words was replaced to make it cheaper. Raises as `notice` does."""
        found = fold(self._rendered(name, "sms", locale, facts))
        return Folded(re.sub(r"\n+", "\n", found.text), found.replaced)

    def _rendered(self, name: str, medium: str, locale: str, facts: Mapping[str, object]) -> str:
        template = self._notices.get((name, medium, locale))
        if template is None:
            raise NoSuchWords(locale, f"{name}/{medium}")
        return re.sub(r"[ \t]+\n", "\n", template.render(facts)).strip()

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

    def _screen(self, locale: str, name: str) -> Template:
        if (locale, name) not in self._screens:
            raise NoSuchWords(locale, name)
        return self._screens[locale, name]

    def _environment(self, locale: str, folder: Path) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(folder), undefined=StrictUndefined, auto_reload=False,
            autoescape=False,  # noqa: S701  These are texts for telephones and paper, not pages.
            trim_blocks=True, lstrip_blocks=True, finalize=_whole_number,
        )
        environment.globals |= self._verbs(locale)
        environment.filters |= {"date": _date, "index": _index, "digits": _digits, "dial": _dial}
        return environment

    def _verbs(self, locale: str) -> dict[str, Callable[..., str]]:
        """What a text of this language may call."""
        @pass_context
        def count(context: Context, name: str, number: int) -> str:
            said = self._count(locale, name, number)
            return mark(Phrase(f"count.{name}", said)) if EAR in context else said

        @pass_context
        def say(context: Context, name: str, /, **facts: object) -> str:
            return (self.marked if EAR in context else self.say)(locale, name, **facts)

        return {"count": count, "say": say}

    def _load_screens(self, locale: str, environment: Environment, file: Path) -> None:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
        self._reviewed[locale] = table.pop("reviewed", False) and self._reviewed.get(locale, True)
        for name, forms in table.pop("count", {}).items():
            for category in {self._plurals[locale](number) for number in COUNTED} - forms.keys():
                raise NoSuchWords(locale, f"count.{name}.{category}")
            self._counts[locale, name] = forms
        for name, text in _flat(table):
            template = self._screens[locale, name] = environment.from_string(text)
            # Jinja makes a chain of dicts of it, and goes along the chain whenever the text is said.
            template.globals = dict(template.globals)

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


@cache
def all_words() -> Words:
    """Compiled once a process: they do not change while it runs, and it takes a second."""
    return Words(TEMPLATES)


@pass_context
def _dial(context: Context, service_code: str, shortcut: str) -> str:
    """The code with a shortcut behind it: `*580*66#`."""
    code = plain(service_code).rstrip("#")
    return _digits(context, f"{code}*{shortcut}#")


class Ear:
    """The same texts with the marks of what is heard in them, to be set into others that are heard."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def say(self, locale: str, name: str, /, **facts: object) -> str:
        """As `Words.marked`. Who reads Arabic in Latin letters hears it as everybody does."""
        return self._words.marked(locale if locale in LOCALES else LOCALES[0], name, **facts)


def _about(file: Path) -> NoticeAbout:
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    if table["policy"] not in get_args(Policy):
        raise ValueError(f"{file.parent.name}: policy is one of {', '.join(get_args(Policy))}")
    return NoticeAbout(
        name=file.parent.name,
        purpose=table["purpose"],
        policy=table["policy"],
        lane=table.get("lane", "reply"),
        also_by_letter=table.get("also_by_letter", False),
        api=table.get("api", False),
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


@pass_context
def _date(context: Context, day: date | str) -> str:
    """`20/01/2027`: the same in the three languages, in its order within Arabic. Text is ISO 8601."""
    day = day if isinstance(day, date) else date.fromisoformat(str(day))
    return mark(Day(day)) if EAR in context else f"{day:%d/%m/%Y}"


@pass_context
def _index(context: Context, value: Decimal | str) -> str:
    """Seven decimals and a comma, as the registry's own portal shows it. Never made of a float."""
    if isinstance(value, float):
        raise TypeError("an index is a Decimal, or a decimal number in text")
    return _digits(context, f"{Decimal(str(value)).quantize(INDEX_PLACES, ROUND_HALF_EVEN):f}".replace(".", ","))


@pass_context
def _digits(context: Context, value: object) -> str:
    """As it is; heard, sign by sign."""
    text = str(value)
    return mark(Digits(text)) if EAR in context and not MARK.search(text) else text


@pass_context
def _whole_number(context: Context, value: object) -> object:
    """A number that no filter has worded is heard as one number, whatever stands around it."""
    if EAR in context and isinstance(value, int | Decimal) and not isinstance(value, bool):
        return mark(Number(Decimal(value)))
    return value
