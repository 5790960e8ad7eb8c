#[cfg(unix)]
mod examples;
#[cfg(unix)]
mod shell;
