//! A bound on what runs at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A counter with an upper bound.
#[derive(Debug)]
pub struct Gate {
    inside: AtomicU32,
    bound: u32,
}

/// One place inside a [`Gate`], given back when it is dropped.
#[derive(Debug)]
#[must_use = "a permit that is dropped at once bounds nothing"]
pub struct Permit {
    gate: Arc<Gate>,
}

impl Gate {
    /// A gate that lets `bound` in at once; 0 lets nobody in.
    pub const fn new(bound: u32) -> Self {
        Self { inside: AtomicU32::new(0), bound }
    }

    /// A place inside, or `None` while all are taken.
    pub fn enter(self: &Arc<Self>) -> Option<Permit> {
        let mut inside = self.inside.load(Ordering::Relaxed);
        loop {
            if inside >= self.bound {
                return None;
            }
            match self.inside.compare_exchange_weak(inside, inside + 1, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Some(Permit { gate: Arc::clone(self) }),
                Err(now) => inside = now,
            }
        }
    }

    /// How many are inside.
    pub fn inside(&self) -> u32 {
        self.inside.load(Ordering::Relaxed)
    }

    /// How many may be inside at once.
    pub const fn bound(&self) -> u32 {
        self.bound
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gate.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_dropped_permit_makes_room_even_when_a_panic_drops_it() {
        let gate = Arc::new(Gate::new(1));
        let permit = gate.enter().unwrap();
        assert!(gate.enter().is_none());
        drop(permit);
        let inner = Arc::clone(&gate);
        let unwound = std::panic::catch_unwind(move || {
            let _permit = inner.enter().unwrap();
            panic!("the request failed");
        });
        assert!(unwound.is_err());
        assert_eq!(gate.inside(), 0);
        assert!(gate.enter().is_some());
    }

    #[test]
    fn a_gate_without_room_lets_nobody_in() {
        assert!(Arc::new(Gate::new(0)).enter().is_none());
    }

    #[test]
    fn threads_together_are_never_more_than_the_bound() {
        let gate = Arc::new(Gate::new(3));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        if let Some(_permit) = gate.enter() {
                            assert!(gate.inside() <= gate.bound());
                        }
                    }
                });
            }
        });
        assert_eq!(gate.inside(), 0);
    }

    proptest! {
        #[test]
        fn any_order_of_coming_and_going_keeps_the_bound(
            bound in 0_u32..8,
            steps in prop::collection::vec((any::<bool>(), 0_usize..8), 0..200),
        ) {
            let gate = Arc::new(Gate::new(bound));
            let mut held = Vec::new();
            for (comes, which) in steps {
                if comes {
                    let room = held.len() < bound as usize;
                    let permit = gate.enter();
                    prop_assert_eq!(permit.is_some(), room);
                    held.extend(permit);
                } else if which < held.len() {
                    drop(held.swap_remove(which));
                }
                prop_assert_eq!(gate.inside() as usize, held.len());
            }
        }
    }
}
