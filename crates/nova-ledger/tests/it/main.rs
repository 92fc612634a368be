//! One suite for both databases.
//!
//! A case is a function of a [`Backend`]; [`check`] runs all of them on SQLite and on PostgreSQL. PostgreSQL
//! is started once for all cases, which is why they are not tests of their own. What only one database can do
//! to us (a locked file, a server that stops or freezes) is in `away.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "the cases are plain functions, which the lints do not recognise as tests"
)]

mod away;
mod backend;
mod feedback;
mod keys;
mod responses;
mod usage;

use std::pin::Pin;

use backend::Backend;
use nova_testkit::postgres::Postgres;

type Case = for<'a> fn(&'a Backend) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

const CASES: &[(&str, Case)] = &[
    ("a key lives and dies", |backend| Box::pin(keys::a_key_lives_and_dies(backend))),
    ("a key expires", |backend| Box::pin(keys::a_key_expires(backend))),
    ("names are unique among living keys", |backend| {
        Box::pin(keys::names_are_unique_among_living_keys(backend))
    }),
    ("a key is found by id, name, prefix and text", |backend| {
        Box::pin(keys::a_key_is_found_in_four_ways(backend))
    }),
    ("values that a key cannot have are refused", |backend| Box::pin(keys::bad_values_are_refused(backend))),
    ("a declared key is what was declared", |backend| {
        Box::pin(keys::a_declared_key_is_what_was_declared(backend))
    }),
    ("instances see each other's changes", |backend| {
        Box::pin(keys::instances_see_each_others_changes(backend))
    }),
    ("the last use is saved", |backend| Box::pin(keys::the_last_use_is_saved(backend))),
    ("no key is stored in the clear", |backend| Box::pin(keys::no_key_is_stored_in_the_clear(backend))),
    ("instances that start at once agree", |backend| {
        Box::pin(keys::instances_that_start_at_once_agree(backend))
    }),
    ("a changed migration and a wrong pepper are refused", |backend| {
        Box::pin(keys::a_database_of_another_making_is_refused(backend))
    }),
    ("a record comes back as it was", |backend| Box::pin(usage::a_record_comes_back_as_it_was(backend))),
    ("records are written once, in batches of any size", |backend| {
        Box::pin(usage::records_are_written_once(backend))
    }),
    ("hostile text does not stop the writer", |backend| {
        Box::pin(usage::hostile_text_does_not_stop_the_writer(backend))
    }),
    ("a conversation is put together for its own key", |backend| {
        Box::pin(responses::a_conversation_is_put_together_for_its_own_key(backend))
    }),
    ("a circle of answers is none", |backend| {
        Box::pin(responses::a_circle_of_answers_has_no_end_and_is_none(backend))
    }),
    ("old answers are forgotten", |backend| Box::pin(responses::old_answers_are_forgotten(backend))),
    ("no prompt is stored in the clear", |backend| {
        Box::pin(responses::no_prompt_is_stored_in_the_clear(backend))
    }),
    ("the last word on a metric wins", |backend| Box::pin(feedback::the_last_word_on_a_metric_wins(backend))),
    ("words said at once are all heard once", |backend| {
        Box::pin(feedback::words_said_at_once_are_all_heard_once(backend))
    }),
    ("feedback is read in pages", |backend| Box::pin(feedback::feedback_is_read_in_pages(backend))),
    ("learnt quality goes back and forth", |backend| {
        Box::pin(feedback::learnt_quality_goes_back_and_forth(backend))
    }),
    ("lengths of answers are learnt from whole answers", |backend| {
        Box::pin(usage::lengths_of_answers_are_learnt_from_whole_answers(backend))
    }),
    ("a database of the version before is brought up to date", |backend| {
        Box::pin(usage::a_database_of_the_version_before_is_brought_up_to_date(backend))
    }),
    ("what keys spent is summed up from a moment on", |backend| {
        Box::pin(usage::what_keys_spent_is_summed_up_from_a_moment_on(backend))
    }),
    ("sums are exact", |backend| Box::pin(usage::sums_are_exact(backend))),
    ("pages follow each other without a gap", |backend| Box::pin(usage::pages_follow_each_other(backend))),
    ("closing writes all and later records go to the journal", |backend| {
        Box::pin(usage::closing_writes_all_and_later_records_are_journaled(backend))
    }),
    ("closing while others submit loses nothing", |backend| {
        Box::pin(usage::closing_while_others_submit_loses_nothing(backend))
    }),
    ("a journal that a killed process left is replayed", |backend| {
        Box::pin(usage::a_left_journal_is_replayed(backend))
    }),
    ("a record that the database never takes is put aside", |backend| {
        Box::pin(usage::a_record_that_is_refused_is_put_aside(backend))
    }),
    ("dropping every writer writes what is left", |backend| {
        Box::pin(usage::dropping_every_writer_writes_what_is_left(backend))
    }),
    ("nothing is lost while the table is away", |backend| {
        Box::pin(usage::nothing_is_lost_while_writes_fail(backend))
    }),
];

fn check(backend: &Backend) {
    for (name, case) in CASES {
        // Stands above the panic in the output of a test that fails.
        println!("case: {name}");
        backend::run(case(backend));
    }
}

#[test]
fn the_suite_passes_on_sqlite() {
    check(&Backend::sqlite());
}

#[test]
fn the_suite_passes_on_postgresql() {
    let Some(postgres) = Postgres::start_or_skip() else { return };
    let backend = Backend::postgres(postgres);
    check(&backend);
    // Here and not in a test of its own, because starting a server costs more than the case.
    println!("case: a server that stops");
    backend::run(away::a_server_that_stops_and_comes_back(&backend));
    println!("case: a server that freezes");
    backend::run(away::a_server_that_freezes_and_thaws(&backend));
}
