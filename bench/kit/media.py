"""Calls that talk: many bridged calls set up over SIP (or in rtpengine over its ng protocol), and the generator that speaks and
hears their RTP. One generator for every program measured, on the generators' core."""
import json
import os
import pathlib
import re
import selectors
import shutil
import socket
import struct
import subprocess
import time

from .server import GENERATOR_CORE, SERVER_CORE
from .sipp import CARRIER_HOST, CUSTOMER_HOST, free_port

GENERATOR = pathlib.Path(__file__).resolve().parent.parent / "generator"
# The callee's number says which call it is: the carrier takes any of them.
DIALLED = "+918765{:06d}"
PREFIX = "918765"
SETUP_RATE = 100
# Linux's SO_TIMESTAMPNS: when the kernel got a datagram, however late this program reads it.
SO_TIMESTAMPNS = 35
SETUP_TIMEOUT_S = 20


class Generator:
    """The running generator."""

    def __init__(self, calls):
        program = GENERATOR / "target" / "release" / "rtp-generator"
        target = os.environ.get("CARGO_TARGET_DIR")
        if target:
            program = pathlib.Path(target) / "generator" / "release" / "rtp-generator"
        self._process = subprocess.Popen(
            ["taskset", "-c", str(GENERATOR_CORE), str(program), str(calls), CUSTOMER_HOST, CARRIER_HOST],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        numbers = [int(word) for word in self._line().split()[1:]]
        self.a, self.b = numbers[0::2], numbers[1::2]

    @staticmethod
    def build():
        environment = dict(os.environ)
        if "CARGO_TARGET_DIR" in environment:
            environment["CARGO_TARGET_DIR"] = str(pathlib.Path(environment["CARGO_TARGET_DIR"]) / "generator")
        subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=GENERATOR, env=environment, check=True)

    def aim(self, toward_a, toward_b):
        """Where the callers' sockets send and where the callees' do, call by call."""
        pairs = [f"{address[0]}:{address[1]}" for pair in zip(toward_a, toward_b) for address in pair]
        self._say("to " + " ".join(pairs))
        assert self._line() == "aimed"

    def aim_at_itself(self):
        """Caller and callee without anything between them: what the way itself takes."""
        self.aim([(CARRIER_HOST, port) for port in self.b], [(CUSTOMER_HOST, port) for port in self.a])

    def run(self, seconds, calls, clock=lambda: 0.0):
        """Counts and delays of `calls` calls that talk for `seconds`, and what `clock` moved meanwhile (µs)."""
        self._say(f"run {seconds} {calls}")
        assert self._line() == "measuring"
        before = clock()
        assert self._line() == "measured"
        moved = clock() - before
        return json.loads(self._line()) | {"cpu_us": moved}

    def stop(self):
        self._process.stdin.close()
        self._process.wait(10)

    def _say(self, order):
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()

    def _line(self):
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the RTP generator ended")
        return line.strip()


def description(host, port):
    return (f"v=0\r\no=bench {port} 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\n"
            "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=sendrecv\r\n")


def media_address(text):
    """Where a session description wants RTP."""
    host = re.search(r"^c=IN IP4 (\S+)", text, re.M)
    port = re.search(r"^m=audio (\d+)", text, re.M)
    return (host[1], int(port[1])) if host and port else None


def header(message, name):
    found = re.search(rf"^{name}\s*:\s*(.*?)\r?$", message, re.I | re.M)
    return found[1] if found else ""


def headers(message, name):
    return re.findall(rf"^{name}\s*:\s*(.*?)\r?$", message, re.I | re.M)


class Telephones:
    """A PBX and a carrier in one: `calls` calls through a SIP server, each side with a port of the generator in its SDP."""

    def __init__(self, server, domain, caller_id, carrier_port):
        self._server = server
        self._domain, self._caller_id = domain, caller_id
        self._pbx, self._carrier = self._socket(CUSTOMER_HOST, 0), self._socket(CARRIER_HOST, carrier_port)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._pbx, selectors.EVENT_READ, self._on_pbx)
        self._selector.register(self._carrier, selectors.EVENT_READ, self._on_carrier)
        self._tag = f"{os.getpid():x}{time.monotonic_ns():x}"
        self._callee_ports = []
        self._came = 0.0
        self.toward_a, self.toward_b, self._byes, self.refused, self._ended = {}, {}, {}, {}, set()
        # When each INVITE left here and came to the carrier.
        self.invited, self.arrived = {}, {}

    def set_up(self, caller_ports, callee_ports, rate=SETUP_RATE):
        """Makes a call for each port; where each side's RTP is to go, call by call."""
        self._callee_ports = callee_ports
        began = time.monotonic()
        for index, port in enumerate(caller_ports):
            self._pump(began + index / rate)
            self.invited[index] = time.time()
            self._pbx.sendto(self._invite(index, port), self._server)
        deadline = time.monotonic() + SETUP_TIMEOUT_S
        while len(self.toward_a) + len(self.refused) < len(caller_ports) and time.monotonic() < deadline:
            self._pump(time.monotonic() + 0.2)
        missing = [index for index in range(len(caller_ports)) if index not in self.toward_a or index not in self.toward_b]
        if missing:
            raise SystemExit(f"{len(missing)} of {len(caller_ports)} calls were not set up: {list(self.refused.items())[:3]}")
        order = range(len(caller_ports))
        return [self.toward_a[index] for index in order], [self.toward_b[index] for index in order]

    def hang_up(self):
        began = time.monotonic()
        for count, bye in enumerate(self._byes.values()):
            self._pump(began + count / SETUP_RATE)
            self._pbx.sendto(bye, self._server)
        deadline = time.monotonic() + SETUP_TIMEOUT_S
        while len(self._ended) < len(self._byes) and time.monotonic() < deadline:
            self._pump(time.monotonic() + 0.2)
        self._pbx.close()
        self._carrier.close()

    def delays(self):
        """Seconds from each INVITE to the INVITE the carrier got of it."""
        return sorted(self.arrived[index] - left for index, left in self.invited.items() if index in self.arrived)

    @staticmethod
    def _socket(host, port):
        found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        found.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        found.bind((host, port))
        found.setblocking(False)
        return found

    def _pump(self, until):
        while (left := until - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                try:
                    while True:
                        message, further, _, source = key.fileobj.recvmsg(8192, 64)
                        came = [struct.unpack("@qq", data) for level, kind, data in further if kind == SO_TIMESTAMPNS]
                        self._came = came[0][0] + came[0][1] / 1e9 if came else time.time()
                        key.data(message.decode("latin1"), source)
                except BlockingIOError:
                    pass

    def _invite(self, index, port):
        host, here = self._pbx.getsockname()
        body = description(CUSTOMER_HOST, port)
        return (f"INVITE sip:{DIALLED.format(index)}@{self._domain} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP {host}:{here};branch=z9hG4bK{index}-{self._tag}\r\nMax-Forwards: 70\r\n"
                f"From: <sip:{self._caller_id}@{self._domain}>;tag=a{index}\r\nTo: <sip:{DIALLED.format(index)}@{self._domain}>\r\n"
                f"Call-ID: {index}-{self._tag}\r\nCSeq: 1 INVITE\r\nContact: <sip:bench@{host}:{here}>\r\n"
                f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode()

    def _on_pbx(self, message, source):
        if not message.startswith("SIP/2.0"):
            return self._pbx.sendto(self._answer(message, self._pbx), source)
        status, method = int(message[8:11]), header(message, "CSeq").split()[-1]
        index = int(header(message, "Call-ID").partition("-")[0])
        if method == "BYE":
            self._ended.add(index)
        if method != "INVITE" or status < 200:
            return None
        host, here = self._pbx.getsockname()
        contact = re.search(r"<([^>]*)>", header(message, "Contact"))
        target = contact[1] if contact and status < 300 else f"sip:{DIALLED.format(index)}@{self._domain}"
        route = "".join(f"Route: {each}\r\n" for each in reversed(headers(message, "Record-Route")))

        def request(method, number, branch):
            return (f"{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{here};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n"
                    f"{route}From: {header(message, 'From')}\r\nTo: {header(message, 'To')}\r\n"
                    f"Call-ID: {header(message, 'Call-ID')}\r\nCSeq: {number} {method}\r\nContent-Length: 0\r\n\r\n").encode()

        branch = f"{index}-{self._tag}"
        self._pbx.sendto(request("ACK", 1, branch + ("-ack" if status < 300 else "")), self._server)
        if status >= 300:
            self.refused[index] = status
        elif index not in self.toward_a:
            self.toward_a[index] = media_address(message)
            self._byes[index] = request("BYE", 2, branch + "-bye")
        return None

    def _on_carrier(self, message, source):
        if message.startswith("SIP/2.0") or message.startswith("ACK"):
            return
        if message.startswith("INVITE"):
            index = int(re.search(PREFIX + r"(\d{6})", message)[1])
            self.arrived.setdefault(index, self._came)
            self.toward_b[index] = media_address(message)
            self._carrier.sendto(self._answer(message, self._carrier, description(CARRIER_HOST, self._callee_ports[index])), source)
        else:
            self._carrier.sendto(self._answer(message, self._carrier), source)

    @staticmethod
    def _answer(message, ours, body=""):
        host, port = ours.getsockname()
        to = header(message, "To")
        to += "" if "tag=" in to else ";tag=b"
        copied = "".join(f"{name}: {value}\r\n" for name in ("Via", "Record-Route") for value in headers(message, name))
        content = "Content-Type: application/sdp\r\n" if body else ""
        return (f"SIP/2.0 200 OK\r\n{copied}From: {header(message, 'From')}\r\nTo: {to}\r\n"
                f"Call-ID: {header(message, 'Call-ID')}\r\nCSeq: {header(message, 'CSeq')}\r\nContact: <sip:bench@{host}:{port}>\r\n"
                f"{content}Content-Length: {len(body)}\r\n\r\n{body}").encode()


def bencode(value):
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, str):
        return bencode(value.encode())
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    return b"d" + b"".join(bencode(key) + bencode(value[key]) for key in sorted(value)) + b"e"


class Rtpengine:
    """Debian's rtpengine on the server's core, in user space, driven by its ng protocol (bencode over UDP)."""

    def __init__(self, workspace):
        self._ng = (CUSTOMER_HOST, free_port(CUSTOMER_HOST))
        self._log = open(pathlib.Path(workspace) / "rtpengine.log", "wb")
        self._process = subprocess.Popen(
            ["taskset", "-c", str(SERVER_CORE), "rtpengine", "--foreground", "--log-stderr", "--log-level=3", "--table=-1",
             "--config-file=none", f"--interface={CUSTOMER_HOST}", f"--listen-ng={self._ng[0]}:{self._ng[1]}",
             "--port-min=10000", "--port-max=64999", "--num-threads=1", "--timeout=3600"],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(2)
        self._cookie = 0
        deadline = time.monotonic() + 10
        while True:
            try:
                if b"pong" in self._ask({"command": "ping"}):
                    break
            except OSError:
                pass
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise SystemExit(f"rtpengine did not start; see {self._log.name}")
            time.sleep(0.1)

    @staticmethod
    def available():
        return shutil.which("rtpengine") is not None

    @property
    def pid(self):
        return self._process.pid

    def set_up(self, caller_ports, callee_ports):
        toward_a, toward_b = [], []
        for index, (caller, callee) in enumerate(zip(caller_ports, callee_ports)):
            common = {"call-id": f"bench-{index}", "from-tag": "a", "replace": ["origin", "session-connection"], "ICE": "remove",
                      "transport-protocol": "RTP/AVP", "flags": ["trust-address"]}
            offer = common | {"command": "offer", "sdp": description(CUSTOMER_HOST, caller)}
            answer = common | {"command": "answer", "to-tag": "b", "sdp": description(CARRIER_HOST, callee)}
            toward_b.append(self._address(self._ask(offer)))
            toward_a.append(self._address(self._ask(answer)))
        return toward_a, toward_b

    def stop(self):
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _ask(self, command):
        self._cookie += 1
        cookie = b"%d " % self._cookie
        self._socket.sendto(cookie + bencode(command), self._ng)
        while True:
            reply = self._socket.recv(65536)
            if reply.startswith(cookie):
                return reply

    @staticmethod
    def _address(reply):
        text = reply.decode("latin1")
        found = media_address(text[text.index("v=0"):]) if "v=0" in text else None
        if not found:
            raise SystemExit(f"rtpengine: {text[:200]}")
        return found
