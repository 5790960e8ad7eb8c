//! What an operator does on the data folder, whether a server runs on it or not.

use std::path::Path;

use anyhow::{Context, bail};
use sallyport_domain::licence::Tier;
use sallyport_store::{Company, Store};

use crate::data_folder::DataFolder;

/// Sets what a company has bought; by name, or the only one. A running server takes it up with the next admission.
pub async fn set_licence(data_dir: &Path, company: Option<&str>, tier: Tier) -> anyhow::Result<Company> {
    let file = DataFolder::database(data_dir);
    if !file.exists() {
        bail!("`{}` holds no Sallyport data: give the server's --data-dir", data_dir.display());
    }
    let store = Store::open(&file)?;
    let company = store.set_tier(company, tier).await.context("setting the licence")?;
    store.close().await;
    Ok(company)
}
