"""Authenticated GETs and transfers a CPU-second of the server, beside a bare axum handler that answers as many bytes and
beside the same statements by SQL alone. wrk asks, on the generators' core."""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import urllib.request

from . import process
from .provision import Customer
from .server import GENERATOR_CORE, SERVER_CORE, Server
from .sipp import CARRIER_HOST, free_port

HERE = pathlib.Path(__file__).resolve().parent
BARE = HERE.parent / "bare"
RUNS = 3
RUN_S = 4
CONNECTIONS = 64
# What is measured is the work, not its limits.
UNLIMITED = {"TANDEM_API__RATE_LIMIT_PER_S": "1000000", "TANDEM_API__RATE_LIMIT_BURST": "1000000"}


def available():
    return shutil.which("wrk") is not None


def build():
    environment = dict(os.environ)
    if "CARGO_TARGET_DIR" in environment:
        environment["CARGO_TARGET_DIR"] = str(pathlib.Path(environment["CARGO_TARGET_DIR"]) / "bare")
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=BARE, env=environment, check=True)


def bare_binary():
    target = os.environ.get("CARGO_TARGET_DIR")
    folder = pathlib.Path(target).resolve() / "bare" if target else BARE / "target"
    return folder / "release" / "bare"


class Bare:
    """The bare handler on the server's core."""

    def __init__(self, answer, workspace):
        file = workspace / "answer.json"
        file.write_bytes(answer)
        self._process = subprocess.Popen(["taskset", "-c", str(SERVER_CORE), str(bare_binary()), str(file)],
                                         stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()

    @property
    def pid(self):
        return self._process.pid


def load(pid, url, method, body, headers, say):
    """Requests a CPU-second of `pid`; the rate and p99 as a by-product."""
    command = ["taskset", "-c", str(GENERATOR_CORE), "wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{RUN_S}s", "-s",
               str(HERE / "requests.lua"), url, "--", method, body, *(f"{name}:{value}" for name, value in headers.items())]
    runs = []
    for _ in range(RUNS):
        before = process.cpu_us(pid)
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        used_us = process.cpu_us(pid) - before
        told = json.loads(done.stdout.splitlines()[-1])
        if told["refused"] or told["broken"] or not told["requests"]:
            raise SystemExit(f"{method} {url}: {told}")
        runs.append({"per_cpu_s": told["requests"] * 1e6 / used_us, "per_s": told["requests"] / RUN_S,
                     "p99_ms": told["p99_us"] / 1000})
        say(f"  {method} {url.rpartition('/api/v1')[2][:60]}: {runs[-1]['per_cpu_s']:,.0f} a CPU-second, "
            f"{runs[-1]['per_s']:,.0f}/s, p99 {runs[-1]['p99_ms']:.1f} ms")
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def asked(url, headers, body=None):
    data = None if body is None else body.encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as answer:
        return answer.read()


def figure(bench, say):
    if not available():
        say("  wrk is not installed: apt-get install wrk")
        return None
    server = Server(bench.binary, bench.workspace, UNLIMITED)
    with server:
        customer = Customer(server, bench.web, (CARRIER_HOST, free_port(CARRIER_HOST)), "hung")
        pair = lambda who: {"X-Auth-ID": who[0], "X-Auth-Token": who[1], "Content-Type": "application/json"}
        api = server.api.rstrip("/") + "/api/v1"
        mine, partners = pair(customer.doors.who), pair(customer.partner)
        trunk = f"{api}/Account/{customer.account}/trunks/{customer.trunk}"
        transfer = f"{api}/partner/accounts/{customer.account}/transfer-balance"
        body = json.dumps({"amount": 1, "currency": "INR", "description": "Bench"})
        results = {"get": load(server.pid, trunk, "GET", "", mine, say),
                   "transfer": load(server.pid, transfer, "POST", body, partners, say)}
        told = {"get": asked(trunk, mine), "transfer": asked(transfer, partners, body)}
        server.stop()
        lines = bench.example("bare_statements", str(server.data), customer.partner[0], customer.account, customer.trunk)
        alone = json.loads(lines[-1]) if lines else {}
    for name, method, text, sender in (("get", "GET", "", mine), ("transfer", "POST", body, partners)):
        with Bare(told[name], bench.workspace) as bare:
            results[f"bare_{name}"] = load(bare.pid, bare.url + "/api/v1/bare", method, text, sender, say)
    results["sql"] = {name.removesuffix("_us"): 1e6 / each_us for name, each_us in alone.items()}
    return results
