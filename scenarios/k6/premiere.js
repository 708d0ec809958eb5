// A flash crowd: at 21:00 a premiere begins, and within minutes more people watch it than
// all else together. The file's terms are those of a server with
//   playhead serve --keepalive 3s --lease 7.5s
// Run it with:  bin/k6 run scenarios/k6/premiere.js
import playhead from 'k6/x/playhead';

const scenario = open('../premiere.yaml');

export const options = playhead.options(scenario);

const fleet = new playhead.Fleet({
  scenario,
  target: __ENV.TARGET || 'http://127.0.0.1:8080',
  out: __ENV.OUT,
  duration: __ENV.DURATION,
  scale: __ENV.SCALE,
});

export default async function () {
  await fleet.run();
  const found = await fleet.audit();
  console.log(`${found.sessions} sessions audited, ${found.violations} answers wrong`);
}
