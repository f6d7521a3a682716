// Express with Twilio's own middleware: `node express.mjs PORT` answers by itself, `node express.mjs PORT UPSTREAM`
// forwards what it has verified, body byte for byte, over connections that are kept.
import http from "node:http";
import express from "express";
import twilio from "twilio";

const [port, upstream] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true, maxSockets: 128 });

const app = express();
app.disable("x-powered-by");
app.set("etag", false);
app.use(express.urlencoded({ extended: false, verify: (request, _response, raw) => { request.rawBody = raw; } }));
app.use(twilio.webhook({ protocol: "https", host: process.env.PUBLIC_HOST }));
app.use(upstream ? forward : answer);
app.listen(Number(port), "127.0.0.1");

function answer(_request, response) {
  response.type("text/xml").send("<?xml version=\"1.0\"?><Response><Message>Noted</Message></Response>\r\n");
}

function forward(request, response) {
  const headers = { ...request.headers, connection: "keep-alive" };
  const onward = http.request(
    { agent, host: "127.0.0.1", port: Number(upstream), method: request.method, path: request.originalUrl, headers },
    (answered) => {
      const { connection, "keep-alive": _, ...kept } = answered.headers;
      response.writeHead(answered.statusCode, kept);
      answered.pipe(response);
    },
  );
  onward.on("error", () => response.sendStatus(502));
  onward.end(request.rawBody);
}
