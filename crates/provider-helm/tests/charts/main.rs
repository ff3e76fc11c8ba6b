//! Charts from outside: loaded, fetched, given values and rendered beside the real Helm; and run on a real API server,
//! where tests without `PITRIX_TEST_KUBECONFIG` say so and do nothing.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod bombs;
mod fetch;
mod fixtures;
mod hostile;
mod kubernetes;
mod values;
