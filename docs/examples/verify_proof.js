// Did this request come through the gate, within the last minute? See docs/upstream-proof.md.
const crypto = require('node:crypto');

// request: { method, target, body, account, proof }. `body` is a Buffer of the raw bytes, `target` the raw path and
// query, `account` the value of X-Ringfence-Account (undefined if absent), `proof` that of X-Ringfence-Proof.
function verifyProof(secret, request, now = Date.now() / 1000) {
  const [, time, presented] = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/.exec(request.proof ?? '') ?? [];
  if (!time || !(Math.abs(now - Number(time)) <= 60)) return false;
  const bodyHash = crypto.createHash('sha256').update(request.body).digest('hex');
  const lines = ['v1', time, request.method, request.target, bodyHash, request.account ?? '-'];
  const expected = crypto.createHmac('sha256', secret).update(lines.join('\n')).digest();
  return crypto.timingSafeEqual(expected, Buffer.from(presented, 'hex'));
}

module.exports = { verifyProof };
