//! Development only: a scripted upstream, a PostgreSQL for tests.
