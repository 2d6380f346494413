"""A share of a core for the server: a generator with one core can then offer it twice what it can do. Needs the right to make
a control group (root, or a delegated one)."""
import os
import pathlib

PERIOD_US = 10_000
ROOTS = {pathlib.Path("/sys/fs/cgroup/cpu"): "v1", pathlib.Path("/sys/fs/cgroup"): "v2"}


class Quota:
    """A control group that may use `share` of a core; a context manager."""

    def __init__(self, share):
        self._share = share
        self._folder = None

    def __enter__(self):
        quota_us = int(PERIOD_US * self._share)
        for root, version in ROOTS.items():
            folder = root / f"tandem-bench-{os.getpid()}"
            marker = root / ("cpu.cfs_quota_us" if version == "v1" else "cgroup.controllers")
            # The root of version 1 has the file itself or, as a mount of several, only below it.
            if version == "v2" and not marker.exists():
                continue
            try:
                folder.mkdir()
                if version == "v1":
                    (folder / "cpu.cfs_period_us").write_text(str(PERIOD_US))
                    (folder / "cpu.cfs_quota_us").write_text(str(quota_us))
                else:
                    (folder / "cpu.max").write_text(f"{quota_us} {PERIOD_US}")
            except OSError:
                if folder.exists():
                    folder.rmdir()
                continue
            self._folder = folder
            return self
        return None

    def command(self):
        """What starts a program inside."""
        return ("sh", "-c", f'echo $$ > {self._folder / "cgroup.procs"} && exec "$@"', "sh")

    def __exit__(self, *_):
        if self._folder:
            self._folder.rmdir()
