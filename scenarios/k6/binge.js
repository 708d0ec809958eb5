// A binge: one viewer, one episode after the other, with a pause for tea. After each the
// screen says where it stopped, and what was watched.
// Run it with:  bin/k6 run scenarios/k6/binge.js
import { check } from 'k6';
import exec from 'k6/execution';
import playhead from 'k6/x/playhead';

const target = __ENV.TARGET || 'http://127.0.0.1:8080';
const minute = 60000;

export const options = {
  scenarios: {
    binge: { executor: 'per-vu-iterations', vus: 10, iterations: Number(__ENV.ITERATIONS || 10), maxDuration: '2m' },
  },
  thresholds: {
    checks: ['rate==1'],
    playhead_errors: ['count==0'],
    playhead_denied: ['count==0'],
    playhead_response_ms: ['p(99)<1000', 'p(99.9)<2000'],
  },
  summaryTrendStats: ['avg', 'min', 'med', 'max', 'p(90)', 'p(99)', 'p(99.9)'],
};

export default function () {
  const account = Date.now() * 1000 + exec.vu.idInTest;
  for (let episode = 1; episode <= 5; episode++) {
    const tv = new playhead.Device({ target, account, device: 1, title: episode, runtime: 45 * minute });
    check(tv.start(), { 'an episode begins': (a) => !a.denied && a.position_ms === 0 });
    for (let at = 1; at <= 44; at++) {
      tv.keepalive({ position: at * minute });
      if (at === 20) {
        tv.pause({ position: at * minute });
        tv.resume({ position: at * minute });
      }
    }
    tv.stop({ position: 45 * minute });
    check(tv.position(), { 'it was watched to its end': (p) => p.position_ms === 45 * minute });
    check(tv.history(), { 'it is in the history': (h) => h.views[0].title_id === episode && h.views.length === episode });
  }
}
