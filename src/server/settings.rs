//! TEMPORARY
use std::path::PathBuf;

use crate::clock::Nanos;

#[derive(Clone, Debug)]
pub(crate) struct ServerUrl {
    pub(super) socket: Option<PathBuf>,
    pub(super) hosts: Vec<(String, u16)>,
    pub(super) is_tls: bool,
    pub(super) db: i64,
    pub(super) user: Option<String>,
    pub(super) service: Option<String>,
    pub(super) prefix: String,
    text: String,
}

impl std::fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct ServerSettings {
    pub(crate) url: ServerUrl,
    pub(crate) password: Option<String>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) dead_after: Nanos,
    pub(crate) patience: Option<Nanos>,
}

impl ServerSettings {
    pub(crate) fn from_env() -> Option<Self> {
        let text = std::env::var("QDEMO_SERVER").ok().filter(|t| !t.is_empty())?;
        let (path, prefix) = text.split_once("?prefix=").unwrap_or((&text, "qdemo"));
        let url = ServerUrl {
            socket: path.strip_prefix("redis+unix://").map(PathBuf::from),
            hosts: path
                .strip_prefix("redis://")
                .map(|h| {
                    let (h, p) = h.split_once(':').unwrap_or((h, "6379"));
                    (h.to_owned(), p.parse().unwrap_or(6379))
                })
                .into_iter()
                .collect(),
            is_tls: false,
            db: 0,
            user: None,
            service: None,
            prefix: prefix.to_owned(),
            text: path.to_owned(),
        };
        Some(Self {
            url,
            password: None,
            ca_file: None,
            dead_after: 30_000_000_000,
            patience: Some(30_000_000_000),
        })
    }
}
