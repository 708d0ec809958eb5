// That the extension is there, and reads a scenario. It asks no server.
// Run it with:  k6 run examples/smoke.js
import { check } from 'k6';
import playhead from 'k6/x/playhead';

export const options = { thresholds: { checks: ['rate==1'] } };

const read = playhead.options('name: smoke\npopulation: {model: netflix-2015}\nthresholds:\n  start.response_ms: ["p(99)<500"]\n');
const tv = new playhead.Device({ target: 'http://127.0.0.1:8080', account: 42, device: 9001, title: 80 });
const fleet = new playhead.Fleet({ target: 'http://127.0.0.1:8080', scale: '1/100000' });

export default function () {
  check(read, { 'a scenario is read': (o) => o.thresholds['playhead_response_ms{operation:start}'][0] === 'p(99)<500' });
  check(tv, { 'a device is there': (d) => typeof d.start === 'function' });
  check(fleet, { 'a fleet is there': (f) => typeof f.run === 'function' });
}
