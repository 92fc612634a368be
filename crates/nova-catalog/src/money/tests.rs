use proptest::prelude::*;

use super::*;

fn check(text: &str, expected: Result<i64, AmountError>) {
    assert_eq!(text.parse::<NanoUsd>().map(NanoUsd::nanos), expected, "{text}");
}

#[test]
fn decimal_texts_are_read_exactly() {
    check("0", Ok(0));
    check("0.435", Ok(435_000_000));
    check("1", Ok(1_000_000_000));
    check("-2", Ok(-2_000_000_000));
    check("12.50", Ok(12_500_000_000));
    check("0.000000001", Ok(1));
    check("0.1000000000000", Ok(100_000_000));
    check("007.5", Ok(7_500_000_000));
    check("9223372036.854775807", Ok(i64::MAX));
    check("-9223372036.854775808", Ok(i64::MIN));
}

#[test]
fn texts_that_are_no_amount_are_refused() {
    for text in
        ["", "-", ".", "1.", ".5", "+1", "1e3", "1_000", "1,5", " 1", "0x1", "--1", "1.2.3", "1.-2", "∞"]
    {
        check(text, Err(AmountError::NotDecimal));
    }
    check("0.0000000001", Err(AmountError::TooFine));
    check("9223372036.854775808", Err(AmountError::TooLarge));
    check("99999999999999999999999999999999999999999999", Err(AmountError::TooLarge));
    check("170141183460469231731687303715884105727", Err(AmountError::TooLarge));
}

#[test]
fn reported_costs_are_rounded_up_to_a_nano_dollar() {
    let check = |text: &str, nanos| {
        assert_eq!(NanoUsd::parse_rounding_up(text), Ok(NanoUsd::from_nanos(nanos)), "{text}");
    };
    check("0.000123", 123_000);
    check("0.0000000001", 1);
    check("0.00000000100", 1);
    check("0.0000000010000001", 2);
    check("-0.0000000019", -1);
    assert!(NanoUsd::parse_rounding_up("NaN").is_err());
}

#[test]
fn amounts_are_shown_with_all_their_digits() {
    let check = |nanos, shown: &str| assert_eq!(NanoUsd::from_nanos(nanos).to_string(), shown);
    check(0, "$0.00");
    check(1, "$0.000000001");
    check(123_000, "$0.000123");
    check(1_500_000_000, "$1.50");
    check(-3_000_000_000, "-$3.00");
    check(i64::MIN, "-$9223372036.854775808");
}

#[test]
fn sums_saturate_and_checked_sums_say_so() {
    let one = NanoUsd::from_nanos(1);
    assert_eq!(NanoUsd::MAX.saturating_add(one), NanoUsd::MAX);
    assert_eq!(NanoUsd::MAX.checked_add(one), None);
    assert_eq!(NanoUsd::from_nanos(i64::MIN).checked_sub(one), None);
    assert_eq!([NanoUsd::MAX, one, one].into_iter().sum::<NanoUsd>(), NanoUsd::MAX);
    assert_eq!(NanoUsd::from_dollars(i64::MAX), NanoUsd::MAX);
}

#[test]
fn json_carries_strings_and_refuses_numbers() {
    let amount = NanoUsd::from_nanos(-1_500_000_001);
    assert_eq!(serde_json::to_string(&amount).unwrap(), r#""-1.500000001""#);
    assert_eq!(serde_json::from_str::<NanoUsd>(r#""-1.500000001""#).unwrap(), amount);
    assert_eq!(serde_json::to_string(&NanoUsd::ZERO).unwrap(), r#""0""#);
    assert!(serde_json::from_str::<NanoUsd>("1.5").is_err());
}

#[test]
fn a_price_that_is_not_zero_makes_no_token_free() {
    let cheapest = PerMillion::new(NanoUsd::from_nanos(1));
    assert_eq!(cheapest.cost(1), NanoUsd::from_nanos(1));
    assert_eq!(cheapest.cost(0), NanoUsd::ZERO);
    assert_eq!(PerMillion::new("0.435".parse().unwrap()).cost(1), NanoUsd::from_nanos(435));
    assert_eq!(PerMillion::new("3".parse().unwrap()).cost(1_000_000), NanoUsd::from_dollars(3));
    assert_eq!(PerMillion::new(NanoUsd::MAX).cost(u64::MAX), NanoUsd::MAX);
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(nanos: i64) {
        let amount = NanoUsd::from_nanos(nanos);
        let text = serde_json::to_string(&amount).unwrap();
        prop_assert_eq!(serde_json::from_str::<NanoUsd>(&text).unwrap(), amount);
        prop_assert_eq!(amount.to_string().replace('$', "").parse(), Ok(amount));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[-+0-9.eE_ ]{0,60}|.{0,20}") {
        if let Ok(exact) = text.parse::<NanoUsd>() {
            prop_assert_eq!(NanoUsd::parse_rounding_up(&text), Ok(exact));
        }
    }

    #[test]
    fn parts_cost_at_least_the_whole_and_at_most_a_nano_dollar_each_more(
        price in 0..1_000_000_000_000_i64,
        parts in prop::collection::vec(0..10_000_000_u64, 1..20),
    ) {
        let price = PerMillion::new(NanoUsd::from_nanos(price));
        let whole = price.cost(parts.iter().sum()).nanos();
        let apart: i64 = parts.iter().map(|tokens| price.cost(*tokens).nanos()).sum();
        prop_assert!(whole <= apart);
        prop_assert!(apart < whole + i64::try_from(parts.len()).unwrap());
    }

    #[test]
    fn more_tokens_never_cost_less(price in 0..i64::MAX, tokens: u64, more: u64) {
        let price = PerMillion::new(NanoUsd::from_nanos(price));
        prop_assert!(price.cost(tokens) <= price.cost(tokens.saturating_add(more)));
    }
}
