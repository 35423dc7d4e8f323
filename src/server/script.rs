//! TEMPORARY
use crate::queue_name::QueueName;
use crate::wire::ClientKey;
pub(crate) const SCRIPT: &str = "return 1";
pub(crate) fn sha1() -> String {
    String::new()
}
#[derive(Clone, Debug)]
pub(crate) struct QueueKeys {
    keys: [String; 14],
    base: String,
}
impl QueueKeys {
    pub(crate) fn new(_prefix: &str, _name: &QueueName) -> Self {
        unimplemented!()
    }
    pub(crate) fn keys(&self) -> &[String; 14] {
        &self.keys
    }
    pub(crate) fn channel(&self, key: ClientKey) -> String {
        format!("{}{key}", self.base)
    }
}
