import playhead from 'k6/x/playhead';
import exec from 'k6/execution';

const vus = 8;
const calls = 100; // an iteration
const each = Math.floor(Number(__ENV.EVENTS) / vus / calls);
let tv;
let position = 0;

export const options = { scenarios: { devices: { executor: 'per-vu-iterations', vus, iterations: each, maxDuration: '30m' } } };

export default function () {
  if (!tv) {
    tv = new playhead.Device({ target: __ENV.TARGET, account: Date.now() * 1000 + exec.vu.idInTest, device: 1, title: 80 });
    tv.start({ position: 0 });
  }
  for (let i = 0; i < calls; i++) {
    if (tv.keepalive({ position: (position += 1000) }).status !== 'accepted') {
      throw new Error('not accepted');
    }
  }
}

export function handleSummary(data) {
  return { stdout: `events ${data.metrics.playhead_events.values.count}\n` };
}
