"""The customer's web server, in a process of its own on the generators' core: static XML, a sink for webhooks, and
a sink that never answers, at which deliveries stay in the outbox."""
import asyncio
import multiprocessing
import os

from .server import GENERATOR_CORE

# Answers the call and waits for the caller's BYE.
DOCUMENT = b'<?xml version="1.0"?><Response><Gather executionTimeout="60"/></Response>'


def response(content_type, body):
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


ANSWER = response("application/xml", DOCUMENT)
TAKEN = response("text/plain", b"")


class Connection(asyncio.Protocol):
    """One connection: requests one after the other, bodies read and forgotten."""

    def __init__(self, taken):
        self.taken = taken
        self.buffer = b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.buffer += data
        while True:
            head, end, rest = self.buffer.partition(b"\r\n\r\n")
            if not end:
                return
            length = 0
            for line in head.split(b"\r\n")[1:]:
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            if len(rest) < length:
                return
            self.buffer = rest[length:]
            self.answer(head.split(b" ", 2)[1])

    def answer(self, path):
        if path.startswith(b"/answer"):
            self.transport.write(ANSWER)
        elif path.startswith(b"/taken"):
            self.taken.value += 1
            self.transport.write(TAKEN)
        # /hung: never.


def serve(taken, port):
    os.sched_setaffinity(0, {GENERATOR_CORE})

    async def forever():
        server = await asyncio.get_running_loop().create_server(lambda: Connection(taken), "127.0.0.1", 0, backlog=1024)
        port.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(forever())


class Web:
    """The running web server."""

    def __init__(self):
        self._taken = multiprocessing.Value("q", 0, lock=False)
        port = multiprocessing.Queue()
        self._process = multiprocessing.Process(target=serve, args=(self._taken, port), daemon=True)
        self._process.start()
        self._port = port.get(timeout=10)

    def url(self, path):
        return f"http://127.0.0.1:{self._port}/{path}"

    def taken(self):
        """Webhooks that arrived at `/taken`."""
        return self._taken.value

    def stop(self):
        self._process.terminate()
        self._process.join(5)
