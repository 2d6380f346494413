"""Every method of vobiz-python."""

import os
import time

import requests
from tour import Tour
from vobiz.rest.client import Client

NOT_BUILT = {name: "recording a live call on request" for name in ["calls.start_recording", "calls.stop_recording"]}

me = os.environ["TOUR_ID"]
tour = Tour(Client(me, os.environ["TOUR_TOKEN"], timeout=20), "vobiz", "https://api.vobiz.ai", NOT_BUILT, {})
world = tour.world

account = tour("accounts.get")
tour.check("accounts.get", account and account.auth_id == me, "names another account")
balance = tour("accounts.get_balance", me, "INR")
tour.check("accounts.get_balance", balance and balance.available_balance > 0, "no money")
ledger = tour("accounts.get_transactions", me, limit=5, offset=0)
tour.check("accounts.get_transactions", ledger and ledger.total >= 1, "no transactions")
channels = tour("accounts.get_concurrency", me)
tour.check("accounts.get_concurrency", channels and channels.max_concurrent == 100, "another limit")

app = tour("applications.create", "tour app", world["TOUR_ANSWER"], hangup_url=world["TOUR_HANGUP"], application_type="XML")
listed = tour("applications.list", page=1, size=20)
tour.check("applications.list", listed and any(one.app_id == app.app_id for one in listed.objects), "lacks the new one")
tour("applications.update", app.app_id, answer_url=world["TOUR_ANSWER"] + "?v=2", answer_method="GET")
read = tour("applications.get", app.app_id)
tour.check("applications.get", read and read.answer_url.endswith("?v=2") and read.answer_method == "GET", "unchanged")

stock = tour("phone_numbers.list_inventory", country="IN", page=1, per_page=20)
number = stock.items[0].e164
tour("phone_numbers.purchase_from_inventory", number, currency="INR")
owned = tour("phone_numbers.list", page=1, per_page=20, include_subaccounts=True)
tour.check("phone_numbers.list", any(one.e164 == number for one in owned.items), "lacks the number just bought")
tour("applications.attach_number", number, app.app_id)
tour("applications.detach_number", number)

trunk = tour("sip_trunks.create", "tour trunk", trunk_direction="outbound")
trunk = trunk.trunk_id
tour("sip_trunks.update", trunk, name="tour trunk 2")
tour.check("sip_trunks.get", tour("sip_trunks.get", trunk).name == "tour trunk 2", "the old name")
tour.check("sip_trunks.list", any(t.trunk_id == trunk for t in tour("sip_trunks.list", page=1, size=20).objects), "lacks it")
tour("phone_numbers.assign_to_trunk", number, trunk)
tour("phone_numbers.unassign_from_trunk", number)

for kind, made, change in [
    ("credentials", ("tourpbx", "tour-pass-1"), {"password": "tour-pass-2"}),
    ("ip_access_control_lists", ("9.9.9.7",), {"description": "office"}),
    ("origination_uris", ("sip:9.9.9.7:5060",), {"priority": 2}),
]:
    one = tour(f"{kind}.create", *made, enabled=True, description="tour")
    tour(f"{kind}.update", one.id, **change)
    tour.check(f"{kind}.get", tour(f"{kind}.get", one.id).id == one.id, "another one")
    listed = tour(f"{kind}.list", limit=20, offset=0)
    tour.check(f"{kind}.list", any(item.id == one.id for item in listed.objects), "lacks the new one")
    tour(f"{kind}.delete", one.id)
    tour(f"{kind}.get", one.id, refused=404)
tour("sip_trunks.delete", trunk)

phone = tour("endpoints.create", "tourphone", "tour-pass-3", alias="desk", application=app.app_id)
tour("endpoints.update", phone.endpoint_id, alias="desk 2")
tour.check("endpoints.get", tour("endpoints.get", phone.endpoint_id).alias == "desk 2", "the old alias")
phones = tour("endpoints.list", limit=20, offset=0)
tour.check("endpoints.list", any(one.endpoint_id == phone.endpoint_id for one in phones.objects), "lacks the new one")
tour("endpoints.delete", phone.endpoint_id)

sub = tour("subaccounts.create", "Tour Desk", "tour.desk@customer.example", 100, {"calls": True, "cdr": True}, "Change-me-1",
           phone="+919800000009", description="desk")
sub_id = getattr(sub, "auth_id", None) or sub.sub_account.auth_id
tour("subaccounts.update", sub_id, name="Tour Desk 2")
tour.check("subaccounts.get", tour("subaccounts.get", sub_id).name == "Tour Desk 2", "the old name")
subs = tour("subaccounts.list", page=1, size=20, active_only=True)
tour.check("subaccounts.list", any(one.auth_id == sub_id for one in subs.sub_accounts), "lacks the new one")
tour("subaccounts.delete", sub_id)

call = tour("calls.create", number, world["TOUR_CALLEE"], world["TOUR_ANSWER"], hangup_url=world["TOUR_HANGUP"])
uuid = call.request_uuid
for _ in range(200):
    if uuid in tour("calls.list_live").calls:
        break
    time.sleep(0.05)
for _ in range(200):
    live = tour("calls.get_live", uuid)
    if live.call_status == "in-progress":
        break
    time.sleep(0.05)
tour.check("calls.get_live", live.call_uuid == uuid and live.call_status == "in-progress", "never answered")
tour.check("calls.list", uuid in tour("calls.list", status="live").calls, "lacks the live call")
tour.check("calls.list_queued", uuid not in tour("calls.list_queued").calls, "holds a call that is answered")
tour("calls.get_queued", uuid, refused=404)
tour("calls.transfer", uuid, aleg_url=world["TOUR_ANSWER"])
tour("calls.send_digits", uuid, "12", "aleg")
tour("calls.start_recording", uuid, time_limit=60, file_format="wav")
tour("calls.stop_recording", uuid)
tour("calls.play_audio", uuid, [world["TOUR_ANSWER"]])
tour("calls.stop_audio", uuid)
tour("calls.speak_text", uuid, "hello")
tour("calls.stop_speak", uuid)
time.sleep(0.5)
tour("calls.hangup", uuid)
for _ in range(200):
    records = tour("cdrs.list", page=1, per_page=20)
    if any(record.uuid == uuid for record in records.data):
        break
    time.sleep(0.05)
tour.check("cdrs.list", any(record.uuid == uuid for record in records.data), "lacks the call")
tour.check("calls.get", tour("calls.get", uuid).call_uuid == uuid, "another call")

found = tour("recordings.list", limit=20, offset=0, call_uuid=uuid, recording_type="call")
tour.check("recordings.list", [one.call_uuid for one in found.objects] == [uuid], "not the call's one recording")
one = found.objects[0]
tour.check("recordings.get", tour("recordings.get", one.recording_id).recording_url == one.recording_url, "another URL")
audio = requests.get(one.recording_url, headers={"X-Auth-ID": me, "X-Auth-Token": os.environ["TOUR_TOKEN"]}, timeout=20)
tour.check("recording_url", audio.status_code == 200 and audio.content[:4] == b"RIFF", f"{audio.status_code}")
tour.check("recording_url", abs(len(audio.content) - 44 - 32 * float(one.recording_duration_ms)) < 64, "not as long as told")
tour("recordings.export", ["ops@customer.example"], from_number=number)
tour("recordings.bulk_delete", refused=400)
tour("recordings.bulk_delete", call_uuid=uuid)
tour("recordings.get", one.recording_id, refused=404)
tour("recordings.delete", one.recording_id, refused=404)
tour("applications.delete", app.app_id)
tour("phone_numbers.release", number)
tour.end()
