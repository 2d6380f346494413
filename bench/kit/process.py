"""What a process has used: its CPU time and its memory."""
import time


def cpu_us(pid):
    """utime + stime of all its threads, those that ended included. The kernel's CPU clock of that process is precise to the
    nanosecond; /proc counts ticks of 10 ms."""
    return time.clock_gettime_ns((~pid << 3) | 2) / 1000


def pss_kib(pid):
    for line in open(f"/proc/{pid}/smaps_rollup"):
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise SystemExit("no Pss in smaps_rollup")


def put_first(pid):
    """Before other programs of the machine, whose sessions the kernel weighs as groups: what is measured is this one. Refused to
    ordinary users, who measure their neighbours too."""
    try:
        with open(f"/proc/{pid}/autogroup", "w") as file:
            file.write("-20")
    except OSError:
        pass
