//! Where the wrapper's program lies: `sallyport-wrapper`, which is run, and `sallyport-wrapper.former`, which ran before.
//! Each is whole at any time: written beside, flushed, renamed.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use sallyport_site::{Layout, durable};

use crate::platform;

const CHUNK: usize = 64 * 1024;

/// Puts `program` in the wrapper's place and keeps what was there. Done already, it changes nothing.
pub(in crate::update) fn put(layout: &Layout, program: &Path) -> io::Result<()> {
    let (own, former) = (layout.wrapper_program(), layout.former_wrapper());
    if is_same(&own, program)? {
        return Ok(());
    }
    copy(&own, &former)?;
    copy(program, &own)
}

/// Puts what ran before in the wrapper's place; it is kept too, for the next time.
pub(super) fn bring_back(layout: &Layout) -> io::Result<()> {
    copy(&layout.former_wrapper(), &layout.wrapper_program())
}

/// Whether two programs are the same, byte for byte.
pub(super) fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut left, mut right) = (vec![0; CHUNK], vec![0; CHUNK]);
    loop {
        let count = one.read(&mut left)?;
        let (left, right) = (left.get(..count).unwrap_or_default(), right.get_mut(..count).unwrap_or_default());
        match other.read_exact(right) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            result => result?,
        }
        if left != right || count == 0 {
            return Ok(left == right);
        }
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let temporary = durable::beside(to);
    let copied = fs::copy(from, &temporary)
        .and_then(|_| platform::make_executable(&temporary))
        .and_then(|()| File::open(&temporary)?.sync_all())
        .and_then(|()| platform::replace_program(&temporary, to));
    if let Err(error) = copied {
        // What is left of it is of no use.
        let _ = fs::remove_file(&temporary);
        return Err(io::Error::new(error.kind(), format!("putting {} in its place: {error}", to.display())));
    }
    durable::sync_folder(to.parent().unwrap_or(Path::new(".")))
}
