//! Where a coder's packets go: into the stream's inbox, a few at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use scanout_core::encoder::{BoxedError, Packet, StreamInfo};
use scanout_core::session::{PacketSink, StreamError};

use super::inbox::{FromStage, Inbox};
use crate::gl::CoderId;

/// Packets of one coder that may wait for the stream's thread.
const MAX_QUEUED: usize = 4;

/// Whether a coder takes pictures.
#[derive(Debug)]
pub(super) struct Gate {
    open: AtomicBool,
    queued: AtomicUsize,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            open: AtomicBool::new(true),
            queued: AtomicUsize::new(0),
        }
    }

    pub(super) fn set(&self, open: bool) {
        self.open.store(open, Ordering::Release);
    }

    /// The stream's thread has taken a packet; true where the coder may wait for that.
    pub(super) fn taken(&self) -> bool {
        self.queued.fetch_sub(1, Ordering::AcqRel) >= MAX_QUEUED
    }

    fn has_room(&self) -> bool {
        self.open.load(Ordering::Acquire) && self.queued.load(Ordering::Acquire) < MAX_QUEUED
    }
}

pub(super) struct Sink {
    pub(super) coder: CoderId,
    pub(super) inbox: Arc<Inbox>,
    pub(super) gate: Arc<Gate>,
    pub(super) info: Option<Arc<StreamInfo>>,
}

#[derive(Debug, thiserror::Error)]
#[error("the stream has stopped")]
struct Stopped;

impl PacketSink for Sink {
    fn packet(&mut self, stream: &StreamInfo, packet: &Packet) -> Result<(), BoxedError> {
        // Headers change with keyframes only.
        let info = match &self.info {
            Some(info) if !packet.keyframe => Arc::clone(info),
            _ => {
                let info = Arc::new(stream.clone());
                self.info = Some(Arc::clone(&info));
                info
            }
        };
        self.gate.queued.fetch_add(1, Ordering::AcqRel);
        let news = FromStage::Packet(self.coder, info, packet.clone());
        if self.inbox.stage(news) {
            Ok(())
        } else {
            Err(Stopped.into())
        }
    }

    fn room(&mut self) -> bool {
        self.gate.has_room()
    }

    fn ended(&mut self, outcome: Result<(), StreamError>) {
        let (why, stage_too) = match outcome {
            // Closed by us: nobody asks any more.
            Err(StreamError::Removed) => return,
            Ok(()) => ("it ended by itself".to_owned(), false),
            Err(error) => {
                let stage_too = matches!(error, StreamError::Session(_));
                (error.to_string(), stage_too)
            }
        };
        let failed = FromStage::CoderFailed(self.coder, why, stage_too);
        self.inbox.stage(failed);
    }
}
