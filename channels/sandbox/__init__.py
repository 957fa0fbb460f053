"""A telephone operator in a process: two providers' wire formats, handsets, and faults on demand.

It stands in for Twilio and Africa's Talking in demonstrations and tests. The providers' own SDKs reach it
when their base URL is changed, and it calls our receipt, text, USSD and voice addresses as they would. It keeps
all in memory, and logs no number and no text.

Code map: `config` what it is told at the start; `operator` the whole operator, made of `book` (accepted texts,
inboxes and their count), `behaviour` (the faults it was told to show), `courier` (posts to the gateway), `exchange`
(USSD sessions), `calls` (telephone calls) and `recordings` (what callers spoke); `voice_wires` how a call is told
to the gateway and `voice_documents` what it answers; `twilio`, `twilio_calls`, `africastalking` and
`africastalking_calls` what the gateway asks for, with `desk` what befalls a request in all; `control`,
`call_control` and `pages` what a test or a person does; `app` and `server` hold these together.

Two kinds of work: the wires and the receipts are many and wait for the network, so they share one `loop`; controls,
pages, USSD sessions and calls are few and hold locks while they wait, so each has a thread.
"""

from __future__ import annotations

from channels.sandbox.app import create_operator_app, create_operator_server
from channels.sandbox.config import AfricasTalkingLine, Config, TwilioLine
from channels.sandbox.operator import Operator, Patience
from channels.sandbox.server import Server

__all__ = [
    "AfricasTalkingLine",
    "Config",
    "Operator",
    "Patience",
    "Server",
    "TwilioLine",
    "create_operator_app",
    "create_operator_server",
]
