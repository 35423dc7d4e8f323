//! How a client tells a person of something that no result carries.

use std::fmt;
use std::sync::Arc;

/// Tells a person something, in one line.
#[derive(Clone)]
pub(crate) struct Notifier(Arc<dyn Fn(&str) + Send + Sync>);

impl Notifier {
    pub(crate) fn new(tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    pub(crate) fn tell(&self, line: &str) {
        (self.0)(line);
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notifier")
    }
}
