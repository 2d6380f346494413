"""Every method of plivo that reaches a route of ours, under Plivo's own paths."""

import os
import time

import plivo.rest.client
from tour import Tour

# Its ids have twenty characters; ours are shorter, and that check is the client's alone.
plivo.rest.client.is_valid_mainaccount = lambda auth_id: True

NOT_BUILT = {
    name: "recording a live call on request, and streams"
    for name in [
        "calls.record", "calls.start_recording", "calls.record_stop", "calls.stop_recording", "calls.start_stream",
        "calls.delete_all_streams", "calls.delete_specific_stream", "calls.get_all_streams",
        "calls.get_details_of_specific_stream",
    ]
}
NOT_BUILT |= {
    f"conferences.{name}": "conferences come with their media"
    for name in [
        "delete", "delete_all", "get", "hangup", "hangup_all", "list", "member_deaf", "member_deaf_stop", "member_hangup",
        "member_kick", "member_mute", "member_mute_stop", "member_play", "member_play_stop", "member_speak",
        "member_speak_stop", "record", "record_stop",
    ]
}
NOT_BUILT |= {f"messages.{name}": "SMS" for name in ["create", "get", "list"]}
# What Vobiz never took over from Plivo.
NOT_OURS = {
    "token", "lookup", "tollfree_verification", "powerpacks", "brand", "campaign", "profile", "media", "pricing", "addresses",
    "identities", "call_feedback", "end_users", "compliance_document_types", "compliance_documents",
    "compliance_requirements", "compliance_applications", "multi_party_calls", "masking_sessions", "verify_session",
    "verify_callerids", "transcriptions", "phone_number_compliance_requirements", "phone_number_compliance",
    "phone_number_compliance_link",
}

me = os.environ["TOUR_ID"]
client = plivo.RestClient(me, os.environ["TOUR_TOKEN"], timeout=20)
tour = Tour(client, "plivo", "https://api.plivo.com", NOT_BUILT, NOT_OURS)
world = tour.world
answer = world["TOUR_ANSWER"]

tour("account.update", name="Tour", city="Pune", address="1 Road")
account = tour("account.get")
tour.check("account.get", account.auth_id == me and account.name == "Tour", "not as it was changed")

sub = tour("subaccounts.create", "Plivo Desk")
tour("subaccounts.update", sub.auth_id, "Plivo Desk 2", True, unchecked=True)
read = tour("subaccounts.get", sub.auth_id, unchecked=True)
tour.check("subaccounts.get", read.name == "Plivo Desk 2", "the old name")
listed = tour("subaccounts.list", limit=20)
tour.check("subaccounts.list", any(one.auth_id == sub.auth_id for one in listed), "lacks the new one")
tour("subaccounts.delete", sub.auth_id, unchecked=True)

app = tour("applications.create", "plivo tour", answer_url=answer)
tour("applications.update", app.app_id, answer_url=answer + "?v=2")
tour.check("applications.get", tour("applications.get", app.app_id).answer_url.endswith("?v=2"), "unchanged")
tour.check("applications.list", any(one.app_id == app.app_id for one in tour("applications.list")), "lacks the new one")

phone = tour("endpoints.create", "plivophone", "tour-pass-4", "desk", app_id=app.app_id)
tour("endpoints.update", phone.endpoint_id, alias="desk 2")
tour.check("endpoints.get", tour("endpoints.get", phone.endpoint_id).alias == "desk 2", "the old alias")
listed = tour("endpoints.list")
tour.check("endpoints.list", any(one.endpoint_id == phone.endpoint_id for one in listed), "lacks the new one")
tour("endpoints.delete", phone.endpoint_id)

number = world["TOUR_NUMBER"].lstrip("+")
shop = tour("numbers.search", "IN")
wanted, other = [one.number for one in shop.objects[-2:]] if getattr(shop, "objects", None) else [number, number]
tour("numbers.buy", wanted)
tour("numbers.list", limit=20)
tour("numbers.update", wanted, app_id=app.app_id)
tour("numbers.get", wanted)
tour("numbers.delete", wanted)
tour("numbers.create", other, "carrier", "region")

call = tour("calls.create", number, world["TOUR_CALLEE"], answer, hangup_url=world["TOUR_HANGUP"])
uuid = call.request_uuid
for _ in range(200):
    if uuid in tour("live_calls.list_ids").calls:
        break
    time.sleep(0.05)
for _ in range(200):
    live = tour("live_calls.get", uuid)
    if live is not None and live.call_status == "in-progress":
        break
    time.sleep(0.05)
tour.check("live_calls.get", live.call_status == "in-progress", "never answered")
tour.check("live_calls.list_ids", uuid in tour("live_calls.list_ids").calls, "lacks the call")
tour.check("calls.live_call_list_ids", uuid in tour("calls.live_call_list_ids").calls, "lacks the call")
tour.check("calls.live_call_get", tour("calls.live_call_get", uuid).call_uuid == uuid, "another call")
tour("queued_calls.list_ids")
tour("queued_calls.get", uuid, refused=404)
tour("calls.queued_call_list_ids")
tour("calls.queued_call_get", uuid, refused=404)
tour("calls.update", uuid, legs="aleg", aleg_url=answer)
tour("calls.transfer", uuid, legs="aleg", aleg_url=answer)
tour("calls.record", uuid)
tour("calls.start_recording", uuid)
tour("calls.record_stop", uuid)
tour("calls.stop_recording", uuid, None, None)
tour("calls.play", uuid, [answer])
tour("calls.start_playing", uuid, [answer])
tour("calls.play_stop", uuid)
tour("calls.stop_playing", uuid)
tour("calls.speak", uuid, "hello")
tour("calls.start_speaking", uuid, "hello")
tour("calls.speak_stop", uuid)
tour("calls.stop_speaking", uuid)
tour("calls.send_digits", uuid, "1")
tour("calls.start_stream", uuid, "wss://stream.example/x")
tour("calls.get_all_streams", uuid)
tour("calls.get_details_of_specific_stream", uuid, uuid)
tour("calls.delete_specific_stream", uuid, uuid)
tour("calls.delete_all_streams", uuid)
tour("calls.list")
tour("calls.hangup", uuid)
for _ in range(200):
    found = tour("recordings.list", call_uuid=uuid)
    if len(found):
        break
    time.sleep(0.05)
tour("calls.get", uuid)
tour.check("recordings.list", [one.call_uuid for one in found] == [uuid], "not the call's one recording")
one = found.objects[0].recording_id
tour.check("recordings.get", tour("recordings.get", one).recording_id == one, "another one")
tour("recordings.delete", one)
tour("recordings.get", one, refused=404)
for end in ["calls.delete", "calls.cancel"]:
    waiting = tour("calls.create", number, world["TOUR_CALLEE"], answer)
    tour(end, waiting.request_uuid)

room, member = "Tour Room", "10"
for name in ["list", "delete_all", "hangup_all"]:
    tour(f"conferences.{name}")
for name in ["get", "delete", "hangup", "record", "record_stop"]:
    tour(f"conferences.{name}", room)
for name in ["deaf", "deaf_stop", "hangup", "kick", "mute", "mute_stop", "play_stop", "speak_stop"]:
    tour(f"conferences.member_{name}", room, member)
tour("conferences.member_play", room, member, answer)
tour("conferences.member_speak", room, member, "hello")
tour("messages.create", src=number, dst=world["TOUR_CALLEE"], text="hello")
tour("messages.get", uuid)
tour("messages.list")
tour("applications.delete", app.app_id)
tour.end()
