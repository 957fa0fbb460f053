"""Stub: both providers in one process, which accept every text after 50 ms; `python -m tests.bench.stub PORT`."""

from __future__ import annotations

import asyncio
import secrets
import sys

from aiohttp import web

ANSWERS_AFTER_S = 0.05


async def twilio(request: web.Request) -> web.Response:
    """https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource"""
    form = await request.post()
    await asyncio.sleep(ANSWERS_AFTER_S)
    return web.json_response({"sid": f"SM{secrets.token_hex(16)}", "status": "queued", "to": form["To"],
                              "body": form["Body"], "error_code": None, "error_message": None}, status=201)


async def africastalking(request: web.Request) -> web.Response:
    """https://developers.africastalking.com/docs/sms/sending/bulk"""
    form = await request.post()
    await asyncio.sleep(ANSWERS_AFTER_S)
    recipient = {"statusCode": 101, "number": form["to"], "status": "Success", "cost": "MAD 0.0000",
                 "messageId": f"ATXid_{secrets.token_hex(16)}"}
    return web.json_response({"SMSMessageData": {"Message": "Sent to 1/1", "Recipients": [recipient]}}, status=201)


def main() -> None:
    app = web.Application()
    app.router.add_post("/2010-04-01/Accounts/{account}/Messages.json", twilio)
    app.router.add_post("/version1/messaging", africastalking)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)


if __name__ == "__main__":
    main()
