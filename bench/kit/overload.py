"""Twice what the server can do: how many calls are still made, what is said to the others, and how soon it is over. The server has a
share of its core, so that the generators' core can offer twice as much."""
import statistics
import threading
import time

from .provision import CALLEE, CALLER_ID
from .quota import Quota
from .sipp import Calls

SHARE = 0.35
RATES = (200, 300, 400, 500, 600, 700, 800, 900, 1000)
RUNS = 3
PEAK_S = 6
OVERLOAD_S = 12
TALK_MS = 1000
# Calls at half the capacity that begin this long after the flood ends must all be made.
RECOVERY_S = 2


class Watch:
    """The largest resident set of a server while it stands."""

    def __init__(self, server):
        self._server, self._over = server, threading.Event()
        self.most_kib = server.rss_kib()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self):
        while not self._over.wait(0.1):
            self.most_kib = max(self.most_kib, self._server.rss_kib())

    def stop(self):
        self._over.set()
        self._thread.join()
        return self.most_kib


def drive(bench, server, customer, rate, seconds):
    keys = {"domain": customer.trunk_domain, "caller": CALLER_ID, "dialled": CALLEE}
    return Calls("caller_refused", server.sip, bench.workspace, rate=rate, calls=int(rate * seconds), keys=keys, hold_ms=TALK_MS)


def figure(bench, say):
    with Quota(SHARE) as quota:
        if quota is None:
            say("  no right to make a control group: overload is not measured")
            return None
        return measure(bench, quota, say)


def measure(bench, quota, say):
    peak = 0
    for rate in RATES:
        if not held(bench, quota, rate):
            break
        peak = rate
    if not peak:
        say("  no rate was held")
        return None
    say(f"  held: {peak}/s on {SHARE:.0%} of a core")
    runs = [run for run in (flood(bench, quota, peak, say) for _ in range(RUNS)) if run]
    names = ("made_per_s", "refused_per_s", "failed", "retransmissions", "rss_kib", "late_failed")
    return {name: statistics.median(run[name] for run in runs) for name in names} | {
        "peak": peak, "offered": 2 * peak, "goodput": statistics.median(run["made_per_s"] for run in runs) / peak,
        "share": SHARE, "runs": runs}


def held(bench, quota, rate):
    server, customer, callee = bench.start("hung", quota=quota)
    with server:
        try:
            drive(bench, server, customer, 100, 3).wait()
            run = drive(bench, server, customer, rate, PEAK_S).wait()
        finally:
            callee.stop()
    return run["counts"] and not run["refused"]


def flood(bench, quota, peak, say):
    server, customer, callee = bench.start("hung", quota=quota)
    with server:
        try:
            drive(bench, server, customer, 100, 3).wait()
            before, watch = server.rss_kib(), Watch(server)
            began = time.monotonic()
            flood = drive(bench, server, customer, 2 * peak, OVERLOAD_S)
            run = flood.wait()
            lasted = time.monotonic() - began
            time.sleep(RECOVERY_S)
            after = drive(bench, server, customer, peak // 2, 4).wait()
            most = watch.stop()
        finally:
            callee.stop()
    # The last call made begins when offering ends and talks; refused ones end at once.
    run |= {"made_per_s": run["made"] / OVERLOAD_S, "refused_per_s": run["refused"] / OVERLOAD_S,
            "failed": run["failed"], "rss_kib": most - before, "lasted": lasted,
            "late_failed": after["failed"] + after["refused"]}
    say(f"  offered {2 * peak}/s for {OVERLOAD_S} s: {run['made_per_s']:.0f}/s made, {run['refused_per_s']:.0f}/s refused, "
        f"{run['failed']} failed, {run['retransmissions']} repeated, {run['rss_kib']} KiB more; {RECOVERY_S} s later "
        f"{run['late_failed']} of {peak // 2 * 4} not made")
    return run
