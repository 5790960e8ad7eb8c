//! Bodies of messages for the log (`LogAPICallBody`), with what is secret removed.

use sallyport_protocol::Secret;
use serde_json::Value;

/// The longest body that is logged, in bytes; the rest is cut.
pub const BODY_BYTES_MAX: usize = 8 * 1024;

/// Parts of a key, without `_`, `-` and capitals, that mark its value, whatever it is, as secret.
const MARKS: [&str; 14] = [
    "accesskey",
    "accountkey",
    "apikey",
    "authorization",
    "cookie",
    "credential",
    "passphrase",
    "passw",
    "privatekey",
    "pwd",
    "secret",
    "sharedkey",
    "ticket",
    "token",
];

/// The message as one line of JSON: every value below a key that sounds secret becomes `***`.
pub fn body(message: &Value) -> String {
    let mut text = document(message).to_string();
    if text.len() > BODY_BYTES_MAX {
        let cut = (0..=BODY_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(cut);
        text.push('…');
    }
    text
}

/// [`body`] of a text; a text that is no JSON is not shown, only measured.
pub fn text(message: &str) -> String {
    serde_json::from_str(message)
        .map_or_else(|_| format!("({} bytes that are no JSON)", message.len()), |json| body(&json))
}

/// A text in which none of these secrets stands; those of less than four characters are left, or every word would go.
pub fn without(text: &str, secrets: &[Secret]) -> String {
    let known = secrets.iter().map(Secret::expose).filter(|secret| secret.len() >= 4);
    known.fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
}

/// A document with every value hidden whose key sounds secret.
pub fn document(value: &Value) -> Value {
    let mut copy = value.clone();
    scrub(&mut copy);
    copy
}

fn scrub(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (key, member) in members.iter_mut() {
                let key: String =
                    key.chars().filter(|c| !matches!(c, '_' | '-')).collect::<String>().to_ascii_lowercase();
                match member {
                    _ if MARKS.iter().any(|mark| key.contains(mark)) => hide(member),
                    // Somebody's data: how much there is will do.
                    Value::Array(rows) if key == "rows" => *member = Value::String(format!("({} rows)", rows.len())),
                    _ => scrub(member),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(scrub),
        Value::String(text) => hide_login(text),
        _ => {}
    }
}

/// `scheme://user:password@host` becomes `scheme://***@host`.
fn hide_login(text: &mut String) {
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find("://")) {
        let begin = from + found + "://".len();
        let rest = text.get(begin..).unwrap_or_default();
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"')).unwrap_or(rest.len());
        let login = rest.get(..end).and_then(|authority| authority.rfind('@'));
        if let Some(at) = login {
            text.replace_range(begin..begin + at, "***");
        }
        from = begin;
    }
}

/// Names of secrets may be seen, their values not.
fn hide(value: &mut Value) {
    match value {
        Value::Object(members) => members.iter_mut().for_each(|(_, member)| hide(member)),
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::Null => {}
        other => *other = Value::String("***".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_are_counted_and_not_shown() {
        let shown = body(&serde_json::json!({"preview": {"rows": [["1", "Ada"], ["2", null]], "more": true}}));
        assert_eq!(shown, r#"{"preview":{"more":true,"rows":"(2 rows)"}}"#);
        assert_eq!(body(&serde_json::json!({"rows": 100})), r#"{"rows":100}"#);
    }

    #[test]
    fn secrets_are_hidden_at_any_depth_and_the_rest_stays() {
        let message = json!({"type": "start", "order": [{"settings": {"host": "db"}, "secrets": {"password": "hunter2", "pin": [1, null]}}], "ticket": "t1", "apiToken": "abc"});
        assert_eq!(
            serde_json::from_str::<Value>(&body(&message)).unwrap(),
            json!({"type": "start", "order": [{"settings": {"host": "db"}, "secrets": {"password": "***", "pin": ["***", null]}}], "ticket": "***", "apiToken": "***"})
        );
    }

    #[test]
    fn other_names_of_secrets_and_logins_in_addresses_are_hidden() {
        let message = json!({"apiKey": "a", "Access-Key": "b", "pwd": "c", "passphrase": "d", "session_cookie": "e",
            "url": "postgres://ann:p@ss@db/x?y=1 and https://h/a@b", "monkey": "f"});
        assert_eq!(
            serde_json::from_str::<Value>(&body(&message)).unwrap(),
            json!({"apiKey": "***", "Access-Key": "***", "pwd": "***", "passphrase": "***", "session_cookie": "***",
                "url": "postgres://***@db/x?y=1 and https://h/a@b", "monkey": "f"})
        );
    }

    #[test]
    fn long_bodies_are_cut_and_other_text_is_only_measured() {
        let long = body(&json!({"text": "ä".repeat(BODY_BYTES_MAX)}));
        assert!(long.len() <= BODY_BYTES_MAX + '…'.len_utf8() && long.ends_with('…'));
        assert_eq!(text("password=hunter2"), "(16 bytes that are no JSON)");
    }
}
