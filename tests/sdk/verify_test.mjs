// Twilio's own Node library against a Verify: the sandbox's, or that of Ringfence's second factor. tests/sdk/verify starts
// both and wants the same claims from them. verify_test.py makes the same ones in Python, in the same order.

import { refused, say, twilio } from "./claims.mjs";

const { VERIFY, USER_NAME, SECRET, ACCOUNT, SERVICE, SANDBOX } = process.env;
const TO = "+14155550181";

const client = twilio(USER_NAME, SECRET, { accountSid: ACCOUNT });
client.verify.baseUrl = VERIFY;
const service = client.verify.v2.services(SERVICE);

async function main() {
  try {
    await verifications();
    await limits();
    await attempts();
  } catch (error) {
    say(false, "everything is told to its end", error.stack);
  }
  process.exit(0);
}

async function verifications() {
  const fetched = await service.fetch();
  say(fetched.sid === SERVICE && fetched.accountSid === ACCOUNT && fetched.codeLength === 6, "the service is fetched");
  say((await client.verify.v2.services.list()).some((it) => it.sid === SERVICE), "the service is listed");
  const started = await service.verifications.create({ to: TO, channel: "sms" });
  say(/^VE[0-9a-f]{32}$/.test(started.sid) && started.status === "pending" && started.valid === false, "a verification begins");
  say(started.to === TO && started.channel === "sms" && started.serviceSid === SERVICE, "it says where its code goes");
  say(started.dateCreated instanceof Date && !isNaN(started.dateCreated), "the library reads the date of its start");
  say(started.sendCodeAttempts.length === 1 && /^VL/.test(started.sendCodeAttempts[0].attempt_sid), "it has one attempt");
  const code = await codeOn(TO);
  say(/^\d{6}$/.test(code), "its code of six digits is on the phone", code);
  say((await service.verifications(started.sid).fetch()).status === "pending", "it is fetched by its SID");
  say((await service.verifications(TO).fetch()).sid === started.sid, "it is fetched by its number");
  const wrong = await service.verificationChecks.create({ to: TO, code: other(code) });
  say(wrong.status === "pending" && wrong.valid === false && wrong.sid === started.sid, "a wrong code is no error and not valid");
  const right = await service.verificationChecks.create({ verificationSid: started.sid, code });
  say(right.status === "approved" && right.valid === true, "the right code is approved");
  await refused("a code is good for one check", 404, 20404, service.verificationChecks.create({ to: TO, code }));
  await refused("what is approved is not there any more", 404, 20404, service.verifications(started.sid).fetch());

  const second = await service.verifications.create({ to: "+14155550182", channel: "sms" });
  const canceled = await service.verifications(second.sid).update({ status: "canceled" });
  say(canceled.status === "canceled" && canceled.valid === false, "a verification is canceled");
  await refused("after that there is nothing to check", 404, 20404, service.verificationChecks.create({ to: "+14155550182", code: "000000" }));
  await refused("a status that none has", 400, 60200, service.verifications((await service.verifications.create({ to: "+14155550183", channel: "sms" })).sid).update({ status: "expired" }));

  const tried = await service.verifications.create({ to: "+14155550184", channel: "sms" });
  const found = await codeOn("+14155550184");
  for (let i = 0; i < 5; i += 1) await service.verificationChecks.create({ to: "+14155550184", code: other(found) });
  await refused("a sixth check is one too many, though the code is right", 429, 60202, service.verificationChecks.create({ verificationSid: tried.sid, code: found }));
  await refused("and nothing is begun in its place", 429, 60202, service.verifications.create({ to: "+14155550184", channel: "sms" }));

  await refused("a number that is none is not verified", 400, 60200, service.verifications.create({ to: "12", channel: "sms" }));
  await refused("nor is one that lacks a digit", 400, 60200, service.verifications.create({ to: "+1415555018", channel: "sms" }));
  await refused("a channel that does not exist", 400, 60200, service.verifications.create({ to: TO, channel: "pigeon" }));
  await refused("a channel that is not there", 403, 60223, service.verifications.create({ to: TO, channel: "email" }));
  await refused("a code of one's own where none is allowed", 403, 60204, service.verifications.create({ to: TO, channel: "sms", customCode: "1234" }));
  await refused("a name that looks like a number", 400, 60200, service.verifications.create({ to: TO, channel: "sms", customFriendlyName: "555 0123" }));
  await refused("a check without a target", 400, 60221, service.verificationChecks.create({ code: "123456" }));
  await refused("a check of nothing", 404, 20404, service.verificationChecks.create({ to: "+14155550185", code: "123456" }));
  const nowhere = client.verify.v2.services("VA" + "0".repeat(32));
  await refused("a service that is not there", 404, 20404, nowhere.verifications.create({ to: TO, channel: "sms" }));
  const stranger = twilio(USER_NAME, "wrong", { accountSid: ACCOUNT });
  stranger.verify.baseUrl = VERIFY;
  await refused("a wrong secret", 401, 20003, stranger.verify.v2.services(SERVICE).fetch());
}

async function limits() {
  const limit = await service.rateLimits.create({ uniqueName: "address", description: "of the network" });
  say(/^RK/.test(limit.sid) && limit.uniqueName === "address" && limit.description === "of the network", "a limit is made");
  await refused("its name is taken", 400, 60208, service.rateLimits.create({ uniqueName: "address" }));
  await refused("a name with spaces", 400, 60209, service.rateLimits.create({ uniqueName: "end user" }));
  const bucket = await service.rateLimits(limit.sid).buckets.create({ max: 1, interval: 3600 });
  say(/^BL/.test(bucket.sid) && bucket.max === 1 && bucket.interval === 3600, "a bucket is made");
  await refused("its interval is taken", 400, 60211, service.rateLimits(limit.sid).buckets.create({ max: 2, interval: 3600 }));
  const limited = (to) => service.verifications.create({ to, channel: "sms", rateLimits: JSON.stringify({ address: "192.0.2.7" }) });
  const unknown = JSON.stringify({ adress: "192.0.2.7" });
  await refused("a limit that is not there holds nobody", 400, 60200, service.verifications.create({ to: "+14155550186", channel: "sms", rateLimits: unknown }));
  say((await limited("+14155550186")).status === "pending", "one start fits into it");
  await refused("a second one does not", 429, 20429, limited("+14155550187"));
  say((await service.rateLimits(limit.sid).buckets(bucket.sid).update({ max: 5 })).max === 5, "the bucket is changed");
  say((await limited("+14155550187")).status === "pending", "then it fits");
  say((await service.rateLimits(limit.sid).update({ description: "x" })).description === "x", "the limit is changed");
  say((await service.rateLimits.list()).length === 1 && (await service.rateLimits(limit.sid).buckets.list()).length === 1, "both are listed");
  say(await service.rateLimits(limit.sid).buckets(bucket.sid).remove(), "the bucket is removed");
  say(await service.rateLimits(limit.sid).remove(), "the limit is removed");
  await refused("then it is not there", 404, 20404, service.rateLimits(limit.sid).fetch());
}

async function attempts() {
  const all = await client.verify.v2.verificationAttempts.list({ verifyServiceSid: SERVICE, pageSize: 3 });
  say(all.length === 6 && new Set(all.map((it) => it.sid)).size === 6, "six attempts come over pages of three", all.length);
  const converted = await client.verify.v2.verificationAttempts.list({ verifyServiceSid: SERVICE, status: "converted" });
  say(converted.length === 1 && converted[0].channelData.to === TO, "one of them was entered");
  const one = await client.verify.v2.verificationAttempts(converted[0].sid).fetch();
  say(one.conversionStatus === "converted" && one.verificationSid === converted[0].verificationSid, "it is fetched");
  const summary = await client.verify.v2.verificationAttemptsSummary().fetch({ verifyServiceSid: SERVICE });
  say(summary.totalAttempts === 6 && summary.totalConverted === 1 && summary.totalUnconverted === 5, "they are summed up");
}

// ------------------------------------------------------------------ helpers

/** The code in the newest text on a phone, as soon as there is one. */
async function codeOn(phone) {
  for (let i = 0; i < 200; i += 1) {
    const answer = await fetch(`${SANDBOX}/_sandbox/phones?number=${encodeURIComponent(phone)}`, { headers: { accept: "application/json" } });
    const { phones } = await answer.json();
    const texts = (phones[0]?.thread ?? []).filter((it) => it.kind === "text").map((it) => it.body);
    const code = texts.map((it) => it.match(/\b\d{6}\b/)?.[0]).filter(Boolean);
    if (code.length > 0) return code[code.length - 1];
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return "none";
}

function other(code) {
  return code === "123456" ? "654321" : "123456";
}

main();
