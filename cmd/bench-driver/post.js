// What k6 is measured with: a POST, and a check of its answer.
import http from 'k6/http';
import { check } from 'k6';

const load = JSON.parse(__ENV.LOAD);
const duration = `${load.length_s}s`;
const params = { headers: { 'Content-Type': 'application/json' } };

export const options = {
  summaryTrendStats: ['med', 'p(90)', 'p(99)', 'p(99.9)', 'max'],
  scenarios: {
    post: load.per_s === 0
      ? { executor: 'constant-vus', vus: load.connections, duration, gracefulStop: '5s' }
      : {
        executor: 'constant-arrival-rate', rate: load.per_s, timeUnit: '1s', duration, gracefulStop: '5s',
        preAllocatedVUs: load.connections, maxVUs: load.connections,
      },
  },
};

export default function () {
  const answer = http.post(`${load.url}/v1/events`, load.body, params);
  check(answer, { accepted: (a) => a.status === 200 });
}

export function handleSummary(data) {
  const ms = data.metrics.http_req_duration.values;
  return {
    stdout: JSON.stringify({
      p50: ms.med, p90: ms['p(90)'], p99: ms['p(99)'], 'p99.9': ms['p(99.9)'], max: ms.max,
    }),
  };
}
