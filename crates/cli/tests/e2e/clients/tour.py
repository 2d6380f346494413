"""A tour through every public method of a published client, asked of a running server.

The methods are found by introspection. Each must be asked and answered well, or stand on the tour's short list of what
is not built (then it must really be answered 501), or of what is no business of this server. Anything else is a
fault.
"""

import inspect
import json
import os
import sys
import traceback

from requests.adapters import HTTPAdapter


class Local(HTTPAdapter):
    """Takes the client's own URLs to the server under test; nothing in the client is changed."""

    def __init__(self, published, here):
        super().__init__()
        self.published, self.here = published, here
        self.last = None

    def send(self, request, **how):
        self.asked = f"{request.method} {request.url}"
        request.url = request.url.replace(self.published, self.here, 1)
        self.last = super().send(request, **how)
        return self.last


class Tour:
    def __init__(self, client, package, published, not_built, not_ours):
        self.world = {name: os.environ[name] for name in os.environ if name.startswith("TOUR_")}
        self.adapter = Local(published, self.world["TOUR_API"])
        for session in vars(client).values():
            if hasattr(session, "mount"):
                session.mount(published, self.adapter)
        self.resources = {
            name: resource
            for name, resource in vars(client).items()
            if type(resource).__module__.startswith(package + ".resources")
        }
        self.not_built, self.not_ours = not_built, not_ours
        self.worked, self.missing, self.faults = set(), set(), []

    def methods(self):
        """Every public method, as `resource.method`."""
        return {
            f"{name}.{method}"
            for name, resource in self.resources.items()
            for method, _ in inspect.getmembers(type(resource), inspect.isroutine)
            if not method.startswith("_")
        }

    def __call__(self, name, /, *arguments, refused=None, unchecked=False, **named):
        """Asks a method. `refused`: the status that is right; `unchecked`: without the client's check of arguments."""
        resource, method = name.split(".")
        resource = self.resources[resource]
        ask = getattr(resource, method)
        if unchecked:
            checked, ask = ask, getattr(ask, "__wrapped__", ask)
            arguments = arguments if hasattr(checked, "__self__") and hasattr(ask, "__self__") else (resource, *arguments)
        self.adapter.last = None
        answer, error = None, None
        try:
            answer = ask(*arguments, **named)
        except Exception as raised:  # whatever the client makes of it is the finding
            error = raised
        got = self.adapter.last.status_code if self.adapter.last is not None else None
        if name in self.not_built:
            if got == 501:
                self.missing.add(name)
            else:
                self.fault(name, got, error, "is on the list of what is not built, and is not answered 501")
        elif refused is not None:
            if got == refused and error is not None:
                self.worked.add(name)
            else:
                self.fault(name, got, error, f"should be refused with {refused}")
        elif error is not None or got is None or got >= 400:
            self.fault(name, got, error, "fails")
        else:
            self.worked.add(name)
        return answer

    def check(self, name, holds, words):
        if not holds:
            self.faults.append(f"{name}: {words}")

    def fault(self, name, got, error, words):
        body = self.adapter.last.text[:600] if self.adapter.last is not None else ""
        why = "".join(traceback.format_exception_only(error)).strip() if error else "no exception"
        asked = getattr(self.adapter, "asked", "")
        self.faults.append(f"{name} {words}: {got} {why}; {asked}: {body}")

    def end(self):
        every = self.methods()
        ours = {name for name in every if name.split(".")[0] not in self.not_ours}
        for name in sorted(ours - self.worked - self.missing):
            if not any(fault.startswith(name + " ") for fault in self.faults):
                self.faults.append(f"{name} is not asked and not on a list")
        for name in sorted((self.worked | self.missing | set(self.not_built)) - every):
            self.faults.append(f"{name} is no method of the client")
        for name in sorted(set(self.not_built) - self.missing):
            if not any(fault.startswith(name + " ") for fault in self.faults):
                self.faults.append(f"{name} is on the list of what is not built and is not asked")
        print(json.dumps({
            "methods": len(every), "worked": len(self.worked), "not_built": len(self.missing - self.worked),
            "not_ours": len(every) - len(ours), "faults": self.faults,
        }))
        sys.exit(1 if self.faults else 0)
