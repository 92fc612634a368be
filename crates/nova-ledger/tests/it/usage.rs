//! Usage: written in batches, exactly once, added up to the nano-dollar.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::sync::Arc;

use nova_catalog::NanoUsd;
use nova_ledger::{AttemptRecord, Cursor, Decision, GroupBy, NewKey, Outcome, UsageRecord};
use nova_wire::{Dialect, Usage};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::backend::Backend;

/// A plain record that differs from others in its id, its time and its cost.
pub(crate) fn record(number: i64) -> Box<UsageRecord> {
    let mut record =
        UsageRecord::new(format!("req_{number:06}"), number, Dialect::Chat, Arc::from("kimi-2.6"));
    record.outcome = Outcome::Ok;
    record.cost = NanoUsd::from_nanos(number);
    Box::new(record)
}

pub(crate) async fn a_record_comes_back_as_it_was(backend: &Backend) {
    let database = backend.database();
    let ledger = database.ledger().await;
    let key = ledger.create_key(&NewKey::user("k"), 1).await.unwrap().key;
    let full = UsageRecord {
        request_id: "01928f-é".to_owned(),
        at_ms: 1_763_700_000_123,
        key_id: Some(key.id),
        dialect: Dialect::Messages,
        path: "/router/v1/messages".into(),
        model_asked: Arc::from("Claude-Opus-4.7"),
        model_answered: Some(Arc::from("claude-opus-4-7")),
        provider: Some(Arc::from("anthropic")),
        deployment: Some(Arc::from("anthropic/claude-opus-4-7")),
        attempts: vec![
            AttemptRecord {
                deployment: Arc::from("a/b"),
                outcome: "connect".into(),
                status: None,
                ms: 5_000,
            },
            AttemptRecord {
                deployment: Arc::from("c \"d\""),
                outcome: "ok".into(),
                status: Some(200),
                ms: 740,
            },
        ],
        outcome: Outcome::Cut,
        status: 200,
        stream: true,
        usage: Usage { input: 1, cache_read: 2, cache_write: 3, output: 4, reasoning: 2 },
        estimated: true,
        cost: NanoUsd::from_nanos(i64::MAX),
        total_us: u64::MAX,
        first_token_us: Some(0),
        overhead_us: 87,
        error_code: Some("upstream_cut".into()),
        finish: Some("length".into()),
        task: Some(Arc::from("code")),
        session: Some(Arc::from("5f3a")),
        experiment: Some(Arc::from("cheaper/b")),
        preset: Some(Arc::from("support")),
        decision: Some(Decision::later(|| r#"{"why": "é\u0000", "cost": 0.1}"#.to_owned())),
    };
    let outcomes =
        [Outcome::Ok, Outcome::ClientGone, Outcome::UpstreamError, Outcome::Rejected, Outcome::GatewayError];
    let mut expected = vec![full];
    for (number, (outcome, dialect)) in outcomes
        .into_iter()
        .zip([Dialect::Chat, Dialect::Responses, Dialect::Messages].into_iter().cycle())
        .enumerate()
    {
        let mut bare = UsageRecord::new(format!("bare-{number}"), 5, dialect, Arc::from("m"));
        bare.outcome = outcome;
        expected.push(bare);
    }
    let writer = database.writer(&ledger);
    expected.iter().for_each(|record| writer.submit(Box::new(record.clone())));
    assert!(writer.flush().await.in_database);
    // The database counts to 2^63.
    expected[0].total_us = i64::MAX.unsigned_abs();
    for record in &expected {
        assert_eq!(ledger.usage_by_request_id(&record.request_id).await.unwrap().as_ref(), Some(record));
    }
    assert_eq!(ledger.usage_by_request_id("nothing\0").await.unwrap(), None);
    let found = ledger.usage_by_request_id("01928f-é").await.unwrap().unwrap();
    assert_eq!(found.decision.unwrap().json(), r#"{"why": "é\u0000", "cost": 0.1}"#, "byte by byte");
    assert!(ledger.recent_usage(9, None).await.unwrap().iter().all(|record| record.decision.is_none()));
}

pub(crate) async fn lengths_of_answers_are_learnt_from_whole_answers(backend: &Backend) {
    let database = backend.database();
    let ledger = database.ledger().await;
    let writer = database.writer(&ledger);
    let cases = [
        // (model, task, output, outcome, estimated): the first four count.
        (Some("a"), Some("code"), 100, Outcome::Ok, false),
        (Some("a"), Some("code"), 201, Outcome::Ok, false),
        (Some("a"), None, 7, Outcome::Ok, false),
        (Some("b"), Some("chat"), 9, Outcome::Ok, false),
        (Some("b"), Some("chat"), 90, Outcome::ClientGone, false),
        (Some("b"), Some("chat"), 90, Outcome::Ok, true),
        (Some("b"), Some("chat"), 0, Outcome::Ok, false),
        (None, Some("chat"), 90, Outcome::Ok, false),
    ];
    for (number, (model, task, output, outcome, estimated)) in cases.into_iter().enumerate() {
        let mut record = record(10 + i64::try_from(number).unwrap());
        record.model_answered = model.map(Arc::from);
        record.task = task.map(Arc::from);
        record.usage.output = output;
        (record.outcome, record.estimated) = (outcome, estimated);
        writer.submit(record);
    }
    assert!(writer.flush().await.in_database);
    let stats = async |since| {
        let stats = ledger.output_stats(since).await.unwrap();
        let lines = stats.into_iter().map(|it| (it.model, it.task.unwrap_or_default(), it.count, it.mean));
        // The databases do not agree on where NULL stands.
        let mut lines: Vec<_> = lines.collect();
        lines.sort_by(|one, next| one.partial_cmp(next).unwrap());
        lines
    };
    let line = |model: &str, task: &str, count, mean| (model.to_owned(), task.to_owned(), count, mean);
    assert_eq!(
        stats(0).await,
        [line("a", "", 1, 7.0), line("a", "code", 2, 150.5), line("b", "chat", 1, 9.0)]
    );
    assert_eq!(stats(13).await, [line("b", "chat", 1, 9.0)]);
    ledger.close().await;
}

pub(crate) async fn a_database_of_the_version_before_is_brought_up_to_date(backend: &Backend) {
    let database = backend.database();
    let ledger = database.ledger().await;
    let writer = database.writer(&ledger);
    writer.submit(record(1));
    writer.close().await;
    ledger.close().await;
    assert!(!database.folder.join("nova.db-wal").exists(), "a tidy end leaves one file");
    // As it was before the fourth migration, with a record and a journal of that time.
    for column in ["task", "session", "experiment", "preset", "finish", "decision"] {
        database.sql(&format!("ALTER TABLE nova_usage DROP COLUMN {column}")).await;
    }
    database.sql("DROP TABLE nova_feedback; DROP TABLE nova_quality; ALTER TABLE nova_keys DROP COLUMN routing; DELETE FROM nova_state WHERE name LIKE 'quality%'; DELETE FROM nova_migrations WHERE version >= 4").await;
    let mut line = serde_json::to_value(record(2)).unwrap();
    let fields = line.as_object_mut().unwrap();
    fields.retain(|name, _| {
        !["task", "session", "experiment", "preset", "finish", "decision"].contains(&name.as_str())
    });
    fs::write(database.journal().join("0001.jsonl"), format!("{line}\n")).unwrap();

    let ledger = database.ledger().await;
    let writer = database.writer(&ledger);
    assert!(writer.flush().await.in_database);
    for number in [1, 2] {
        let record = record(number);
        assert_eq!(ledger.usage_by_request_id(&record.request_id).await.unwrap(), Some(*record));
    }
    ledger.close().await;
}

pub(crate) async fn records_are_written_once(backend: &Backend) {
    let database = backend.database();
    let ledger = database.ledger().await;
    let writer = database.writer(&ledger);
    let mut next = 0;
    for size in [1_i64, 3, 4, 5, 16, 21, 64, 85, 255, 256, 257, 1_000] {
        for number in next..next + size {
            writer.submit(record(number));
            // The same request again, with another cost: the first one stays.
            let mut twin = record(number);
            twin.cost = NanoUsd::from_nanos(-1);
            writer.submit(twin);
        }
        next += size;
        assert!(writer.flush().await.in_database);
        let sums = ledger.usage_summary(0, i64::MAX, GroupBy::Model).await.unwrap();
        assert_eq!(sums.len(), 1);
        assert_eq!((sums[0].requests, sums[0].cost.nanos()), (next.unsigned_abs(), next * (next - 1) / 2));
    }
    let stats = writer.stats();
    assert_eq!(
        (stats.written, stats.queued, stats.journaled, stats.lost),
        (2 * next.unsigned_abs(), 0, 0, 0)
    );

    // Without a flush too: nobody has to ask.
    writer.submit(record(next));
    nova_testkit::until(|| writer.stats().written > 2 * next.unsigned_abs(), "the record is written").await;
    assert!(ledger.usage_by_request_id(&record(next).request_id).await.unwrap().is_some());
}

pub(crate) async fn hostile_text_does_not_stop_the_writer(backend: &Backend) {
    let database = backend.database();
    let ledger = database.ledger().await;
    let writer = database.writer(&ledger);
    let names =
        ["nul\0", "'); DROP TABLE nova_usage; --", "\u{202e}\u{fffe}", &"long ".repeat(10_000), "", "🦀"];
    for (number, name) in names.iter().enumerate() {
        let mut hostile = record(i64::try_from(number).unwrap());
        hostile.model_asked = Arc::from(*name);
        hostile.attempts.push(AttemptRecord {
            deployment: Arc::from(*name),
            outcome: "\0".into(),
            status: None,
            ms: 0,
        });
        writer.submit(hostile);
    }
    assert!(writer.flush().await.in_database);
    let stored = ledger.recent_usage(100, None).await.unwrap();
    assert_eq!(stored.len(), names.len());
    assert_eq!(&*stored[names.len() - 1].model_asked, "nul\u{fffd}");
    assert_eq!(&*stored[names.len() - 2].model_asked, names[1]);
    assert_eq!(&*stored[names.len() - 2].attempts[0].deployment, names[1]);
    assert_eq!(stored[2].model_asked.len(), 512);
    assert_eq!(writer.stats().refused, 0);
}

fn any_record() -> impl Strategy<Value = UsageRecord> {
    let names = prop::sample::select(vec![None, Some("deepseek"), Some("moonshot"), Some("local")]);
    let outcomes =
        prop::sample::select(vec![Outcome::Ok, Outcome::ClientGone, Outcome::Cut, Outcome::Rejected]);
    (
        0..1_000_i64,
        names.clone(),
        names,
        outcomes,
        prop::array::uniform4(0..5_000_000_u64),
        0..10_i64.pow(13),
        any::<bool>(),
    )
        .prop_map(
            |(at_ms, model, provider, outcome, [input, cache_read, cache_write, output], cost, estimated)| {
                let mut record =
                    UsageRecord::new(uuid::Uuid::now_v7(), at_ms, Dialect::Chat, Arc::from("asked"));
                record.model_answered = model.map(Arc::from);
                record.provider = provider.map(Arc::from);
                record.outcome = outcome;
                record.usage = Usage { input, cache_read, cache_write, output, reasoning: output / 2 };
                record.cost = NanoUsd::from_nanos(cost);
                record.estimated = estimated;
                record
            },
        )
}

/// What the database should say, added up here.
fn expected_sums(
    records: &[UsageRecord],
    since: i64,
    until: i64,
    by: GroupBy,
) -> BTreeMap<Option<String>, [i64; 9]> {
    let mut sums = BTreeMap::<_, [i64; 9]>::new();
    for record in records.iter().filter(|record| (since..until).contains(&record.at_ms)) {
        let group = match by {
            GroupBy::Key => record.key_id.map(|id| id.to_string()),
            GroupBy::Model => Some(record.model_answered.as_ref().unwrap_or(&record.model_asked).to_string()),
            GroupBy::Provider => record.provider.as_deref().map(str::to_owned),
        };
        let Usage { input, cache_read, cache_write, output, reasoning } = record.usage;
        let tokens = [input, cache_read, cache_write, output, reasoning].map(u64::cast_signed);
        let failed = !matches!(record.outcome, Outcome::Ok | Outcome::ClientGone);
        let [a, b, c, d, e] = tokens;
        let line = [1, failed.into(), record.estimated.into(), a, b, c, d, e, record.cost.nanos()];
        let sum = sums.entry(group).or_default();
        sum.iter_mut().zip(line).for_each(|(sum, value)| *sum += value);
    }
    sums
}

pub(crate) async fn what_keys_spent_is_summed_up_from_a_moment_on(backend: &Backend) {
    let database = backend.database();
    let ledger = database.ledger().await;
    let writer = database.writer(&ledger);
    let mut ids = Vec::new();
    for name in ["one", "other", "idle"] {
        ids.push(ledger.create_key(&NewKey::user(name), 1).await.unwrap().key.id);
    }
    // Of every number its cost and its time; every third one is nobody's.
    for number in 1..=90 {
        let key_id = usize::try_from(number % 3).ok().filter(|place| *place < 2).map(|place| ids[place]);
        writer.submit(Box::new(UsageRecord { key_id, ..*record(number) }));
    }
    assert!(writer.close().await.in_database);
    for since in [0, 1, 46, 90, 91] {
        let mut found = ledger.spent_since(since).await.unwrap();
        found.sort_unstable();
        let sum = |place: i64| (since.max(1)..=90).filter(|number| number % 3 == place).sum::<i64>();
        let mut expected = vec![(ids[0], NanoUsd::from_nanos(sum(0))), (ids[1], NanoUsd::from_nanos(sum(1)))];
        expected.retain(|(_, spent)| *spent > NanoUsd::ZERO);
        expected.sort_unstable();
        assert_eq!(found, expected, "since {since}");
    }
}

pub(crate) async fn sums_are_exact(backend: &Backend) {
    let mut runner = TestRunner::deterministic();
    for _ in 0..6 {
        let database = backend.database();
        let ledger = database.ledger().await;
        let writer = database.writer(&ledger);
        let keys = [
            ledger.create_key(&NewKey::user("one"), 1).await.unwrap().key,
            ledger.create_key(&NewKey::user("other"), 2).await.unwrap().key,
        ];
        let mut records =
            prop::collection::vec(any_record(), 0..120).new_tree(&mut runner).unwrap().current();
        for (index, record) in records.iter_mut().enumerate() {
            record.key_id = keys.get(index % 3).map(|key| key.id);
        }
        records.iter().for_each(|record| writer.submit(Box::new(record.clone())));
        assert!(writer.close().await.in_database);
        for (since, until) in [(0, 1_000), (250, 750), (500, 500)] {
            for by in [GroupBy::Key, GroupBy::Model, GroupBy::Provider] {
                let sums = ledger.usage_summary(since, until, by).await.unwrap();
                assert!(
                    sums.is_sorted_by(|one, next| one.cost.nanos() >= next.cost.nanos()),
                    "the most expensive first"
                );
                let found: BTreeMap<_, _> = sums
                    .iter()
                    .map(|sum| {
                        let Usage { input, cache_read, cache_write, output, reasoning } = sum.usage;
                        let counts = [
                            sum.requests,
                            sum.failed,
                            sum.estimated,
                            input,
                            cache_read,
                            cache_write,
                            output,
                            reasoning,
                        ];
                        let mut line = [0; 9];
                        line.iter_mut().zip(counts).for_each(|(line, count)| *line = count.cast_signed());
                        line[8] = sum.cost.nanos();
                        (sum.group.clone(), line)
                    })
                    .collect();
                assert_eq!(
                    found,
                    expected_sums(&records, since, until, by),
                    "{by:?} from {since} to {until}"
                );
                for sum in &sums {
                    let name = keys
                        .iter()
                        .find(|key| Some(key.id.to_string()) == sum.group)
                        .map(|key| key.name.clone());
                    assert_eq!(sum.name, name);
                }
            }
        }
        ledger.close().await;
    }
}

pub(crate) async fn pages_follow_each_other(backend: &Backend) {
    let database = backend.database();
    let ledger = database.ledger().await;
    let writer = database.writer(&ledger);
    let mut expected = Vec::new();
    for number in 0..50 {
        let mut record = record(number);
        // Many in the same millisecond.
        record.at_ms = number / 7;
        expected.push((record.at_ms, record.request_id.clone()));
        writer.submit(record);
    }
    writer.flush().await;
    expected.sort_unstable_by(|one, other| other.cmp(one));
    for size in [1_u32, 6, 7, 50, 51] {
        let mut seen = Vec::new();
        let mut cursor = None;
        loop {
            let page = ledger.recent_usage(size, cursor.as_ref()).await.unwrap();
            let Some(last) = page.last() else { break };
            cursor = Some(Cursor::after(last));
            seen.extend(page.into_iter().map(|record| (record.at_ms, record.request_id)));
        }
        assert_eq!(seen, expected, "in pages of {size}");
    }
    assert!(ledger.recent_usage(0, None).await.unwrap().is_empty());
    expected.reverse();
    for (size, since) in [(1_u32, 6), (7, 0), (51, 0), (51, 8)] {
        let mut seen: Vec<(i64, String)> = Vec::new();
        loop {
            let cursor = seen.last().map(|(at_ms, id)| Cursor { at_ms: *at_ms, request_id: id.clone() });
            let page = ledger.usage_since(since, cursor.as_ref(), size).await.unwrap();
            if page.is_empty() {
                break;
            }
            seen.extend(page.into_iter().map(|record| (record.at_ms, record.request_id)));
        }
        let rest: Vec<_> = expected.iter().filter(|(at_ms, _)| *at_ms >= since).cloned().collect();
        assert_eq!(seen, rest, "since {since} in pages of {size}");
    }
}

pub(crate) async fn closing_writes_all_and_later_records_are_journaled(backend: &Backend) {
    let database = backend.database();
    let ledger = database.ledger().await;
    let writer = database.writer(&ledger);
    let clone = writer.clone();
    (0..700).for_each(|number| writer.submit(record(number)));
    assert!(writer.close().await.in_database);
    let stats = clone.stats();
    assert_eq!((stats.written, stats.queued, stats.journaled), (700, 0, 0));
    clone.submit(record(700));
    clone.submit(record(701));
    assert_eq!((clone.stats().journaled, clone.stats().overflowed), (2, 2));
    assert!(!clone.flush().await.in_database, "they are on disk only");

    // The next start finds them.
    let next = database.writer(&ledger);
    drop((writer, clone));
    assert!(next.flush().await.in_database);
    assert_eq!(next.stats().replayed, 2);
    let sums = ledger.usage_summary(0, i64::MAX, GroupBy::Model).await.unwrap();
    assert_eq!((sums[0].requests, sums[0].cost.nanos()), (702, 702 * 701 / 2));
    assert_eq!(fs::read_dir(database.journal()).unwrap().count(), 0, "nothing is left of the journal");
}

pub(crate) async fn a_left_journal_is_replayed(backend: &Backend) {
    let database = backend.database();
    let ledger = database.ledger().await;
    let folder = database.journal();
    fs::create_dir(&folder).unwrap();
    let line = |number| serde_json::to_string(&record(number)).unwrap();
    // A whole segment; one whose last line was torn by the kill, and that repeats a record; one that another
    // process is writing.
    fs::write(folder.join("0001.jsonl"), format!("{}\n{}\n", line(1), line(2))).unwrap();
    let torn = &line(4)[..60];
    fs::write(folder.join("0002.jsonl"), format!("{}\n{}\n{torn}", line(2), line(3))).unwrap();
    let held = folder.join("0003.jsonl");
    let mut other = OpenOptions::new().append(true).create(true).open(&held).unwrap();
    other.lock().unwrap();
    writeln!(other, "{}", line(5)).unwrap();

    let writer = database.writer(&ledger);
    assert!(writer.flush().await.in_database);
    let stored = async || ledger.usage_summary(0, i64::MAX, GroupBy::Model).await.unwrap()[0].cost.nanos();
    assert_eq!(stored().await, 1 + 2 + 3);
    assert!(held.exists(), "a living process keeps its own");
    assert!(folder.join("0002.damaged").exists(), "what cannot be read is kept for a person");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
    writer.close().await;

    // The other process dies; whoever starts next takes over.
    drop(other);
    let writer = database.writer(&ledger);
    assert!(writer.flush().await.in_database);
    assert_eq!(stored().await, 1 + 2 + 3 + 5);
    assert!(!held.exists());
}

pub(crate) async fn nothing_is_lost_while_writes_fail(backend: &Backend) {
    let database = backend.database();
    let ledger = database.ledger().await;
    let writer = database.writer(&ledger);
    writer.submit(record(1));
    assert!(writer.flush().await.in_database);
    // An error that is neither the network's nor the record's, for instance after a botched restore.
    database.sql("ALTER TABLE nova_usage RENAME TO nova_usage_gone").await;
    for number in 2..1_000 {
        writer.submit(record(number));
    }
    assert!(!writer.flush().await.in_database);
    let stats = writer.stats();
    assert_eq!((stats.journaled, stats.refused, stats.lost, stats.queued), (998, 0, 0, 0));
    assert!(stats.away && stats.failed_batches >= 1);
    database.sql("ALTER TABLE nova_usage_gone RENAME TO nova_usage").await;
    writer.submit(record(1_000));
    assert!(writer.flush().await.in_database);
    let stats = writer.stats();
    assert_eq!((stats.replayed, stats.written, stats.away), (998, 2, false));
    let sums = ledger.usage_summary(0, i64::MAX, GroupBy::Model).await.unwrap();
    assert_eq!((sums[0].requests, sums[0].cost.nanos()), (1_000, 1_000 * 1_001 / 2));
}

pub(crate) async fn a_record_that_is_refused_is_put_aside(backend: &Backend) {
    let database = backend.database();
    let ledger = database.ledger().await;
    let writer = database.writer(&ledger);
    database.sql("CREATE UNIQUE INDEX one_of_each_status ON nova_usage (status)").await;
    for number in 0..20 {
        let mut record = record(number);
        record.status = if number == 13 { 7 } else { u16::try_from(number).unwrap() };
        writer.submit(record);
    }
    assert!(writer.flush().await.in_database);
    let stats = writer.stats();
    assert_eq!((stats.refused, stats.lost, stats.journaled, stats.away), (1, 0, 0, false));
    assert_eq!(ledger.recent_usage(100, None).await.unwrap().len(), 19);
    let kept = fs::read_to_string(database.journal().join("refused.json-lines")).unwrap();
    let kept: Vec<UsageRecord> = kept.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].request_id.as_str(), kept[0].status), ("req_000013", 7));
}

pub(crate) async fn dropping_every_writer_writes_what_is_left(backend: &Backend) {
    let database = backend.database();
    let ledger = database.ledger().await;
    let writer = database.writer(&ledger);
    let clone = writer.clone();
    writer.submit(record(1));
    drop(writer);
    clone.submit(record(2));
    drop(clone);
    let written = async { while ledger.recent_usage(9, None).await.unwrap().len() < 2 {} };
    nova_testkit::bounded(written, "both records are written").await;
}

pub(crate) async fn closing_while_others_submit_loses_nothing(backend: &Backend) {
    let database = backend.database();
    let ledger = database.ledger().await;
    let writer = database.writer(&ledger);
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let writer = writer.clone();
            std::thread::spawn(move || {
                (0..100).for_each(|number| writer.submit(record(thread * 100 + number)))
            })
        })
        .collect();
    nova_testkit::until(|| writer.stats().queued > 0, "the threads have begun").await;
    writer.close().await;
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let stats = writer.stats();
    assert_eq!((stats.written + stats.journaled, stats.queued, stats.lost), (400, 0, 0));
    // The journal belongs to its writer for as long as there is one.
    drop(writer);
    assert!(database.writer(&ledger).flush().await.in_database);
    let sums = ledger.usage_summary(0, i64::MAX, GroupBy::Model).await.unwrap();
    assert_eq!((sums[0].requests, sums[0].cost.nanos()), (400, 400 * 399 / 2));
}
