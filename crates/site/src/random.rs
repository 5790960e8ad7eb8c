//! Random numbers: for jitter, and for secrets.

/// A number from 0 up to but without 1; one half if the system has no randomness to give.
pub fn unit() -> f64 {
    const STEPS: f64 = 4_294_967_296.0;
    getrandom::u32().map_or(0.5, |number| f64::from(number) / STEPS)
}

/// 256 bits in hexadecimal digits, for a secret; an error if the system has no randomness to give.
pub fn secret() -> std::io::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(format!("no random numbers: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
