//! HTTP in, the pipeline, the admin API, configuration and reload, telemetry.
//!
//! Invariants: a request reads its configuration once ([`snapshot::Snapshot`]), so a reload never
//! changes a request under way; whatever ends a request, its [`pipeline::reserve::Receipt`] is settled
//! exactly once; after the first content byte went to the client nothing is retried.
//!
//! Reading order: [`pipeline`] is the way of a request, one file a stage; [`error`] the table of what
//! a caller can be told; [`snapshot`] and [`state`] what the stages read; [`api`] the paths that are
//! served, `count` (tokens of prompts), `conversation` (kept answers) and `compare` (several models at once) what
//! stands behind some of them, [`shadow`] who else sees what is asked, [`explain`] what a request would do without
//! doing it, [`admin`] the paths for operators, [`lessons`] what both tell the router, [`learnt`] and [`graded`] what
//! it knows, [`budgets`] what keys may spend; [`server`] sockets, threads and shutdown; [`config`] the file and its
//! checks; [`telemetry`] metrics, [`warnings`] what is said of answers besides.

pub mod admin;
pub mod api;
pub mod boot;
pub mod budgets;
mod compare;
pub mod config;
mod conversation;
mod count;
pub mod error;
pub mod explain;
pub mod graded;
pub mod learnt;
pub mod lessons;
pub mod pipeline;
pub mod recall;
pub mod server;
pub mod shadow;
mod sibling;
pub mod snapshot;
pub mod state;
pub mod telemetry;
pub mod warnings;

pub use server::{Gateway, GatewayOptions, StartError};
