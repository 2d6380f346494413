"""A customer with money, limits, trunks, numbers, an application and phones; through the same doors as anybody's."""
import http.client
import json
import socket
import urllib.parse

CALLER_ID = "+918045671200"
APPLICATION_NUMBER = "+918045671201"
CALLEE = "+919876540000"
PHONES = 50
# On the same access list as 127.0.0.1; nothing else of a measurement lives there.
SECOND_PBX_HOST = "127.0.0.6"


class AdminConnection(http.client.HTTPConnection):
    """HTTP over the operator's socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


class Doors:
    def __init__(self, server):
        self._admin = server.data / "admin.sock"
        self._api = urllib.parse.urlsplit(server.api).netloc
        self.who = None

    def operator(self, method, path, body):
        return self._ask(AdminConnection(self._admin), method, path, body, {})

    def api(self, method, path, body=None):
        headers = {"X-Auth-ID": self.who[0], "X-Auth-Token": self.who[1]}
        return self._ask(http.client.HTTPConnection(self._api, timeout=30), method, "/api/v1" + path, body, headers)

    @staticmethod
    def _ask(connection, method, path, body, headers):
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        answer = response.read().decode()
        connection.close()
        if response.status >= 300:
            raise SystemExit(f"{method} {path}: {response.status} {answer}")
        return json.loads(answer) if answer else None


class Customer:
    """What the generators need to know."""

    def __init__(self, server, web, carrier, sink):
        """`carrier` is the address of the simulated carrier; `sink` the page that takes (or keeps) webhooks."""
        doors = self.doors = Doors(server)
        self._phones = None
        host, port = carrier
        partner = doors.operator("POST", "/admin/partners", {
            "name": "Bench", "email": "bench@bench.example", "currency": "INR", "balance": "100000000",
            "country": "IN"})
        doors.operator("POST", "/admin/carriers", {"name": "carrier", "host": host, "port": port, "sources": [host], "priority": 2})
        doors.operator("PUT", "/admin/decks/standard", {
            "currency": "INR", "default": True,
            "csv": "prefix,per_minute,pulse,minimum,connection_fee\n91,0.45,60,0,0\nin91,0.10,60,0,0\n"})
        doors.operator("POST", "/admin/inventory", {
            "numbers": [CALLER_ID, APPLICATION_NUMBER], "country": "IN", "setup_fee": "0", "monthly_fee": "0",
            "currency": "INR"})
        doors.who = self.partner = partner["auth_id"], partner["auth_token"]
        account = doors.api("POST", "/partner/accounts", {
            "name": "Customer", "email": "customer@bench.example", "phone": "+919800000001",
            "password": "Change-me-1", "country": "IN", "company": "Bench"})
        self.account = account["auth_id"]
        doors.operator("PUT", f"/admin/accounts/{self.account}", {"cps_limit": 100000, "concurrent_limit": 100000})
        doors.api("POST", f"/partner/accounts/{self.account}/transfer-balance", {
            "amount": 50000000, "currency": "INR", "description": "Bench"})
        doors.who = self.account, account["auth_token"]
        base = f"/Account/{self.account}"
        hook = web.url(sink)

        def trunk(name):
            return doors.api("POST", f"{base}/trunks", {
                "name": name, "trunk_direction": "outbound", "webhook_url": hook})

        known = trunk("by-address")
        self.trunk_domain, self.trunk = known["trunk_domain"], known["trunk_id"]
        for address in ("127.0.0.1", SECOND_PBX_HOST):
            doors.api("POST", f"{base}/ip-acl", {
                "name": f"pbx {address}", "ip_address": address, "trunk_id": known["trunk_id"]})
        proven = trunk("by-password")
        self.digest_domain = proven["trunk_domain"]
        self.username, self.password = "benchpbx", "Bench-secret-word-1"
        doors.api("POST", f"{base}/credentials", {
            "username": self.username, "password": self.password, "trunk_id": proven["trunk_id"]})
        for number in (CALLER_ID, APPLICATION_NUMBER):
            doors.api("POST", f"{base}/numbers/purchase-from-inventory", {"e164": number})
        application = doors.api("POST", f"{base}/Application/", {
            "app_name": "bench", "answer_url": web.url("answer"), "answer_method": "POST",
            "hangup_url": hook, "hangup_method": "POST"})
        doors.api("POST", f"{base}/numbers/%2B{APPLICATION_NUMBER[1:]}/application", {
            "application_id": application["app_id"]})

    def phones(self):
        """Phones, as sipp reads them: name;[authentication …]; and the registrar's name. Made when first asked for."""
        if self._phones:
            return self._phones
        lines, registrar = ["SEQUENTIAL"], None
        for index in range(PHONES):
            name, password = f"benchphone{index}", f"Bench-secret-{index}"
            phone = self.doors.api("POST", f"/Account/{self.account}/Endpoint/", {
                "username": name, "password": password, "alias": name})
            user, _, registrar = phone["sip_uri"].removeprefix("sip:").partition("@")
            lines.append(f"{user};[authentication username={user} password={password}]")
        self._phones = "\n".join(lines) + "\n", registrar
        return self._phones

    def carrier(self, host, port, prefix):
        """A carrier that gets what begins with `prefix` before the other one does."""
        self.doors.operator("POST", "/admin/carriers", {
            "name": f"for-{prefix}", "host": host, "port": port, "sources": [host], "prefixes": [prefix], "priority": 1})

    def live_calls(self):
        return self.doors.operator("GET", f"/admin/accounts/{self.account}", None)["live_calls"]
