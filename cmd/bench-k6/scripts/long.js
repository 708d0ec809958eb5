import playhead from 'k6/x/playhead';

const rate = 60000;
const seconds = Math.ceil(Number(__ENV.EVENTS) / rate);
const audited = __ENV.AUDIT === 'true';
const fleet = new playhead.Fleet({
  target: __ENV.TARGET, scale: '1/2000', rate, batch: 1000, aggregators: 4, connections: 8, encoding: 'binary',
  warmUp: '1ms', reads: 0, readBack: 0.001, audit: audited,
});

export const options = {
  scenarios: { fleet: { executor: 'per-vu-iterations', vus: 1, iterations: 1, maxDuration: '30m' } },
  thresholds: { playhead_response_ms: ['p(99)<600000'], 'playhead_response_ms{operation:start}': ['p(99.9)<600000'] },
};

export default async function () {
  await fleet.run(`${seconds}s`);
  if (audited) {
    await fleet.audit();
  }
}

export function handleSummary(data) {
  return { stdout: `events ${data.metrics.playhead_events.values.count}\n` };
}
