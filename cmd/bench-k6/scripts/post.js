import http from 'k6/http';
import { check } from 'k6';
import exec from 'k6/execution';

const vus = 8;
const calls = 100; // an iteration
const each = Math.floor(Number(__ENV.EVENTS) / vus / calls);
const headers = { headers: { 'Content-Type': 'application/json' } };
let account;
let session;
let seq = 0;

export const options = { scenarios: { posts: { executor: 'per-vu-iterations', vus, iterations: each, maxDuration: '30m' } } };

export default function () {
  if (!account) {
    account = Date.now() * 1000 + exec.vu.idInTest;
    session = `01935b6e-2c1a-7c3e-9d1f-${account.toString(16).padStart(12, '0').slice(-12)}`;
  }
  for (let i = 0; i < calls; i++) {
    seq++;
    post();
  }
}

function post() {
  const answer = http.post(`${__ENV.TARGET}/v1/events`, JSON.stringify([{
    session_id: session, seq, type: 'keepalive', at: new Date().toISOString(), account_id: account, profile_id: 1,
    device_id: 1, device_type: 'tv', title_id: 80, position_ms: seq * 1000, played_ms: seq * 1000,
  }]), headers);
  check(answer, { accepted: (a) => a.json('outcomes')[0].status === 'accepted' });
}

export function handleSummary(data) {
  return { stdout: `events ${data.metrics.http_reqs.values.count}\n` };
}
