use serde::Deserialize;
use serde_json::json;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    #[serde(rename = "path")]
    _path: String,
    #[serde(default, rename = "limit")]
    _limit: u32,
    #[serde(default, rename = "size")]
    _size: u32,
}

fn complaint(settings: Value) -> String {
    with::<Sample>(&settings, "reading with `sample`").unwrap_err().to_string()
}

#[test]
fn errors_name_the_field() {
    let text = complaint(json!({"path": "x", "limit": "many"}));
    assert!(text.contains("field `limit`") && text.contains("many"), "{text}");
    let text = complaint(json!({"limit": -1, "path": "x", "size": -1}));
    assert!(text.contains("field `limit`"), "{text}");
    assert!(complaint(json!({"paht": "x"})).contains("`paht`"));
    assert!(complaint(json!({})).contains("missing field `path`"));
    assert!(complaint(Value::Null).contains("missing field `path`"));
}
