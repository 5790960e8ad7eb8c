//! The unit file.

use sallyport_site::Layout;

use crate::service::Service;

/// Seconds without a sign of life after which systemd starts the wrapper again.
const WATCHDOG_SECONDS: u32 = 60;

/// The text of the unit. What is not said here the user's own rights forbid.
///
/// `MemoryDenyWriteExecute`, `ProtectHome` and `ProtectSystem=strict` are left out on purpose: third-party connectors may
/// be Java or Python programs, and tasks write files wherever the site has given the agent's user a folder.
pub(crate) fn unit(service: &Service) -> String {
    let Service { name, home, program, user } = service;
    let former = quoted(&Layout::new(home).former_wrapper().to_string_lossy());
    let (home, program) = (quoted(&home.to_string_lossy()), quoted(&program.to_string_lossy()));
    format!(
        "\
[Unit]
Description=Sallyport agent ({name})
Documentation=man:systemd.service(5)
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=600
StartLimitBurst=10

[Service]
Type=notify
NotifyAccess=main
User={user}
ExecStart={program} --home {home} --service
# Takes back a new version of the wrapper that does not stay up; otherwise it does nothing.
ExecStopPost=-{former} --home {home} restore ${{SERVICE_RESULT}} ${{EXIT_STATUS}}
WorkingDirectory={folder}
Restart=on-failure
RestartSec=2
# Neither a second wrapper in the folder nor settings that cannot be used are mended by another start.
RestartPreventExitStatus=4 78
WatchdogSec={WATCHDOG_SECONDS}
TimeoutStartSec=60
# The agent has 15 s to end what it does.
TimeoutStopSec=45
# The wrapper ends its agent in order; what is left afterwards is killed.
KillMode=mixed
LimitNOFILE=65536
UMask=0027
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
PrivateDevices=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectSystem=full
ReadWritePaths={home}
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
",
        folder = escaped(&service.home.to_string_lossy()),
    )
}

/// What a unit file takes for a word of its own: `%` and `$` are its signs for other things.
fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text).replace('\\', "\\\\").replace('"', "\\\"").replace('$', "$$"))
}

fn escaped(text: &str) -> String {
    text.replace('%', "%%")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(home: &str) -> Service {
        Service {
            name: "lab".to_owned(),
            home: home.into(),
            program: format!("{home}/sallyport-wrapper").into(),
            user: "lab".to_owned(),
        }
    }

    #[test]
    fn a_folder_with_any_letters_stays_one_word() {
        let text = unit(&service("/opt/my \"agent\" 100%"));
        assert!(
            text.contains(
                r#"ExecStart="/opt/my \"agent\" 100%%/sallyport-wrapper" --home "/opt/my \"agent\" 100%%" --service"#
            ),
            "{text}"
        );
        assert!(text.contains(r#"ExecStopPost=-"/opt/my \"agent\" 100%%/sallyport-wrapper.former" --home "#), "{text}");
        assert!(text.contains("WorkingDirectory=/opt/my \"agent\" 100%%\n"), "{text}");
    }

    #[test]
    fn it_has_a_user_a_watchdog_and_no_rights_to_spare() {
        let text = unit(&service("/opt/agent"));
        for line in ["Type=notify", "User=lab", "WatchdogSec=60", "NoNewPrivileges=yes", "CapabilityBoundingSet="] {
            assert!(text.lines().any(|found| found == line), "{line}");
        }
    }
}
