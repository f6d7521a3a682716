// An application as Twilio's quickstart for Express has it: it tells its number where to send messages, and answers
// each with TwiML. It knows nothing of the sandbox; the environment leads it there.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url); // an import would not look into NODE_PATH
const express = require("express");
const twilio = require("twilio");

const port = Number(process.argv[2]);
const app = express();

// Refuses with a 403 what Twilio did not sign.
app.post("/sms", express.urlencoded({ extended: false }), twilio.webhook(), (request, response) => {
  const twiml = new twilio.twiml.MessagingResponse();
  twiml.message(`You said: ${request.body.Body}`);
  response.type("text/xml").send(twiml.toString());
});

app.listen(port, "127.0.0.1", async () => {
  const client = twilio(process.env.TWILIO_ACCOUNT_SID, process.env.TWILIO_AUTH_TOKEN);
  const [number] = await client.incomingPhoneNumbers.list({ phoneNumber: process.env.TWILIO_NUMBER });
  await client.incomingPhoneNumbers(number.sid).update({ smsUrl: `http://127.0.0.1:${port}/sms` });
  console.log("ready");
});
