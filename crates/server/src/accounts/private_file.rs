//! Files that only their owner may read.

use std::io::Write;
use std::path::Path;

use engine::{Code, Error};
use tempfile::NamedTempFile;

/// Writes a file of mode 0600, whole or not at all, in place of one that is there.
///
/// # Errors
///
/// [`Code::InvalidSetting`] if the folder cannot be written.
pub fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    written(path, text)
        .and_then(|file| Ok(file.persist(path).map(drop)?))
        .map_err(|fault| unusable("write", path).with_cause(fault))
}

/// Writes a file of mode 0600 that is not there yet.
///
/// # Errors
///
/// [`Code::Conflict`] if it is there, [`Code::InvalidSetting`] if the folder cannot be written.
pub fn create_private(path: &Path, text: &str) -> Result<(), Error> {
    let file = written(path, text).map_err(|fault| unusable("write", path).with_cause(fault))?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(fault) if fault.error.kind() == std::io::ErrorKind::AlreadyExists => Err(Error::new(
            Code::Conflict,
            format!("the file `{}` is there already", path.display()),
        )
        .with_hint("name another one; secrets are never overwritten")),
        Err(fault) => Err(unusable("write", path).with_cause(fault)),
    }
}

/// Returns the text of a private file, and makes it with this text if there is none. When several processes make it at
/// once, all go on with the first one's.
///
/// # Errors
///
/// [`Code::InvalidSetting`] if the file cannot be read, or not be made.
pub fn read_or_create(path: &Path, text: impl FnOnce() -> String) -> Result<String, Error> {
    if !path.exists() {
        let file =
            written(path, &text()).map_err(|fault| unusable("write", path).with_cause(fault))?;
        // If another process has made it meanwhile, that one's stays.
        if let Err(fault) = file.persist_noclobber(path)
            && fault.error.kind() != std::io::ErrorKind::AlreadyExists
        {
            return Err(unusable("write", path).with_cause(fault));
        }
    }
    std::fs::read_to_string(path).map_err(|fault| unusable("read", path).with_cause(fault))
}

/// Writes a file beside `path`. A temporary file has mode 0600 from the start.
fn written(path: &Path, text: &str) -> std::io::Result<NamedTempFile> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn unusable(act: &str, path: &Path) -> Error {
    Error::new(
        Code::InvalidSetting,
        format!("cannot {act} `{}`", path.display()),
    )
    .with_hint("choose another folder with DATA_DIR")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_text_stays_and_only_its_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/secret");
        assert_eq!(read_or_create(&path, || "first".into()).unwrap(), "first");
        assert_eq!(read_or_create(&path, || "second".into()).unwrap(), "first");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        write_private(&path, "third").unwrap();
        assert_eq!(read_or_create(&path, || "fourth".into()).unwrap(), "third");
    }
}
