//! What an operator does on the data folder, whether a server runs on it or not.

use std::path::{Path, PathBuf};

use sallyport_domain::licence::Tier;
use sallyport_store::{Company, Store};

use crate::data_folder::DataFolder;

/// Why a licence was not set.
#[derive(Debug, thiserror::Error)]
pub enum LicenceError {
    /// The folder is not a server's.
    #[error("`{}` holds no Sallyport data: give the server's --data-dir", .0.display())]
    NoData(PathBuf),
    /// No company has this name, or there is none.
    #[error("there is no such company: `sallyport licence set` without --company takes the only one")]
    NoCompany,
    /// There are several and none was named.
    #[error("the server has several companies: name one with --company")]
    SeveralCompanies,
    /// The database failed.
    #[error("setting the licence")]
    Store(#[source] sallyport_store::Error),
}

impl From<sallyport_store::Error> for LicenceError {
    fn from(error: sallyport_store::Error) -> Self {
        match error {
            sallyport_store::Error::NotFound => Self::NoCompany,
            sallyport_store::Error::Ambiguous => Self::SeveralCompanies,
            error => Self::Store(error),
        }
    }
}

/// Sets what a company has bought; by name or id, or the only one. A running server takes it up with the next
/// admission.
pub async fn set_licence(data_dir: &Path, company: Option<&str>, tier: Tier) -> Result<Company, LicenceError> {
    let file = DataFolder::database(data_dir);
    if !file.exists() {
        return Err(LicenceError::NoData(data_dir.to_owned()));
    }
    let store = Store::open(&file)?;
    let company = store.set_tier(company, tier).await?;
    store.close().await;
    Ok(company)
}
