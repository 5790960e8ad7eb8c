//! Starts, watches and restarts the agent.
