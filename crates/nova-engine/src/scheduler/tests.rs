use super::{Limits, Plan, Scheduler, Share};

const LIMITS: Limits = Limits { sequences: 4, prompt_rows: 100, block: 16, blocks: 100 };

fn share(id: u64, rows: usize, sample: bool) -> Share {
    Share { id, rows, sample }
}

/// Plans a step and carries it out; every sampled token continues.
fn step(scheduler: &mut Scheduler) -> Plan {
    let plan = scheduler.plan();
    plan.shares.iter().for_each(|share| scheduler.advance(*share, true));
    plan
}

#[test]
fn answers_go_first_and_prompts_share_the_budget_shortest_first() {
    let mut scheduler = Scheduler::new(LIMITS);
    scheduler.submit(1, 30);
    assert_eq!(step(&mut scheduler).shares, [share(1, 30, true)]);
    scheduler.submit(2, 300);
    scheduler.submit(3, 40);
    assert_eq!(step(&mut scheduler).shares, [share(1, 1, true), share(3, 40, true), share(2, 60, false)]);
    assert_eq!(step(&mut scheduler).shares, [share(1, 1, true), share(3, 1, true), share(2, 100, false)]);
}

#[test]
fn a_long_prompt_is_not_overtaken_for_ever() {
    let mut scheduler = Scheduler::new(Limits { sequences: 1_000, blocks: 100_000, ..LIMITS });
    scheduler.submit(0, 400);
    let mut steps = 0;
    // Each step brings enough short prompts to use the budget up.
    let mut next = 1;
    while !step(&mut scheduler).shares.contains(&share(0, 100, false)) {
        scheduler.submit(next, 100);
        next += 1;
        steps += 1;
        assert!(steps < 30, "still waiting");
    }
}

#[test]
fn only_so_many_sequences_hold_cache() {
    let mut scheduler = Scheduler::new(LIMITS);
    (0..6).for_each(|id| scheduler.submit(id, 10));
    step(&mut scheduler);
    assert_eq!((scheduler.running(), scheduler.waiting(), scheduler.blocks()), (4, 2, 4));
    scheduler.remove(0);
    step(&mut scheduler);
    assert_eq!((scheduler.running(), scheduler.waiting()), (4, 1));
    (0..6).for_each(|id| scheduler.remove(id));
    assert!(scheduler.is_empty());
    assert_eq!(scheduler.blocks(), 0);
}

#[test]
fn a_prompt_waits_for_room_and_is_not_overtaken_meanwhile() {
    let mut scheduler = Scheduler::new(Limits { blocks: 10, ..LIMITS });
    scheduler.submit(1, 96);
    step(&mut scheduler);
    scheduler.submit(2, 80);
    for _ in 0..10 {
        step(&mut scheduler);
    }
    scheduler.submit(3, 79);
    assert_eq!(step(&mut scheduler).shares, [share(1, 1, true)], "neither fits beside the first");
    scheduler.remove(1);
    assert_eq!(step(&mut scheduler).shares[0], share(2, 80, true), "the one that came first goes first");
}

#[test]
fn the_newest_sequence_gives_its_room_back_and_is_read_again() {
    let mut scheduler = Scheduler::new(Limits { blocks: 4, ..LIMITS });
    scheduler.submit(1, 31);
    scheduler.submit(2, 31);
    step(&mut scheduler);
    assert_eq!(scheduler.running(), 2);
    // Both fill their second block (32 tokens) in this step and would need a third.
    assert!(step(&mut scheduler).dropped.is_empty());
    let plan = step(&mut scheduler);
    assert_eq!(plan, Plan { shares: vec![share(1, 1, true)], dropped: vec![2] });
    scheduler.remove(1);
    assert_eq!(step(&mut scheduler).shares, [share(2, 33, true)], "prompt and answer so far");
}

#[test]
fn a_sequence_that_needs_all_the_room_gets_it() {
    let mut scheduler = Scheduler::new(Limits { blocks: 4, ..LIMITS });
    scheduler.submit(1, 10);
    scheduler.submit(2, 10);
    let mut tokens = 10;
    while tokens < 64 {
        let plan = step(&mut scheduler);
        tokens += usize::from(plan.shares.iter().any(|share| share.id == 1 && share.sample));
        assert!(scheduler.running() > 0);
    }
}
