//! The system's trash: the only place that names the crate `trash`.
//!
//! On Linux and its like that is the one of freedesktop.org, which needs no desktop: `Trash` in `$XDG_DATA_HOME`, or
//! `.Trash-UID` on the volume of the file. macOS does not tell programs what is in its trash, so there a person has
//! to bring files back.

#[cfg(all(
    feature = "trash",
    not(any(target_os = "macos", target_os = "ios", target_os = "android"))
))]
mod listed;
#[cfg(not(all(
    feature = "trash",
    not(any(target_os = "macos", target_os = "ios", target_os = "android"))
)))]
mod unlisted;

use std::path::Path;

use super::Why;
#[cfg(all(
    feature = "trash",
    not(any(target_os = "macos", target_os = "ios", target_os = "android"))
))]
pub(super) use listed::Rubbish;
#[cfg(not(all(
    feature = "trash",
    not(any(target_os = "macos", target_os = "ios", target_os = "android"))
)))]
pub(super) use unlisted::Rubbish;

/// Moves a file to the trash.
///
/// # Errors
///
/// Why the system did not.
#[cfg(feature = "trash")]
pub(super) fn discard(path: &Path) -> Result<(), Why> {
    trash::delete(path).map_err(|error| Why::Refused(said(&error)))
}

/// Refuses: this build knows no trash.
#[cfg(not(feature = "trash"))]
pub(super) fn discard(_: &Path) -> Result<(), Why> {
    Err(Why::Refused(
        "this program was built without the trash".to_owned(),
    ))
}

/// Returns what is wrong with the trash, in a line that ends without a full stop.
#[cfg(feature = "trash")]
fn said(error: &trash::Error) -> String {
    use trash::Error as E;
    match error {
        E::Unknown { description } => format!("the trash is not available: {description}"),
        E::Os { description, .. } => format!("the trash is not available: {description}"),
        #[cfg(all(
            unix,
            not(any(target_os = "macos", target_os = "ios", target_os = "android"))
        ))]
        E::FileSystem { path, source } => {
            format!("the trash is not available: {}: {source}", path.display())
        }
        E::CouldNotAccess { target } => format!("the trash cannot access {target}"),
        other => format!("the trash is not available: {other:?}"),
    }
}
