// A fleet plays, and beside it a script looks at who leads. Kill the leader while it plays:
// the devices repeat what was not answered, and nothing that was acknowledged may be lost.
// Run it with:  bin/k6 run -e TARGET=http://127.0.0.1:8081,http://127.0.0.1:8082,http://127.0.0.1:8083 scenarios/k6/leader-loss.js
import { check, sleep } from 'k6';
import http from 'k6/http';
import { Gauge, Counter } from 'k6/metrics';
import playhead from 'k6/x/playhead';

const target = __ENV.TARGET || 'http://127.0.0.1:8080';
const seconds = Number(__ENV.SECONDS || 30);
const changes = new Counter('leader_changes');
const term = new Gauge('leader_term');

export const options = {
  scenarios: {
    viewers: { executor: 'per-vu-iterations', vus: 1, iterations: 1, maxDuration: '10m', exec: 'viewers' },
    watch: { executor: 'constant-vus', vus: 1, duration: `${seconds}s`, exec: 'watch', gracefulStop: '1s' },
  },
  thresholds: {
    playhead_violations: ['count==0'],
    playhead_audited_sessions: ['count>0'],
    playhead_unfit: ['count==0'],
    playhead_error_rate: ['value<0.2'],
    playhead_events: ['count>0'],
    leader_term: ['value>0'],
  },
  summaryTrendStats: ['avg', 'min', 'med', 'max', 'p(90)', 'p(99)', 'p(99.9)'],
};

const fleet = new playhead.Fleet({ target, scale: __ENV.SCALE || '1/40000', seed: 7, warmUp: '2s', out: __ENV.OUT });

export async function viewers() {
  await fleet.run('2s'); // the warm-up
  console.log('the fleet plays: kill the leader now');
  await fleet.run(`${seconds - 2}s`);
  await fleet.audit();
}

let leader = '';

export function watch() {
  for (const node of target.split(',')) {
    const answer = http.get(`${node}/v1/cluster`, { timeout: '1s', responseCallback: null });
    if (answer.status !== 200 || !answer.json('leader_id')) {
      continue;
    }
    if (leader !== answer.json('leader_id')) {
      changes.add(leader === '' ? 0 : 1);
      console.log(`${answer.json('leader_id')} leads now, in term ${answer.json('term')}`);
    }
    leader = answer.json('leader_id');
    term.add(answer.json('term'));
    check(answer, { 'somebody leads': () => true });
    break;
  }
  sleep(0.5);
}
