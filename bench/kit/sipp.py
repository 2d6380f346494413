"""sipp on the generators' core: one scenario at one rate, and whether the run counts."""
import csv
import pathlib
import socket
import subprocess
import time

from .server import GENERATOR_CORE

SCENARIOS = pathlib.Path(__file__).resolve().parent.parent / "sipp"
# Lost or repeated messages above this share disqualify a run: then it measured repair, not work.
LOSS_MAX = 0.001
# A generator that falls short of its rate by more than this offered another one.
ACHIEVED_MIN = 0.95
# The PBX and the phones call from one address, the carrier from another.
CUSTOMER_HOST = "127.0.0.1"
CARRIER_HOST = "127.0.0.3"


def free_port(host):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def command(scenario, host, port, folder):
    return ["taskset", "-c", str(GENERATOR_CORE), "sipp", "-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", host,
            "-p", str(port), "-nostdin", "-l", "200000", "-buff_size", "4194304", "-trace_err", "-error_file",
            str(folder / f"{scenario}-{port}.err")]


class Callee:
    """The carrier, answering at once."""

    def __init__(self, port, folder):
        self.address = f"{CARRIER_HOST}:{port}"
        arguments = command("callee", CARRIER_HOST, port, folder) + ["-default_behaviors", "all,-bye,-abortunexp"]
        self._process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL, cwd=folder)
        time.sleep(0.3)

    def stop(self):
        self._process.kill()
        self._process.wait()


class Calls:
    """One run of sipp as a caller or a phone."""

    def __init__(self, scenario, target, folder, *, rate, calls, keys, host=CUSTOMER_HOST, hold_ms=0, extra=()):
        port = free_port(host)
        self._calls, self._rate, self._hold_s = calls, rate, hold_ms / 1000
        self._statistics = folder / f"{scenario}-{port}.csv"
        self._errors = folder / f"{scenario}-{port}.err"
        duration_s = calls / rate + hold_ms / 1000
        arguments = command(scenario, host, port, folder)
        for name, value in keys.items():
            arguments += ["-key", name, value]
        arguments += ["-r", str(rate), "-m", str(calls), "-d", str(hold_ms), "-recv_timeout", "10000", "-fd", "1",
                      "-trace_stat", "-stf", str(self._statistics), "-timeout", str(int(duration_s + 25)), *extra,
                      target]
        self._began = time.monotonic()
        self._process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL, cwd=folder)

    def is_running(self):
        """Whether calls are still made or held."""
        return self._process.poll() is None

    def wait(self):
        """Counts of the run: calls that went as written, failures, retransmissions, and whether it counts."""
        self._process.wait()
        rows = list(csv.DictReader(open(self._statistics), delimiter=";")) if self._statistics.exists() else []
        last = rows[-1] if rows else {}
        count = lambda name: int(float(last.get(name) or 0))
        good = count("SuccessfulCall(C)")
        failed = self._calls - good
        repeated = count("Retransmissions(C)")
        offering_s = time.monotonic() - self._began - self._hold_s
        achieved = self._calls / offering_s if offering_s > 0 else 0
        counts = (failed <= LOSS_MAX * self._calls and repeated <= LOSS_MAX * self._calls
                  and achieved >= ACHIEVED_MIN * self._rate)
        counter = lambda number: next((int(float(last[name] or 0)) for name in last
                                       if name and name.startswith(f"GenericCounter{number}") and "(C)" in name), 0)
        result = {"refused": counter(1), "made": counter(2), "calls": good, "failed": failed, "retransmissions": repeated, "achieved": achieved, "counts": counts}
        if failed and self._errors.exists():
            result["first_error"] = self._errors.read_text(errors="replace")[:600]
        return result
