//! A driver, which opens and codes what it is told to.

use std::time::Duration;

use scanout_core::color::ColorSpec;
use scanout_core::encoder::{Chroma, Codec, FrameTimes, Packet, PictureId, StreamInfo};
use scanout_spice::gl::{Backlog, CoderId, Event, StageId, StageSpec, VideoCodec};

use super::{Coder, HD, World};

impl World {
    /// Opens the next stage or coder that waits for it. True where one did.
    pub(crate) fn open_next(&mut self) -> bool {
        let device = |spec: &StageSpec| spec.device;
        if let Some((id, stage)) = self.stages.iter_mut().find(|(_, stage)| !stage.open) {
            let id = *id;
            if self.broken_devices.contains(&device(&stage.spec)) {
                self.fail_stage(id);
            } else {
                stage.open = true;
                self.event(Event::StageOpened(id));
            }
            return true;
        }
        if let Some((id, coder)) = self.coders.iter_mut().find(|(_, coder)| !coder.open) {
            let id = *id;
            if self.broken.contains(&coder.offer) {
                self.fail_coder(id);
            } else {
                coder.open = true;
                self.event(Event::CoderOpened(id));
            }
            return true;
        }
        false
    }

    pub(crate) fn fail_stage(&mut self, id: StageId) {
        self.stages.remove(&id);
        self.coders.retain(|_, coder| coder.stage != id);
        self.event(Event::StageFailed(id));
    }

    pub(crate) fn fail_coder(&mut self, id: CoderId) {
        self.coders.remove(&id);
        self.event(Event::CoderFailed(id));
    }

    pub(super) fn step(&mut self) -> bool {
        if self.open_next() {
            return true;
        }
        if let Some(id) = self.codable() {
            self.code(id);
            return true;
        }
        let full = self
            .clients
            .iter()
            .find(|(_, client)| client.healthy && client.queue != Backlog::default());
        if let Some((id, _)) = full {
            let id = *id;
            self.take(id, usize::MAX);
            return true;
        }
        false
    }

    /// A coder that has something to do.
    pub(crate) fn codable(&self) -> Option<CoderId> {
        let busy = |coder: &&Coder| coder.open && coder.gate && coder.pending.is_some();
        self.coders
            .iter()
            .find(|(_, coder)| busy(coder))
            .map(|(id, _)| *id)
    }

    /// The coder codes what waits for it.
    pub(crate) fn code(&mut self, id: CoderId) {
        let Some(coder) = self.coders.get_mut(&id) else {
            return;
        };
        let Some(content) = coder.pending.take() else {
            return;
        };
        let offer = self.offers[coder.offer.0];
        let keyframe = std::mem::take(&mut coder.keyframe) || offer.codec == VideoCodec::Mjpeg;
        let number = coder.packets;
        coder.packets += 1;
        coder.keyframes += u64::from(keyframe);
        let size = self.stages[&coder.stage].size;
        let length = if keyframe { self.sizes.0 } else { self.sizes.1 };
        let text = format!("{} {number} {content} {} ", id.0, u8::from(keyframe));
        let mut bytes = Vec::new();
        if offer.codec == VideoCodec::H264 {
            if id.0.is_multiple_of(2) {
                bytes.extend([0, 0, 0, 1, 9, 0x30]);
            }
            bytes.extend([0, 0, 0, 1, if keyframe { 0x65 } else { 0x41 }]);
        }
        bytes.extend(text.as_bytes());
        bytes.resize(bytes.len().max(length), b'x');
        let packet = Packet::new(
            PictureId(number),
            content,
            Duration::ZERO,
            bytes.into(),
            keyframe,
            FrameTimes::at(self.now),
        );
        let coded = size.align_up(2).unwrap();
        let info = StreamInfo::new(
            Codec::H264,
            "model",
            coded,
            size,
            Chroma::C420,
            ColorSpec::DESKTOP,
        );
        self.event(Event::Packet {
            coder: id,
            info: &info,
            packet: &packet,
        });
    }

    /// A packet of a coder that is not there.
    pub(crate) fn stray_packet(&mut self, coder: CoderId) {
        let packet = Packet::new(
            PictureId(0),
            0,
            Duration::ZERO,
            b"stray".to_vec().into(),
            true,
            FrameTimes::at(self.now),
        );
        let color = ColorSpec::DESKTOP;
        let info = StreamInfo::new(Codec::H264, "model", HD, HD, Chroma::C420, color);
        self.event(Event::Packet {
            coder,
            info: &info,
            packet: &packet,
        });
    }
}
