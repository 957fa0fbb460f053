"""A dialogue that would leave somebody without an answer is refused when it is built, and says where."""

from __future__ import annotations

import pytest

from gateway.dialogue.states import BrokenDialogue, Confirm, Dialogue, Do, End, Menu, Option, Question

EFFECTS = {
    "check_pin": {"ok": ("proof",), "wrong": ()},
    "tell": {"ok": ()},
    "look": {"found": (), "unknown": ()},
}
WHOLE = {
    "home": Menu((Option("1", "secret", "pin"), Option("2", "look", "ticket"), Option("3", "sure", "sure"))),
    "pin": Question("pin", goto="check", when_proven="tell"),
    "check": Do("check_pin", proves="ok", outcomes={"ok": "tell", "wrong": "pin"}),
    "tell": Do("tell", guarded=True, outcomes={"ok": "bye"}),
    "ticket": Question("ticket", goto="look"),
    "look": Do("look", outcomes={"found": "bye", "unknown": "ticket"}),
    "sure": Confirm(yes="bye", no="home"),
    "bye": End(),
    "lost": End(),
}


def build(states: dict, **changed: object) -> Dialogue:
    whole = {"start": "home", "language": "home", "lost": "lost", "effects": EFFECTS, **changed}
    return Dialogue(states={**WHOLE, **states}, **whole)


def test_a_whole_dialogue_is_built():
    assert build({}).says("home") == "home"


def test_a_state_may_borrow_the_words_of_another():
    assert build({"bye": End(says="home")}).says("bye") == "home"


@pytest.mark.parametrize(
    ("states", "says"),
    [
        ({"sure": Confirm(yes="nowhere", no="home")}, "sure: leads to nowhere, which does not exist"),
        ({"tell": Do("tell", guarded=True, outcomes={"ok": "gone"})}, "tell: leads to gone, which does not"),
        ({"island": End()}, "island: nothing leads here"),
        ({"sure": Menu((Option("1", "a", "bye"), Option("1", "b", "bye")))}, "sure: the key 1 is given"),
        ({"sure": Menu((Option("0", "a", "bye"),))}, "sure: the key 0 is reserved"),
        ({"sure": Menu((Option("00", "a", "bye"),))}, "sure: the key 00 is reserved"),
        ({"sure": Menu((Option("98", "a", "bye"),))}, "sure: the key 98 is reserved"),
        ({"sure": Menu((Option("a", "a", "bye"),))}, "sure: the key 'a' is not on every keypad"),
        ({"sure": Menu((Option("١", "a", "bye"),))}, "sure: the key '١' is not on every keypad"),
        ({"sure": Menu(())}, "sure: no end can be reached from here"),
        (
            {"sure": Menu((Option("1", "a", "more"),)), "more": Menu((Option("1", "a", "sure"),))},
            "more: no end can be reached from here",
        ),
        (
            {"ticket": Question("ticket", goto="look", options=(Option("123456789", "a", "bye"),))},
            "ticket: the key 123456789 could be an answer",
        ),
        ({"ticket": Question("birthday", goto="look")}, "ticket: nobody knows how to ask for a birthday"),
        ({"ticket": Question("ticket", goto="bye")}, "ticket: asks, but bye does nothing with the answer"),
        ({"tell": Do("shout", guarded=True, outcomes={"ok": "bye"})}, "tell: the effect shout is not listed"),
        ({"look": Do("look", outcomes={"found": "bye"})}, "look: the outcome unknown leads nowhere"),
        (
            {"look": Do("look", outcomes={"found": "bye", "unknown": "bye", "lost": "bye"})},
            "look: look never answers lost",
        ),
        (
            {"look": Do("look", proves="found", outcomes={"found": "bye", "unknown": "ticket"})},
            "look: look brings no proof by found",
        ),
        (
            {"look": Do("look", argument="colour", outcomes={"found": "bye", "unknown": "ticket"})},
            "look: no menu remembers colour",
        ),
        ({"sure": Confirm("bye", "home", reads_back="home")}, "sure: reads back home, which remembers"),
        ({"sure": Confirm("tell", "home")}, "tell: tell can be reached by a caller who proved nothing"),
        (
            {"check": Do("check_pin", proves="ok", outcomes={"ok": "tell", "wrong": "tell"})},
            "tell: tell can be reached by a caller who proved nothing",
        ),
        (
            {"look": Do("look", outcomes={"found": "bye", "unknown": "look"})},
            "look: can do for ever without asking anybody",
        ),
    ],
)
def test_a_broken_dialogue_is_refused_by_name(states, says):
    with pytest.raises(BrokenDialogue, match="(?m)^" + says.replace("(", r"\(")) as refused:
        build(states)
    assert len(refused.value.problems) < 5


@pytest.mark.parametrize("role", ["start", "language", "lost"])
def test_a_dialogue_without_a_beginning_or_an_end_is_refused(role):
    with pytest.raises(BrokenDialogue, match=f"{role}: there is no state nowhere"):
        build({}, **{role: "nowhere"})


def test_a_lost_caller_must_come_to_an_end():
    with pytest.raises(BrokenDialogue, match="a lost caller must come to an end"):
        build({"lost": Menu((Option("1", "a", "bye"),))})


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(BrokenDialogue) as refused:
        build({"island": End(), "sure": Menu((Option("98", "a", "bye"),))})
    assert [problem.partition(":")[0] for problem in refused.value.problems] == ["sure", "island"]
