// An account that everybody shares: four people at a plan of two streams. Two play, two are
// told who plays; when one stops, the next is let in.
// Run it with:  bin/k6 run scenarios/k6/sharing.js
import { check } from 'k6';
import http from 'k6/http';
import exec from 'k6/execution';
import playhead from 'k6/x/playhead';

const target = __ENV.TARGET || 'http://127.0.0.1:8080';

export const options = {
  scenarios: {
    households: { executor: 'per-vu-iterations', vus: 10, iterations: Number(__ENV.ITERATIONS || 20), maxDuration: '2m' },
  },
  thresholds: {
    checks: ['rate==1'],
    'playhead_denied{operation:start}': ['count>0'],
    playhead_errors: ['count==0'],
    'playhead_response_ms{operation:start}': ['p(99)<1000'],
  },
  summaryTrendStats: ['avg', 'min', 'med', 'max', 'p(90)', 'p(99)', 'p(99.9)'],
};

export default function () {
  // An account of its own for each iteration, also in a second run: what played before may
  // still hold its streams.
  const account = Date.now() * 1000 + exec.vu.idInTest;
  http.put(`${target}/v1/accounts/${account}`, JSON.stringify({ max_streams: 2 }), {
    headers: { 'Content-Type': 'application/json' },
  });
  const people = [1, 2, 3, 4].map(
    (n) => new playhead.Device({ target, account, profile: n, device: n, title: 80, type: 'tablet' }),
  );
  const answers = people.map((one) => one.start({ position: 0 }));
  check(answers, {
    'two are let in': (all) => all.filter((a) => !a.denied).length === 2,
    'two are told who plays': (all) => all.filter((a) => a.denied && a.active.length === 2).length === 2,
  });
  check(people[0].stop({ position: 60000 }), { 'one stops': (a) => a.status === 'accepted' });
  check(people[2].start({ position: 0 }), { 'the next is let in': (a) => !a.denied });
  check(people[3].activeSessions(), { 'two play': (a) => a.active.length === 2 });
  people[1].stop({ position: 60000 });
  people[2].stop({ position: 1000 });
}
