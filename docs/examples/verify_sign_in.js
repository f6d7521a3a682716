// Who is signed in, by the word of Ringfence itself, within the last minute? See docs/sign-in-page.md.
const crypto = require('node:crypto');

// `host` is this application's own, as [[console.protect]] has it; `user` is the value of Ringfence-User and `assertion`
// that of Ringfence-Assertion (undefined if absent). Gives back the user, or null.
function verifySignIn(secret, host, user, assertion, now = Date.now() / 1000) {
  const [, time, presented] = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/.exec(assertion ?? '') ?? [];
  if (!user || !time || !(Math.abs(now - Number(time)) <= 60)) return null;
  const lines = ['v1', time, host, user];
  const expected = crypto.createHmac('sha256', secret).update(lines.join('\n')).digest();
  return crypto.timingSafeEqual(expected, Buffer.from(presented, 'hex')) ? user : null;
}

module.exports = { verifySignIn };
