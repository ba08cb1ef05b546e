//! The LocalStack that the suite was started with.

/// Where the suite says that LocalStack is.
pub const VARIABLE: &str = "DBXCMK_LOCALSTACK";

/// The address of LocalStack.
///
/// # Panics
/// When the suite was not started by `make test`, which starts LocalStack: a test that needs it must fail, not pass over.
#[allow(
    clippy::panic,
    reason = "for tests only: without LocalStack they have to fail"
)]
pub fn endpoint() -> String {
    match std::env::var(VARIABLE) {
        Ok(endpoint) if !endpoint.is_empty() => endpoint,
        _ => panic!(
            "{VARIABLE} is not set: this test needs LocalStack. Run the suite with `make test`, which starts it."
        ),
    }
}
