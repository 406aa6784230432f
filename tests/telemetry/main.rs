//! What a store says to the crates `tracing` and `metrics`, by the features of those names.

#[cfg(feature = "metrics")]
mod numbers;
#[cfg(feature = "tracing")]
mod told;

/// What a subscriber asks for is kept for the whole process, and also by who only stores beside it: so these tests come one after the other.
#[cfg(any(feature = "metrics", feature = "tracing"))]
fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
