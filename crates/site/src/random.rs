//! Random numbers for jitter. Not for secrets.

/// A number from 0 up to but without 1; one half if the system has no randomness to give.
pub fn unit() -> f64 {
    const STEPS: f64 = 4_294_967_296.0;
    getrandom::u32().map_or(0.5, |number| f64::from(number) / STEPS)
}
