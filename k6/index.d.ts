/**
 * Playback devices for k6: the population, the seed and the behaviour of `playhead run`.
 *
 * @example
 * ```js
 * import playhead from 'k6/x/playhead';
 *
 * const fleet = new playhead.Fleet({ target: 'http://127.0.0.1:8080', population: 'netflix-2015', scale: '1/4000' });
 *
 * export default async function () {
 *   await fleet.run('30s');
 *   await fleet.audit();
 * }
 * ```
 */
declare module 'k6/x/playhead' {
  /** A time: `'10s'`, `'1m30s'`, or milliseconds. */
  type Duration = string | number;

  /** What a Fleet plays, and against what. A wrong option throws an error that names it. */
  interface FleetOptions {
    /** URLs of the target: one, several with commas between them, or a list. */
    target: string | string[];
    /** Text of a scenario file, as `open()` gives it. All that follows changes what it says; its faults are left out. */
    scenario?: string;
    /** `netflix-2015` (the default), `netflix-2018`, `netflix-2025` or `live-event`. */
    population?: string;
    /** Share of the population that plays, `'1/4000'` or a number. */
    scale?: string | number;
    /** The same seed gives the same events. */
    seed?: number;
    /** Share of the accounts whose password several households use, 0 to 1. */
    sharedAccounts?: number;
    /** Numbers of the population by name, as `playhead simulate --parameters` lists them. */
    parameters?: Record<string, number>;
    /** Local time of day at which the plan begins, `'20:30'`. */
    startAt?: string;
    /** What `run()` plays without an argument. */
    duration?: string;
    /** What is due in it is sent and audited, but not measured. 5s without a scenario. */
    warmUp?: string;
    /** Population seconds in a wall second. */
    timeScale?: number;
    /** In the population's time: the target must give it, divided by `timeScale`. 60s. */
    keepalive?: string;
    /** In the population's time, as `keepalive`. 150s. */
    lease?: string;
    /** Streams of an account without a plan, as the target has it. */
    defaultStreams?: number;
    /** Requests under way at once, of all VUs together. */
    connections?: number;
    /** Of one try of a request. */
    timeout?: string;
    /** Events a second, of all VUs together, in place of the population's own clock. */
    rate?: number;
    /** Events in a request at most. */
    batch?: number;
    aggregators?: number;
    linger?: string;
    encoding?: 'json' | 'binary';
    /** Share of the devices that ask, 0 to 1. */
    reads?: number;
    /** Share of the accounts that the audit asks about, above 0. */
    readBack?: number;
    /** Part of the accounts, `'2/8'`. k6's own execution segments need none. */
    segment?: string;
    /** Folder for what `playhead report` reads. Of several VUs each writes one in it, `2-of-4`. */
    out?: string;
    /** `false`: nothing is audited, and no memory is kept of what was sent. */
    audit?: boolean;
  }

  /** What was measured so far, by this VU's part, but for the warm-up. */
  interface Progress {
    operations: number;
    errors: number;
    denied: number;
    active_sessions: number;
    pending: number;
  }

  /** What the audit found. */
  interface Audit {
    sessions: number;
    events_acknowledged: number;
    violations: number;
    events_lost: number;
    over_admissions: number;
    false_denials: number;
    position_mismatches: number;
    history_mismatches: number;
    stale_reads: number;
    position_regressions: number;
    events_rejected: number;
    accounts_linearizable: number;
    /** Why the generator was unfit to measure; empty: it was fit. */
    unfit: string;
    verdict: 'pass' | 'fail' | 'void' | 'violated';
    /** The folder of the run, if `out` named one. */
    out: string;
  }

  /**
   * The devices of a population. Construct it outside the function, once a VU: the VUs of
   * its scenario divide the accounts, on all machines of an `--execution-segment` too.
   */
  class Fleet {
    constructor(options: FleetOptions);
    /** Plays so much more of the plan. It does not wait for the last answers. */
    run(duration?: Duration): Promise<Progress>;
    /** Ends the plan, waits for the last answers, and proves each right or wrong. */
    audit(): Promise<Audit>;
  }

  interface DeviceOptions {
    target: string | string[];
    account: number;
    device: number;
    title: number;
    /** 1 to 5; 1. */
    profile?: number;
    /** `'tv'`. */
    type?: string;
    country?: string;
    /** Of the title, in milliseconds. */
    runtime?: number;
  }

  /** What a device says of its playback; milliseconds. */
  interface Facts {
    position?: number;
    /** Played so far in this session; without it, it grows as the position does. */
    played?: number;
    rebuffer?: number;
    /** Played so far at each rung. */
    bitrate?: Record<string, number>;
    /** Of an error. */
    code?: string;
  }

  interface ActiveSession {
    session_id: string;
    device_id: number;
    device_type: string;
    profile_id: number;
    title_id: number;
    position_ms: number;
    started_at: string;
    last_seen_at: string;
  }

  interface Admitted {
    denied: false;
    session_id: string;
    position_ms: number;
    keepalive_ms: number;
    expires_at: string;
  }

  interface Denied {
    denied: true;
    max_streams: number;
    active: ActiveSession[];
  }

  interface Outcome {
    status: 'accepted' | 'duplicate' | 'denied' | 'rejected';
    reason?: string;
  }

  interface Position {
    title_id: number;
    position_ms: number;
    runtime_ms: number;
    updated_at: string;
    session_id: string;
  }

  interface View {
    session_id: string;
    title_id: number;
    profile_id: number;
    device_id: number;
    device_type: string;
    started_at: string;
    ended_at: string;
    played_ms: number;
    position_ms: number;
    runtime_ms: number;
    completed: boolean;
  }

  /** A device that a script plays by hand. Its calls block; an unreachable target throws. */
  class Device {
    constructor(options: DeviceOptions);
    /** Asks to play. Without a position it begins where the profile was. A denial is a value. */
    start(facts?: Facts): Admitted | Denied;
    keepalive(facts?: Facts): Outcome;
    pause(facts?: Facts): Outcome;
    resume(facts?: Facts): Outcome;
    seek(facts?: Facts): Outcome;
    telemetry(facts?: Facts): Outcome;
    error(facts?: Facts): Outcome;
    stop(facts?: Facts): Outcome;
    /** Where the profile is in the title; `null` if it never watched it. */
    position(): Position | null;
    history(): { views: View[]; next_cursor?: string };
    continueWatching(): { views: View[]; next_cursor?: string };
    activeSessions(): { max_streams: number; active: ActiveSession[] };
  }

  /**
   * Turns the text of a scenario file into k6's options: one scenario, one VU, and the
   * file's thresholds, but for those on faults.
   */
  function options(scenario: string): {
    scenarios: Record<string, any>;
    thresholds: Record<string, string[]>;
    summaryTrendStats: string[];
  };

  const playhead: { Fleet: typeof Fleet; Device: typeof Device; options: typeof options };
  export { Fleet, Device, options };
  export default playhead;
}
