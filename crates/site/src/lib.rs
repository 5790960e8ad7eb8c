//! What agent and wrapper share on a machine: settings, folders, logs, dialling out.
