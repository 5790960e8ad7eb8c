//! From what an administrator writes to an environment.

use sallyport_protocol::EnvironmentId;
use sallyport_store::{Company, Environment, Error, Store};

/// The environment that is meant, or why it is not clear which.
pub(super) async fn find(store: &Store, wanted: &str) -> Result<Result<EnvironmentId, String>, Error> {
    Ok(choose(wanted, &store.all_companies().await?, &store.all_environments().await?))
}

/// By name, `company/name` or id.
pub(super) fn choose(
    wanted: &str,
    companies: &[Company],
    environments: &[Environment],
) -> Result<EnvironmentId, String> {
    let full = |environment: &Environment| {
        let company = companies.iter().find(|company| company.id == environment.company);
        format!("{}/{}", company.map_or("", |company| &company.name), environment.name)
    };
    let meant: Vec<&Environment> = environments
        .iter()
        .filter(|environment| {
            wanted.eq_ignore_ascii_case(&environment.name)
                || wanted.eq_ignore_ascii_case(&full(environment))
                || wanted == environment.id.to_string()
        })
        .collect();
    match meant.as_slice() {
        [one] => Ok(one.id),
        [] => Err(format!(
            "there is no environment `{wanted}`; make it, or correct the entry in `sallyport.toml` and start the server again"
        )),
        [first, second, ..] => Err(format!(
            "`{wanted}` may be environment `{}` or `{}`: write one of them into the entry in `sallyport.toml` and start \
             the server again",
            full(first),
            full(second)
        )),
    }
}
