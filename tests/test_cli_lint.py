"""`mouachir dialogue lint` on shortcuts: where each leads, and which of them a session without memory would misread."""

from __future__ import annotations

from dataclasses import replace

from click.testing import CliRunner

from gateway.cli import main
from gateway.cli.dialogues import dialled
from gateway.dialogue.household import HOUSEHOLD


def warnings(dialogue):
    return [line for line in dialled(dialogue) if line.startswith("warning")]


def test_each_shortcut_is_listed_with_the_state_it_leads_to():
    done = CliRunner().invoke(main, ["dialogue", "lint", "--language", "fr-MA"])
    listed = dict(line.split()[1:] for line in done.stdout.splitlines() if line.startswith("shortcut"))
    assert (done.exit_code, listed) == (0, HOUSEHOLD.shortcuts)


def test_a_shortcut_of_the_tree_is_never_taken_for_a_key_at_home_that_leads_elsewhere():
    assert warnings(HOUSEHOLD) == []


def test_a_shortcut_that_leads_elsewhere_than_its_key_at_home_is_warned_of():
    moved = replace(HOUSEHOLD, shortcuts={**HOUSEHOLD.shortcuts, "2": "programmes"})
    assert warnings(moved) == [
        "warning: shortcut 2 leads to programmes, the key 2 at home to index.pin: a session whose memory is lost may "
        "be misread"]


def test_a_retired_shortcut_leads_home_and_is_warned_of_where_its_key_is_in_use_again():
    kept = {key: leads for key, leads in HOUSEHOLD.shortcuts.items() if key not in ("3", "66")}
    retired = replace(HOUSEHOLD, shortcuts={**kept, "67": "number"}, retired=frozenset({"3", "66"}))
    assert [line for line in dialled(retired) if line.endswith("retired")] == [
        "shortcut 3   home, retired", "shortcut 66  home, retired"]
    assert [line.split(",")[0] for line in warnings(retired)] == ["warning: shortcut 3 leads to home"]
