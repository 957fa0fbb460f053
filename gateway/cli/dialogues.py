"""Commands on the dialogue, for whoever writes it: what is wrong with it, its picture, and a call as text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from channels.base import Screen
from channels.text import USSD, DoesNotFit, encoding, units
from gateway.dialogue.engine import Caller, begin, play, screen, settle
from gateway.dialogue.household import HOUSEHOLD
from gateway.dialogue.longest import agreeable, costs
from gateway.dialogue.picture import picture
from gateway.dialogue.states import Dialogue, options
from gateway.words import SCREENS, NoSuchWords, Words, all_words

ROW = "{:20} {:7} {:7} {:5} {:>4} of {:>3}  pages {}"


@click.group(name="dialogue")
def dialogue() -> None:
    """The dialogue: its screens at their longest, its picture, and a call as text."""


@dialogue.command()
@click.option("--language", type=click.Choice(SCREENS), help="only this one; every one if not given")
@click.option("--all", "everything", is_flag=True, help="every screen, and not only those of more than one page")
def lint(language: str | None, everything: bool) -> None:
    """Check the tree and its words: each screen at its longest, where shortcuts lead, and what nobody has read."""
    # The tree itself is checked when it is built: a broken one would not have come so far.
    words, failed = _words(), False
    for locale in (language,) if language else SCREENS:
        try:
            for cost in costs(words, locale):
                if everything or cost.pages > 1:
                    click.echo(ROW.format(cost.state, cost.locale, cost.network, cost.alphabet, cost.units, cost.limit,
                                          cost.pages))
        except (NoSuchWords, DoesNotFit) as error:
            click.echo(f"{locale}: {error}", err=True)
            failed = True
    click.echo("\n".join(dialled(HOUSEHOLD)))
    for locale in SCREENS:
        if not words.reviewed(locale):
            click.echo(f"{locale}: no native reader has read the screens")
    unread = [f"{name} ({locale})" for name in words.notices() for locale, read in words.about(name).reviewed.items()
              if not read]
    if unread:
        click.echo(f"{len(unread)} notices that no native reader has read: {', '.join(unread)}")
    click.echo(f"{len(HOUSEHOLD.states)} states; none is dangling, unreachable or a dead end")
    if failed:
        raise SystemExit(1)


@dialogue.command()
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="the file; standard output if not given")
def graph(out: Path | None) -> None:
    """Draw the tree as an SVG."""
    if out:
        try:
            out.write_text(picture(HOUSEHOLD), encoding="utf-8")
        except OSError as error:
            raise click.ClickException(f"{out} cannot be written: {error.strerror}") from None
        click.echo(f"{out}: {len(HOUSEHOLD.states)} states")
    else:
        click.echo(picture(HOUSEHOLD), nl=False)


@dialogue.command()
@click.argument("keys", nargs=-1)
@click.option("--language", type=click.Choice(SCREENS), default=SCREENS[0], show_default=True)
def transcript(keys: tuple[str, ...], language: str) -> None:
    """Play a call in which KEYS are typed and everything goes well, with facts at their longest; nothing is done."""
    words, caller = _words(), Caller(language, {"service_code": "*580#"})
    perform = agreeable(words, language)
    step = settle(HOUSEHOLD, begin(HOUSEHOLD, caller), caller, perform)
    shown = screen(HOUSEHOLD, step.position, words, USSD)
    click.echo("\n".join(drawn(shown)))
    for key in keys:
        if shown.final:
            raise click.ClickException(f"the call had ended before {key} was typed")
        step = settle(HOUSEHOLD, play(HOUSEHOLD, step.position, key, caller), caller, perform)
        shown = screen(HOUSEHOLD, step.position, words, USSD)
        click.echo("\n".join(["", f"> {key}", *drawn(shown)]))


def _words() -> Words:
    try:
        return all_words()
    except NoSuchWords as error:
        raise click.ClickException(str(error)) from None


def dialled(dialogue: Dialogue) -> Iterator[str]:
    """Each shortcut with the state it leads to, which is home for one that is retired; and what is wrong with it.

    What was dialled behind the code and what was typed since come alike from the network. Without its memory a session
    takes the first of them for a shortcut, so that one must mean what the key of the same number means at home.
    """
    keys = {option.key: option.goto for option in options(dialogue.states[dialogue.start])}
    for shortcut, leads in {**dialogue.shortcuts, **dict.fromkeys(sorted(dialogue.retired), dialogue.start)}.items():
        yield f"shortcut {shortcut:3} {leads}{', retired' if shortcut in dialogue.retired else ''}"
        if keys.get(shortcut, leads) != leads:
            yield (f"warning: shortcut {shortcut} leads to {leads}, the key {shortcut} at home to {keys[shortcut]}: "
                   "a session whose memory is lost may be misread")


def drawn(shown: Screen) -> Iterator[str]:
    """A screen's lines, and its length in the network's own units."""
    yield from (f"    {line}" for line in shown.text.splitlines())
    end = ", the call ends" if shown.final else ""
    yield f"    ({units(shown.text)} of {getattr(USSD, encoding(shown.text))}{end})"


commands: tuple[click.Command, ...] = (dialogue,)
