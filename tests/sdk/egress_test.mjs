// Twilio's own Node library through the egress. tests/sdk/egress starts it with the sandbox behind it and reads what is
// printed here: one line for each claim. egress_test.py makes the same claims in Python, in the same order.
//
//     WAY=base-url      every product's base URL is the egress
//     WAY=environment   nothing is set: the environment names the egress as a proxy, and its authority
import { execFileSync } from "node:child_process";

import { refused, say, twilio } from "./claims.mjs";

const { EGRESS, SANDBOX, WAY, SECRET, KEY, LIMIT, REVOKE, FOLDER } = process.env;
const { TWILIO_ACCOUNT_SID: ACCOUNT, TWILIO_AUTH_TOKEN: TOKEN } = process.env;
const PRODUCTS = ["api", "accounts", "lookups", "messaging", "verify"];
const MAGIC = "+15005550006";
const TO = "+14155550122";

async function main() {
  for (const topic of [messages, lists, pictures, calls, secrets, limit, revoked]) {
    try {
      await topic(connect(SECRET));
    } catch (error) {
      say(false, `${topic.name} is told to its end`, error.stack);
    }
  }
  process.exit(0);
}

function connect(secret, user = ACCOUNT) {
  const client = twilio(user, secret, { accountSid: ACCOUNT });
  if (WAY === "base-url") {
    for (const product of PRODUCTS) client[product].baseUrl = `${EGRESS}/${product}.twilio.com`;
  }
  return client;
}

async function messages(client) {
  const sent = await client.messages.create({ from: MAGIC, to: TO, body: "Through the egress" });
  say(/^SM[0-9a-f]{32}$/.test(sent.sid) && sent.accountSid === ACCOUNT, "a message is sent");
  say((await client.messages(sent.sid).fetch()).body === "Through the egress", "it is fetched by its SID");
  say((await atTwilio(sent.sid)).body === "Through the egress", "Twilio has it under the real account");
  const byKey = await connect(SECRET, KEY).messages(sent.sid).fetch();
  say(byKey.sid === sent.sid, "the credential's own SID is a user name too");
  const umlauts = await client.messages.create({ from: MAGIC, to: TO, body: "Grüße & 100 % + 漢字 😀" });
  say((await atTwilio(umlauts.sid)).body === "Grüße & 100 % + 漢字 😀", "every character arrives");
  await refused("a message without a body is refused by Twilio", 400, 21602, client.messages.create({ from: MAGIC, to: TO, body: "" }));
  await refused("a number of no country is refused before", 403, 84022, client.messages.create({ from: MAGIC, to: "+15005550001", body: "x" }));
  await refused("a body of 1,601 characters is refused by Twilio", 400, 21617, client.messages.create({ from: MAGIC, to: TO, body: "x".repeat(1601) }));
  await refused("a message that is not there", 404, 20404, client.messages("SM" + "0".repeat(32)).fetch());
  await refused("a wrong secret", 401, 20003, connect("wrong").messages.create({ from: MAGIC, to: TO, body: "x" }));
  await refused("Twilio's own token is worth nothing here", 401, 20003, connect(TOKEN).messages(sent.sid).fetch());
  const other = client.api.v2010.accounts("AC" + "1".repeat(32));
  await refused("another account is out of scope", 403, 84010, other.messages.create({ from: MAGIC, to: TO, body: "x" }));
}

async function lists(client) {
  for (let i = 0; i < 7; i += 1) await client.messages.create({ from: MAGIC, to: "+14155550133", body: `page ${i}` });
  const listed = await client.messages.list({ to: "+14155550133", pageSize: 2 });
  const bodies = listed.map((it) => it.body).sort();
  say(bodies.join() === [...Array(7).keys()].map((i) => `page ${i}`).join(), "seven messages come over pages of two, each once");
  for (let i = 0; i < 5; i += 1) await client.messaging.v1.services.create({ friendlyName: `service ${i}` });
  const named = (await client.messaging.v1.services.list({ pageSize: 2 })).map((it) => it.friendlyName).sort();
  say(named.join() === [...Array(5).keys()].map((i) => `service ${i}`).join(), "services come over pages whose links are absolute");
  const found = await client.lookups.v2.phoneNumbers("+14155550100").fetch();
  say(found.valid === true && found.countryCode === "US", "a number is looked up on another host");
}

async function pictures(client) {
  const mediaUrl = [...Array(10).keys()].map((i) => `https://example.com/${i}.png`);
  const sent = await client.messages.create({ from: MAGIC, to: TO, body: "x".repeat(1600), mediaUrl });
  const made = sent.sid.startsWith("MM") && (await atTwilio(sent.sid)).num_media === "10";
  say(made, "a message of ten pictures and 1,600 characters is sent");
  const media = await client.messages(sent.sid).media.list();
  say(media.length === 10, "its media are listed");
  const path = media[0].uri.replace(/\.json$/, "");
  // The library's own way to ask for anything.
  const uri = WAY === "base-url" ? `${EGRESS}/api.twilio.com${path}` : `https://api.twilio.com${path}`;
  const content = await client.request({ method: "GET", uri });
  const direct = await fetch(`${SANDBOX}/api.twilio.com${path}`, { headers: { Authorization: login(ACCOUNT, TOKEN) } });
  const same = String(content.body) === (await direct.text());
  say(content.statusCode === 200 && same, "a picture is read, byte for byte", content.statusCode);
  say(content.headers["content-type"] === direct.headers.get("content-type"), "and is what it was");
}

async function calls(client) {
  const called = await client.calls.create({ from: MAGIC, to: TO, twiml: "<Response><Say>Hello</Say></Response>" });
  say(/^CA[0-9a-f]{32}$/.test(called.sid) && called.status === "queued", "a call is made");
  say((await client.calls(called.sid).update({ status: "completed" })).sid === called.sid, "it is ended");
  await refused("instructions from elsewhere are refused", 403, 84020, client.calls.create({ from: MAGIC, to: TO, url: "https://evil.example/dial" }));
}

async function secrets(client) {
  const account = await client.api.v2010.accounts(ACCOUNT).fetch();
  say(account.status === "active" && !account.authToken, "the account is read, and its token is not in it");
  await refused("an account is not made", 403, 84016, client.api.v2010.accounts.create());
  await refused("a key is not made", 403, 84016, client.newKeys.create());
  await refused("a token for the edge is not made", 403, 84016, client.tokens.create());
  await refused("a second auth token is not made", 403, 84016, client.accounts.v1.secondaryAuthToken().create());
}

async function limit(client) {
  const claim = "at the limit the library raises an error";
  let error;
  for (let i = 0; i < 400 && !error; i += 1) {
    try {
      await client.messages.create({ from: MAGIC, to: TO, body: "One more" });
    } catch (raised) {
      error = raised;
    }
  }
  say([[429, 84032], [403, 84030], [403, 84031]].some(([status, code]) => error?.status === status && error?.code === code), claim, error);
  say(error?.message?.includes(LIMIT), "which names the limit", error?.message);
  say((await client.messages.list({ limit: 1 }))[0].sid.startsWith("SM"), "what costs nothing still passes");
}

async function revoked(client) {
  const [newest] = await client.messages.list({ limit: 1 });
  const [program, ...words] = JSON.parse(REVOKE);
  execFileSync(program, words, { cwd: FOLDER, stdio: "ignore" });
  await refused("a revoked credential is refused at its next request", 401, 20003, client.messages(newest.sid).fetch());
}

// ------------------------------------------------------------------ helpers

/** What Twilio itself has of a message, asked without the egress. */
async function atTwilio(sid) {
  const url = `${SANDBOX}/api.twilio.com/2010-04-01/Accounts/${ACCOUNT}/Messages/${sid}.json`;
  return (await fetch(url, { headers: { Authorization: login(ACCOUNT, TOKEN) } })).json();
}

function login(user, password) {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}

await main();
