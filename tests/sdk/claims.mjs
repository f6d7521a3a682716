// How the scripts of this folder say what they claim: one line each, which the runner beside them reads. claims.py is the
// same for Python.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url); // an import would not look into NODE_PATH
export const twilio = require("twilio");

/** One claim; `detail` helps whoever reads that it does not hold. */
export function say(right, claim, detail = "") {
  console.log(right ? `ok ${claim}` : `FAIL ${claim}: ${String(detail).replaceAll("\n", " ")}`);
}

/** The call fails with Twilio's own error: this status, and this code unless it is null. */
export async function refused(claim, status, code, call) {
  try {
    await call;
    say(false, claim, "it went through");
  } catch (error) {
    const right = error instanceof twilio.RestException && error.status === status && (code === null ? error.code > 0 : error.code === code);
    say(right, claim, `${error.constructor.name} ${error.status} ${error.code} ${error.message}`);
  }
}
