//! A server.
mod config;
mod error;
mod keys;
mod limits;
mod password;
pub use config::{Auth, Limits, Listen, PASSWORD_MAX, Security, ServerConfig, Sharing, TlsFiles};
pub use error::{ConfigError, PasswordError, Refusal, ServerError, TlsError};
mod listen; mod tls; mod stream_io;
