use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn opened(now_ns: u64) -> Breaker {
    let breaker = Breaker::default();
    for _ in 0..5 {
        assert_eq!(breaker.allow(now_ns), Allowed::Yes);
        breaker.failure(now_ns);
    }
    breaker
}

/// How long a caller is told to wait, rounded down to milliseconds; `None` where it may go.
fn wait_ms(breaker: &Breaker, now_ns: u64) -> Option<u64> {
    match breaker.allow(now_ns) {
        Allowed::Yes => None,
        Allowed::NotBefore(ns) => Some(ns / 1_000_000),
    }
}

#[test]
fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
    let breaker = Breaker::new(3);
    for _ in 0..10 {
        breaker.failure(0);
        breaker.failure(0);
        assert!(!breaker.is_open(0));
        breaker.success(0);
    }
    breaker.failure(0);
    breaker.failure(0);
    breaker.failure(0);
    assert!(breaker.is_open(0));
    assert_eq!(wait_ms(&breaker, 0), Some(1_000));
}

#[test]
fn after_a_rest_exactly_one_probe_goes_through() {
    let breaker = opened(0);
    let now = 2 * SECOND;
    assert!(!breaker.is_open(now));
    assert_eq!(wait_ms(&breaker, now), None);
    assert_eq!(wait_ms(&breaker, now), Some(1_000));
    assert!(breaker.is_open(now));
    breaker.success(now);
    assert_eq!(wait_ms(&breaker, now), None);
    assert_eq!(wait_ms(&breaker, now), None);
}

#[test]
fn each_failed_probe_doubles_the_rest_up_to_half_a_minute() {
    let breaker = opened(0);
    let mut now = 0;
    for seconds in [1, 2, 4, 8, 16, 30, 30, 30] {
        assert_eq!(wait_ms(&breaker, now), Some(seconds * 1_000));
        now += seconds * SECOND + 2_000;
        assert_eq!(wait_ms(&breaker, now), None);
        breaker.failure(now);
    }
    for _ in 0..200 {
        now += 31 * SECOND;
        assert_eq!(wait_ms(&breaker, now), None);
        breaker.failure(now);
    }
    assert!(wait_ms(&breaker, now).is_some_and(|ms| (29_999..=30_001).contains(&ms)));
}

#[test]
fn a_lost_probe_does_not_keep_it_half_open_for_ever() {
    let breaker = opened(0);
    assert_eq!(wait_ms(&breaker, 2 * SECOND), None);
    assert_eq!(wait_ms(&breaker, 61 * SECOND), Some(1_000));
    assert_eq!(wait_ms(&breaker, 63 * SECOND), None);
    assert_eq!(wait_ms(&breaker, 63 * SECOND), Some(1_000));
}

#[test]
fn a_late_failure_does_not_prolong_the_rest() {
    let breaker = opened(0);
    breaker.failure(SECOND / 2);
    assert_eq!(wait_ms(&breaker, SECOND / 2), Some(500));
}

#[test]
fn of_many_threads_one_is_the_probe() {
    let breaker = opened(0);
    let probes = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    if breaker.allow(2 * SECOND) == Allowed::Yes {
                        probes.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(probes.into_inner(), 1);
}

/// The same behaviour in plain words, without packing.
#[derive(Debug, Default)]
struct Model {
    failures: u8,
    rests: u32,
    open_until: Option<u64>,
    probe_until: Option<u64>,
}

impl Model {
    fn allow(&mut self, now: u64) -> bool {
        if self.probe_until.is_some_and(|until| now < until)
            || self.open_until.is_some_and(|until| now < until)
        {
            return false;
        }
        if self.open_until.is_some() || self.probe_until.is_some() {
            self.open_until = None;
            self.probe_until = Some(now + PROBE_LIFE_NS);
        }
        true
    }

    fn failure(&mut self, now: u64) {
        if self.open_until.is_some() {
            return;
        }
        if self.probe_until.take().is_some() {
            self.rests += 1;
        } else {
            self.failures += 1;
            if self.failures < 5 {
                return;
            }
            self.rests = 0;
        }
        let rest = (FIRST_REST_NS << self.rests.min(8)).min(LONGEST_REST_NS);
        self.open_until = Some(now + rest);
    }

    fn success(&mut self) {
        *self = Self::default();
    }
}

proptest! {
    #[test]
    fn it_behaves_like_its_model(steps in prop::collection::vec((0_u8..3, 0_u64..40), 0..300)) {
        let breaker = Breaker::default();
        let mut model = Model::default();
        let mut now = 0;
        for (step, seconds) in steps {
            // Whole seconds and a little: never so close to a boundary that packing's rounding shows.
            now += seconds * SECOND + 5_000;
            match step {
                0 => prop_assert_eq!(breaker.allow(now) == Allowed::Yes, model.allow(now)),
                1 => {
                    breaker.failure(now);
                    model.failure(now);
                }
                _ => {
                    breaker.success(now);
                    model.success();
                }
            }
        }
    }

    #[test]
    fn a_state_survives_packing_to_the_microsecond(until_ns in 0_u64..(1 << 57), rests in 0_u8..64) {
        for state in [State::Open { until_ns, rests }, State::HalfOpen { until_ns, rests }] {
            let (State::Open { until_ns: back, rests: kept } | State::HalfOpen { until_ns: back, rests: kept }) =
                State::unpack(state.pack())
            else {
                return Err(TestCaseError::fail("the state changed"));
            };
            prop_assert!(back >= until_ns && back - until_ns < 1_024);
            prop_assert_eq!(kept, rests);
        }
    }
}
