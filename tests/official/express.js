// An Express application with Twilio's own middleware: the second opinion behind the gate.
// It believes the gate's X-Forwarded-Proto and X-Forwarded-Host, as an application behind a proxy does.
const express = require("express");
const twilio = require("twilio");

const app = express();
app.set("trust proxy", "loopback");
let reached = 0;

app.get("/.reached", (request, response) => response.json(reached));
app.use((request, response, next) => {
  reached += 1;
  response.set("X-Reached", "express");
  next();
});
app.use(express.urlencoded({ extended: false }));
app.use(express.json({ verify: (request, response, bytes) => (request.rawBody = bytes.toString()) }));
app.use((request, response, next) =>
  twilio.webhook({ protocol: request.protocol, host: request.get("X-Forwarded-Host") })(request, response, next),
);
app.use((request, response) => response.type("text/xml").send("<Response/>"));
app.listen(Number(process.argv[2]), "127.0.0.1");
