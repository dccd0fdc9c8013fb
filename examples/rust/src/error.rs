//! Errors of the library as values.

use crate::ffi;
use std::ffi::CStr;
use std::fmt;

/// What the library has refused, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The number of the kind of error; [`Error::kind`] is its name.
    pub status: i32,
    /// What was wrong and what is allowed.
    pub message: String,
    /// The errno of the system call that failed, for errors of the kind "io"; otherwise 0.
    pub system_error: i32,
}

impl Error {
    /// The name of the kind of error, such as "dimension_mismatch".
    pub fn kind(&self) -> &'static str {
        // SAFETY: the function takes any number, and its text lives as long as the library.
        let name = unsafe { CStr::from_ptr(ffi::concord_status_name(self.status)) };
        name.to_str().unwrap_or("unknown")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind(), self.message)
    }
}

impl std::error::Error for Error {}

/// Turns a status into a Result. The message is that of this thread's last call.
pub(crate) fn check(status: ffi::ConcordStatus) -> Result<(), Error> {
    if status == ffi::CONCORD_OK {
        return Ok(());
    }
    // SAFETY: the text is good until the next call of this thread that fails, and is copied before.
    let message = unsafe { CStr::from_ptr(ffi::concord_last_error()) };
    Err(Error {
        status,
        message: message.to_string_lossy().into_owned(),
        // SAFETY: a function without arguments.
        system_error: unsafe { ffi::concord_last_system_error() },
    })
}

/// An error that the crate itself finds.
pub(crate) fn refuse(status: ffi::ConcordStatus, message: String) -> Error {
    Error {
        status,
        message,
        system_error: 0,
    }
}
