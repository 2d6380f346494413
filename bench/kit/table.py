"""The one table: our figure, the floor it must not miss, the goal, what the peers were measured at."""
RATE_AT_HALF_LOAD = 1000
RELAY_FLOOR = 800
MEMORY_FLOOR_KIB = 48
# Floor and goal, µs of CPU.
LIMITS = {"answered": (300, 120), "bridged": (500, 250)}


def number(value):
    return f"{value:,}" if isinstance(value, int) else str(value)


def row(work, figure, ours, unit, floor, goal, peers):
    """`ours` is a number, or None when nothing that counts was measured."""
    if ours is None:
        mark, shown = "?", "not measured"
    else:
        mark = " " if floor is None or ours <= floor else "!"
        shown = f"{ours:,.1f} {unit}" if ours < 10 else f"{ours:,.0f} {unit}"
    limit = lambda value: "" if value is None else f"≤ {value:,} {unit}"
    return [mark, work, figure, shown, limit(floor), limit(goal), "; ".join(f"{k} {number(v)}" for k, v in peers.items())]


def figure(results, name, member="cpu_us"):
    found = results.get(name)
    return None if not found else found[member]


def per_delivery(results):
    """What delivering costs: the same calls with their webhooks taken, less with their webhooks in the outbox."""
    kept, sent = results.get("kept"), results.get("delivering")
    if not kept or not sent or sent["deliveries"] <= kept["deliveries"]:
        return None
    return (sent["cpu_us"] - kept["cpu_us"]) / (sent["deliveries"] - kept["deliveries"])


def kamailio_rows(results, peers):
    """What Kamailio costs on this machine in this run, and ours over it: a neighbour that slows one slows both. No limits:
    its recorded figure was taken at a higher rate, where a call costs it less."""
    rows = []
    for kind, work in (("answered", "stateless reply"), ("bridged", "tm proxy")):
        measured = results.get(f"kamailio_{kind}")
        if not measured:
            continue
        recorded = next(value for name, value in peers[kind].items() if name.startswith("Kamailio"))
        rows.append(row(f"Kamailio, {work}", "CPU, this run", measured["cpu_us"], "µs", None, None, {"recorded": recorded}))
        ours = figure(results, kind)
        if ours:
            rows.append(row(f"{kind.capitalize()} call ÷ Kamailio, {work}", "CPU, this run", ours / measured["cpu_us"], "×",
                            None, None, {}))
    return rows


def relay_rows(results, peers):
    """Calls that talk: ours, and rtpengine's where it was measured."""
    rows = []
    for name, who in (("relay", "Relayed G.711 calls"), ("rtpengine", "rtpengine, user space")):
        found = results.get(name)
        if not found:
            continue
        mine = name == "relay"
        recorded = "; ".join(f"{k} {v}" for k, v in peers["relay"].items()) if mine else ""
        held = found["held"]
        rows.append([" " if not mine or held >= RELAY_FLOOR else "!", who, f"held at p99 ≤ 20 ms, of {found['steps'][-1]['calls']:,}",
                     f"{held:,}", f"≥ {RELAY_FLOOR}" if mine else "", "≥ 1,000 at ≤ 5 ms" if mine else "", recorded])
        for step in found["steps"]:
            added_ms = (step["p99_us"] - step["direct_p99_us"]) / 1000
            rows.append(["", f"  {step['calls']:,} calls", "core; µs a packet; p99 added; lost",
                         f"{step['core']:.0%}; {step['packet_us']:.1f}; {added_ms:.1f} ms; {step['lost']:.0f}", "", "", ""])
        rows.append(["", "  calls a core, by CPU", "", f"{found['per_core']:,.0f}", "", "1,500" if mine else "", ""])
        rows.append([" " if not mine or found["kib"] <= MEMORY_FLOOR_KIB else "!", "  memory", "a call that talks",
                     f"{found['kib']:.0f} KiB", f"≤ {MEMORY_FLOOR_KIB} KiB" if mine else "", "≤ 32 KiB" if mine else "",
                     "; ".join(f"{k} {v}" for k, v in peers["memory"].items()) if mine else ""])
    return rows


def delay_rows(results):
    found = results.get("delay")
    if not found:
        return []
    goal = 2 * found["fsync_ms"] + 2
    work = f"Post-dial delay beside {found['rate']:,}/s"
    return [["", work, "p50", f"{found['p50_ms']:.1f} ms", "", f"≤ {goal:.1f} ms", f"2 × fdatasync ({found['fsync_ms']:.2f} ms) + 2 ms"],
            ["", work, "p99", f"{found['p99_ms']:.1f} ms", "", "≤ 20 ms", ""]]


def overload_rows(results):
    found = results.get("overload")
    if not found:
        return []
    work = f"Twice the held {found['peak']}/s, {found['share']:.0%} of a core"
    return [["", work, "calls made", f"{found['made_per_s']:.0f}/s, {found['goodput']:.0%}", "", "≥ 90 %", "Asterisk falls from 1,100 to 250–630/s"],
            ["", work, "503; failed; repeated", f"{found['refused_per_s']:.0f}/s; {found['failed']:.0f}; {found['retransmissions']:.0f}",
             "", "", ""],
            ["", work, "memory more", f"{found['rss_kib'] / 1024:.0f} MiB", "", "bounded", ""],
            ["", work, "not made 2 s later", f"{found['late_failed']:.0f}", "", "0", ""]]


def rest_rows(results):
    """Requests a CPU-second; shares of what bare axum and SQL alone do in the same run."""
    found = results.get("rest")
    if not found:
        return []
    rows = []
    for name, work, goal, statements in (("get", "Authenticated GET of a trunk", "≥ 0.5 of bare axum", {"read": "SQL alone"}),
                                         ("transfer", "Transfer, keyed and audited", "",
                                          {"transfer_alone": "SQL, a commit each", "transfer_of_64": "SQL, 64 a commit"})):
        ours, bare = found[name], found[f"bare_{name}"]
        beside = "; ".join([f"bare axum {bare['per_cpu_s']:,.0f}",
                            *(f"{words} {found['sql'][key]:,.0f}" for key, words in statements.items() if key in found["sql"])])
        rows.append(["", work, "a CPU-second; share of bare axum; p99",
                     f"{ours['per_cpu_s']:,.0f}; {ours['per_cpu_s'] / bare['per_cpu_s']:.2f}; {ours['p99_ms']:.1f} ms", "", goal, beside])
    return rows


def table(results, peers):
    start = results.get("start") or {}
    mib = lambda name: start[name] / 1024 if name in start else None
    lines = [
        ["", "Work", "Figure", "Tandem", "Floor", "Goal", "Peers, recorded"],
        row("Bridged call", "rows written", figure(results, "rows", "call"), "rows", 12, 12, {}),
        row("Webhook delivery", "rows written", figure(results, "rows", "delivery"), "rows", None, None, {}),
        row("Reserve + answer + settle", "CPU", figure(results, "store"), "µs", None, None, {}),
        row("Answered call driven by XML", "CPU", figure(results, "answered"), "µs", *LIMITS["answered"], peers["answered"]),
        row("Bridged trunk call, IP ACL", "CPU", figure(results, "bridged"), "µs", *LIMITS["bridged"], peers["bridged"]),
        *kamailio_rows(results, peers),
        row("Bridged trunk call, digest", "CPU", figure(results, "digest"), "µs", None, None, {}),
        row("Webhook delivery", "CPU", per_delivery(results), "µs", None, None, {}),
        row("REGISTER with digest", "CPU", figure(results, "register"), "µs", None, 68, peers["register"]),
        row("Live bridged call, sockets open", "memory", figure(results, "memory", "kib"), "KiB", 64, 32, peers["memory"]),
        row("Start", "until ready", start.get("ready_s"), "s", 1, 1, {}),
        row("Idle", "RSS", mib("idle_rss_kib"), "MiB", None, 60, {}),
        row("Binary", "size", mib("binary_kib"), "MiB", None, 60, {}),
    ]
    lines += rest_rows(results) + relay_rows(results, peers) + delay_rows(results) + overload_rows(results)
    widths = [max(len(line[column]) for line in lines) for column in range(6)]
    text = "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, [*widths, 0])).rstrip() for line in lines)
    rates = ", ".join(f"{name} {found['rate']:,}/s"
                      + (f" ({found['slow_cpu_us']:.0f} µs at {RATE_AT_HALF_LOAD:,}/s)" if found.get("slow_cpu_us") else "")
                      for name, found in results.items() if isinstance(found, dict) and "rate" in found)
    notes = ["", "CPU: utime + stime of the server per call at the highest rate held by one core, webhooks into the durable "
             f"outbox, deliveries apart; median of three runs. Rates: {rates}.", f"! misses its floor. Load of the machine {results['load_before']:.1f} "
             f"before, {results['load_after']:.1f} after. {peers['note']}"]
    disqualified = [f"{name}: {found['disqualified']}" for name, found in results.items()
                    if isinstance(found, dict) and found.get("disqualified")]
    if disqualified:
        notes.append("Runs that did not count (more than 0.1 % failed or repeated): " + ", ".join(disqualified))
    return text + "\n" + "\n".join(notes)
