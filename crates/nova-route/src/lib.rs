//! Which deployments to try, in what order, and why.
