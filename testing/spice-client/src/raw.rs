//! A connection on which nothing was said yet.

use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use crate::{Address, Connection};

/// A connection for links that are half open, cut or wrong.
#[derive(Debug)]
pub struct Raw(Connection);

impl Raw {
    /// Connects, and says nothing.
    ///
    /// # Errors
    /// The system's.
    pub fn connect(address: &Address, limit: Duration) -> io::Result<Self> {
        let connection = address.connect(limit, None)?;
        connection.set_write_timeout(limit)?;
        Ok(Self(connection))
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// The system's, once the server has closed.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)?;
        self.0.flush()
    }

    /// Sends bytes one at a time, `pause` after each.
    ///
    /// # Errors
    /// The system's, once the server has closed.
    pub fn drip(&mut self, bytes: &[u8], pause: Duration) -> io::Result<()> {
        for byte in bytes {
            self.send(&[*byte])?;
            std::thread::sleep(pause);
        }
        Ok(())
    }

    /// Reads until the server closes, `limit` is over or `max` bytes are there. Says too
    /// whether the server has closed.
    pub fn read_all(&mut self, max: usize, limit: Duration) -> (Vec<u8>, bool) {
        let end = Instant::now() + limit;
        let mut bytes = Vec::new();
        let mut part = [0; 4096];
        while bytes.len() < max {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || self.0.set_read_timeout(left).is_err() {
                return (bytes, false);
            }
            let room = part.len().min(max - bytes.len());
            match self.0.read(&mut part[..room]) {
                Ok(0) => return (bytes, true),
                Ok(count) => bytes.extend_from_slice(&part[..count]),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return (bytes, false);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return (bytes, true),
            }
        }
        (bytes, false)
    }

    /// The connection, to go on as [`link`](crate::link) does.
    pub fn into_connection(self) -> Connection {
        self.0
    }
}
