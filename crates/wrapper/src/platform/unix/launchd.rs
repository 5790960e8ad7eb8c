//! The property list of launchd.

use crate::service::Service;

/// The text of the property list.
pub(crate) fn property_list(service: &Service) -> String {
    let Service { name, home, program, user } = service;
    let (home, program) = (escaped(&home.to_string_lossy()), escaped(&program.to_string_lossy()));
    let (name, user) = (escaped(name), escaped(user));
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
    <key>Label</key>
    <string>{name}</string>
    <key>ProgramArguments</key>
    <array>
        <string>{program}</string>
        <string>--home</string>
        <string>{home}</string>
        <string>--service</string>
    </array>
    <key>UserName</key>
    <string>{user}</string>
    <key>WorkingDirectory</key>
    <string>{home}</string>
    <key>RunAtLoad</key>
    <true/>
    <key>KeepAlive</key>
    <dict>
        <key>SuccessfulExit</key>
        <false/>
    </dict>
    <key>ThrottleInterval</key>
    <integer>5</integer>
    <key>ExitTimeOut</key>
    <integer>45</integer>
    <key>Umask</key>
    <integer>23</integer>
</dict>
</plist>
"#
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_hold_signs_of_the_format() {
        let service = Service {
            name: "lab".to_owned(),
            home: "/opt/R&D <1>".into(),
            program: "/opt/R&D <1>/sallyport-wrapper".into(),
            user: "lab".to_owned(),
        };
        let text = property_list(&service);
        assert!(text.contains("<string>/opt/R&amp;D &lt;1&gt;/sallyport-wrapper</string>"), "{text}");
    }
}
