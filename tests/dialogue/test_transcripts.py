"""What is played is what was read and approved; a change shows in the diff of a text file."""

from __future__ import annotations

import pytest

from gateway.dialogue.household import HOUSEHOLD
from gateway.dialogue.longest import SHOWN
from tests.dialogue.scenes import SCENES
from tests.dialogue.transcripts import FOLDER, MEDIA, accept, play_scene, transcripts, visited

PLAYS = list(transcripts())


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: str(play[0].relative_to(FOLDER)))
def test_a_conversation_goes_as_it_was_approved(play, request):
    file, scene, locale, medium = play
    played = play_scene(scene, locale, medium)
    if request.config.getoption("--accept"):
        accept(file, played)
    assert played == file.read_text(encoding="utf-8"), "pytest tests/dialogue/test_transcripts.py --accept"


def test_no_approved_conversation_is_left_unplayed(request):
    unplayed = set(FOLDER.rglob("*.txt")) - {file for file, *_ in PLAYS}
    for file in unplayed if request.config.getoption("--accept") else ():
        file.unlink()
    assert not [file for file in unplayed if file.exists()]


@pytest.mark.parametrize("medium", MEDIA)
def test_the_scenes_come_to_every_screen_but_the_one_for_who_writes(medium):
    locale = MEDIA[medium].locales[0]
    writes = MEDIA[medium].in_writing
    seen = set().union(*(visited(scene, locale, MEDIA[medium]) for scene in SCENES.values()
                         if scene.media(in_writing=writes)))
    unseen = {HOUSEHOLD.says(state) for state in SHOWN} - seen
    if writes:
        # Whatever stands behind the PIN, and the call that broke off.
        assert not {"home", "complaint.done", "request.found", "message.ours", "dial"} & unseen
        assert {"index", "review.done", "pin.changed"} <= unseen
    else:
        assert unseen == {"dial"}


def test_every_language_is_played_at_some_length():
    played = [locale for _, _, locale, _ in PLAYS]
    assert all(played.count(locale) >= 25 for medium in MEDIA.values() for locale in medium.locales)
