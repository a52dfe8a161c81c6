//! Whether a ticket is the password.

use std::path::Path;
use std::time::SystemTime;

use super::error::PasswordError;
use super::keys::LinkKey;
use super::password::Password;
use crate::wire::link::TICKET_LEN;

/// What a ticket came to.
pub(super) enum Verdict {
    Good {
        /// Others of this machine can read the password file.
        exposed: bool,
    },
    Wrong,
    /// No ticket can be good now.
    Unusable(PasswordError),
}

/// Blocks for some milliseconds: a decryption, and a file.
pub(super) fn judge(key: LinkKey, ticket: &[u8; TICKET_LEN], path: &Path) -> Verdict {
    // Both are always done, so that the time does not tell which one failed.
    let clear = key.decrypt(ticket);
    let password = match Password::read(path, SystemTime::now()) {
        Ok(password) => password,
        Err(error) => return Verdict::Unusable(error),
    };
    match clear {
        Some(clear) if password.matches(&clear) => Verdict::Good {
            exposed: password.exposed,
        },
        _ => Verdict::Wrong,
    }
}
