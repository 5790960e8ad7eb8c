use super::*;

const MANIFEST: &str = "
[package]
name = \"sallyport-thing\"

[dependencies]
# Why.
serde.workspace = true
axum = { workspace = true }

[target.'cfg(windows)'.dependencies]
windows-sys.workspace = true

[dev-dependencies]
rusqlite.workspace = true
";

#[test]
fn a_manifest_names_its_dependencies_without_those_of_tests() {
    assert_eq!(dependencies(MANIFEST), ["serde", "axum", "windows-sys"]);
}

#[test]
fn a_package_that_belongs_elsewhere_is_a_breach() {
    let named = dependencies(MANIFEST);
    assert_eq!(breaches_of_owned("thing", &named), ["crates/thing names axum, which belongs to server alone"]);
    assert_eq!(breaches_of_owned("server", &named), [""; 0]);
}

#[test]
fn a_wall_is_breached_by_a_family_of_packages() {
    let wall = Wall { package: "sallyport-site", never: &["arrow-*", "tokio"] };
    let below = ["arrow-array", "serde", "tokio", "tokio-util"].map(str::to_owned);
    let breaches = wall.breaches(&below);
    assert_eq!(breaches.len(), 2, "{breaches:?}");
    assert!(breaches[0].starts_with("sallyport-site must not link arrow-array;"), "{breaches:?}");
}
