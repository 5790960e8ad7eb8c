//! Archives of published releases, as files named by their hash. One is there whole or not at all.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use axum::body::Body;
use futures_util::StreamExt as _;
use sallyport_release::{DigestReader, archive};
use sallyport_store::Release;
use tokio::io::AsyncWriteExt as _;

use crate::data_folder::make_private;
use crate::http::problem::{Code, Problem, Result};

/// A piece of an upload that has not come by then is not waited for.
const PIECE_WITHIN: Duration = Duration::from_secs(60);

/// Where the archive of a release lies.
pub(crate) fn path(data_dir: &Path, sha256: &str) -> PathBuf {
    folder(data_dir).join(format!("{sha256}.zip"))
}

fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("archives")
}

/// Takes an archive in as it comes, and keeps it if it is what its manifest says.
pub(crate) async fn keep(data_dir: &Path, release: &Release, body: Body) -> Result<()> {
    let folder = folder(data_dir);
    make_private(&folder).with_context(|| format!("making `{}`", folder.display()))?;
    let part = folder.join(format!("{}.{}.part", release.sha256, uuid::Uuid::new_v4().simple()));
    let kept = async {
        write(&part, release.size, body).await?;
        let (part, to, release) = (part.clone(), path(data_dir, &release.sha256), release.clone());
        tokio::task::spawn_blocking(move || settle(&part, &to, &release)).await.context("checking an archive")?
    };
    let kept = kept.await;
    if kept.is_err() {
        // Of no use to anybody.
        let _ = tokio::fs::remove_file(&part).await;
    }
    kept
}

async fn write(part: &Path, size: u64, body: Body) -> Result<()> {
    let named = || format!("writing `{}`", part.display());
    let mut file = tokio::fs::File::create_new(part).await.with_context(named)?;
    let (mut pieces, mut left) = (body.into_data_stream(), size);
    loop {
        let piece = match tokio::time::timeout(PIECE_WITHIN, pieces.next()).await {
            Err(_) => return Err(Problem::new(Code::SlowBody, "the archive stopped coming; publish it again")),
            Ok(None) => break,
            Ok(Some(Err(error))) => {
                return Err(Problem::new(Code::BadRequest, format!("the archive broke off: {error}")));
            }
            Ok(Some(Ok(piece))) => piece,
        };
        left = left.checked_sub(piece.len() as u64).ok_or_else(|| {
            Problem::new(Code::TooLarge, format!("the archive is larger than the {size} bytes of its manifest"))
        })?;
        file.write_all(&piece).await.with_context(named)?;
    }
    file.sync_all().await.with_context(named)?;
    if left > 0 {
        let message = format!("the archive has {} bytes, its manifest says {size}", size - left);
        return Err(Problem::field("/size", "size", message));
    }
    Ok(())
}

/// Gives a whole archive its name, after its hash and every entry were looked at.
fn settle(part: &Path, to: &Path, release: &Release) -> Result<()> {
    let named = || format!("reading `{}`", part.display());
    let open = || File::open(part).with_context(named);
    let (hash, _) = DigestReader::new(open()?).finish().with_context(named)?;
    if hash.to_string() != release.sha256 {
        let message = format!("the archive's SHA-256 is {hash}, its manifest says {}", release.sha256);
        return Err(Problem::field("/sha256", "hash", message));
    }
    let suffix = if release.platform.starts_with("windows") { ".exe" } else { "" };
    archive::check(open()?, &format!("{}{suffix}", release.product))
        .map_err(|error| Problem::field("/archive", "archive", error.to_string()))?;
    std::fs::rename(part, to).with_context(|| format!("naming `{}`", to.display()))?;
    Ok(())
}

/// Removes the archive of a release that nobody is offered any more; one that is gone is as wanted.
pub(crate) async fn remove(data_dir: &Path, sha256: &str) {
    let file = path(data_dir, sha256);
    if let Err(error) = tokio::fs::remove_file(&file).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(file = %file.display(), %error, "an archive was not removed");
    }
}
