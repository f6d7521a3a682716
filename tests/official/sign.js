// Signs with twilio-node: one JSON object a line in ({url, params | body}), one signature a line out.
const { getExpectedTwilioSignature, getExpectedBodyHash } = require("twilio/lib/webhooks/webhooks");
const lines = require("node:readline").createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const { token, url, params, body } = JSON.parse(line);
  const full = body === undefined ? url : `${url}?bodySHA256=${getExpectedBodyHash(body)}`;
  console.log(JSON.stringify({ url: full, signature: getExpectedTwilioSignature(token, full, params ?? {}) }));
});
