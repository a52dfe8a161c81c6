//! What the machine says is done, if it may be said.

use scanout_core::geometry::Damage;
use scanout_spice::gl::{Action, Batch, DrawId, Outgoing, ScanoutId, StageId, ViewerId};

use super::{Answered, Coder, Stage, World};

impl World {
    pub(super) fn apply(&mut self, action: Action) {
        if self.keep_log && !matches!(action, Action::Send(..)) {
            self.log.push((self.now, action.clone()));
        }
        match action {
            Action::Answer(draw) => self.answer(draw, Answered::Alone),
            Action::Stage {
                stages,
                scanout,
                draws,
                damage,
            } => self.stage(&stages, scanout, &draws, &damage),
            Action::Retire(scanout) => {
                assert!(self.retired.insert(scanout), "{scanout} retired twice");
            }
            Action::OpenStage { stage, size, spec } => {
                assert!(self.used.insert(stage.0), "{stage} is no new id");
                let new = Stage {
                    size,
                    spec,
                    open: false,
                    picture: None,
                    changed: None,
                };
                self.stages.insert(stage, new);
                assert!(self.stages.len() <= 8, "stages leak");
            }
            Action::CloseStage(stage) => {
                assert!(self.stages.remove(&stage).is_some(), "{stage} is not open");
                self.coders.retain(|_, coder| coder.stage != stage);
            }
            Action::OpenCoder {
                coder,
                stage,
                offer,
                bitrate,
            } => {
                assert!(self.used.insert(coder.0), "{coder} is no new id");
                let of = &self.stages[&stage];
                assert!(of.open, "{coder} on {stage}, which is not open");
                assert_eq!(of.spec, self.offers[offer.0].stage);
                assert!(bitrate <= self.config.bitrate);
                let new = Coder {
                    stage,
                    offer,
                    bitrate,
                    open: false,
                    gate: true,
                    keyframe: true,
                    pending: of.picture,
                    packets: 0,
                    keyframes: 0,
                };
                self.coders.insert(coder, new);
                assert!(self.coders.len() <= 2 * self.offers.len(), "coders leak");
            }
            Action::CloseCoder(coder) => {
                assert!(self.coders.remove(&coder).is_some(), "{coder} is not open");
            }
            Action::Keyframe(id) => {
                let coder = self.coders.get_mut(&id).expect("a coder that is open");
                assert!(!coder.keyframe, "{id} owes a keyframe already");
                coder.keyframe = true;
                if coder.pending.is_none() {
                    coder.pending = self.stages[&coder.stage].picture;
                }
            }
            Action::Adjust(id, bitrate) => {
                let coder = self.coders.get_mut(&id).expect("a coder that is open");
                assert!(bitrate <= self.config.bitrate && bitrate >= self.config.slow_floor);
                coder.bitrate = bitrate;
            }
            Action::Gate { coder, open } => {
                let coder = self.coders.get_mut(&coder).expect("a coder that is open");
                assert_ne!(coder.gate, open, "a gate that is so already");
                coder.gate = open;
            }
            Action::Send(viewer, batch) => self.receive(viewer, batch),
            Action::Close(viewer, reason) => {
                assert!(self.clients.remove(&viewer).is_some(), "{viewer} is gone");
                self.closed.push((viewer, reason));
            }
            other => panic!("not modelled: {other:?}"),
        }
    }

    fn answer(&mut self, draw: DrawId, how: Answered) {
        let since = self.draws.remove(&draw);
        let since = since.unwrap_or_else(|| panic!("{draw} does not wait"));
        self.answered.push((draw, self.now - since, how));
    }

    fn stage(&mut self, stages: &[StageId], scanout: ScanoutId, draws: &[DrawId], damage: &Damage) {
        let (current, size) = self.source.expect("a scanout to stage");
        assert_eq!(scanout, current, "an old scanout is staged");
        assert!(!stages.is_empty());
        for id in stages {
            let stage = self.stages.get_mut(id).expect("a stage that is open");
            assert!(stage.open);
            assert_eq!(stage.size, size, "geometry travels with the buffer");
            let missing = match &stage.changed {
                None => !damage.covers(size),
                Some(rects) => rects
                    .iter()
                    .any(|rect| !damage.rects().iter().any(|d| d.contains(*rect))),
            };
            assert!(!missing, "{damage:?} lacks {:?}", stage.changed);
            stage.changed = Some(Vec::new());
            stage.picture = Some(self.content);
            for coder in self.coders.values_mut().filter(|coder| coder.stage == *id) {
                coder.pending = Some(self.content);
            }
        }
        for draw in draws {
            self.answer(*draw, Answered::Staged);
        }
    }

    fn receive(&mut self, viewer: ViewerId, batch: Batch) {
        let largest = 2 * self.sizes.0.max(self.sizes.1) + 200;
        let bound = (self.config.bitrate.as_bps() / 16) as usize;
        let client = self
            .clients
            .get_mut(&viewer)
            .expect("a viewer that is there");
        assert!(!batch.is_empty());
        assert!(
            client.queue.bytes <= bound.max(largest),
            "sent to a viewer over its bound: {:?}",
            client.queue
        );
        client.queue.messages += batch.len();
        for message in &batch {
            if let Outgoing::StreamData { payload, .. } = message {
                client.queue.bytes += payload.len();
                client.most_bytes = client.most_bytes.max(client.queue.bytes);
            }
            client.message(message);
        }
        client.batches.push(batch);
    }
}
