//! Launchers and the read-me of the zip, which the server puts beside the wrapper.

/// Starts the wrapper on Linux and macOS; needs the executable bit.
pub const START_SH: &str = include_str!("../launchers/start.sh");

/// Starts the wrapper on Windows.
pub const START_BAT: &str = include_str!("../launchers/start.bat");

/// Makes or removes an entry in the Windows Task Scheduler that starts the wrapper with the machine.
pub const SCHEDULER_BAT: &str = include_str!("../launchers/scheduler.bat");

/// For people; `{name}` stands for the agent's name and `{server}` for the server's address, see [`read_me`].
pub const README_TXT: &str = include_str!("../launchers/README.txt");

/// The read-me of one agent, with the line ends that every system's editor shows.
pub fn read_me(name: &str, server: &str) -> String {
    README_TXT.replace("{name}", name).replace("{server}", server).replace('\n', "\r\n")
}

/// A text with the line ends that `cmd.exe` needs in batch files, whatever the checkout made of it.
pub fn batch_file(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\n', "\r\n")
}
