use std::io;
use std::time::Duration;

use super::StreamId;
use crate::encoder::{BoxedError, EncodeError, OpenError, StageError};

/// A frame was not taken; its source is released.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The session has ended or is finishing.
    #[error("the session takes no more frames")]
    Closed,
    /// No place became free in time.
    #[error("no place for frame {number} within {limit:?}: the encoder does not keep up")]
    TimedOut {
        /// The frame.
        number: u64,
        /// The limit.
        limit: Duration,
    },
}

/// Why a stream ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The encoder failed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The sink refused a packet.
    #[error("the packet's receiver failed: {0}")]
    Sink(#[source] BoxedError),
    /// The session ended under it.
    #[error("the session ended: {0}")]
    Session(String),
    /// Detached, or the session was dropped.
    #[error("the stream was removed before its end")]
    Removed,
}

/// A session failed or refused a call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The operating system refused something.
    #[error("{what}: {cause}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// An encoder cannot be opened.
    #[error(transparent)]
    Open(OpenError),
    /// An encoder refused.
    #[error(transparent)]
    Encode(EncodeError),
    /// The stager failed for good.
    #[error(transparent)]
    Stage(StageError),
    /// More streams than one session serves.
    #[error("a session serves at most {limit} streams")]
    TooManyStreams {
        /// The most.
        limit: usize,
    },
    /// No such stream, or it has ended.
    #[error("{0} is not there or has ended")]
    NoStream(StreamId),
    /// The session's thread did not answer.
    #[error("the session did not answer within {limit:?}")]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// The streams did not drain.
    #[error("the session did not finish within {limit:?}{}", if *.stuck { ": a driver call does not come back" } else { "" })]
    FinishTimedOut {
        /// The limit.
        limit: Duration,
        /// True when its thread could not be ended either.
        stuck: bool,
    },
    /// The session's thread panicked: a defect of ours or of a backend.
    #[error("the session's thread panicked: {0}")]
    Panicked(String),
    /// The session has ended.
    #[error("the session has ended")]
    Ended,
}
