//! HTTP in, the pipeline, the admin API, configuration and reload, telemetry.
