//! Signing and publishing.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sallyport_protocol::Clock;
use sallyport_release::{AGENT, DigestReader, Manifest, Signed, Version, WRAPPER, archive};
use serde_json::Value;
use ureq::http::Method;

use super::keys::{beside, private_key};
use crate::commands::Context;
use crate::error::{Doing, Error, Result};
use crate::output::{self, text};
use crate::say;

/// Sign an archive, or add a signature.
#[derive(clap::Args)]
// Here `--version` is the release's.
#[command(
    disable_version_flag = true,
    after_help = "\
Where more than one signature is needed, each publisher signs the same manifest:
  sallyport releases sign agent.zip --version 1.4.0 --platform linux-x86_64 --key alice.key
  sallyport releases sign agent.zip --add --key bob.key
A new wrapper, which installs the agents' releases and updates itself:
  sallyport releases sign wrapper.zip --product wrapper --version 1.4.0 --platform linux-x86_64 --key alice.key"
)]
pub(crate) struct Sign {
    /// The zip with the program at its top: `sallyport-agent` or `sallyport-wrapper`, with `.exe` for Windows
    archive: PathBuf,
    /// What is in it
    #[arg(long, value_enum, default_value_t = Product::Agent, conflicts_with = "add")]
    product: Product,
    /// A private key; more than once for more signatures
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// Add a signature to the manifest that is there, instead of making one
    #[arg(long, conflicts_with_all = ["version", "platform"])]
    add: bool,
    /// The version, such as 1.4.0
    #[arg(long, required_unless_present = "add")]
    version: Option<Version>,
    /// linux-x86_64, linux-aarch64, windows-x86_64 or macos-aarch64
    #[arg(long, required_unless_present = "add")]
    platform: Option<String>,
    /// Grows with every release; the time by default. A higher one makes an older version the newest release
    #[arg(long)]
    sequence: Option<u64>,
    /// The manifest is refused after so many days
    #[arg(long, default_value_t = 365, value_name = "DAYS")]
    expires: u32,
    /// No version below this is installed any more where this release was seen
    #[arg(long, value_name = "VERSION", default_value = "0.0.0")]
    security_floor: Version,
    /// The oldest wrapper that can install it
    #[arg(long, value_name = "VERSION", default_value = "0.0.0")]
    minimum_wrapper: Version,
    /// The least version of the operating system: of Linux's kernel, of Windows
    #[arg(long, value_name = "VERSION")]
    minimum_os: Option<String>,
    /// The least version of glibc
    #[arg(long, value_name = "VERSION")]
    minimum_glibc: Option<String>,
    /// The signed manifest; by default beside the archive, with `.json`
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
}

/// What is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Product {
    Agent,
    Wrapper,
}

impl Product {
    /// Its name in manifests.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Agent => AGENT,
            Self::Wrapper => WRAPPER,
        }
    }
}

/// Signs; the manifest goes to its file.
pub(super) fn sign(arguments: &Sign) -> Result<()> {
    let file = manifest_file(&arguments.archive, arguments.manifest.as_deref());
    let mut signed = if arguments.add { read(&file)? } else { Signed::unsigned(&manifest(arguments)?) };
    let manifest = signed.content().map_err(|error| Error::usage(error.to_string()))?;
    check_archive(&arguments.archive, &manifest)?;
    for key in &arguments.key {
        signed.sign(&private_key(key)?);
    }
    std::fs::write(&file, signed.to_text()).doing(|| format!("writing {}", file.display()))?;
    say::note(&format!(
        "{} {} for {} is signed by {} in {}",
        manifest.product,
        manifest.version,
        manifest.platform,
        signed.signatures.iter().map(|signature| signature.key.to_string()).collect::<Vec<_>>().join(", "),
        file.display()
    ));
    Ok(())
}

/// Uploads manifest and archive.
pub(super) fn publish(archive: &Path, manifest: Option<&Path>, context: &Context) -> Result<()> {
    let signed = read(&manifest_file(archive, manifest))?;
    let content = signed.content().map_err(|error| Error::usage(error.to_string()))?;
    check_archive(archive, &content)?;
    let client = context.client()?;
    let body = serde_json::to_value(&signed).map_err(|error| Error::failed(error.to_string()))?;
    let release = client.post("/api/v1/releases", Some(&body))?.body;
    let path = format!("/api/v1/releases/{}/archive", text(&release, "sha256"));
    let release: Value = client.upload(&Method::PUT, &path, archive)?.body;
    say::note(&format!(
        "{} {} for {} is published ({})",
        text(&release, "product"),
        text(&release, "version"),
        text(&release, "platform"),
        output::bytes(content.size)
    ));
    Ok(())
}

fn manifest_file(archive: &Path, given: Option<&Path>) -> PathBuf {
    given.map_or_else(|| beside(archive, ".json"), Path::to_owned)
}

fn read(file: &Path) -> Result<Signed> {
    let text = std::fs::read_to_string(file).doing(|| format!("reading {}", file.display()))?;
    Signed::parse(&text).map_err(|error| Error::usage(format!("{}: {error}", file.display())))
}

fn manifest(arguments: &Sign) -> Result<Manifest> {
    let now = Clock::system().now();
    let seconds = now.0.div_euclid(1_000_000);
    let expires = now.plus(Duration::from_secs(u64::from(arguments.expires) * 24 * 3600));
    let (sha256, size) = digest(&arguments.archive)?;
    let manifest = Manifest {
        product: arguments.product.name().to_owned(),
        platform: arguments.platform.clone().unwrap_or_default(),
        version: arguments.version.clone().unwrap_or_default(),
        sha256,
        size,
        sequence: arguments.sequence.unwrap_or_else(|| u64::try_from(seconds).unwrap_or(0)),
        expires: expires.0.div_euclid(1_000_000),
        security_floor: arguments.security_floor.clone(),
        minimum_wrapper: arguments.minimum_wrapper.clone(),
        minimum_os: arguments.minimum_os.clone(),
        minimum_glibc: arguments.minimum_glibc.clone(),
    };
    manifest.check().map_err(|error| Error::usage(error.to_string()))?;
    Ok(manifest)
}

fn open(archive: &Path) -> Result<File> {
    File::open(archive).doing(|| format!("reading {}", archive.display()))
}

fn digest(archive: &Path) -> Result<(sallyport_release::Digest, u64)> {
    DigestReader::new(open(archive)?).finish().doing(|| format!("reading {}", archive.display()))
}

/// Nobody signs or uploads what no agent would take.
fn check_archive(archive: &Path, manifest: &Manifest) -> Result<()> {
    if digest(archive)? != (manifest.sha256, manifest.size) {
        return Err(Error::usage(format!("{} is not the archive that the manifest names", archive.display())));
    }
    let suffix = if manifest.platform.starts_with("windows") { ".exe" } else { "" };
    archive::check(open(archive)?, &format!("{}{suffix}", manifest.product))
        .map(|_| ())
        .map_err(|error| Error::usage(format!("{}: {error}", archive.display())))
}
