"""A dialogue that would leave somebody without an answer is refused when it is built, and says where."""

from __future__ import annotations

import re

import pytest

from gateway.dialogue.states import (
    BrokenDialogue,
    Confirm,
    Dialogue,
    Do,
    End,
    Menu,
    Option,
    Pick,
    Question,
    Return,
)

EFFECTS = {
    "check_pin": {"ok": ("proof",), "wrong": ()},
    "tell": {"ok": ()},
    "look": {"found": ("things",), "unknown": ()},
    "say": {"ok": ()},
}
WHOLE = {
    "home": Menu((Option("1", "secret", "pin"), Option("2", "look", "ticket"), Option("3", "sure", "sure"),
                  Option("4", "words", "words"))),
    "pin": Question("pin", goto="check", when_proven="tell"),
    "check": Do("check_pin", proves="ok", outcomes={"ok": "tell", "wrong": "pin"}),
    "tell": Do("tell", guarded=True, outcomes={"ok": "bye"}),
    "ticket": Question("ticket", goto="look"),
    "look": Do("look", outcomes={"found": "pick", "unknown": "ticket"}),
    "pick": Pick(among="things", remember="thing", goto="sure", options=(Option("9", "none", "bye"),)),
    "sure": Confirm(yes="bye", no="home", reads_back="pick"),
    "words": Question("words", remember="said", goto="read"),
    "read": Confirm(yes="say", no="words", reads_back="words"),
    "say": Do("say", takes=("said", "thing"), outcomes={"ok": "bye"}),
    "bye": End(),
    "lost": Menu((Option("1", "home", "home"),)),
    "again": Menu((Option("9", "go_on", "going"),)),
    "going": Return(),
    "dial": End(),
}


def build(states: dict, **changed: object) -> Dialogue:
    whole = {"start": "home", "language": "home", "lost": "lost", "goodbye": "bye", "again": "again",
             "elsewhere": "dial", "effects": EFFECTS, **changed}
    return Dialogue(states={**WHOLE, **states}, **whole)


def test_a_whole_dialogue_is_built():
    assert build({}, shortcuts={"1": "pin", "55": "ticket"}, retired=frozenset({"2"})).says("home") == "home"


def test_a_state_may_borrow_the_words_of_another():
    assert build({"bye": End(says="home")}).says("bye") == "home"


def test_only_what_was_chosen_picked_or_said_can_be_read_back():
    assert build({}).choice("words") == WHOLE["words"]
    with pytest.raises(TypeError, match="bye is no choice"):
        build({}).choice("bye")


@pytest.mark.parametrize(
    ("states", "says"),
    [
        ({"sure": Confirm(yes="nowhere", no="home")}, "sure: leads to nowhere, which does not exist"),
        ({"tell": Do("tell", guarded=True, outcomes={"ok": "gone"})}, "tell: leads to gone, which does not"),
        ({"pick": Pick("things", "thing", goto="gone")}, "pick: leads to gone, which does not exist"),
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
        ({"home": Menu((*WHOLE["home"].options, Option("9", "a", "bye")))}, "home: the key 9 goes on with a call"),
        (
            {"ticket": Question("ticket", goto="look", options=(Option("123456789", "a", "bye"),))},
            "ticket: the key 123456789 could be an answer",
        ),
        ({"ticket": Question("birthday", goto="look")}, "ticket: nobody knows how to ask for a birthday"),
        ({"ticket": Question("ticket", goto="bye")}, "ticket: asks, but bye does nothing with the answer"),
        ({"pin": Question("pin", goto="check", remember="pin")}, "pin: keeps a pin, which may be a secret"),
        ({"ticket": Question("ticket", goto="look", remember="number")}, "ticket: keeps a ticket, which may be"),
        ({"tell": Do("shout", guarded=True, outcomes={"ok": "bye"})}, "tell: the effect shout is not listed"),
        ({"look": Do("look", outcomes={"found": "bye"})}, "look: the outcome unknown leads nowhere"),
        (
            {"look": Do("look", outcomes={"found": "pick", "unknown": "bye", "lost": "bye"})},
            "look: look never answers lost",
        ),
        (
            {"look": Do("look", proves="found", outcomes={"found": "pick", "unknown": "ticket"})},
            "look: look brings no proof by found",
        ),
        (
            {"look": Do("look", takes=("colour",), outcomes={"found": "pick", "unknown": "ticket"})},
            "look: nobody brings colour",
        ),
        ({"sure": Confirm("bye", "home", reads_back="home")}, "sure: reads back home, which remembers"),
        ({"sure": Confirm("bye", "home", reads_back="ticket")}, "sure: reads back ticket, which remembers"),
        ({"sure": Confirm("tell", "home")}, "tell: tell can be reached by a caller who proved nothing"),
        (
            {"check": Do("check_pin", proves="ok", outcomes={"ok": "tell", "wrong": "tell"})},
            "tell: tell can be reached by a caller who proved nothing",
        ),
        (
            {"pin": Question("pin", goto="check", when_proven="tell", options=(Option("9", "a", "tell"),))},
            "tell: tell can be reached by a caller who proved nothing",
        ),
        ({"pick": Pick("things", "thing", goto="tell")}, "tell: tell can be reached by a caller who proved nothing"),
        (
            {"look": Do("look", outcomes={"found": "pick", "unknown": "look"})},
            "look: can do for ever without asking anybody",
        ),
    ],
)
def test_a_broken_dialogue_is_refused_by_name(states, says):
    with pytest.raises(BrokenDialogue, match="(?m)^" + re.escape(says)) as refused:
        build(states)
    assert len(refused.value.problems) < 5


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"shortcuts": {"7": "nowhere"}}, "shortcut 7: leads to nowhere, which does not exist"),
        ({"shortcuts": {"7": "ticket"}, "retired": frozenset({"7"})}, "shortcut 7: is retired, and somebody still"),
        ({"shortcuts": {"7": "tell"}}, "tell: tell can be reached by a caller who proved nothing"),
        *(({"shortcuts": {key: "ticket"}}, f"shortcut {key}: cannot be dialled")
          for key in ("0", "00", "98", "9", "a", "١", "")),
    ],
)
def test_a_shortcut_that_cannot_be_dialled_or_would_mislead_is_refused(changed, says):
    with pytest.raises(BrokenDialogue, match="(?m)^" + re.escape(says)):
        build({}, **changed)


def test_what_only_a_shortcut_leads_to_is_no_island():
    assert build({"island": End()}, shortcuts={"66": "island"})


@pytest.mark.parametrize("role", ["start", "language", "lost", "goodbye", "again", "elsewhere"])
def test_a_dialogue_that_lacks_one_of_its_doors_is_refused(role):
    with pytest.raises(BrokenDialogue, match=f"{role}: there is no state nowhere"):
        build({}, **{role: "nowhere"})


def test_a_lost_caller_must_come_to_an_end():
    with pytest.raises(BrokenDialogue, match="sure: a lost caller must come to an end"):
        build({}, goodbye="sure")


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(BrokenDialogue) as refused:
        build({"island": End(), "sure": Menu((Option("98", "a", "bye"),))})
    assert [problem.partition(":")[0] for problem in refused.value.problems] == ["sure", "island"]
