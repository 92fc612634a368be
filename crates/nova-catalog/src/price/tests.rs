use proptest::prelude::*;

use super::*;

/// 2026-11-16 00:00 UTC, a Monday.
const MONDAY: i64 = 1_794_787_200_000;
const HOUR: i64 = 3_600_000;
const WORKDAYS: [Weekday; 5] = [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri];

fn dollars(text: &str) -> PerMillion {
    PerMillion::new(text.parse().unwrap())
}

fn rates(input: &str, output: &str) -> Rates {
    Rates { input: dollars(input), output: dollars(output), ..Rates::default() }
}

/// DeepSeek V4 Pro: half price outside of the Chinese working hours.
fn deepseek() -> Price {
    let window = |days: &[Weekday], from: u16, to: u16| Window::new(days, from * 60, to * 60).unwrap();
    Price {
        rates: Rates { cache_read: Some(dollars("0.044")), ..rates("1.32", "3.96") },
        off_peak: Some(OffPeak {
            windows: vec![
                window(&WORKDAYS, 0, 1),
                window(&WORKDAYS, 4, 6),
                window(&WORKDAYS, 10, 24),
                window(&[Weekday::Sat, Weekday::Sun], 0, 24),
            ],
            terms: Terms::Percent(50),
        }),
        ..Price::default()
    }
}

/// Qwen3 Max: three tiers by prompt length.
fn qwen() -> Price {
    let tier = |above, input, output| Tier { above_prompt_tokens: above, rates: rates(input, output) };
    Price {
        rates: rates("1.2", "6"),
        tiers: vec![tier(32_000, "2.4", "12"), tier(128_000, "3", "15")],
        ..Price::default()
    }
}

fn usage(input: u64, output: u64) -> Usage {
    Usage { input, output, ..Usage::default() }
}

#[test]
fn every_kind_of_token_has_its_own_rate() {
    let price = Price {
        rates: Rates {
            cache_read: Some(dollars("0.5")),
            cache_write: Some(dollars("6.25")),
            reasoning: Some(dollars("40")),
            ..rates("5", "25")
        },
        per_request: NanoUsd::from_nanos(7),
        ..Price::default()
    };
    let usage = Usage { input: 10, cache_read: 100, cache_write: 1_000, output: 20, reasoning: 5 };
    let expected = 10 * 5_000 + 100 * 500 + 1_000 * 6_250 + 15 * 25_000 + 5 * 40_000 + 7;
    assert_eq!(price.cost(&usage, MONDAY), NanoUsd::from_nanos(expected));
}

#[test]
fn a_rate_that_is_not_given_is_that_of_its_kind() {
    let price = Price { rates: rates("1", "2"), ..Price::default() };
    let usage = Usage { input: 1, cache_read: 1, cache_write: 1, output: 2, reasoning: 1 };
    assert_eq!(price.cost(&usage, 0), NanoUsd::from_nanos(3 * 1_000 + 2 * 2_000));
}

#[test]
fn a_tier_holds_for_the_whole_request_from_one_token_above_its_threshold() {
    let check = |tokens, dollars: &str| {
        assert_eq!(qwen().cost(&usage(tokens, 0), 0), dollars.parse().unwrap(), "{tokens}");
    };
    check(31_999, "0.0383988");
    check(32_000, "0.0384");
    check(32_001, "0.0768024");
    check(128_000, "0.3072");
    check(128_001, "0.384003");
}

#[test]
fn cached_tokens_count_towards_a_tier() {
    let usage = Usage { input: 1, cache_read: 32_000, ..Usage::default() };
    assert_eq!(qwen().cost(&usage, 0), NanoUsd::from_nanos(32_001 * 2_400));
}

#[test]
fn off_peak_hours_begin_and_end_on_the_minute() {
    let check = |at_ms, half| {
        let full = 1_000 * 1_320 + 1_000 * 3_960;
        let expected = NanoUsd::from_nanos(if half { full / 2 } else { full });
        assert_eq!(deepseek().cost(&usage(1_000, 1_000), at_ms), expected, "{at_ms}");
    };
    for day in 0..5 {
        let midnight = MONDAY + day * 24 * HOUR;
        check(midnight, true);
        check(midnight + HOUR - 1, true);
        check(midnight + HOUR, false);
        check(midnight + 4 * HOUR - 1, false);
        check(midnight + 4 * HOUR, true);
        check(midnight + 6 * HOUR - 1, true);
        check(midnight + 6 * HOUR, false);
        check(midnight + 10 * HOUR - 1, false);
        check(midnight + 10 * HOUR, true);
        check(midnight + 24 * HOUR - 1, true);
    }
    check(MONDAY + 5 * 24 * HOUR + 7 * HOUR, true);
    check(MONDAY - 1, true);
    check(MONDAY - 24 * HOUR + 2 * HOUR, true);
}

#[test]
fn off_peak_rates_stand_in_for_all_tiers() {
    let day = Window::new(&[Weekday::Mon], 0, Window::DAY).unwrap();
    let terms = Terms::Rates(rates("1", "1"));
    let price = Price { off_peak: Some(OffPeak { windows: vec![day], terms }), ..qwen() };
    assert_eq!(price.cost(&usage(200_000, 0), MONDAY), "0.2".parse().unwrap());
    assert_eq!(price.cost(&usage(200_000, 0), MONDAY - 1), "0.6".parse().unwrap());
}

#[test]
fn a_window_that_is_no_span_of_a_day_cannot_be_made() {
    assert_eq!(Window::new(&WORKDAYS, 60, 60), None);
    assert_eq!(Window::new(&WORKDAYS, 120, 60), None);
    assert_eq!(Window::new(&WORKDAYS, 0, 1441), None);
    assert_eq!(Window::new(&[], 0, 1440), None);
}

#[test]
fn the_upper_bound_takes_the_dearest_tier_within_reach_and_no_discount() {
    let check = |price: &Price, prompt, output, dollars: &str| {
        assert_eq!(price.upper_bound(prompt, output), dollars.parse().unwrap());
    };
    check(&qwen(), 32_000, 1_000, "0.0444");
    check(&qwen(), 32_001, 0, "0.0768024");
    check(&deepseek(), 1_000_000, 1_000_000, "5.28");
    let surcharged = Price {
        off_peak: Some(OffPeak { terms: Terms::Percent(150), ..deepseek().off_peak.unwrap() }),
        ..deepseek()
    };
    check(&surcharged, 1_000_000, 1_000_000, "7.92");
}

#[test]
fn a_price_of_nothing_is_free() {
    assert!(Price::default().is_free());
    assert!(!qwen().is_free());
    assert!(!Price { per_request: NanoUsd::from_nanos(1), ..Price::default() }.is_free());
}

prop_compose! {
    fn any_rates()(
        input in 0..100_000_000_000_i64,
        output in 0..200_000_000_000_i64,
        cache_read in prop::option::of(0..100_000_000_000_i64),
        cache_write in prop::option::of(0..100_000_000_000_i64),
        reasoning in prop::option::of(0..200_000_000_000_i64),
    ) -> Rates {
        let rate = |nanos| PerMillion::new(NanoUsd::from_nanos(nanos));
        Rates {
            input: rate(input),
            output: rate(output),
            cache_read: cache_read.map(rate),
            cache_write: cache_write.map(rate),
            reasoning: reasoning.map(rate),
        }
    }
}

prop_compose! {
    fn any_price()(
        rates in any_rates(),
        tiers in prop::collection::btree_map(0..1_000_000_u64, any_rates(), 0..4),
        terms in prop::option::of(prop_oneof![
            (0..300_u32).prop_map(Terms::Percent),
            any_rates().prop_map(Terms::Rates),
        ]),
        per_request in 0..1_000_000_i64,
    ) -> Price {
        let tiers = tiers.into_iter().map(|(above_prompt_tokens, rates)| Tier { above_prompt_tokens, rates });
        let windows = vec![Window::new(&WORKDAYS, 0, 720).unwrap()];
        Price {
            rates,
            tiers: tiers.collect(),
            off_peak: terms.map(|terms| OffPeak { windows, terms }),
            per_request: NanoUsd::from_nanos(per_request),
        }
    }
}

prop_compose! {
    fn any_usage()(
        input in 0..500_000_u64,
        cache_read in 0..500_000_u64,
        cache_write in 0..500_000_u64,
        output in 0..500_000_u64,
        share in 0..=100_u64,
    ) -> Usage {
        Usage { input, cache_read, cache_write, output, reasoning: output * share / 100 }
    }
}

proptest! {
    #[test]
    fn no_cost_is_above_its_upper_bound(
        price in any_price(),
        usage in any_usage(),
        hour in 0..168_i64,
        (spare_prompt, spare_output) in (0..300_000_u64, 0..10_000_u64),
    ) {
        let bound = price.upper_bound(usage.prompt() + spare_prompt, usage.output + spare_output);
        prop_assert!(price.cost(&usage, MONDAY + hour * HOUR) <= bound);
    }

    #[test]
    fn a_cost_differs_from_the_sum_of_its_parts_by_less_than_a_nano_dollar_each(
        rates in any_rates(),
        usage in any_usage(),
    ) {
        let price = Price { rates, ..Price::default() };
        let parts = [
            rates.input.cost(usage.input),
            rates.cache_read.unwrap_or(rates.input).cost(usage.cache_read),
            rates.cache_write.unwrap_or(rates.input).cost(usage.cache_write),
            rates.output.cost(usage.output - usage.reasoning),
            rates.reasoning.unwrap_or(rates.output).cost(usage.reasoning),
        ];
        let whole = price.cost(&usage, 0).nanos();
        let sum = parts.into_iter().sum::<NanoUsd>().nanos();
        prop_assert!(whole <= sum && sum < whole + 5);
    }

    #[test]
    fn no_usage_and_no_price_make_the_arithmetic_panic(
        nanos: [i64; 5],
        tokens: [u64; 5],
        at_ms: i64,
    ) {
        let rate = |index: usize| PerMillion::new(NanoUsd::from_nanos(nanos[index]));
        let rates = Rates {
            input: rate(0),
            output: rate(1),
            cache_read: Some(rate(2)),
            cache_write: Some(rate(3)),
            reasoning: Some(rate(4)),
        };
        let day = Window::new(&WORKDAYS, 0, Window::DAY).unwrap();
        let off_peak = Some(OffPeak { windows: vec![day], terms: Terms::Percent(u32::MAX) });
        let price = Price { rates, off_peak, ..Price::default() };
        let [input, cache_read, cache_write, output, reasoning] = tokens;
        let usage = Usage { input, cache_read, cache_write, output, reasoning };
        prop_assert!(price.cost(&usage, at_ms) <= NanoUsd::MAX);
        prop_assert!(price.upper_bound(input, output) <= NanoUsd::MAX);
    }
}
