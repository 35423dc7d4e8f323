//! A queue on a Redis or Valkey server. The server takes the place of the keeper: a script that runs there applies the rules, and
//! the clients speak the same protocol.

// Until the bridge of a client calls the script.
#[allow(dead_code)]
mod script;
