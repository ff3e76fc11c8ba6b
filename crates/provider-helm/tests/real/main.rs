//! Releases on a real API server, with the real Helm as witness. Each test has a namespace and a state directory of its
//! own. Without `PITRIX_TEST_KUBECONFIG` they say so and do nothing.

mod kubernetes;
