"""The server under test: the release binary, pinned to a core of its own, with its CPU time and its memory."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from . import process

SERVER_CORE = 0
GENERATOR_CORE = 1
# Four sockets for each bridged call, and some.
DESCRIPTORS = 20_000
READY_TIMEOUT_S = 30


class Server:
    """`tandem serve` on free ports with a data folder of its own; a context manager."""

    def __init__(self, binary, workspace, environment=(), quota=None):
        """`environment`: further TANDEM_… variables. `quota`: a share of its core that it may use (see kit.quota)."""
        self.data = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=workspace))
        environment = dict(
            os.environ,
            TANDEM_WEBHOOKS__ALLOW_PRIVATE='["127.0.0.0/8"]',
            TANDEM_RTP__FIRST_PORT="10000",
            TANDEM_RTP__LAST_PORT="64999",
        ) | dict(environment)
        command = [*(quota.command() if quota else ()), "taskset", "-c", str(SERVER_CORE), str(binary), "serve", "--data", str(self.data),
                   "--api", "127.0.0.1:0", "--sip", "127.0.0.1:0", "--drain", "1", "--ready-json"]
        began = time.monotonic()
        with open(self.data / "serve.log", "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                                            env=environment, start_new_session=True)
        line = self.process.stdout.readline()
        self.ready_s = time.monotonic() - began
        if not line:
            raise SystemExit(f"the server did not start:\n{self.log_tail()}")
        ready = json.loads(line)
        self.api = ready["api"]
        self.sip = ready["sip"]

    def __enter__(self):
        return self

    def stop(self):
        """Ends the server; its data folder stays until the context ends."""
        self.process.terminate()
        try:
            self.process.wait(READY_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)

    @property
    def pid(self):
        return self.process.pid

    def log_tail(self):
        lines = (self.data / "serve.log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-30:])

    def cpu_us(self):
        return process.cpu_us(self.pid)

    def pss_kib(self):
        return process.pss_kib(self.pid)

    def rss_kib(self):
        for line in open(f"/proc/{self.pid}/status"):
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise SystemExit("no VmRSS in status")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))
