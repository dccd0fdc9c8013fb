//! Closures that C calls. A panic may not pass through C, so it waits here until the call has returned.

use std::any::Any;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};

pub(crate) struct Caught<F> {
    pub(crate) function: F,
    panic: Option<Box<dyn Any + Send>>,
}

impl<F> Caught<F> {
    pub(crate) fn new(function: F) -> Self {
        Caught {
            function,
            panic: None,
        }
    }

    /// What `body` returns; None if it panics, or has before.
    pub(crate) fn call<R>(&mut self, body: impl FnOnce(&mut F) -> R) -> Option<R> {
        if self.panic.is_some() {
            return None;
        }
        let function = &mut self.function;
        match catch_unwind(AssertUnwindSafe(|| body(function))) {
            Ok(value) => Some(value),
            Err(panic) => {
                self.panic = Some(panic);
                None
            }
        }
    }

    /// Goes on with a panic of the closure, if there was one.
    pub(crate) fn resume(self) {
        if let Some(panic) = self.panic {
            resume_unwind(panic);
        }
    }
}
