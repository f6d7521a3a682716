"""Twilio's own Python library against the sandbox. tests/sdk/run starts both and reads what is printed here: one line
for each claim. sdk_test.mjs makes the same claims in Node, in the same order.

    WAY=base-url      every product's base URL is set, and nothing else
    WAY=environment   nothing is set: the environment names a proxy and its authority
"""

import contextlib
import datetime
import http.server
import json
import os
import re
import threading
import traceback
import urllib.parse
import urllib.request
from decimal import Decimal

from requests.adapters import HTTPAdapter
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from urllib3.util import Retry

from claims import refused, say

SANDBOX, WAY = os.environ["SANDBOX"], os.environ["WAY"]
MAIN, TOKEN = os.environ["TWILIO_ACCOUNT_SID"], os.environ["TWILIO_AUTH_TOKEN"]
PRODUCTS = ["api", "accounts", "lookups", "messaging", "monitor", "pricing", "verify", "voice"]
MAGIC = "+15005550006"  # the sender that every account may use
HELLO = "<Response><Say>Hello there</Say></Response>"


def main():
    topics = [
        accounts, suspension, messages, inbound, calls, recordings, triggers, usage_records, keys, auth_tokens,
        verify, verify_limits, pricing, lookups, numbers, applications, messaging_services, geo_permissions, monitor,
        errors,
    ]
    for topic in topics:
        try:
            topic(connect(MAIN, TOKEN))
        except Exception:
            say(False, f"{topic.__name__.replace('_', '')} is told to its end", traceback.format_exc())


# ------------------------------------------------------------------ accounts


def accounts(client):
    main = client.api.v2010.accounts(MAIN).fetch()
    say(main.owner_account_sid == MAIN and main.status == "active", "the main account owns itself and is active")
    child = client.api.v2010.accounts.create(friendly_name="accounts")
    say(re.match("^AC[0-9a-f]{32}$", child.sid) and child.owner_account_sid == MAIN, "a subaccount has a SID of its own and the main account as its owner")
    say(re.match("^[0-9a-f]{32}$", child.auth_token) and child.auth_token != TOKEN, "a subaccount has a token of its own")
    say(isinstance(child.date_created, datetime.datetime), "the library reads the date of its creation")
    unnamed = client.api.v2010.accounts.create()
    say(re.match(r"^SubAccount Created at \d{4}-\d\d-\d\d \d\d:\d\d [ap]m$", unnamed.friendly_name, re.I), "a subaccount without a name is named after its time")
    for i in range(55):
        client.api.v2010.accounts.create(friendly_name=f"paged {i}")
    listed = client.api.v2010.accounts.list(page_size=20)
    sids = {it.sid for it in listed}
    say(len(sids) == len(listed) >= 58 and MAIN in sids, "58 accounts come over pages of 20, each once")
    limited = client.api.v2010.accounts.list(page_size=5, limit=12)
    say(len(limited) == 12, "a limit ends the paging")
    found = client.api.v2010.accounts.list(friendly_name="paged 7")
    say([it.friendly_name for it in found] == ["paged 7"], "accounts are found by their friendly name")
    renamed = client.api.v2010.accounts(child.sid).update(friendly_name="renamed")
    fetched = client.api.v2010.accounts(child.sid).fetch()
    say(renamed.friendly_name == fetched.friendly_name == "renamed", "a subaccount is renamed")
    own = connect(child.sid, child.auth_token)
    say(own.api.v2010.accounts(child.sid).fetch().sid == child.sid, "a subaccount's credentials fetch itself")
    refused("a subaccount's credentials do not reach its parent", 401, 20003, lambda: own.api.v2010.accounts(MAIN).fetch())
    refused("a name longer than 64 characters is refused", 400, None, lambda: client.api.v2010.accounts.create(friendly_name="x" * 65))


def suspension(client):
    sid, own, _ = subaccount(client, "suspended")
    account = client.api.v2010.accounts
    send = lambda body="no": own.messages.create(from_=MAGIC, to="+14155550101", body=body)  # noqa: E731
    refused("a main account is not suspended", 400, 21477, lambda: account(MAIN).update(status="suspended"))
    refused("a subaccount does not suspend itself", 401, 20003, lambda: own.api.v2010.accounts(sid).update(status="suspended"))
    refused("a status that does not exist is refused", 400, 21475, lambda: account(sid).update(status="bogus"))
    queued = send("on its way")
    say(account(sid).update(status="suspended").status == "suspended", "the main account suspends a subaccount")
    refused("a suspended account sends nothing", 403, 20005, send)
    refused("a suspended account calls nobody", 403, 20005, lambda: own.calls.create(from_=MAGIC, to="+14155550101", twiml=HELLO))
    refused("a suspended account reads nothing either", 403, 20005, lambda: own.messages.list())
    refused("a suspended account has no other product either", 403, 20005, lambda: own.verify.v2.services.create(friendly_name="no"))
    refused("its parent sends nothing in its name", 403, 20005, lambda: account(sid).messages.create(from_=MAGIC, to="+14155550101", body="no"))
    advance("10s")
    late = account(sid).messages(queued.sid).fetch()
    say(late.status == "failed" and late.error_code == 30002, "a message that was queued before ends in 30002")
    say(sid in [it.sid for it in account.list(status="suspended")], "suspended accounts are found by their status")
    account(sid).update(status="active")
    say(send("again").status == "queued", "a resumed account sends again")
    account(sid).update(status="closed")
    refused("a closed account sends nothing", 403, 20005, send)
    refused("closing is final", 400, 21479, lambda: account(sid).update(status="active"))


# ------------------------------------------------------------------ messages and calls


def messages(client):
    _, own, _ = subaccount(client, "messages")
    message = own.messages.create(from_=MAGIC, to="+14155550111", body="Hello")
    say(message.status == "queued" and message.direction == "outbound-api", "a new message is queued")
    say(message.price is None and message.num_segments == "1" and message.num_media == "0", "it has segments at once and no price yet")
    advance("30s")
    delivered = own.messages(message.sid).fetch()
    say(delivered.status == "delivered" and isinstance(delivered.date_sent, datetime.datetime), "it is delivered in time")
    say(float(delivered.price) < 0 and delivered.price_unit == "USD", "its price is filled in later, negative")
    midnight = delivered.date_sent.replace(hour=0, minute=0, second=0)
    day = lambda at: [it.sid for it in own.messages.list(date_sent=at)]  # noqa: E731
    say(day(midnight) == [message.sid], "messages are found by the day on which they were sent", day(midnight))
    say(day(midnight - datetime.timedelta(days=1)) == [], "and not by another day")
    long = own.messages.create(from_=MAGIC, to="+14155550111", body="ü€🎉" * 40)
    say(long.num_segments == "3", "160 UTF-16 units outside GSM-7 are three segments")
    for i in range(55):
        own.messages.create(from_=MAGIC, to="+14155550112", body=f"number {i}")
    listed = own.messages.list(to="+14155550112", page_size=20)
    say(len(listed) == 55 and len({it.body for it in listed}) == 55, "55 messages to one number come over pages of 20")
    say(listed[0].body == "number 54", "the newest message comes first")
    tomorrow = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=3)
    say(own.messages.list(date_sent_after=tomorrow) == [], "no message was sent the day after tomorrow")
    redacted = own.messages(message.sid).update(body="")
    say(redacted.body == "" == own.messages(message.sid).fetch().body, "a body is redacted")
    say(own.messages(message.sid).delete(), "a message is deleted")
    refused("a deleted message is not found", 404, 20404, lambda: own.messages(message.sid).fetch())
    picture = own.messages.create(from_=MAGIC, to="+14155550111", body="Look", media_url=["https://example.com/cat.png"])
    media = own.messages(picture.sid).media.list()
    say(picture.num_media == "1" and [it.parent_sid for it in media] == [picture.sid], "a picture is among the media of its message")

    def send(**fields):
        return lambda: own.messages.create(**{"from_": MAGIC, "to": "+14155550111", "body": "x"} | fields)

    refused("no number to send to", 400, 21604, send(to=""))
    refused("a number that is none", 400, 21211, send(to="12"))
    refused("the magic number that is invalid", 400, 21211, send(to="+15005550001"))
    refused("the magic number that cannot be reached", 400, 21612, send(to="+15005550002"))
    refused("the magic number without permission", 400, 21408, send(to="+15005550003"))
    refused("the magic number that opted out", 400, 21610, send(to="+15005550004"))
    refused("the magic number that is no mobile", 400, 21614, send(to="+15005550009"))
    refused("the magic sender that is invalid", 400, 21212, send(from_="+15005550001"))
    refused("the magic sender that is not owned", 400, 21606, send(from_="+15005550007"))
    refused("the magic sender whose queue is full", 400, 21611, send(from_="+15005550008"))
    refused("a sender that nobody owns", 400, 21659, send(from_="+14155559999"))
    refused("neither a body nor media", 400, 21602, send(body=""))
    refused("a body of more than 1600 characters", 400, 21617, send(body="x" * 1601))


def inbound(client):
    _, own, token = subaccount(client, "inbound")
    bought = own.incoming_phone_numbers.create(area_code="415")
    with application() as (seen, url):
        own.incoming_phone_numbers(bought.sid).update(sms_url=f"{url}/sms")
        control("POST", "/_sandbox/messages", {"from": "+14155550121", "to": bought.phone_number, "body": "STOP"})
        advance("5s")
        say([(it.params["Body"], it.params["To"]) for it in seen] == [("STOP", bought.phone_number)], "an inbound message reaches the number's URL")
        say(genuine(seen[0], url, token), "its webhook is signed with the account's token")
        refused("who wrote STOP gets nothing from that number", 400, 21610, lambda: own.messages.create(from_=bought.phone_number, to="+14155550121", body="x"))
        control("POST", "/_sandbox/messages", {"from": "+14155550121", "to": bought.phone_number, "body": "START"})
        advance("5s")
        back = own.messages.create(from_=bought.phone_number, to="+14155550121", body="x", status_callback=f"{url}/status")
        say(back.status == "queued", "who wrote START gets messages again")
        seen.clear()
        advance("30s")
        states = [it.params["MessageStatus"] for it in seen]
        say(states == ["sent", "delivered"], "status callbacks tell what becomes of a message", states)
        say(seen and all(genuine(it, url, token) for it in seen), "every status callback is signed")
        arrived = [it for it in own.messages.list(from_="+14155550121") if it.direction == "inbound"]
        say(len(arrived) == 2 and arrived[0].status == "received", "inbound messages stand among the account's messages")


def calls(client):
    _, own, token = subaccount(client, "calls")
    spoken = own.calls.create(from_=MAGIC, to="+14155550131", twiml=HELLO)
    say(spoken.status == "queued" and spoken.direction == "outbound-api" and spoken.price is None, "a new call is queued and has no price")
    advance("90s")
    ended = own.calls(spoken.sid).fetch()
    say(ended.status == "completed" and int(ended.duration) > 0, "it is answered, says what it has to say and ends", ended.status)
    say(float(ended.price) < 0 and ended.price_unit == "USD", "a call has its price after its end, negative")
    say(ended.end_time > ended.start_time, "a call has a beginning and an end")
    with application() as (seen, url):
        call = own.calls.create(
            from_=MAGIC, to="+14155550132", url=f"{url}/voice", status_callback=f"{url}/status",
            status_callback_event=["initiated", "ringing", "answered", "completed"],
        )
        seen.answer = "<Response><Pause length='600'/></Response>"
        advance("20s")
        say(own.calls(call.sid).fetch().status == "in-progress", "a call goes on as its TwiML says")
        asked = next((it for it in seen if it.path == "/voice"), None)
        say(asked and asked.params["CallSid"] == call.sid and genuine(asked, url, token), "its TwiML is asked for with a signed webhook")
        listed = own.calls.list(status="in-progress")
        say([it.sid for it in listed] == [call.sid], "calls are found by their status")
        own.calls(call.sid).update(status="completed")
        advance("5s")
        say(own.calls(call.sid).fetch().status == "completed", "a call in progress is ended")
        states = [it.params["CallStatus"] for it in seen if it.path == "/status"]
        say(states == ["initiated", "ringing", "in-progress", "completed"], "its status callbacks come in order", states)
        refused("a call that has ended is not redirected", 400, 21220, lambda: own.calls(call.sid).update(twiml=HELLO))

    def dial(**fields):
        return lambda: own.calls.create(**{"from_": MAGIC, "to": "+14155550131", "twiml": HELLO} | fields)

    refused("the magic number that cannot be called", 400, 21217, dial(to="+15005550001"))
    refused("the magic number that cannot be routed", 400, 21214, dial(to="+15005550002"))
    refused("the magic number without dialling permission", 400, 21215, dial(to="+15005550003"))
    refused("the magic number that is blocked", 400, 21216, dial(to="+15005550004"))
    refused("the magic caller that is invalid", 400, 21212, dial(from_="+15005550001"))
    refused("a caller that somebody else owns", 400, 21210, dial(from_="+14155559999"))
    refused("a URL that is none", 400, 21205, lambda: own.calls.create(from_=MAGIC, to="+14155550131", url="not a url"))


def recordings(client):
    _, own, _ = subaccount(client, "recordings")
    call = own.calls.create(from_=MAGIC, to="+14155550141", twiml="<Response><Record/></Response>")
    advance("120s")
    listed = own.recordings.list(call_sid=call.sid)
    say([it.call_sid for it in listed] == [call.sid], "what was recorded is listed by its call")
    recording = own.recordings(listed[0].sid).fetch()
    say(recording.status == "completed" and int(recording.duration) > 0, "a recording has a duration")
    uri = own.api.base_url + recording.uri.replace(".json", ".wav")
    file = own.request("GET", uri)
    say(file.status_code == 200 and file.headers["Content-Type"].startswith("audio/"), "its sound is there to be fetched", file.status_code)
    say(own.recordings(recording.sid).delete(), "a recording is deleted")
    refused("a deleted recording is not found", 404, 20404, lambda: own.recordings(recording.sid).fetch())


# ------------------------------------------------------------------ usage


def triggers(client):
    sid, own, token = subaccount(client, "triggers")
    with application() as (seen, url):

        def create(**fields):
            given = {"callback_url": f"{url}/trigger", "usage_category": "sms", "trigger_value": "3"} | fields
            return own.usage.triggers.create(**given)

        trigger = create(friendly_name="three messages")
        say(trigger.sid.startswith("UT") and trigger.trigger_by == "usage" and trigger.recurring is None, "a trigger counts usage once unless told otherwise")
        say(float(trigger.trigger_value) == 3 and trigger.callback_method == "POST", "its value is the one that was asked for")
        daily = create(recurring="daily", trigger_by="price", usage_category="totalprice", trigger_value="100")
        say([it.sid for it in own.usage.triggers.list(recurring="daily")] == [daily.sid], "triggers are found by their recurrence")
        say(own.usage.triggers(trigger.sid).update(friendly_name="renamed").friendly_name == "renamed", "a trigger is renamed")
        for i in range(4):
            own.messages.create(from_=MAGIC, to="+14155550151", body=str(i))
        advance("3m")
        say(len(seen) == 1, "a trigger fires once when its value is reached", f"{len(seen)} times")
        fired = seen[0]
        say(genuine(fired, url, token), "the library finds the trigger's signature right")
        say(not genuine(fired, url, token, CurrentValue="0"), "and wrong where a value was changed")
        say(fired.params["UsageTriggerSid"] == trigger.sid and fired.params["AccountSid"] == sid, "it names itself and its account")
        say(float(fired.params["CurrentValue"]) >= 3 and fired.params["UsageCategory"] == "sms", "it tells the value that was reached")
        say("-FIRES-UT" in fired.params["IdempotencyToken"], "it carries a token against repeats")
        say(own.usage.triggers(trigger.sid).fetch().date_fired is not None, "a trigger that fired has a date of it")
        offset = create(trigger_value="+30")
        say(float(offset.trigger_value) == 34, "a value with a plus counts from what was used", offset.trigger_value)
        say(own.usage.triggers(daily.sid).delete(), "a trigger is deleted")
        refused("a deleted trigger is not found", 404, 20404, lambda: own.usage.triggers(daily.sid).fetch())
        refused("a value that is no number", 400, None, lambda: create(trigger_value="much"))
        refused("a recurrence that does not exist", 400, None, lambda: create(recurring="hourly"))


def usage_records(client):
    _, own, _ = subaccount(client, "usage records")
    for i in range(3):
        own.messages.create(from_=MAGIC, to="+14155550161", body=str(i))
    advance("3m")
    sms = own.usage.records.list(category="sms")[0]
    say(sms.count == sms.usage == "3", "what was sent is counted")
    say(float(sms.price) > 0 and sms.price_unit == "usd", "what it cost is positive here")
    typed = type(sms.start_date) is datetime.date and type(sms.price) is Decimal
    say(typed, "the library reads a record's dates and prices", f"{sms.start_date!r} {sms.price!r}")
    records = own.usage.records
    periods = {
        "allTime": records.all_time, "daily": records.daily, "monthly": records.monthly, "yearly": records.yearly,
        "today": records.today, "thisMonth": records.this_month,
    }
    for name, period in periods.items():
        rows = period.list(category="sms", limit=1)
        say([row.count for row in rows] == ["3"], f"{name} has it", [row.count for row in rows])
    before = sms.start_date - datetime.timedelta(days=2)
    days = [row.count for row in records.daily.list(category="sms", start_date=before)]
    say(days == ["3", "0", "0"], "each day that was asked for has its row, the newest first", days)
    for name, period in {"yesterday": records.yesterday, "lastMonth": records.last_month}.items():
        say(all(float(row.count or 0) == 0 for row in period.list(category="sms")), f"{name} does not have it")
    total = own.usage.records.list(category="totalprice")[0]
    say(float(total.price) >= float(sms.price), "the total holds the messages")
    parent = client.usage.records.list(category="sms")[0]
    say(float(parent.count) >= 3, "the parent's records include its subaccounts")
    without = client.usage.records.list(category="sms", include_subaccounts=False)
    say(sum(float(row.count or 0) for row in without) < float(parent.count), "unless they are left out")
    balance = client.balance.fetch()
    say(balance.currency == "USD" and float(balance.balance) == float(balance.balance), "the main account has a balance")


# ------------------------------------------------------------------ credentials


def keys(client):
    sid, own, _ = subaccount(client, "keys")
    key = own.new_keys.create(friendly_name="for a test")
    say(key.sid.startswith("SK") and len(key.secret) >= 16, "a new key shows its secret")
    with_key = connect(key.sid, key.secret, account_sid=sid)
    message = with_key.messages.create(from_=MAGIC, to="+14155550171", body="by key")
    say(message.account_sid == sid, "a key is as good as its account's token for messages")
    refused("a key does not list accounts", 401, 20003, lambda: with_key.api.v2010.accounts.list())
    refused("a key does not make keys", 401, 20003, lambda: with_key.new_keys.create(friendly_name="no"))
    refused("a key with a wrong secret is nobody", 401, 20003, lambda: connect(key.sid, "wrong", account_sid=sid).messages.list())
    listed = own.keys.list()
    say([it.sid for it in listed] == [key.sid] and not hasattr(listed[0], "secret"), "keys are listed without their secrets")
    say(own.keys(key.sid).update(friendly_name="renamed").friendly_name == "renamed", "a key is renamed")
    say(own.keys(key.sid).delete(), "a key is deleted")
    refused("a deleted key is nobody", 401, 20003, lambda: with_key.messages.list())


def auth_tokens(client):
    sid, own, token = subaccount(client, "tokens")
    made = own.accounts.v1.secondary_auth_token().create()
    second = connect(sid, made.secondary_auth_token)
    say(second.messages.list() == [], "a secondary token is good at once")
    say(own.messages.list() == [], "and the primary one still is")
    promoted = own.accounts.v1.auth_token_promotion().update()
    say(promoted.auth_token == made.secondary_auth_token, "the secondary token is promoted")
    refused("the old token fails from then on", 401, 20003, lambda: own.messages.list())
    say(second.api.v2010.accounts(sid).fetch().auth_token == made.secondary_auth_token, "the account shows its new token")
    other = second.accounts.v1.secondary_auth_token().create()
    say(second.accounts.v1.secondary_auth_token().delete(), "a secondary token is deleted")
    refused("a deleted secondary token fails", 401, 20003, lambda: connect(sid, other.secondary_auth_token).messages.list())
    say(token != promoted.auth_token, "the new token is another")


# ------------------------------------------------------------------ Verify


def verify(client):
    service = client.verify.v2.services.create(friendly_name="Sandbox", code_length=8)
    say(service.sid.startswith("VA") and service.code_length == 8, "a service is created")
    one = client.verify.v2.services(service.sid)
    to = "+14155550181"
    start = one.verifications.create
    check = one.verification_checks.create
    started = start(to=to, channel="sms")
    say(started.sid.startswith("VE") and started.status == "pending" and not started.valid, "a verification begins")
    code = code_on(to)
    say(re.match(r"^\d{8}$", code), "its code of eight digits is on the phone", code)
    wrong = check(to=to, code="87654321" if code == "12345678" else "12345678")
    say(wrong.status == "pending" and wrong.valid is False, "a wrong code is no error and not valid")
    again = start(to=to, channel="sms")
    say(again.sid == started.sid and code_on(to) == code, "sent again, it is the same verification with the same code")
    right = check(to=to, code=code)
    say(right.status == "approved" and right.valid is True, "the right code is approved")
    refused("a code is good for one check", 404, 20404, lambda: check(to=to, code=code))
    called = start(to="+14155550182", channel="call")
    say(called.channel == "call", "a code is told by a call as well")
    say(one.verifications(called.sid).update(status="canceled").status == "canceled", "a verification is canceled")
    refused("after that there is nothing to check", 404, 20404, lambda: check(to="+14155550182", code="00000000"))
    start(to="+14155550183", channel="sms")
    advance("11m")
    refused("after ten minutes there is nothing to check", 404, 20404, lambda: check(to="+14155550183", code=code))
    refused("a number that is none is not verified", 400, 60200, lambda: start(to="12", channel="sms"))
    refused("a channel that does not exist", 400, 60200, lambda: start(to=to, channel="pigeon"))
    attempts = client.verify.v2.verification_attempts.list(verify_service_sid=service.sid)
    say(len(attempts) >= 4, "every sending is an attempt", len(attempts))
    say(one.update(friendly_name="Renamed").friendly_name == "Renamed", "a service is renamed")
    say(one.delete(), "a service is deleted")
    refused("a service that is gone starts nothing", 404, 20404, lambda: start(to=to, channel="sms"))


def verify_limits(client):
    service = client.verify.v2.services.create(friendly_name="Limits")
    one = client.verify.v2.services(service.sid)
    start, check = one.verifications.create, one.verification_checks.create
    for _ in range(5):
        start(to="+14155550191", channel="sms")
    refused("a sixth sending is one too many", 429, 60203, lambda: start(to="+14155550191", channel="sms"))
    start(to="+14155550192", channel="sms")
    code = code_on("+14155550192")
    for _ in range(5):
        check(to="+14155550192", code="111111" if code == "000000" else "000000")
    refused("a sixth check is one too many, though the code is right", 429, 60202, lambda: check(to="+14155550192", code=code))
    limit = one.rate_limits.create(unique_name="address")
    bucket = one.rate_limits(limit.sid).buckets.create(max=2, interval=60)
    say(limit.sid.startswith("RK") and bucket.sid.startswith("BL") and bucket.max == 2, "a rate limit has buckets")

    def limited(to):
        return start(to=to, channel="sms", rate_limits=json.dumps({"address": "192.0.2.7"}))

    limited("+14155550193")
    limited("+14155550194")
    refused("what is over the bucket is refused", 429, None, lambda: limited("+14155550195"))


# ------------------------------------------------------------------ what numbers cost and are


def pricing(client):
    first, second = client.pricing.v1, client.pricing.v2
    countries = first.messaging.countries.list(page_size=20)
    say(len(countries) > 50 and "DE" in [it.iso_country for it in countries], "more than fifty countries have prices for messages", len(countries))
    germany = first.messaging.countries("DE").fetch()
    price = germany.outbound_sms_prices[0]
    say(germany.price_unit == "USD" and float(price["prices"][0]["current_price"]) > 0, "a country has prices by network")
    us = first.voice.countries("US").fetch()
    say(float(us.outbound_prefix_prices[0]["current_price"]) > 0, "a country has prices by prefix")
    us = second.voice.countries("US").fetch()
    say(us.outbound_prefix_prices[0]["destination_prefixes"], "in version 2 too, with destinations")
    number = second.voice.numbers("+14155550101").fetch()
    say(number.iso_country == "US" and float(number.outbound_call_prices[0]["current_price"]) > 0, "a number has a price")
    rent = first.phone_numbers.countries("US").fetch()
    say(rent.phone_number_prices, "numbers have a rent")
    refused("a country that does not exist has none", 404, 20404, lambda: first.messaging.countries("XX").fetch())


def lookups(client):
    found = client.lookups.v2.phone_numbers("+14155550101").fetch()
    say(found.valid and found.country_code == "US" and found.phone_number == "+14155550101", "a number is looked up")
    none = client.lookups.v2.phone_numbers("+1415").fetch()
    say(none.valid is False and none.validation_errors, "a number that is none is not valid, and no error")
    say(client.lookups.v1.phone_numbers("+14155550101").fetch().country_code == "US", "version 1 knows it too")
    refused("in version 1 a number that is none is not found", 404, 20404, lambda: client.lookups.v1.phone_numbers("+1415").fetch())


def numbers(client):
    _, own, _ = subaccount(client, "numbers")
    offered = own.available_phone_numbers("US").local.list(area_code=415, limit=5)
    say(len(offered) == 5 and all(it.phone_number.startswith("+1415") for it in offered), "numbers are offered in an area")
    say(type(offered[0].latitude) is Decimal, "the library reads where they are", repr(offered[0].latitude))
    near = own.available_phone_numbers("US").local.list(near_number="+14155550100")
    areas = {it.phone_number[:5] for it in near}
    say(areas == {"+1415", "+1510"}, "numbers are offered near another", sorted(areas))
    wanted = offered[0].phone_number
    bought = own.incoming_phone_numbers.create(phone_number=wanted, sms_url="https://app.example/sms")
    say(bought.sid.startswith("PN") and bought.phone_number == wanted and bought.sms_url == "https://app.example/sms", "one of them is bought")
    refused("a number is bought once", 400, 21422, lambda: own.incoming_phone_numbers.create(phone_number=wanted))
    updated = own.incoming_phone_numbers(bought.sid).update(voice_url="https://app.example/voice", friendly_name="Main line")
    say(updated.voice_url == "https://app.example/voice" and updated.friendly_name == "Main line", "its URLs are changed")
    say(len(own.incoming_phone_numbers.list(phone_number=wanted)) == 1, "it is found by its number")
    sent = own.messages.create(from_=wanted, to="+14155550201", body="mine")
    say(sent.from_ == wanted, "it is a sender from then on")
    say(own.incoming_phone_numbers(bought.sid).delete(), "it is released")
    refused("and no sender any more", 400, 21659, lambda: own.messages.create(from_=wanted, to="+14155550201", body="gone"))


def applications(client):
    _, own, _ = subaccount(client, "applications")
    made = own.applications.create(friendly_name="App", voice_url="https://app.example/voice")
    say(made.sid.startswith("AP") and made.voice_url == "https://app.example/voice", "an application is created")
    say(own.applications(made.sid).update(sms_url="https://app.example/sms").sms_url == "https://app.example/sms", "an application is changed")
    say(len(own.applications.list(friendly_name="App")) == 1, "applications are found by name")
    say(own.applications(made.sid).delete(), "an application is deleted")
    refused("a deleted application is not found", 404, 20404, lambda: own.applications(made.sid).fetch())


def messaging_services(client):
    _, own, _ = subaccount(client, "messaging services")
    number = own.incoming_phone_numbers.create(area_code="415")
    service = own.messaging.v1.services.create(friendly_name="Pool")
    own.messaging.v1.services(service.sid).phone_numbers.create(phone_number_sid=number.sid)
    sent = own.messages.create(messaging_service_sid=service.sid, to="+14155550211", body="from the pool")
    say(service.sid.startswith("MG") and sent.messaging_service_sid == service.sid and sent.status == "accepted", "a messaging service accepts a message", sent.status)
    advance("30s")
    later = own.messages(sent.sid).fetch()
    say(later.status == "delivered" and later.from_ == number.phone_number, "it is sent from a number of the service's pool", later.from_)


def geo_permissions(client):
    _, own, _ = subaccount(client, "geo")
    sms = own.accounts.v1.messaging_geopermissions
    ask = lambda: sms.fetch(country_code="DE").permissions[0]  # noqa: E731
    text = lambda: own.messages.create(from_=MAGIC, to="+4915112345678", body="x")  # noqa: E731
    call = lambda: own.calls.create(from_=MAGIC, to="+4930123456", twiml=HELLO)  # noqa: E731
    sms.update(permissions=[{"country_code": "DE", "type": "country", "enabled": True}])
    say(ask()["country_code"] == "DE" and ask()["enabled"] is True, "messages to a country are permitted")
    say(text().status == "queued", "and go there")
    sms.update(permissions=[{"country_code": "DE", "type": "country", "enabled": False}])
    say(ask()["enabled"] is False, "the permission is taken back")
    refused("and no message goes there", 400, 21408, text)
    # A subaccount has its parent's dialing permissions until it is told to have its own.
    own.voice.v1.dialing_permissions.settings().update(dialing_permissions_inheritance=False)
    dialing = own.voice.v1.dialing_permissions

    def permit(enabled):
        row = {
            "iso_code": "DE", "low_risk_numbers_enabled": enabled, "high_risk_special_numbers_enabled": "false",
            "high_risk_tollfraud_numbers_enabled": "false",
        }
        return dialing.bulk_country_updates.create(update_request=json.dumps([row]))

    permit("true")
    say(dialing.countries("DE").fetch().low_risk_numbers_enabled, "calls to a country are permitted")
    say(call().status == "queued", "and are made")
    say(permit("false").update_count == 1, "that permission is taken back")
    refused("and nobody is called there", 400, 21215, call)
    codes = [it.iso_code for it in dialing.countries.list(page_size=20)]
    say("ZW" in [it.iso_code for it in dialing.countries.list(continent="Africa")], "countries are found by their continent")
    say(len(codes) > 50 and len(set(codes)) == len(codes), "all countries come over pages of absolute URLs", len(codes))


def monitor(client):
    sid, own, _ = subaccount(client, "monitor")
    key = own.new_keys.create(friendly_name="audited")
    events = own.monitor.v1.events.list(resource_sid=key.sid)
    right = len(events) == 1 and events[0].account_sid == sid and events[0].event_type.endswith("created")
    say(right, "what was changed is among the events", [it.event_type for it in events])
    say(own.monitor.v1.events(events[0].sid).fetch().resource_sid == key.sid, "an event is fetched")


# ------------------------------------------------------------------ errors


def errors(client):
    nothing = "SM" + "0" * 32
    refused("a wrong token is nobody", 401, 20003, lambda: connect(MAIN, "f" * 32).messages.list())
    refused("a message that does not exist", 404, 20404, lambda: client.messages(nothing).fetch())
    refused("an account that does not exist", 404, 20404, lambda: client.api.v2010.accounts("AC" + "0" * 32).messages.list())
    refused("a page of what is not there", 404, 20404, lambda: client.api.v2010.accounts(MAIN).queues.list())
    try:
        client.messages(nothing).fetch()
    except TwilioRestException as error:
        say(nothing in error.msg, "an error says what was not found", error.msg)
    control("POST", "/_sandbox/faults", {"api": [{"path": "/Messages", "status": 429, "times": 1}]})
    refused("too many requests are a 429", 429, 20429, lambda: client.messages.list())
    control("POST", "/_sandbox/faults", {"api": [{"path": "/Messages", "status": 429, "times": 2}]})
    # The Python library tries nothing again by itself; this is how its users make it.
    patient = TwilioHttpClient()
    retry = Retry(total=3, status_forcelist=[429], backoff_factor=0.1)
    for scheme in ("http://", "https://"):
        patient.session.mount(scheme, HTTPAdapter(max_retries=retry))
    say(len(connect(MAIN, TOKEN, http_client=patient).messages.list(limit=1)) <= 1, "a client that tries again comes through")
    control("POST", "/_sandbox/faults", {"api": [{"path": "/Messages", "status": 503, "times": 1}]})
    refused("a fault on demand is an error of the server's", 503, None, lambda: client.messages.list())


# ------------------------------------------------------------------ tools


def connect(user, password, **options):
    client = Client(user, password, **options)
    if WAY == "base-url":
        for product in PRODUCTS:
            getattr(client, product).base_url = SANDBOX
    return client


def subaccount(client, friendly_name):
    """A subaccount for one topic, so that topics do not count each other's messages."""
    made = client.api.v2010.accounts.create(friendly_name=friendly_name)
    return made.sid, connect(made.sid, made.auth_token), made.auth_token


def control(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(SANDBOX + path, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read()
        return json.loads(text) if text else None


def advance(time):
    control("POST", "/_sandbox/clock", {"advance": time})


def code_on(number):
    """The digits in the last text on a phone."""
    (phone,) = control("GET", f"/_sandbox/phones?number={urllib.parse.quote(number)}")["phones"]
    texts = [it["body"] for it in phone["thread"] if it["kind"] == "text"]
    return re.search(r"\d{4,10}", texts[-1])[0]


class Request:
    """What came. The handler itself is one for a whole connection, and forgets."""

    def __init__(self, path, headers, params):
        self.path, self.headers, self.params = path, headers, params


class Seen(list):
    """The requests that an application remembers, and what it answers."""

    answer = "<Response/>"


@contextlib.contextmanager
def application():
    seen = Seen()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            params = dict(urllib.parse.parse_qsl(text, keep_blank_values=True))
            seen.append(Request(self.path, self.headers, params))
            answer = seen.answer.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield seen, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()


def genuine(request, base, token, **changes):
    signature = request.headers.get("X-Twilio-Signature", "")
    return RequestValidator(token).validate(base + request.path, request.params | changes, signature)


main()
