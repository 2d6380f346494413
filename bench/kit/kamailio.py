"""Kamailio on the server's core, in the same run: what this machine, in this minute, makes of work whose cost is known.

Its recorded figures (peers.json) are from another day and from rates this scenario does not reach, so they say little
about how slow this machine is; the ratio between two programs in one run does not need them."""
import os
import pathlib
import shutil
import statistics
import subprocess
import time

from . import process
from .server import SERVER_CORE
from .sipp import CARRIER_HOST, Callee, Calls, free_port

HOST = "127.0.0.1"
RUNS = 3
READY_TIMEOUT_S = 10
RUN_S = 4
# Calls a second to climb, as ours are.
STATELESS = (6000, 9000, 12_000, 15_000)
PROXY = (1000, 1500, 2000, 2500, 3000)

COMMON = """#!KAMAILIO
debug=-1
log_stderror=yes
fork=yes
children=1
disable_tcp=yes
auto_aliases=no
listen=udp:{host}:{port}
loadmodule "kex.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
"""

# Answers everything, keeps nothing.
STATELESS_ROUTE = """
request_route {{
    if (is_method("ACK")) {{ exit; }}
    append_to_reply("Contact: <sip:bench@{host}:{port}>\\r\\n");
    sl_send_reply("200", "OK");
}}
"""

# Transactions and Record-Route to one next hop; no dialogs, no money, no records.
PROXY_ROUTE = """
loadmodule "tm.so"
loadmodule "rr.so"
loadmodule "maxfwd.so"
loadmodule "siputils.so"
request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (has_totag()) {{ loose_route(); t_relay(); exit; }}
    record_route();
    $du = "sip:{next_hop}";
    t_relay();
}}
"""


def available():
    return shutil.which("kamailio") is not None


class Kamailio:
    def __init__(self, workspace, route, **names):
        self.port = free_port(HOST)
        configuration = pathlib.Path(workspace) / f"kamailio-{self.port}.cfg"
        configuration.write_text((COMMON + route).format(host=HOST, port=self.port, **names))
        self._log = open(pathlib.Path(workspace) / f"kamailio-{self.port}.log", "wb")
        self._process = subprocess.Popen(
            ["taskset", "-c", str(SERVER_CORE), "kamailio", "-DD", "-E", "-m", "512", "-M", "16", "-f", str(configuration)],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)

    def __enter__(self):
        wanted = f"{self.port:04X}"
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not any(line.split()[1].endswith(":" + wanted) for line in open("/proc/net/udp").readlines()[1:]):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"Kamailio did not start; see {self._log.name}")
            time.sleep(0.1)
        time.sleep(0.5)
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait()
        self._log.close()

    def cpu_us(self):
        """Of its processes: it forks one for each task."""
        pids, found = [self._process.pid], []
        while pids:
            pid = pids.pop()
            found.append(pid)
            children = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
            pids += [int(child) for child in children.read_text().split()] if children.exists() else []
        return sum(map(process.cpu_us, found))


def figure(kind, workspace):
    """CPU per call at the highest rate held: `answered` by the stateless replier, `bridged` by the proxy."""
    route, rates = (STATELESS_ROUTE, STATELESS) if kind == "answered" else (PROXY_ROUTE, PROXY)
    found = None
    for rate in rates:
        figures = [cost for cost in (once(kind, route, rate, workspace) for _ in range(RUNS)) if cost is not None]
        if len(figures) < 2:
            break
        found = {"cpu_us": statistics.median(figures), "rate": rate}
    return found


def once(kind, route, rate, workspace):
    """CPU per call of one run; None if it does not count."""
    callee_port = free_port(CARRIER_HOST)
    callee = Callee(callee_port, workspace) if kind == "bridged" else None
    try:
        with Kamailio(workspace, route, next_hop=f"{CARRIER_HOST}:{callee_port}") as server:
            address = f"{HOST}:{server.port}"
            keys = {"domain": address, "caller": "1000", "dialled": "2000"}
            drive = lambda count: Calls("caller", address, workspace, rate=rate, calls=count, keys=keys).wait()
            drive(rate)
            before = server.cpu_us()
            run = drive(rate * RUN_S)
            return (server.cpu_us() - before) / run["calls"] if run["counts"] else None
    finally:
        if callee:
            callee.stop()
