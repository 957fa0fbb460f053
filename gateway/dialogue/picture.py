"""Picture: the tree of a dialogue as an SVG, an outline from the first screen on, in which each state stands once."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from html import escape

from gateway.dialogue.states import Confirm, Dialogue, Do, End, Menu, Pick, Question, Return, State, options

ROW, INDENT, MARGIN, WIDTH = 26, 34, 20, 1100
COLOURS: Mapping[type, str] = {
    Menu: "#1b5e20", Pick: "#1b5e20", Confirm: "#7a4f00", Question: "#0d47a1", Do: "#4a148c", Return: "#37474f",
    End: "#37474f",
}
ROLES = ("start", "language", "lost", "again", "elsewhere")


@dataclass(frozen=True)
class _Line:
    depth: int
    way: str
    target: str
    again: bool


def picture(dialogue: Dialogue) -> str:
    """An SVG document. Where a state is met again, its name is given and no more: `-> index.pin`."""
    lines = list(_outline(dialogue))
    height = 2 * MARGIN + ROW * len(lines)
    rows = "\n".join(_row(dialogue, line, MARGIN + ROW * number) for number, line in enumerate(lines))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" font-family="monospace" font-size="14">\n'
            f'<rect width="100%" height="100%" fill="#ffffff"/>\n{rows}\n</svg>\n')


def _outline(dialogue: Dialogue) -> Iterator[_Line]:
    """Each state where it is nearest to the first screen; in the order of the keys."""
    shortcuts = {target: f"*{shortcut}#" for shortcut, target in dialogue.shortcuts.items()}
    roots = {**{getattr(dialogue, role): role for role in ROLES}, **{
        target: code for target, code in shortcuts.items() if target not in _from_home(dialogue)}}
    below = _nearest(dialogue, roots)
    waiting = [_Line(0, role, root, again=False) for root, role in reversed(roots.items())]
    while waiting:
        line = waiting.pop()
        yield line
        if not line.again:
            ways = list(_ways(dialogue.states[line.target]))
            waiting += [_Line(line.depth + 1, way, target, again=below.get(target) != (line.target, way))
                        for way, target in reversed(ways)]


def _nearest(dialogue: Dialogue, roots: Collection[str]) -> dict[str, tuple[str, str]]:
    """For each state the one before it, and the way from there, on the shortest way from a root."""
    below: dict[str, tuple[str, str]] = {}
    waiting = deque(roots)
    while waiting:
        state = waiting.popleft()
        for way, target in _ways(dialogue.states[state]):
            if target not in below and target not in roots:
                below[target] = (state, way)
                waiting.append(target)
    return below


def _from_home(dialogue: Dialogue) -> Collection[str]:
    return _nearest(dialogue, [dialogue.start])


def _ways(state: State) -> Iterator[tuple[str, str]]:
    yield from ((f"{option.key} {option.label}", option.goto) for option in options(state))
    if isinstance(state, Question):
        yield f"({state.kind})", state.goto
        if state.when_proven:
            yield "(proven)", state.when_proven
    if isinstance(state, Pick):
        yield f"(1.. {state.among})", state.goto
    if isinstance(state, Do):
        yield from state.outcomes.items()


def _row(dialogue: Dialogue, line: _Line, top: int) -> str:
    state = dialogue.states[line.target]
    left = MARGIN + INDENT * line.depth
    what = f"{state.effect}()" if isinstance(state, Do) else type(state).__name__.lower()
    name = f"-> {line.target}" if line.again else f"{line.target}  [{what}]"
    colour = "#9e9e9e" if line.again else COLOURS[type(state)]
    elbow = (f'<path d="M{left - INDENT + 8} {top - 6} V{top + 12} H{left - 4}" fill="none" stroke="#bdbdbd"/>'
             if line.depth else "")
    return (f'{elbow}<text x="{left}" y="{top + 17}"><tspan fill="#616161">{escape(line.way)}</tspan>'
            f'<tspan dx="10" fill="{colour}">{escape(name)}</tspan></text>')
