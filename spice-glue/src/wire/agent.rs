//! The header inside agent data.
//!
//! Nothing of the agent is served. Its bytes arrive all the same from clients that
//! were told of one, in pieces that do not respect its messages; this is enough to
//! see what they are about.

use super::WireError;
use super::codec::{Reader, Writer};

/// Bytes of an [`AgentHeader`].
pub const AGENT_HEADER_LEN: usize = 20;
/// The only version of the agent's protocol.
pub const AGENT_PROTOCOL: u32 = 1;

/// What each message of the agent begins with (`VDAgentMessage`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentHeader {
    /// What it is.
    pub kind: u32,
    /// Chosen by the sender.
    pub opaque: u64,
    /// Bytes that follow, in this and further pieces. Held against nothing: no
    /// memory may be taken for it.
    pub size: u32,
}

impl AgentHeader {
    /// Appends the header.
    pub fn encode(&self, out: &mut Vec<u8>) {
        Writer(out)
            .u32(AGENT_PROTOCOL)
            .u32(self.kind)
            .u64(self.opaque)
            .u32(self.size);
    }

    /// The header at the start of agent data.
    ///
    /// # Errors
    /// Fewer than [`AGENT_HEADER_LEN`] bytes, or another protocol.
    pub fn decode(data: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new("agent message", data);
        let protocol = r.u32()?;
        let version = (protocol == AGENT_PROTOCOL).then_some(());
        r.known(
            "protocol of an agent message",
            4,
            protocol.into(),
            "1",
            version,
        )?;
        Ok(Self {
            kind: r.u32()?,
            opaque: r.u64()?,
            size: r.u32()?,
        })
    }
}
