// Prime time, of the same file that playhead run plays: its population, its seed, its
// thresholds. The file's terms are those of a server with
//   playhead serve --keepalive 1s --lease 2.5s
// Run it with:  bin/k6 run scenarios/k6/prime-time.js
import playhead from 'k6/x/playhead';

const scenario = open('../prime-time.yaml');

export const options = playhead.options(scenario);
if (__ENV.VUS) {
  options.scenarios['prime-time'].vus = Number(__ENV.VUS); // they divide the accounts
}

const fleet = new playhead.Fleet({
  scenario,
  target: __ENV.TARGET || 'http://127.0.0.1:8080',
  out: __ENV.OUT, // a folder for playhead report
  duration: __ENV.DURATION,
  scale: __ENV.SCALE,
});

export default async function () {
  await fleet.run();
  await fleet.audit();
}
