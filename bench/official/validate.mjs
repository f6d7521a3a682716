// Nanoseconds for one request in Twilio's Node library: `node validate.mjs REQUEST.json SECONDS`.
// Prints one line for each measurement: its name, a tab, nanoseconds.
import fs from "node:fs";
import querystring from "node:querystring";
import twilio from "twilio";

const [file, seconds] = process.argv.slice(2);
const { token, url, body, genuine, forged } = JSON.parse(fs.readFileSync(file, "utf8"));
const parsed = { ...querystring.parse(body) };

measure("validate genuine", () => twilio.validateRequest(token, genuine, url, parsed), true);
measure("validate forged", () => twilio.validateRequest(token, forged, url, parsed), false);
measure("parse and validate genuine", () => twilio.validateRequest(token, genuine, url, querystring.parse(body)), true);
measure("parse and validate forged", () => twilio.validateRequest(token, forged, url, querystring.parse(body)), false);

function measure(name, once, expected) {
  const rounds = [];
  for (let round = 0; round < 6; round += 1) {
    const end = process.hrtime.bigint() + BigInt(Math.round((Number(seconds) * 1e9) / 6));
    const started = process.hrtime.bigint();
    let count = 0;
    while (process.hrtime.bigint() < end) {
      for (let turn = 0; turn < 100; turn += 1) {
        if (once() !== expected) throw new Error(`${name}: the verdict is not ${expected}`);
      }
      count += 100;
    }
    rounds.push(Number(process.hrtime.bigint() - started) / count);
  }
  rounds.shift(); // The first is the compiler's.
  rounds.sort((a, b) => a - b);
  console.log(`${name}\t${rounds[Math.floor(rounds.length / 2)].toFixed(0)}`);
}
