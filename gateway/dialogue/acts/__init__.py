"""Acts: what the dialogue asks to be done, done on the registry. One function an effect of `household.EFFECTS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.dialogue.acts import files, indexes, requests, telephones
from gateway.dialogue.acts.call import Call
from gateway.dialogue.engine import Effect, Outcome

Act = Callable[[Call, Effect], Outcome]

ACTS: Mapping[str, Act] = {
    "choose_language": telephones.choose_language,
    "check_pin": telephones.check,
    "send_pin_letter": telephones.send_pin_letter,
    "choose_pin": telephones.choose_pin,
    "change_pin": telephones.change_pin,
    "refuse_number": telephones.refuse_number,
    "disown": telephones.disown,
    "stop_texts": telephones.stop_texts,
    "send_help": telephones.send_help,
    "my_file": files.mine,
    "file_by_number": files.by_number,
    "check_message": files.message,
    "show_index": indexes.show,
    "explain_index": indexes.explained,
    "compare_index": indexes.compared,
    "judge_programme": indexes.judged,
    "review_state": requests.review_state,
    "request_review": requests.ask_review,
    "withdraw_review": requests.withdraw_review,
    "file_complaint": requests.file_complaint,
    "request_status": requests.status,
    "open_again": requests.open_again,
    "rate": requests.rate,
    "report_update": requests.report_update,
}


def perform(call: Call) -> Callable[[Effect], Outcome]:
    """Acts for one caller in one session, inside one transaction. Performed again, an effect acts once."""
    return lambda effect: ACTS[effect.name](call, effect)
