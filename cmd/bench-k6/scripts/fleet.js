import playhead from 'k6/x/playhead';

const rate = 50000;
const seconds = Math.ceil(Number(__ENV.EVENTS) / rate);
const fleet = new playhead.Fleet({
  target: __ENV.TARGET, scale: '1/2000', rate, batch: 1000, aggregators: 4, connections: 8, encoding: 'binary',
  warmUp: '1ms', reads: 0, readBack: 0.01,
});

export const options = { scenarios: { fleet: { executor: 'per-vu-iterations', vus: 1, iterations: 1, maxDuration: '30m' } } };

export default async function () {
  await fleet.run(`${seconds}s`);
  await fleet.audit();
}

export function handleSummary(data) {
  return { stdout: `events ${data.metrics.playhead_events.values.count}\n` };
}
