use std::fmt::Write as _;
use std::path::Path;

use insta::assert_snapshot;
use proptest::prelude::*;

use super::formula::Formula;
use super::*;
use crate::facts::Named;

fn parsed(text: &str) -> Condition {
    Condition::parse(text).unwrap_or_else(|faults| panic!("{text}: {faults:?}"))
}

/// A long reasoning request on a Monday, at 9:30 in UTC.
fn facts<'a>() -> Facts<'a> {
    Facts {
        prompt_tokens: 120_000,
        max_tokens: Some(500),
        turns: Some(3),
        stream: true,
        key_name: Some("search"),
        task: Some("reasoning"),
        budget: Some(0.0004),
        now_ms: Some(1_763_976_600_000),
        tags: Named::of(&|tag| (tag == "team").then_some("core")),
        headers: Named::of(&|header| match header {
            "user-agent" => Some("claude-cli/2.1 (external)"),
            "x-retry" => Some("3"),
            _ => None,
        }),
        metadata: Named::of(&|entry| match entry {
            "priority" => Some("7.5"),
            "beta" => Some("true"),
            _ => None,
        }),
        ..Facts::default()
    }
}

fn of_model() -> OfModel {
    OfModel { est_cost: Some(0.002), p95_ttft_ms: Some(800.0), cache_warm: None }
}

#[test]
fn tasks_hold_by_every_name_that_means_them() {
    let check = |condition: &str, task: &str, expected: bool| {
        let facts = Facts { task: Some(task), ..facts() };
        assert_eq!(parsed(condition).holds(&facts, &of_model()), expected, "{condition}: {task}");
    };
    check("task == \"code\"", "code_review", true);
    check("task != \"code\"", "code_review", false);
    check("task == \"code_review\"", "code", false);
    check("task_type in [\"analysis\", \"chat\"]", "summarize", true);
    check("task not in [\"analysis\", \"ours\"]", "summarize", false);
    check("task == \"ours\"", "ours", true);
    check("task == \"reasoning\"", "math", true);
    // What is compared with other texts is compared letter by letter.
    check("task contains \"review\"", "code_review", true);
    // Reasoning about rules knows of it too.
    assert!(parsed("task == \"code_review\"").implies(&parsed("task == \"coding\"")));
    assert!(!parsed("task == \"code\" and task == \"code_review\"").is_never());
    assert!(parsed("task == \"code\" and task == \"creative\"").is_never());
}

#[test]
fn conditions_hold_as_they_read() {
    let check = |condition: &str, expected: bool| {
        assert_eq!(parsed(condition).holds(&facts(), &of_model()), expected, "{condition}");
    };
    // The seeds' own.
    check("task == \"long_document_qa\" and context_length > 100000", false);
    check("task == \"reasoning\" and budget < 0.0005", true);
    check("context_length > 80000", true);
    check("task_type == \"reasoning\"", true);
    // Comparisons, either way round.
    check("context_length > 120000", false);
    check("context_length >= 120_000", true);
    check("100k < context_length", true);
    check("context_length < 0.12m", false);
    check("context_length <= 120K && 1M > context_length", true);
    check("max_tokens != 500", false);
    check("est_cost > budget", true);
    check("est_cost == 0.002", true);
    check("p95_ttft < 1s and p95_ttft > 799ms", true);
    check("turns in [1, 2, 3]", true);
    check("turns not in [1, 2, 3]", false);
    check("hour == 9 and weekday == 'mon'", true);
    check("weekday in [\"sat\", \"sun\"]", false);
    // Joining: `and` before `or`, `not` before both.
    check("stream or has_images and has_tools", true);
    check("(stream or has_images) and has_tools", false);
    check("not has_images and stream", true);
    check("! (has_images || has_tools) && stream == true", true);
    check("not not stream", true);
    check("not not not stream", false);
    check("true", true);
    // Texts.
    check("header.User-Agent contains \"claude\"", true);
    check("header.user-agent matches '^claude-cli/\\d+'", true);
    check("header.user-agent matches \"^cli\"", false);
    check("header.x-retry > 2 and header.x-retry == '3'", true);
    check("key.name == \"search\" and tags.team in ['core', 'web']", true);
    check("metadata.priority >= 7.5 and metadata.beta == true", true);
    check("metadata.beta != true", false);
    check("key.name != task", true);
    check("task != \"a\\\"b\\\\c\\n\"", true);
}

#[test]
fn letter_case_matters_in_names_only_of_headers() {
    assert!(Condition::parse("Stream").is_err());
    assert!(Condition::parse("stream AND NOT Has_Images").is_err());
}

#[test]
fn nothing_that_is_unknown_compares() {
    let check = |condition: &str, expected: bool| {
        let facts = Facts { prompt_tokens: 5, ..Facts::default() };
        assert_eq!(parsed(condition).holds(&facts, &OfModel::default()), expected, "{condition}");
    };
    for name in ["budget", "budget_left", "est_cost", "task_confidence", "complexity", "max_tokens", "turns"]
    {
        for comparison in ["< 1", "<= 1", "> 1", ">= 1", "== 1", "!= 1", "in [1]", "not in [1]", "== hour"] {
            check(&format!("{name} {comparison}"), false);
            check(&format!("not {name} {comparison}"), true);
        }
    }
    for name in ["task", "lang", "weekday", "key.name", "key.owner", "tags.a", "header.a", "metadata.a"] {
        for comparison in
            ["== 'mon'", "!= 'mon'", "in ['mon']", "not in ['mon']", "contains 'a'", "matches '.'"]
        {
            check(&format!("{name} {comparison}"), false);
        }
    }
    check("p95_ttft < 1s", false);
    check("cache_warm", false);
    check("cache_warm == false", false);
    check("header.a != 3", false);
    check("context_length == 5 and not cache_warm", true);
}

/// What is wrong, with the place drawn below the text.
fn wrong(text: &str) -> String {
    let faults = Condition::parse(text).map(|_| ()).unwrap_err();
    let mut shown = String::new();
    for fault in faults {
        let before = text[..fault.span.start].chars().count();
        let width = text[fault.span.clone()].chars().count().max(1);
        writeln!(shown, "{text}\n{}{} {}", " ".repeat(before), "^".repeat(width), fault.message).unwrap();
        writeln!(shown, "hint: {}", fault.hint.unwrap()).unwrap();
    }
    shown
}

#[test]
fn names_that_do_not_exist_are_named_with_the_nearest() {
    assert_snapshot!(wrong("contex_length > 5 and tsk == \"x\" or streem"), @r#"
    contex_length > 5 and tsk == "x" or streem
    ^^^^^^^^^^^^^ there is no `contex_length`
    hint: did you mean `context_length`?
    contex_length > 5 and tsk == "x" or streem
                          ^^^ there is no `tsk`
    hint: did you mean `task`?
    contex_length > 5 and tsk == "x" or streem
                                        ^^^^^^ there is no `streem`
    hint: did you mean `stream`?
    "#);
    assert_snapshot!(wrong("task == reasoning"), @r#"
    task == reasoning
            ^^^^^^^^^ there is no `reasoning`
    hint: texts stand in quotes: `"reasoning"`
    "#);
    assert_snapshot!(wrong("key.nam == \"a\" and header == \"b\" and blorp > 1"), @r#"
    key.nam == "a" and header == "b" and blorp > 1
    ^^^^^^^ there is no `key.nam`
    hint: did you mean `key.name`?
    key.nam == "a" and header == "b" and blorp > 1
                       ^^^^^^ there is no `header`
    hint: write `header.` and a name behind it
    key.nam == "a" and header == "b" and blorp > 1
                                         ^^^^^ there is no `blorp`
    hint: docs/guides/routing.md lists the names; texts stand in quotes
    "#);
    assert_snapshot!(wrong("header.Authorization contains \"sk\""), @r#"
    header.Authorization contains "sk"
    ^^^^^^^^^^^^^^^^^^^^ `header.Authorization` is a secret, which no rule may read
    hint: use `key.name`
    "#);
}

#[test]
fn types_that_do_not_fit_are_explained() {
    assert_snapshot!(wrong("stream > 3"), @"
    stream > 3
             ^ `stream` is a yes or no
    hint: write `stream` or `not stream`
    ");
    assert_snapshot!(wrong("context_length > \"100\" and context_length == true and turns < 5s"), @r#"
    context_length > "100" and context_length == true and turns < 5s
                     ^^^^^ `context_length` is a number and `"100"` a text
    hint: write `100`
    context_length > "100" and context_length == true and turns < 5s
                                                 ^^^^ `context_length` is a number
    hint: write it as `context_length == 10`
    context_length > "100" and context_length == true and turns < 5s
                                                                  ^^ `turns` is a number and no time
    hint: write it without a unit
    "#);
    assert_snapshot!(wrong("task > \"a\" or task == 3 or task"), @r#"
    task > "a" or task == 3 or task
           ^^^ `task` is a text, and texts have no order
    hint: write `==`, `!=`, `in`, `contains` or `matches`
    task > "a" or task == 3 or task
                          ^ `task` is a text
    hint: write it as `task == "…"`, in quotes
    task > "a" or task == 3 or task
                               ^^^^ `task` is a text and no condition
    hint: compare it, as in `task == "…"`
    "#);
    assert_snapshot!(wrong("p95_ttft < 500 and p95_ttft in [500, 1s]"), @"
    p95_ttft < 500 and p95_ttft in [500, 1s]
               ^^^ `p95_ttft` is a time
    hint: write the unit: `500ms` or `500s`
    p95_ttft < 500 and p95_ttft in [500, 1s]
                                    ^^^ `p95_ttft` is a time
    hint: list times such as `500ms`
    ");
    assert_snapshot!(wrong("weekday == \"monday\" or weekday in [\"sat\", \"Sun\"]"), @r#"
    weekday == "monday" or weekday in ["sat", "Sun"]
               ^^^^^^^^ `weekday` is never `"monday"`
    hint: write one of `"mon"`, `"tue"`, `"wed"`, `"thu"`, `"fri"`, `"sat"`, `"sun"`
    weekday == "monday" or weekday in ["sat", "Sun"]
                                              ^^^^^ `weekday` is never `"Sun"`
    hint: write one of `"mon"`, `"tue"`, `"wed"`, `"thu"`, `"fri"`, `"sat"`, `"sun"`
    "#);
}

#[test]
fn lists_hold_what_fits_the_name() {
    assert_snapshot!(wrong("stream in [true] or turns in [\"a\", 1, b] or task in [chat, 1]"), @r#"
    stream in [true] or turns in ["a", 1, b] or task in [chat, 1]
               ^^^^ `stream` is a yes or no
    hint: write `stream` or `not stream`
    stream in [true] or turns in ["a", 1, b] or task in [chat, 1]
                                  ^^^ `turns` is a number
    hint: list numbers
    stream in [true] or turns in ["a", 1, b] or task in [chat, 1]
                                          ^ `turns` is a number
    hint: list numbers
    stream in [true] or turns in ["a", 1, b] or task in [chat, 1]
                                                         ^^^^ `task` is a text
    hint: texts stand in quotes: `"chat"`
    stream in [true] or turns in ["a", 1, b] or task in [chat, 1]
                                                               ^ `task` is a text
    hint: list texts, in quotes
    "#);
    assert_snapshot!(wrong("3 > 2 and \"a\" and false"), @r#"
    3 > 2 and "a" and false
    ^^^^^ nothing of the request stands in this comparison
    hint: compare a name with a value
    3 > 2 and "a" and false
              ^^^ a value alone is no condition
    hint: compare a name with it
    3 > 2 and "a" and false
                      ^^^^^ this never holds
    hint: leave the rule out
    "#);
    assert_snapshot!(wrong("stream == task or hour > weekday"), @"
    stream == task or hour > weekday
    ^^^^^^^^^^^^^^ `stream` and `task` cannot be compared by `==`
    hint: compare two numbers, or two texts by `==` or `!=`
    stream == task or hour > weekday
                      ^^^^^^^^^^^^^^ `hour` and `weekday` cannot be compared by `>`
    hint: compare two numbers, or two texts by `==` or `!=`
    ");
    assert_snapshot!(wrong("task in \"chat\" or 3 in [3] or hour contains 3 or task matches hour"), @r#"
    task in "chat" or 3 in [3] or hour contains 3 or task matches hour
    ^^^^^^^^^^^^^^ `in` stands between a name and a list
    hint: write it as `task in ["chat", "creative"]`
    task in "chat" or 3 in [3] or hour contains 3 or task matches hour
                      ^^^^^^^^ nothing of the request stands in this comparison
    hint: compare a name with a value
    task in "chat" or 3 in [3] or hour contains 3 or task matches hour
                                  ^^^^^^^^^^^^^^^ `contains` stands between the name of a text and a text
    hint: write it as `header.user-agent contains "claude"`
    task in "chat" or 3 in [3] or hour contains 3 or task matches hour
                                                     ^^^^^^^^^^^^^^^^^ `matches` stands between the name of a text and a text
    hint: write it as `header.user-agent matches "claude"`
    "#);
    assert_snapshot!(wrong("task matches \"(\" or task matches \"(?=x)\" or task matches \"(a{1000}){1000}\""), @r#"
    task matches "(" or task matches "(?=x)" or task matches "(a{1000}){1000}"
                 ^^^ this is no regular expression: unclosed group
    hint: docs.rs/regex#syntax lists what there is; it has no look-around and no back-references
    task matches "(" or task matches "(?=x)" or task matches "(a{1000}){1000}"
                                     ^^^^^^^ this is no regular expression: look-around, including look-ahead and look-behind, is not supported
    hint: docs.rs/regex#syntax lists what there is; it has no look-around and no back-references
    task matches "(" or task matches "(?=x)" or task matches "(a{1000}){1000}"
                                                             ^^^^^^^^^^^^^^^^^ this regular expression is too large
    hint: write a simpler one
    "#);
}

#[test]
fn what_is_no_condition_is_all_told_at_once() {
    assert_snapshot!(wrong("task = \"x\" & stream | has_tools"), @r#"
    task = "x" & stream | has_tools
         ^ `=` does not compare
    hint: write `==`
    task = "x" & stream | has_tools
               ^ `&` means nothing here
    hint: write `and`
    task = "x" & stream | has_tools
                        ^ `|` means nothing here
    hint: write `or`
    "#);
    assert_snapshot!(wrong("context_length > 100,000 and task == “reasoning”"), @r#"
    context_length > 100,000 and task == “reasoning”
                        ^ `,` means nothing within a number
    hint: write `100_000`, or `100k`
    context_length > 100,000 and task == “reasoning”
                                         ^^^^^^^^^^^ these are not straight quotes
    hint: write `"reasoning"`
    "#);
    assert_snapshot!(wrong("1 < turns < 5"), @"
    1 < turns < 5
              ^ one comparison goes on into another at `<`
    hint: write both, with `and` between them
    ");
    assert_snapshot!(wrong("context_length > 10x and budget < $0.5 and task == \"open"), @r#"
    context_length > 10x and budget < $0.5 and task == "open
                     ^^^ `10x` is not a number
    hint: numbers are written as `100000`, `100_000`, `100k`, `1m` or `0.5`, times as `500ms` or `2s`
    context_length > 10x and budget < $0.5 and task == "open
                                      ^ `$` means nothing here
    hint: amounts are US dollars: write the number alone
    context_length > 10x and budget < $0.5 and task == "open
                                                       ^^^^^ this text does not end
    hint: write `"` behind it
    "#);
}

#[test]
fn what_is_not_closed_or_not_joined_is_told() {
    assert_snapshot!(wrong("(stream and has_tools"), @"
    (stream and has_tools
    ^ this `(` is not closed
    hint: write `)` behind the condition
    ");
    assert_snapshot!(wrong("stream) and has_tools"), @"
    stream) and has_tools
          ^ nothing is open that `)` could close
    hint: leave it out
    ");
    assert_snapshot!(wrong("(stream) == true and (context_length > ) or"), @"
    (stream) == true and (context_length > ) or
             ^^ a condition cannot be compared
    hint: compare names with values
    (stream) == true and (context_length > ) or
                                           ^ a name or a value is missing before `)`
    hint: a condition is written as `context_length > 100000`
    (stream) == true and (context_length > ) or
                                               ^ a name or a value is missing before the end
    hint: a condition is written as `context_length > 100000`
    ");
    assert_snapshot!(wrong("stream has_tools"), @"
    stream has_tools
           ^^^^^^^^^ `has_tools` is not expected here
    hint: write `and` or `or` between two conditions
    ");
    assert_snapshot!(wrong("task in [\"a\", \"b\""), @r#"
    task in ["a", "b"
            ^ this list does not end
    hint: write it as `["a", "b"]`
    "#);
    assert_snapshot!(wrong("task in [\"a\" \"b\"] and contex"), @r#"
    task in ["a" "b"] and contex
            ^ this list does not end
    hint: write it as `["a", "b"]`
    task in ["a" "b"] and contex
                          ^^^^^^ there is no `contex`
    hint: did you mean `context_length`?
    "#);
    assert_snapshot!(wrong("and"), @"
    and
    ^^^ a name or a value is missing before `and`
    hint: a condition is written as `context_length > 100000`
    and
       ^ a name or a value is missing before the end
    hint: a condition is written as `context_length > 100000`
    ");
    assert_snapshot!(wrong("  "), @"
      
    ^^ the condition is empty
    hint: leave the key out for a rule that always holds
    ");
    assert_snapshot!(wrong("est_cost > budget * 2"), @"
    est_cost > budget * 2
                      ^ `*` means nothing here
    hint: conditions compare and do not calculate
    est_cost > budget * 2
                        ^ `2` is not expected here
    hint: write `and` or `or` between two conditions
    est_cost > budget * 2
                        ^ a value alone is no condition
    hint: compare a name with it
    ");
}

#[test]
fn length_and_depth_are_bounded() {
    let message = |text: String| Condition::parse(&text).unwrap_err()[0].message.clone();
    assert_eq!(message("stream and ".repeat(400)), "the condition is longer than 4096 bytes");
    let nested = |depth: usize| format!("{}stream{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Condition::parse(&nested(32)).is_ok());
    assert_eq!(message(nested(33)), "conditions are nested more than 32 deep");
    assert_eq!(message(nested(2000)), "conditions are nested more than 32 deep");
    assert_eq!(message(format!("{}stream", "not ".repeat(33))), "conditions are nested more than 32 deep");
    assert!(Condition::parse(&format!("stream{}", " or stream".repeat(400))).is_ok());
    assert_eq!(Condition::parse(&"@".repeat(500)).unwrap_err().len(), MAX_FAULTS);
}

#[test]
fn one_condition_follows_from_another_where_that_is_plain() {
    let check = |one: &str, other: &str, expected: bool| {
        assert_eq!(parsed(one).implies(&parsed(other)), expected, "{one} => {other}");
    };
    check("context_length > 100k", "context_length > 80k", true);
    check("context_length > 80k", "context_length > 100k", false);
    check("context_length > 80k", "context_length >= 80000", true);
    check("context_length >= 80k", "context_length > 80000", false);
    check("context_length == 5", "context_length != 6 and context_length in [4, 5]", true);
    check("context_length in [5, 7]", "context_length < 8", true);
    check("context_length in [5, 9]", "context_length < 8", false);
    check("turns > 5", "turns >= 0", true);
    check("turns > 5", "max_tokens >= 0", false);
    check("task == \"a\"", "task in [\"a\", \"b\"]", true);
    check("task in [\"a\", \"b\"]", "task == \"a\"", false);
    check("task in [\"a\", \"b\"]", "task != \"c\"", true);
    check("task not in [\"a\", \"b\"]", "task != \"a\"", true);
    check("task == \"a\" and context_length > 100k", "context_length > 80k", true);
    check("task == \"a\" and context_length > 100k", "context_length > 80k and task != \"b\"", true);
    check("context_length > 80k", "context_length > 80k or stream", true);
    check("context_length > 80k or stream", "context_length > 80k", false);
    check("task == \"a\" or task == \"b\"", "task in [\"a\", \"b\", \"c\"]", true);
    check("not context_length > 80k", "not context_length > 100k", true);
    check("not context_length > 100k", "not context_length > 80k", false);
    check("stream", "true", true);
    check("header.a contains \"x\"", "header.a contains \"x\"", true);
    check("header.a contains \"x\"", "header.b contains \"x\"", false);
    check("stream and has_tools", "has_tools and stream", true);
}

#[test]
fn what_never_holds_is_found_where_that_is_plain() {
    let check = |text: &str, expected: bool| assert_eq!(parsed(text).is_never(), expected, "{text}");
    check("context_length > 100k and context_length < 80k", true);
    check("context_length > 100k and (stream and context_length <= 100k)", true);
    check("context_length >= 100k and context_length <= 100k", false);
    check("hour > 23", true);
    check("hour > 22", false);
    check("context_length < 0", true);
    check("budget_left < 0", false);
    check("task_confidence > 1 or hour < 0", true);
    check("task == \"a\" and task == \"b\"", true);
    check("task == \"a\" and task in [\"b\", \"c\"]", true);
    check("task == \"a\" and task not in [\"a\", \"c\"]", true);
    check("task != \"a\" and task != \"b\"", false);
    check("turns in [1, 2] and turns > 2", true);
    check("turns == 1 and turns != 1", true);
    check("stream and not stream", true);
    check("stream and stream == false", true);
    check("not true", true);
    check("not context_length > 80k and context_length > 100k", true);
    check("stream or not stream", false);
}

#[test]
fn what_a_condition_demands_of_a_model_is_known() {
    let check = |text: &str, least: u64, images: bool, tools: bool| {
        let condition = parsed(text);
        let demands = (condition.least_context(), condition.demands_images(), condition.demands_tools());
        assert_eq!(demands, (least, images, tools), "{text}");
    };
    check("context_length > 200k", 200_000, false, false);
    check("stream and (context_length > 200k and has_images)", 200_000, true, false);
    check("context_length > 200k or has_tools", 0, false, false);
    check("context_length > 200k or context_length == 300k", 200_000, false, false);
    check("not context_length > 200k", 0, false, false);
    check("has_tools == true and context_length < 5", 0, false, true);
    check("has_images == false", 0, false, false);
}

#[test]
fn what_must_be_found_out_first_is_known() {
    let asks = |text: &str| {
        let Asks { text, metadata, of_model } = parsed(text).asks();
        (text, metadata, of_model)
    };
    assert_eq!(asks("stream or hour > 5"), (false, false, false));
    assert_eq!(asks("stream or task_type in [\"a\"]"), (true, false, false));
    assert_eq!(asks("task_confidence > 0.5"), (true, false, false));
    assert_eq!(asks("not metadata.a contains \"x\""), (false, true, false));
    assert_eq!(asks("complexity > 0.5 or lang == 'zh'"), (true, false, false));
    assert_eq!(asks("budget >= est_cost"), (false, false, true));
    assert_eq!(asks("cache_warm or p95_ttft < 2s"), (false, false, true));
}

#[test]
fn the_guide_explains_every_name() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides/routing.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    for Name { name, kind, says } in NAMES {
        assert!(guide.contains(&format!("| `{name}` | {kind} | {says} |")), "{name}");
    }
}

/// The same by walking the tree, to hold the flat form against.
fn walk(formula: &Formula, facts: &Facts<'_>) -> bool {
    match formula {
        Formula::All(parts) => parts.iter().all(|part| walk(part, facts)),
        Formula::Any(parts) => parts.iter().any(|part| walk(part, facts)),
        Formula::Not(inner) => !walk(inner, facts),
        Formula::Test(test) => test.holds(facts, &OfModel::default()),
    }
}

/// Comparisons of few values, so that conditions often meet.
fn comparison() -> impl Strategy<Value = String> {
    let number = prop::sample::select(vec!["context_length", "turns", "hour", "max_tokens"]);
    let order = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let word = prop::sample::select(vec!["a", "b", "c"]);
    prop_oneof![
        (number.clone(), order, 0..4u8).prop_map(|(name, order, value)| format!("{name} {order} {value}")),
        (number, any::<bool>(), prop::collection::vec(0..4u8, 1..3)).prop_map(|(name, within, values)| {
            format!("{name} {}in {values:?}", if within { "" } else { "not " })
        }),
        (any::<bool>(), word.clone())
            .prop_map(|(equal, word)| format!("task {} \"{word}\"", if equal { "==" } else { "!=" })),
        (any::<bool>(), prop::collection::vec(word, 1..3))
            .prop_map(|(within, words)| format!("task {}in {words:?}", if within { "" } else { "not " })),
        prop::sample::select(vec!["stream", "has_tools", "cache_warm", "true"]).prop_map(str::to_owned),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    comparison().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| format!("({})", parts.join(" and "))),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| format!("({})", parts.join(" or "))),
            inner.prop_map(|inner| format!("not ({inner})")),
        ]
    })
}

fn request() -> impl Strategy<Value = Facts<'static>> {
    let task = prop::option::of(prop::sample::select(vec!["a", "b", "c", "d"]));
    let hour = prop::option::of(0..5i64);
    (0..5u64, prop::option::of(0..5u32), hour, task, any::<(bool, bool)>()).prop_map(
        |(prompt_tokens, turns, hour, task, (stream, has_tools))| Facts {
            prompt_tokens,
            turns,
            max_tokens: turns.map(u64::from),
            now_ms: hour.map(|hour| hour * 3_600_000),
            task,
            stream,
            has_tools,
            ..Facts::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn the_flat_form_says_what_the_tree_says(text in condition(), facts in request()) {
        let condition = parsed(&text);
        prop_assert_eq!(condition.holds(&facts, &OfModel::default()), walk(&condition.formula, &facts), "{}", text);
    }

    #[test]
    fn what_is_concluded_is_so(one in condition(), other in condition(), requests in prop::collection::vec(request(), 16)) {
        let (one, other) = (parsed(&one), parsed(&other));
        for facts in &requests {
            let holds = one.holds(facts, &OfModel::default());
            prop_assert!(!holds || !one.is_never(), "{} never", one.text());
            prop_assert!(!holds || facts.prompt_tokens >= one.least_context(), "{} least", one.text());
            prop_assert!(!holds || !one.implies(&other) || other.holds(facts, &OfModel::default()), "{} => {}", one.text(), other.text());
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}") {
        check_faults(&text);
    }

    #[test]
    fn no_tokens_make_it_panic(parts in prop::collection::vec(prop::sample::select(vec![
        "task", "stream", "context_length", "header.a", "==", "!=", "<", ">", "=", "(", ")", "[", "]", ",", "and",
        "or", "not", "in", "matches", "contains", "\"a\"", "'", "5", "5k", "5ms", "true", "&", "&&", "|", "!", "“", "-", "é",
    ]), 0..30)) {
        check_faults(&parts.join(" "));
        check_faults(&parts.concat());
    }
}

/// Whatever is wrong has a place within the text, at letters' borders.
fn check_faults(text: &str) {
    match Condition::parse(text) {
        Ok(condition) => assert_eq!(condition.text(), text),
        Err(faults) => {
            assert!(!faults.is_empty());
            for fault in faults {
                assert!(text.get(fault.span.clone()).is_some(), "{text}: {fault:?}");
                assert!(!fault.message.is_empty() && fault.hint.is_some(), "{text}: {fault:?}");
            }
        }
    }
}
