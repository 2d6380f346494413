"""Relayed G.711 calls: loss, delay, CPU and memory of many calls that talk at once; of the server and of rtpengine, with the same
generator. And the post-dial delay: from a caller's INVITE to the callee's."""
import os
import statistics
import time

from . import process
from .media import PREFIX, Generator, Rtpengine, Telephones
from .provision import CALLER_ID
from .sipp import CARRIER_HOST, free_port

# Calls that talk at once. All are set up before; those that do not talk yet cost nothing.
STEPS = (500, 800, 1000, 1200)
RUNS = 3
TRIES = 2
RUN_S = 4
DIRECT_S = 2
P99_MAX_US = 20_000
# A generator that was later than this was held up itself, by the machine: the run says nothing of the server.
LATE_MAX_US = 15_000
PROBES = 500
PROBE_RATE = 50
FSYNCS = 100
MEDIA = {"TANDEM_SIP__MEDIA_TIMEOUT_S": "600", "TANDEM_RTP__LAST_PORT": "31999"}


def relay(pid, set_up, say, steps=STEPS):
    """Steps of talking calls through whatever `set_up` sets up, in the process `pid`."""
    generator = Generator(max(steps))
    process.put_first(pid)
    try:
        idle = process.pss_kib(pid)
        generator.aim_at_itself()
        direct = {calls: generator.run(DIRECT_S, calls) for calls in steps}
        began = process.cpu_us(pid)
        generator.aim(*set_up(generator.a, generator.b))
        setup_us = (process.cpu_us(pid) - began) / max(steps)
        found = {"setup_us": setup_us, "steps": []}
        for calls in steps:
            runs = []
            for _ in range(RUNS * TRIES):
                run = generator.run(RUN_S, calls, lambda: process.cpu_us(pid))
                run["core"] = run["cpu_us"] / RUN_S / 1e6
                run["packet_us"] = run["cpu_us"] / max(1, run["heard"])
                say(f"  {calls} calls talk: {run['lost']} of {run['sent']} lost, {run['foreign']} foreign, delay p50 "
                    f"{run['p50_us']} p99 {run['p99_us']} µs, {run['core']:.1%} of a core, {run['packet_us']:.2f} µs a packet, "
                    f"generator late by {run['late_max_us']} µs" + ("" if run["late_max_us"] <= LATE_MAX_US else ": does not count"))
                if run["late_max_us"] <= LATE_MAX_US:
                    runs.append(run)
                if len(runs) == RUNS:
                    break
            if not runs:
                break
            middle = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
            middle["direct_p99_us"] = direct[calls]["p99_us"]
            middle["runs"] = runs
            middle["held"] = sum(run["lost"] == 0 and run["p99_us"] <= P99_MAX_US for run in runs) * 2 > len(runs)
            found["steps"].append(middle)
        found["kib"] = (process.pss_kib(pid) - idle) / max(steps)
        held = [step for step in found["steps"] if step["held"]]
        found["held"] = max((step["calls"] for step in held), default=0)
        # By CPU: what one core would carry if nothing else were in the way.
        found["per_core"] = held[-1]["calls"] / held[-1]["core"] if held else 0
        return found
    finally:
        generator.stop()


def ours(bench, say):
    server, customer, callee = bench.start("hung", environment=MEDIA)
    callee.stop()
    with server:
        port = free_port(CARRIER_HOST)
        customer.carrier(CARRIER_HOST, port, PREFIX)
        host, _, sip = server.sip.partition(":")
        telephones = Telephones((host, int(sip)), customer.trunk_domain, CALLER_ID, port)
        found = relay(server.pid, telephones.set_up, say)
        telephones.hang_up()
        return found


def rtpengines(bench, say):
    engine = Rtpengine(bench.workspace)
    try:
        return relay(engine.pid, engine.set_up, say)
    finally:
        engine.stop()


def post_dial_delay(bench, rate, say):
    """Milliseconds from a caller's INVITE to the callee's, durable reservation included, beside `rate` other calls a second."""
    found = []
    fsync_ms = fdatasync_ms(bench.workspace)
    for _ in range(RUNS):
        server, customer, callee = bench.start("hung")
        with server:
            try:
                port = free_port(CARRIER_HOST)
                customer.carrier(CARRIER_HOST, port, PREFIX)
                host, _, sip = server.sip.partition(":")
                bench.drive("bridged", server, customer).wait()
                telephones = Telephones((host, int(sip)), customer.trunk_domain, CALLER_ID, port)
                load = bench.drive("bridged", server, customer, rate=rate, calls=rate * (PROBES // PROBE_RATE + 4))
                time.sleep(2)
                telephones.set_up([9] * PROBES, [9] * PROBES, PROBE_RATE)
                delays = [delay * 1000 for delay in telephones.delays()]
                run = load.wait()
                telephones.hang_up()
            finally:
                callee.stop()
        run = {"p50_ms": delays[len(delays) // 2], "p99_ms": delays[len(delays) * 99 // 100], "counts": run["counts"]}
        say(f"  post-dial delay beside {rate}/s: p50 {run['p50_ms']:.2f} p99 {run['p99_ms']:.2f} ms, fdatasync {fsync_ms:.2f} ms"
            + ("" if run["counts"] else "; the other calls were not held"))
        found.append(run)
    middle = {name: statistics.median(run[name] for run in found) for name in ("p50_ms", "p99_ms")}
    return middle | {"fsync_ms": fsync_ms, "rate": rate, "runs": found}


def fdatasync_ms(folder):
    """What making a little durable takes on the disk of the database."""
    took = []
    path = folder / "fdatasync"
    with open(path, "wb", buffering=0) as file:
        for _ in range(FSYNCS):
            file.write(b"x" * 4096)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - began) * 1000)
    path.unlink()
    return statistics.median(took)
