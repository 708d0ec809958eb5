// A long run, of the same file that playhead run plays. The file's terms are those of a
// server with
//   playhead serve --keepalive 1s --lease 2.5s
// Run it with:  bin/k6 run scenarios/k6/soak.js            (ten minutes; -e DURATION=12h)
import playhead from 'k6/x/playhead';

const scenario = open('../soak.yaml');

export const options = playhead.options(scenario);
options.scenarios.soak.maxDuration = '25h';

const fleet = new playhead.Fleet({
  scenario,
  target: __ENV.TARGET || 'http://127.0.0.1:8080',
  out: __ENV.OUT,
  duration: __ENV.DURATION,
  scale: __ENV.SCALE,
});

export default async function () {
  await fleet.run();
  await fleet.audit();
}
