"""The sandbox operator under load: texts accepted, receipts posted, and what each costs its process.

`python -m tests.bench.operator [TEXTS [CONNECTIONS]]` starts the operator as a process of its own. Here are the client,
over kept connections, and a gateway that answers at once; both write their bytes by hand, to cost little beside it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode
from urllib.request import urlopen

ACCOUNT, SECRET = "AC" + "0" * 32, "0" * 32
SENDS = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
BODY = "تم احتساب مؤشر أسرتكم. للاطلاع عليه اطلبوا الرقم"
TICKS = os.sysconf("SC_CLK_TCK")


class Gateway(asyncio.Protocol):
    """Answers every receipt at once, and counts them."""

    heard = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._read = transport, b""

    def data_received(self, data: bytes) -> None:
        self._read += data
        while b"\r\n\r\n" in self._read:
            head, _, rest = self._read.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            if len(rest) < length:
                return
            self._read = rest[length:]
            Gateway.heard += 1
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


async def _send(port: int, gateway: str, numbers: list[int]) -> None:
    writer = None
    secret = base64.b64encode(f"{ACCOUNT}:{SECRET}".encode()).decode()
    for number in numbers:
        form = urlencode({"To": f"+21261{number:06d}0", "From": "RSU", "Body": f"{BODY} {number}",
                          "StatusCallback": f"{gateway}/receipts/twilio/{number:032x}"})
        if writer is None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"POST {SENDS} HTTP/1.1\r\nHost: operator\r\nAuthorization: Basic {secret}\r\nContent-Type: "
                     f"application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n\r\n{form}".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert head.startswith(b"http/1.1 201"), head
        await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n")[0]))
        if b"connection: close" in head:
            writer.close()
            writer = None
    if writer is not None:
        writer.close()


def _used(process: int) -> tuple[float, float]:
    """CPU seconds and resident MB."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS, int(fields[21]) * os.sysconf("SC_PAGESIZE") / 1e6


async def _measure(process: int, port: int, gateway_port: int, texts: int, connections: int) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Gateway, "127.0.0.1", gateway_port)
    (cpu, memory), began = _used(process), time.perf_counter()
    await asyncio.gather(*(_send(port, f"http://127.0.0.1:{gateway_port}", list(range(first, texts, connections)))
                           for first in range(connections)))
    accepted = time.perf_counter() - began
    while Gateway.heard < 2 * texts and time.perf_counter() - began < 100:
        await asyncio.sleep(0.05)
    told = time.perf_counter() - began
    cpu_after, memory_after = _used(process)
    server.close()
    with urlopen(f"http://127.0.0.1:{port}/sandbox/count", timeout=60) as answer:
        count = json.load(answer)
    assert (count["accepted"], count["telephones"], count["duplicates"]) == (texts, texts, 0), count
    return {"texts": texts, "receipts": Gateway.heard, "accepted_per_s": texts / accepted,
            "receipts_per_s": Gateway.heard / told, "texts_told_per_s": Gateway.heard / 2 / told,
            "cpu_ms_per_text": 1000 * (cpu_after - cpu) / texts, "kb_per_text": 1000 * (memory_after - memory) / texts}


def main() -> None:
    texts, connections = (int(told) for told in (*sys.argv[1:], *("5000", "64")[len(sys.argv) - 1:]))
    port, gateway_port = _free_port(), _free_port()
    with TemporaryDirectory() as folder:
        file = Path(folder, "operator.json")
        file.write_text(json.dumps({
            "host": "127.0.0.1", "port": port, "gateway_url": f"http://127.0.0.1:{gateway_port}",
            "callback_token": SECRET, "service_code": "*580#",
            "twilio": {"account_sid": ACCOUNT, "auth_token": SECRET},
            "africastalking": {"username": "sandbox", "api_key": SECRET}}))
        with subprocess.Popen([sys.executable, "-m", "channels.sandbox", "--config", str(file)]) as process:
            try:
                _until_it_answers(port)
                figures = asyncio.run(_measure(process.pid, port, gateway_port, texts, connections))
            finally:
                process.terminate()
    sys.stdout.write(json.dumps({name: round(value, 3) for name, value in figures.items()}) + "\n")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _until_it_answers(port: int) -> None:
    for _ in range(200):
        try:
            urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return


if __name__ == "__main__":
    main()
