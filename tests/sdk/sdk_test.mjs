// Twilio's own Node library against the sandbox. tests/sdk/run starts both and reads what is printed here: one line
// for each claim. sdk_test.py makes the same claims in Python, in the same order.
//
//   WAY=base-url      every product's base URL is set, and nothing else
//   WAY=environment   nothing is set: the environment names a proxy and its authority
import http from "node:http";

import { refused, say, twilio } from "./claims.mjs";

const { SANDBOX, WAY, TWILIO_ACCOUNT_SID: MAIN, TWILIO_AUTH_TOKEN: TOKEN } = process.env;
const PRODUCTS = ["api", "accounts", "lookups", "messaging", "monitor", "pricing", "verify", "voice"];
const MAGIC = "+15005550006"; // the sender that every account may use
const DAY = 24 * 60 * 60 * 1000;
const HELLO = "<Response><Say>Hello there</Say></Response>";

async function main() {
  const topics = [
    accounts, suspension, messages, inbound, calls, recordings, triggers, usageRecords, keys, authTokens, verify,
    verifyLimits, pricing, lookups, numbers, applications, messagingServices, geoPermissions, monitor, errors,
  ];
  for (const topic of topics) {
    try {
      await topic(connect(MAIN, TOKEN));
    } catch (error) {
      say(false, `${topic.name.toLowerCase()} is told to its end`, error.stack);
    }
  }
  process.exit(0);
}

// ------------------------------------------------------------------ accounts

async function accounts(client) {
  const main = await client.api.v2010.accounts(MAIN).fetch();
  say(main.ownerAccountSid === MAIN && main.status === "active", "the main account owns itself and is active");
  const child = await client.api.v2010.accounts.create({ friendlyName: "accounts" });
  say(/^AC[0-9a-f]{32}$/.test(child.sid) && child.ownerAccountSid === MAIN, "a subaccount has a SID of its own and the main account as its owner");
  say(/^[0-9a-f]{32}$/.test(child.authToken) && child.authToken !== TOKEN, "a subaccount has a token of its own");
  say(child.dateCreated instanceof Date && !isNaN(child.dateCreated), "the library reads the date of its creation");
  const unnamed = await client.api.v2010.accounts.create();
  say(/^SubAccount Created at \d{4}-\d\d-\d\d \d\d:\d\d [ap]m$/i.test(unnamed.friendlyName), "a subaccount without a name is named after its time");
  for (let i = 0; i < 55; i += 1) await client.api.v2010.accounts.create({ friendlyName: `paged ${i}` });
  const listed = await client.api.v2010.accounts.list({ pageSize: 20 });
  const sids = new Set(listed.map((it) => it.sid));
  say(sids.size === listed.length && listed.length >= 58 && sids.has(MAIN), "58 accounts come over pages of 20, each once");
  const limited = await client.api.v2010.accounts.list({ pageSize: 5, limit: 12 });
  say(limited.length === 12, "a limit ends the paging");
  const found = await client.api.v2010.accounts.list({ friendlyName: "paged 7" });
  say(found.length === 1 && found[0].friendlyName === "paged 7", "accounts are found by their friendly name");
  const renamed = await client.api.v2010.accounts(child.sid).update({ friendlyName: "renamed" });
  const fetched = await client.api.v2010.accounts(child.sid).fetch();
  say(renamed.friendlyName === "renamed" && fetched.friendlyName === "renamed", "a subaccount is renamed");
  const own = connect(child.sid, child.authToken);
  say((await own.api.v2010.accounts(child.sid).fetch()).sid === child.sid, "a subaccount's credentials fetch itself");
  await refused("a subaccount's credentials do not reach its parent", 401, 20003, own.api.v2010.accounts(MAIN).fetch());
  await refused("a name longer than 64 characters is refused", 400, null, client.api.v2010.accounts.create({ friendlyName: "x".repeat(65) }));
}

async function suspension(client) {
  const { sid, own, account } = await subaccount(client, "suspended");
  await refused("a main account is not suspended", 400, 21477, account(MAIN).update({ status: "suspended" }));
  await refused("a subaccount does not suspend itself", 401, 20003, own.api.v2010.accounts(sid).update({ status: "suspended" }));
  await refused("a status that does not exist is refused", 400, 21475, account(sid).update({ status: "bogus" }));
  const queued = await own.messages.create({ from: MAGIC, to: "+14155550101", body: "on its way" });
  say((await account(sid).update({ status: "suspended" })).status === "suspended", "the main account suspends a subaccount");
  await refused("a suspended account sends nothing", 403, 20005, own.messages.create({ from: MAGIC, to: "+14155550101", body: "no" }));
  await refused("a suspended account calls nobody", 403, 20005, own.calls.create({ from: MAGIC, to: "+14155550101", twiml: HELLO }));
  await refused("a suspended account reads nothing either", 403, 20005, own.messages.list());
  await refused("a suspended account has no other product either", 403, 20005, own.verify.v2.services.create({ friendlyName: "no" }));
  await refused("its parent sends nothing in its name", 403, 20005, account(sid).messages.create({ from: MAGIC, to: "+14155550101", body: "no" }));
  await advance("10s");
  const late = await account(sid).messages(queued.sid).fetch();
  say(late.status === "failed" && late.errorCode === 30002, "a message that was queued before ends in 30002");
  say((await client.api.v2010.accounts.list({ status: "suspended" })).some((it) => it.sid === sid), "suspended accounts are found by their status");
  await account(sid).update({ status: "active" });
  const sent = await own.messages.create({ from: MAGIC, to: "+14155550101", body: "again" });
  say(sent.status === "queued", "a resumed account sends again");
  await account(sid).update({ status: "closed" });
  await refused("a closed account sends nothing", 403, 20005, own.messages.create({ from: MAGIC, to: "+14155550101", body: "no" }));
  await refused("closing is final", 400, 21479, account(sid).update({ status: "active" }));
}

// ------------------------------------------------------------------ messages and calls

async function messages(client) {
  const { own } = await subaccount(client, "messages");
  const message = await own.messages.create({ from: MAGIC, to: "+14155550111", body: "Hello" });
  say(message.status === "queued" && message.direction === "outbound-api", "a new message is queued");
  say(message.price === null && message.numSegments === "1" && message.numMedia === "0", "it has segments at once and no price yet");
  await advance("30s");
  const delivered = await own.messages(message.sid).fetch();
  say(delivered.status === "delivered" && delivered.dateSent instanceof Date, "it is delivered in time");
  say(Number(delivered.price) < 0 && delivered.priceUnit === "USD", "its price is filled in later, negative");
  const midnight = new Date(delivered.dateSent);
  midnight.setUTCHours(0, 0, 0);
  const day = async (at) => (await own.messages.list({ dateSent: at })).map((it) => it.sid).join();
  say((await day(midnight)) === message.sid, "messages are found by the day on which they were sent", await day(midnight));
  say((await day(new Date(midnight - DAY))) === "", "and not by another day");
  const long = await own.messages.create({ from: MAGIC, to: "+14155550111", body: "ü€🎉".repeat(40) });
  say(long.numSegments === "3", "160 UTF-16 units outside GSM-7 are three segments");
  for (let i = 0; i < 55; i += 1) await own.messages.create({ from: MAGIC, to: "+14155550112", body: `number ${i}` });
  const all = await own.messages.list({ to: "+14155550112", pageSize: 20 });
  say(all.length === 55 && new Set(all.map((it) => it.body)).size === 55, "55 messages to one number come over pages of 20");
  say(all[0].body === "number 54", "the newest message comes first");
  const tomorrow = new Date(Date.now() + 3 * DAY);
  say((await own.messages.list({ dateSentAfter: tomorrow })).length === 0, "no message was sent the day after tomorrow");
  const redacted = await own.messages(message.sid).update({ body: "" });
  say(redacted.body === "" && (await own.messages(message.sid).fetch()).body === "", "a body is redacted");
  say(await own.messages(message.sid).remove(), "a message is deleted");
  await refused("a deleted message is not found", 404, 20404, own.messages(message.sid).fetch());
  const picture = await own.messages.create({ from: MAGIC, to: "+14155550111", body: "Look", mediaUrl: ["https://example.com/cat.png"] });
  const media = await own.messages(picture.sid).media.list();
  say(picture.numMedia === "1" && media.length === 1 && media[0].parentSid === picture.sid, "a picture is among the media of its message");

  const send = (fields) => own.messages.create({ from: MAGIC, to: "+14155550111", body: "x", ...fields });
  await refused("no number to send to", 400, 21604, send({ to: "" }));
  await refused("a number that is none", 400, 21211, send({ to: "12" }));
  await refused("the magic number that is invalid", 400, 21211, send({ to: "+15005550001" }));
  await refused("the magic number that cannot be reached", 400, 21612, send({ to: "+15005550002" }));
  await refused("the magic number without permission", 400, 21408, send({ to: "+15005550003" }));
  await refused("the magic number that opted out", 400, 21610, send({ to: "+15005550004" }));
  await refused("the magic number that is no mobile", 400, 21614, send({ to: "+15005550009" }));
  await refused("the magic sender that is invalid", 400, 21212, send({ from: "+15005550001" }));
  await refused("the magic sender that is not owned", 400, 21606, send({ from: "+15005550007" }));
  await refused("the magic sender whose queue is full", 400, 21611, send({ from: "+15005550008" }));
  await refused("a sender that nobody owns", 400, 21659, send({ from: "+14155559999" }));
  await refused("neither a body nor media", 400, 21602, send({ body: "" }));
  await refused("a body of more than 1600 characters", 400, 21617, send({ body: "x".repeat(1601) }));
}

async function inbound(client) {
  const { own, token } = await subaccount(client, "inbound");
  const bought = await own.incomingPhoneNumbers.create({ areaCode: "415" });
  await using(async (seen, url) => {
    await own.incomingPhoneNumbers(bought.sid).update({ smsUrl: `${url}/sms` });
    await control("POST", "/_sandbox/messages", { from: "+14155550121", to: bought.phoneNumber, body: "STOP" });
    await advance("5s");
    say(seen.length === 1 && seen[0].params.Body === "STOP" && seen[0].params.To === bought.phoneNumber, "an inbound message reaches the number's URL");
    say(genuine(seen[0], url, token), "its webhook is signed with the account's token");
    await refused("who wrote STOP gets nothing from that number", 400, 21610, own.messages.create({ from: bought.phoneNumber, to: "+14155550121", body: "x" }));
    await control("POST", "/_sandbox/messages", { from: "+14155550121", to: bought.phoneNumber, body: "START" });
    await advance("5s");
    const back = await own.messages.create({ from: bought.phoneNumber, to: "+14155550121", body: "x", statusCallback: `${url}/status` });
    say(back.status === "queued", "who wrote START gets messages again");
    seen.length = 0;
    await advance("30s");
    const states = seen.map((it) => it.params.MessageStatus);
    say(states.join() === "sent,delivered", "status callbacks tell what becomes of a message", states.join());
    say(seen.length > 0 && seen.every((it) => genuine(it, url, token)), "every status callback is signed");
    const arrived = (await own.messages.list({ from: "+14155550121" })).filter((it) => it.direction === "inbound");
    say(arrived.length === 2 && arrived[0].status === "received", "inbound messages stand among the account's messages");
  });
}

async function calls(client) {
  const { own, token } = await subaccount(client, "calls");
  const spoken = await own.calls.create({ from: MAGIC, to: "+14155550131", twiml: HELLO });
  say(spoken.status === "queued" && spoken.direction === "outbound-api" && spoken.price === null, "a new call is queued and has no price");
  await advance("90s");
  const ended = await own.calls(spoken.sid).fetch();
  say(ended.status === "completed" && Number(ended.duration) > 0, "it is answered, says what it has to say and ends", ended.status);
  say(Number(ended.price) < 0 && ended.priceUnit === "USD", "a call has its price after its end, negative");
  say(ended.startTime instanceof Date && ended.endTime > ended.startTime, "a call has a beginning and an end");
  await using(async (seen, url) => {
    const call = await own.calls.create({
      from: MAGIC, to: "+14155550132", url: `${url}/voice`, statusCallback: `${url}/status`,
      statusCallbackEvent: ["initiated", "ringing", "answered", "completed"],
    });
    seen.answer = "<Response><Pause length='600'/></Response>";
    await advance("20s");
    say((await own.calls(call.sid).fetch()).status === "in-progress", "a call goes on as its TwiML says");
    const asked = seen.find((it) => it.url === "/voice");
    say(asked?.params.CallSid === call.sid && genuine(asked, url, token), "its TwiML is asked for with a signed webhook");
    const listed = await own.calls.list({ status: "in-progress" });
    say(listed.length === 1 && listed[0].sid === call.sid, "calls are found by their status");
    await own.calls(call.sid).update({ status: "completed" });
    await advance("5s");
    say((await own.calls(call.sid).fetch()).status === "completed", "a call in progress is ended");
    const states = seen.filter((it) => it.url === "/status").map((it) => it.params.CallStatus);
    say(states.join() === "initiated,ringing,in-progress,completed", "its status callbacks come in order", states.join());
    await refused("a call that has ended is not redirected", 400, 21220, own.calls(call.sid).update({ twiml: HELLO }));
  });
  const call = (fields) => own.calls.create({ from: MAGIC, to: "+14155550131", twiml: HELLO, ...fields });
  await refused("the magic number that cannot be called", 400, 21217, call({ to: "+15005550001" }));
  await refused("the magic number that cannot be routed", 400, 21214, call({ to: "+15005550002" }));
  await refused("the magic number without dialling permission", 400, 21215, call({ to: "+15005550003" }));
  await refused("the magic number that is blocked", 400, 21216, call({ to: "+15005550004" }));
  await refused("the magic caller that is invalid", 400, 21212, call({ from: "+15005550001" }));
  await refused("a caller that somebody else owns", 400, 21210, call({ from: "+14155559999" }));
  await refused("a URL that is none", 400, 21205, own.calls.create({ from: MAGIC, to: "+14155550131", url: "not a url" }));
}

async function recordings(client) {
  const { own } = await subaccount(client, "recordings");
  const call = await own.calls.create({ from: MAGIC, to: "+14155550141", twiml: "<Response><Record/></Response>" });
  await advance("120s");
  const listed = await own.recordings.list({ callSid: call.sid });
  say(listed.length === 1 && listed[0].callSid === call.sid, "what was recorded is listed by its call");
  const recording = await own.recordings(listed[0].sid).fetch();
  say(recording.status === "completed" && Number(recording.duration) > 0, "a recording has a duration");
  const uri = own.api.baseUrl + recording.uri.replace(".json", ".wav");
  const file = await own.request({ method: "get", uri });
  say(file.statusCode === 200 && /^audio\//.test(file.headers["content-type"]), "its sound is there to be fetched", file.statusCode);
  say(await own.recordings(recording.sid).remove(), "a recording is deleted");
  await refused("a deleted recording is not found", 404, 20404, own.recordings(recording.sid).fetch());
}

// ------------------------------------------------------------------ usage

async function triggers(client) {
  const { sid, own, token } = await subaccount(client, "triggers");
  await using(async (seen, url) => {
    const create = (fields) => own.usage.triggers.create({ callbackUrl: `${url}/trigger`, usageCategory: "sms", triggerValue: "3", ...fields });
    const trigger = await create({ friendlyName: "three messages" });
    say(/^UT/.test(trigger.sid) && trigger.triggerBy === "usage" && trigger.recurring === null, "a trigger counts usage once unless told otherwise");
    say(Number(trigger.triggerValue) === 3 && trigger.callbackMethod === "POST", "its value is the one that was asked for");
    const daily = await create({ recurring: "daily", triggerBy: "price", usageCategory: "totalprice", triggerValue: "100" });
    const listed = await own.usage.triggers.list({ recurring: "daily" });
    say(listed.length === 1 && listed[0].sid === daily.sid, "triggers are found by their recurrence");
    const renamed = await own.usage.triggers(trigger.sid).update({ friendlyName: "renamed" });
    say(renamed.friendlyName === "renamed", "a trigger is renamed");
    for (let i = 0; i < 4; i += 1) await own.messages.create({ from: MAGIC, to: "+14155550151", body: `${i}` });
    await advance("3m");
    say(seen.length === 1, "a trigger fires once when its value is reached", `${seen.length} times`);
    const fired = seen[0] ?? { params: {} };
    say(genuine(fired, url, token), "the library finds the trigger's signature right");
    say(!genuine({ ...fired, params: { ...fired.params, CurrentValue: "0" } }, url, token), "and wrong where a value was changed");
    say(fired.params.UsageTriggerSid === trigger.sid && fired.params.AccountSid === sid, "it names itself and its account");
    say(Number(fired.params.CurrentValue) >= 3 && fired.params.UsageCategory === "sms", "it tells the value that was reached");
    say(/-FIRES-UT/.test(fired.params.IdempotencyToken), "it carries a token against repeats");
    say((await own.usage.triggers(trigger.sid).fetch()).dateFired instanceof Date, "a trigger that fired has a date of it");
    const offset = await create({ triggerValue: "+30" });
    say(Number(offset.triggerValue) === 34, "a value with a plus counts from what was used", offset.triggerValue);
    say(await own.usage.triggers(daily.sid).remove(), "a trigger is deleted");
    await refused("a deleted trigger is not found", 404, 20404, own.usage.triggers(daily.sid).fetch());
    await refused("a value that is no number", 400, null, create({ triggerValue: "much" }));
    await refused("a recurrence that does not exist", 400, null, create({ recurring: "hourly" }));
  });
}

async function usageRecords(client) {
  const { own } = await subaccount(client, "usage records");
  for (let i = 0; i < 3; i += 1) await own.messages.create({ from: MAGIC, to: "+14155550161", body: `${i}` });
  await advance("3m");
  const [sms] = await own.usage.records.list({ category: "sms" });
  say(Number(sms?.count) === 3 && Number(sms?.usage) === 3, "what was sent is counted");
  say(Number(sms?.price) > 0 && sms?.priceUnit === "usd", "what it cost is positive here");
  const typed = sms.startDate instanceof Date && sms.price === String(Number(sms.price));
  say(typed, "the library reads a record's dates and prices", `${sms.startDate} ${sms.price}`);
  const records = own.usage.records;
  const periods = {
    allTime: records.allTime, daily: records.daily, monthly: records.monthly, yearly: records.yearly,
    today: records.today, thisMonth: records.thisMonth,
  };
  for (const [name, list] of Object.entries(periods)) {
    const [row] = await list.list({ category: "sms", limit: 1 });
    say(Number(row?.count) === 3, `${name} has it`, JSON.stringify(row));
  }
  const daily = await records.daily.list({ category: "sms", startDate: new Date(sms.startDate - 2 * DAY) });
  const days = daily.map((it) => it.count).join();
  say(days === "3,0,0", "each day that was asked for has its row, the newest first", days);
  for (const [name, list] of Object.entries({ yesterday: records.yesterday, lastMonth: records.lastMonth })) {
    const rows = await list.list({ category: "sms" });
    say(rows.every((row) => Number(row.count ?? 0) === 0), `${name} does not have it`);
  }
  const [total] = await records.list({ category: "totalprice" });
  say(Number(total?.price) >= Number(sms?.price), "the total holds the messages");
  const [parent] = await client.usage.records.list({ category: "sms" });
  say(Number(parent?.count) >= 3, "the parent's records include its subaccounts");
  const [without] = await client.usage.records.list({ category: "sms", includeSubaccounts: false });
  say(Number(without?.count ?? 0) < Number(parent?.count), "unless they are left out");
  const balance = await client.balance.fetch();
  say(balance.currency === "USD" && !isNaN(Number(balance.balance)), "the main account has a balance");
}

// ------------------------------------------------------------------ credentials

async function keys(client) {
  const { sid, own } = await subaccount(client, "keys");
  const key = await own.newKeys.create({ friendlyName: "for a test" });
  say(/^SK/.test(key.sid) && key.secret.length >= 16, "a new key shows its secret");
  const withKey = connect(key.sid, key.secret, { accountSid: sid });
  const message = await withKey.messages.create({ from: MAGIC, to: "+14155550171", body: "by key" });
  say(message.accountSid === sid, "a key is as good as its account's token for messages");
  await refused("a key does not list accounts", 401, 20003, withKey.api.v2010.accounts.list());
  await refused("a key does not make keys", 401, 20003, withKey.newKeys.create({ friendlyName: "no" }));
  await refused("a key with a wrong secret is nobody", 401, 20003, connect(key.sid, "wrong", { accountSid: sid }).messages.list());
  const listed = await own.keys.list();
  say(listed.length === 1 && listed[0].sid === key.sid && listed[0].secret === undefined, "keys are listed without their secrets");
  say((await own.keys(key.sid).update({ friendlyName: "renamed" })).friendlyName === "renamed", "a key is renamed");
  say(await own.keys(key.sid).remove(), "a key is deleted");
  await refused("a deleted key is nobody", 401, 20003, withKey.messages.list());
}

async function authTokens(client) {
  const { sid, own, token } = await subaccount(client, "tokens");
  const made = await own.accounts.v1.secondaryAuthToken().create();
  const second = connect(sid, made.secondaryAuthToken);
  say((await second.messages.list()).length === 0, "a secondary token is good at once");
  say((await own.messages.list()).length === 0, "and the primary one still is");
  const promoted = await own.accounts.v1.authTokenPromotion().update();
  say(promoted.authToken === made.secondaryAuthToken, "the secondary token is promoted");
  await refused("the old token fails from then on", 401, 20003, own.messages.list());
  say((await second.api.v2010.accounts(sid).fetch()).authToken === made.secondaryAuthToken, "the account shows its new token");
  const other = await second.accounts.v1.secondaryAuthToken().create();
  say(await second.accounts.v1.secondaryAuthToken().remove(), "a secondary token is deleted");
  await refused("a deleted secondary token fails", 401, 20003, connect(sid, other.secondaryAuthToken).messages.list());
  say(token !== promoted.authToken, "the new token is another");
}

// ------------------------------------------------------------------ Verify

async function verify(client) {
  const service = await client.verify.v2.services.create({ friendlyName: "Sandbox", codeLength: 8 });
  say(/^VA/.test(service.sid) && service.codeLength === 8, "a service is created");
  const { verifications, verificationChecks } = client.verify.v2.services(service.sid);
  const to = "+14155550181";
  const started = await verifications.create({ to, channel: "sms" });
  say(/^VE/.test(started.sid) && started.status === "pending" && !started.valid, "a verification begins");
  const code = await codeOn(to);
  say(/^\d{8}$/.test(code), "its code of eight digits is on the phone", code);
  const wrong = await verificationChecks.create({ to, code: code === "12345678" ? "87654321" : "12345678" });
  say(wrong.status === "pending" && wrong.valid === false, "a wrong code is no error and not valid");
  const again = await verifications.create({ to, channel: "sms" });
  say(again.sid === started.sid && (await codeOn(to)) === code, "sent again, it is the same verification with the same code");
  const right = await verificationChecks.create({ to, code });
  say(right.status === "approved" && right.valid === true, "the right code is approved");
  await refused("a code is good for one check", 404, 20404, verificationChecks.create({ to, code }));
  const called = await verifications.create({ to: "+14155550182", channel: "call" });
  say(called.channel === "call", "a code is told by a call as well");
  const canceled = await client.verify.v2.services(service.sid).verifications(called.sid).update({ status: "canceled" });
  say(canceled.status === "canceled", "a verification is canceled");
  await refused("after that there is nothing to check", 404, 20404, verificationChecks.create({ to: "+14155550182", code: "00000000" }));
  await verifications.create({ to: "+14155550183", channel: "sms" });
  await advance("11m");
  await refused("after ten minutes there is nothing to check", 404, 20404, verificationChecks.create({ to: "+14155550183", code }));
  await refused("a number that is none is not verified", 400, 60200, verifications.create({ to: "12", channel: "sms" }));
  await refused("a channel that does not exist", 400, 60200, verifications.create({ to, channel: "pigeon" }));
  const attempts = await client.verify.v2.verificationAttempts.list({ verifyServiceSid: service.sid });
  say(attempts.length >= 4, "every sending is an attempt", attempts.length);
  say((await client.verify.v2.services(service.sid).update({ friendlyName: "Renamed" })).friendlyName === "Renamed", "a service is renamed");
  say(await client.verify.v2.services(service.sid).remove(), "a service is deleted");
  await refused("a service that is gone starts nothing", 404, 20404, verifications.create({ to, channel: "sms" }));
}

async function verifyLimits(client) {
  const service = await client.verify.v2.services.create({ friendlyName: "Limits" });
  const one = client.verify.v2.services(service.sid);
  for (let i = 0; i < 5; i += 1) await one.verifications.create({ to: "+14155550191", channel: "sms" });
  await refused("a sixth sending is one too many", 429, 60203, one.verifications.create({ to: "+14155550191", channel: "sms" }));
  await one.verifications.create({ to: "+14155550192", channel: "sms" });
  const code = await codeOn("+14155550192");
  const wrong = code === "000000" ? "111111" : "000000";
  for (let i = 0; i < 5; i += 1) await one.verificationChecks.create({ to: "+14155550192", code: wrong });
  await refused("a sixth check is one too many, though the code is right", 429, 60202, one.verificationChecks.create({ to: "+14155550192", code }));
  const limit = await one.rateLimits.create({ uniqueName: "address" });
  const bucket = await one.rateLimits(limit.sid).buckets.create({ max: 2, interval: 60 });
  say(/^RK/.test(limit.sid) && /^BL/.test(bucket.sid) && bucket.max === 2, "a rate limit has buckets");
  const limited = (to) => one.verifications.create({ to, channel: "sms", rateLimits: JSON.stringify({ address: "192.0.2.7" }) });
  await limited("+14155550193");
  await limited("+14155550194");
  await refused("what is over the bucket is refused", 429, null, limited("+14155550195"));
}

// ------------------------------------------------------------------ what numbers cost and are

async function pricing(client) {
  const { messaging, voice, phoneNumbers } = client.pricing.v1;
  const countries = await messaging.countries.list({ pageSize: 20 });
  say(countries.length > 50 && countries.some((it) => it.isoCountry === "DE"), "more than fifty countries have prices for messages", countries.length);
  const germany = await messaging.countries("DE").fetch();
  const [price] = germany.outboundSmsPrices;
  say(germany.priceUnit === "USD" && Number(price.prices[0].current_price) > 0, "a country has prices by network");
  const us = await voice.countries("US").fetch();
  say(us.outboundPrefixPrices.length > 0 && Number(us.outboundPrefixPrices[0].currentPrice) > 0, "a country has prices by prefix");
  const second = await client.pricing.v2.voice.countries("US").fetch();
  say(second.outboundPrefixPrices[0].destinationPrefixes.length > 0, "in version 2 too, with destinations");
  const number = await client.pricing.v2.voice.numbers("+14155550101").fetch();
  say(number.isoCountry === "US" && Number(number.outboundCallPrices[0].currentPrice) > 0, "a number has a price");
  const rent = await phoneNumbers.countries("US").fetch();
  say(rent.phoneNumberPrices.length > 0, "numbers have a rent");
  await refused("a country that does not exist has none", 404, 20404, messaging.countries("XX").fetch());
}

async function lookups(client) {
  const found = await client.lookups.v2.phoneNumbers("+14155550101").fetch();
  say(found.valid && found.countryCode === "US" && found.phoneNumber === "+14155550101", "a number is looked up");
  const none = await client.lookups.v2.phoneNumbers("+1415").fetch();
  say(none.valid === false && none.validationErrors.length > 0, "a number that is none is not valid, and no error");
  const first = await client.lookups.v1.phoneNumbers("+14155550101").fetch();
  say(first.countryCode === "US", "version 1 knows it too");
  await refused("in version 1 a number that is none is not found", 404, 20404, client.lookups.v1.phoneNumbers("+1415").fetch());
}

async function numbers(client) {
  const { own } = await subaccount(client, "numbers");
  const offered = await own.availablePhoneNumbers("US").local.list({ areaCode: 415, limit: 5 });
  say(offered.length === 5 && offered.every((it) => it.phoneNumber.startsWith("+1415")), "numbers are offered in an area");
  say(Number(offered[0].latitude) === 37.77, "the library reads where they are", offered[0].latitude);
  const near = await own.availablePhoneNumbers("US").local.list({ nearNumber: "+14155550100" });
  const areas = [...new Set(near.map((it) => it.phoneNumber.slice(0, 5)))].sort().join();
  say(areas === "+1415,+1510", "numbers are offered near another", areas);
  const bought = await own.incomingPhoneNumbers.create({ phoneNumber: offered[0].phoneNumber, smsUrl: "https://app.example/sms" });
  say(/^PN/.test(bought.sid) && bought.phoneNumber === offered[0].phoneNumber && bought.smsUrl === "https://app.example/sms", "one of them is bought");
  await refused("a number is bought once", 400, 21422, own.incomingPhoneNumbers.create({ phoneNumber: offered[0].phoneNumber }));
  const updated = await own.incomingPhoneNumbers(bought.sid).update({ voiceUrl: "https://app.example/voice", friendlyName: "Main line" });
  say(updated.voiceUrl === "https://app.example/voice" && updated.friendlyName === "Main line", "its URLs are changed");
  say((await own.incomingPhoneNumbers.list({ phoneNumber: bought.phoneNumber })).length === 1, "it is found by its number");
  const sent = await own.messages.create({ from: bought.phoneNumber, to: "+14155550201", body: "mine" });
  say(sent.from === bought.phoneNumber, "it is a sender from then on");
  say(await own.incomingPhoneNumbers(bought.sid).remove(), "it is released");
  await refused("and no sender any more", 400, 21659, own.messages.create({ from: bought.phoneNumber, to: "+14155550201", body: "gone" }));
}

async function applications(client) {
  const { own } = await subaccount(client, "applications");
  const made = await own.applications.create({ friendlyName: "App", voiceUrl: "https://app.example/voice" });
  say(/^AP/.test(made.sid) && made.voiceUrl === "https://app.example/voice", "an application is created");
  say((await own.applications(made.sid).update({ smsUrl: "https://app.example/sms" })).smsUrl === "https://app.example/sms", "an application is changed");
  say((await own.applications.list({ friendlyName: "App" })).length === 1, "applications are found by name");
  say(await own.applications(made.sid).remove(), "an application is deleted");
  await refused("a deleted application is not found", 404, 20404, own.applications(made.sid).fetch());
}

async function messagingServices(client) {
  const { own } = await subaccount(client, "messaging services");
  const number = await own.incomingPhoneNumbers.create({ areaCode: "415" });
  const service = await own.messaging.v1.services.create({ friendlyName: "Pool" });
  await own.messaging.v1.services(service.sid).phoneNumbers.create({ phoneNumberSid: number.sid });
  const sent = await own.messages.create({ messagingServiceSid: service.sid, to: "+14155550211", body: "from the pool" });
  say(/^MG/.test(service.sid) && sent.messagingServiceSid === service.sid && sent.status === "accepted", "a messaging service accepts a message", sent.status);
  await advance("30s");
  const later = await own.messages(sent.sid).fetch();
  say(later.status === "delivered" && later.from === number.phoneNumber, "it is sent from a number of the service's pool", later.from);
}

async function geoPermissions(client) {
  const { own } = await subaccount(client, "geo");
  const ask = async () => (await own.accounts.v1.messagingGeopermissions.fetch({ countryCode: "DE" })).permissions[0];
  await own.accounts.v1.messagingGeopermissions.update({ permissions: [{ country_code: "DE", type: "country", enabled: true }] });
  const on = await ask();
  say(on.country_code === "DE" && on.enabled === true, "messages to a country are permitted");
  say((await own.messages.create({ from: MAGIC, to: "+4915112345678", body: "x" })).status === "queued", "and go there");
  await own.accounts.v1.messagingGeopermissions.update({ permissions: [{ country_code: "DE", type: "country", enabled: false }] });
  say((await ask()).enabled === false, "the permission is taken back");
  await refused("and no message goes there", 400, 21408, own.messages.create({ from: MAGIC, to: "+4915112345678", body: "x" }));
  // A subaccount has its parent's dialing permissions until it is told to have its own.
  await own.voice.v1.dialingPermissions.settings().update({ dialingPermissionsInheritance: false });
  const set = (enabled) =>
    own.voice.v1.dialingPermissions.bulkCountryUpdates.create({
      updateRequest: JSON.stringify([{
        iso_code: "DE", low_risk_numbers_enabled: String(enabled), high_risk_special_numbers_enabled: "false",
        high_risk_tollfraud_numbers_enabled: "false",
      }]),
    });
  await set(true);
  say((await own.voice.v1.dialingPermissions.countries("DE").fetch()).lowRiskNumbersEnabled, "calls to a country are permitted");
  say((await own.calls.create({ from: MAGIC, to: "+4930123456", twiml: HELLO })).status === "queued", "and are made");
  say((await set(false)).updateCount === 1, "that permission is taken back");
  await refused("and nobody is called there", 400, 21215, own.calls.create({ from: MAGIC, to: "+4930123456", twiml: HELLO }));
  const africa = await own.voice.v1.dialingPermissions.countries.list({ continent: "Africa" });
  say(africa.some((it) => it.isoCode === "ZW"), "countries are found by their continent");
  const all = await own.voice.v1.dialingPermissions.countries.list({ pageSize: 20 });
  say(all.length > 50 && new Set(all.map((it) => it.isoCode)).size === all.length, "all countries come over pages of absolute URLs", all.length);
}

async function monitor(client) {
  const { sid, own } = await subaccount(client, "monitor");
  const key = await own.newKeys.create({ friendlyName: "audited" });
  const events = await own.monitor.v1.events.list({ resourceSid: key.sid });
  say(events.length === 1 && events[0].accountSid === sid && /created$/.test(events[0].eventType), "what was changed is among the events", JSON.stringify(events.map((it) => it.eventType)));
  say((await own.monitor.v1.events(events[0].sid).fetch()).resourceSid === key.sid, "an event is fetched");
}

// ------------------------------------------------------------------ errors

async function errors(client) {
  await refused("a wrong token is nobody", 401, 20003, connect(MAIN, "f".repeat(32)).messages.list());
  await refused("a message that does not exist", 404, 20404, client.messages(`SM${"0".repeat(32)}`).fetch());
  await refused("an account that does not exist", 404, 20404, client.api.v2010.accounts(`AC${"0".repeat(32)}`).messages.list());
  await refused("a page of what is not there", 404, 20404, client.api.v2010.accounts(MAIN).queues.list());
  const error = await client.messages(`SM${"0".repeat(32)}`).fetch().catch((it) => it);
  const leads = error.moreInfo === "https://www.twilio.com/docs/errors/20404";
  say(leads && error.message.includes(`SM${"0".repeat(32)}`), "an error says what was not found", error.message);
  await control("POST", "/_sandbox/faults", { api: [{ path: "/Messages", status: 429, times: 1 }] });
  await refused("too many requests are a 429", 429, 20429, client.messages.list());
  await control("POST", "/_sandbox/faults", { api: [{ path: "/Messages", status: 429, times: 2 }] });
  const patient = connect(MAIN, TOKEN, { autoRetry: true, maxRetries: 3 });
  say(Array.isArray(await patient.messages.list({ limit: 1 })), "a client that tries again comes through");
  await control("POST", "/_sandbox/faults", { api: [{ path: "/Messages", status: 503, times: 1 }] });
  await refused("a fault on demand is an error of the server's", 503, null, client.messages.list());
}

// ------------------------------------------------------------------ tools

function connect(user, password, options = {}) {
  const client = twilio(user, password, options);
  if (WAY === "base-url") for (const product of PRODUCTS) client[product].baseUrl = SANDBOX;
  return client;
}

/** A subaccount for one topic, so that topics do not count each other's messages. */
async function subaccount(client, friendlyName) {
  const { sid, authToken: token } = await client.api.v2010.accounts.create({ friendlyName });
  return { sid, token, own: connect(sid, token), account: (of) => client.api.v2010.accounts(of) };
}

async function control(method, path, body) {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(SANDBOX + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text && JSON.parse(text);
}

const advance = (time) => control("POST", "/_sandbox/clock", { advance: time });

/** The digits in the last text on a phone. */
async function codeOn(number) {
  const { phones } = await control("GET", `/_sandbox/phones?number=${encodeURIComponent(number)}`);
  const texts = phones[0].thread.filter((it) => it.kind === "text");
  return texts.at(-1)?.body.match(/\d{4,10}/)?.[0];
}

/** An application that remembers its requests while `act` runs. */
async function using(act) {
  const seen = [];
  seen.answer = "<Response/>";
  const server = http.createServer((request, response) => {
    let text = "";
    request.on("data", (piece) => (text += piece));
    request.on("end", () => {
      seen.push({ url: request.url, headers: request.headers, params: Object.fromEntries(new URLSearchParams(text)) });
      response.setHeader("content-type", "text/xml");
      response.end(seen.answer);
    });
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  try {
    await act(seen, `http://127.0.0.1:${server.address().port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

function genuine(request, base, token) {
  const signature = request.headers?.["x-twilio-signature"] ?? "";
  return twilio.validateRequest(token, signature, base + request.url, request.params);
}

await main();
