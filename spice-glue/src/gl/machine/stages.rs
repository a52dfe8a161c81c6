//! Stages of the current scanout, and what is staged on them.

use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use scanout_core::geometry::{Damage, Size};

use super::Machine;
use super::viewers::Tier;
use crate::gl::{Action, OfferId, ScanoutId, StageId, StageSpec};

/// Between two stages of one spec: a window that is dragged changes its size with every
/// move of the pointer, a device takes long to open.
const OPEN_SPACING: Duration = Duration::from_millis(50);
/// Stages that are open at a time: more kinds of pictures than that, nobody watches.
const MAX_STAGES: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    /// Not yet; given up then.
    Until(Instant),
    /// Since then.
    Since(Instant),
}

#[derive(Debug)]
pub(super) struct Stage {
    pub(super) id: StageId,
    pub(super) spec: StageSpec,
    size: Size,
    pub(super) open: Open,
    /// It has been given a scanout.
    pub(super) staged: bool,
    /// What changed since.
    damage: Damage,
}

/// What the producer shows.
#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) scanout: Option<ScanoutId>,
    /// Size of what it shows, or has shown until just now.
    pub(super) size: Option<Size>,
    /// It shows nothing since then.
    pub(super) disabled: Option<Instant>,
}

impl Machine {
    pub(super) fn scanout(
        &mut self,
        scanout: ScanoutId,
        size: Size,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        if size.is_empty() {
            self.disable(now, actions);
            actions.push(Action::Retire(scanout));
            return;
        }
        if let Some(old) = self.source.scanout.replace(scanout)
            && old != scanout
        {
            actions.push(Action::Retire(old));
        }
        self.source.disabled = None;
        if self.source.size.replace(size) != Some(size) {
            self.order.forgive();
            for viewer in &mut self.viewers {
                viewer.offer = None;
            }
        }
        for stage in &mut self.stages {
            stage.damage = Damage::full(size);
        }
        // The draw that made it usually follows; staged with that it is staged once.
        self.pacing.change(now + self.pacing.slot());
    }

    pub(super) fn disable(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if let Some(scanout) = self.source.scanout.take() {
            actions.push(Action::Retire(scanout));
            self.source.disabled = Some(now);
        }
    }

    pub(super) fn draw(
        &mut self,
        draw: crate::gl::DrawId,
        mut damage: Damage,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        let size = self.source.scanout.and(self.source.size);
        damage.clip(size.unwrap_or_default());
        if damage.is_none() || !self.has_open_stage() {
            // Nobody watches, or not yet: a stage that is opening is given the whole
            // scanout when it is open.
            actions.push(Action::Answer(draw));
            return;
        }
        for stage in &mut self.stages {
            stage.damage.unite(&damage);
        }
        if let Some(oldest) = self.pacing.draw(draw, now) {
            actions.push(Action::Answer(oldest));
        }
    }

    fn has_open_stage(&self) -> bool {
        self.stages
            .iter()
            .any(|stage| matches!(stage.open, Open::Since(_)))
    }

    /// The old picture has stayed long enough after the producer shows nothing.
    pub(super) fn settle_source(&mut self, now: Instant) {
        if let Some(disabled) = self.source.disabled {
            let end = disabled + self.config.disable_grace;
            if end <= now {
                self.source.disabled = None;
                self.source.size = None;
            } else {
                self.wake.at(end);
            }
        }
    }

    /// Closes the stages that nobody needs and opens those that somebody does.
    pub(super) fn settle_stages(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let warm = self.warm_offer(now);
        let mut wanted = ArrayVec::<StageSpec, MAX_STAGES>::new();
        let offers = self.viewers.iter().filter_map(|viewer| viewer.offer);
        for offer in offers.chain(warm) {
            if let Some(offer) = self.order.get(offer)
                && !wanted.contains(&offer.stage)
            {
                // Viewers of one kind too many wait until another has gone.
                let _ = wanted.try_push(offer.stage);
            }
        }
        let size = self.source.size;
        let mut index = 0;
        while let Some(stage) = self.stages.get(index) {
            let needed = Some(stage.size) == size && wanted.contains(&stage.spec);
            let late = match stage.open {
                Open::Until(limit) if limit <= now => true,
                Open::Until(limit) => {
                    self.wake.at(limit);
                    false
                }
                Open::Since(_) => false,
            };
            if needed && !late {
                index += 1;
                continue;
            }
            let (id, spec) = (stage.id, stage.spec);
            actions.push(Action::CloseStage(id));
            self.forget_stage(id);
            if needed {
                self.spec_failed(&spec, now);
            }
        }
        let Some(size) = self.source.scanout.and(size) else {
            return;
        };
        for spec in wanted {
            if self.stages.iter().any(|stage| stage.spec == spec) || !self.is_wanted(&spec, now) {
                continue;
            }
            if let Some((_, at)) = self.opened.iter().find(|(of, at)| *of == spec && *at > now) {
                self.wake.at(*at);
                continue;
            }
            self.opened.retain(|(of, at)| *of != spec && *at > now);
            self.opened.push((spec, now + OPEN_SPACING));
            let stage = StageId(self.next_id());
            self.stages.push(Stage {
                id: stage,
                spec,
                size,
                open: Open::Until(now + self.config.open_limit),
                staged: false,
                damage: Damage::none(),
            });
            self.wake.at(now + self.config.open_limit);
            actions.push(Action::OpenStage { stage, size, spec });
        }
    }

    /// Somebody still wants pictures of this kind: what failed just now is not opened
    /// again before its viewers have chosen anew.
    fn is_wanted(&self, spec: &StageSpec, now: Instant) -> bool {
        let offers = self.viewers.iter().filter_map(|viewer| viewer.offer);
        offers
            .chain(self.warm_offer(now))
            .any(|offer| self.order.get(offer).is_some_and(|o| o.stage == *spec))
    }

    pub(super) fn stage_opened(&mut self, id: StageId, now: Instant) {
        if let Some(stage) = self.stages.iter_mut().find(|stage| stage.id == id)
            && matches!(stage.open, Open::Until(_))
        {
            stage.open = Open::Since(now);
        }
    }

    pub(super) fn stage_failed(&mut self, id: StageId, now: Instant) {
        if let Some(stage) = self.stages.iter().find(|stage| stage.id == id) {
            let spec = stage.spec;
            self.forget_stage(id);
            self.spec_failed(&spec, now);
        }
    }

    fn forget_stage(&mut self, id: StageId) {
        self.stages.retain(|stage| stage.id != id);
        self.groups.retain(|group| group.stage != id);
    }

    /// Every offer of such pictures has failed.
    fn spec_failed(&mut self, spec: &StageSpec, now: Instant) {
        let mut index = 0;
        while let Some(offer) = self.order.get(OfferId(index)) {
            if offer.stage == *spec {
                self.offer_failed(OfferId(index), now);
            }
            index += 1;
        }
    }

    /// Nobody watches: draws are answered, nothing is open.
    pub(super) fn rest(&mut self, actions: &mut Vec<Action>) {
        actions.extend(self.pacing.give_up().map(Action::Answer));
        actions.extend(
            self.stages
                .drain(..)
                .map(|stage| Action::CloseStage(stage.id)),
        );
        self.groups.clear();
    }

    /// Stages what changed, answers who waits in vain.
    pub(super) fn stage_changes(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let current = self.source.scanout.zip(self.source.size);
        let Some((scanout, size)) = current.filter(|_| self.has_open_stage()) else {
            actions.extend(self.pacing.give_up().map(Action::Answer));
            return;
        };
        for stage in &mut self.stages {
            if !stage.staged && matches!(stage.open, Open::Since(_)) {
                stage.staged = true;
                stage.damage.clear();
                self.pacing.begin_slot(now);
                actions.push(Action::Stage {
                    stages: vec![stage.id],
                    scanout,
                    draws: Vec::new(),
                    damage: Damage::full(size),
                });
            }
        }
        if self.pacing.due().is_some_and(|due| due <= now) {
            let mut damage = Damage::none();
            let mut stages = Vec::with_capacity(self.stages.len());
            for stage in &mut self.stages {
                if stage.staged && !stage.damage.is_none() {
                    damage.unite(&stage.damage);
                    stage.damage.clear();
                    stages.push(stage.id);
                }
            }
            if stages.is_empty() {
                // A stage that has opened since was given all of it.
                actions.extend(self.pacing.give_up().map(Action::Answer));
            } else {
                self.note_picture(&stages, now);
                let draws = self.pacing.staged(now);
                actions.push(Action::Stage {
                    stages,
                    scanout,
                    draws,
                    damage,
                });
            }
        }
        while let Some(draw) = self.pacing.overdue(now) {
            actions.push(Action::Answer(draw));
        }
        if let Some(deadline) = self.pacing.deadline() {
            self.wake.at(deadline);
        }
    }

    /// Slow tiers learn from how many pictures find their gates closed.
    fn note_picture(&mut self, stages: &[StageId], now: Instant) {
        for index in 0..self.groups.len() {
            if let Some(group) = self.groups.get(index)
                && group.tier == Tier::Slow
                && stages.contains(&group.stage)
            {
                self.slow_picture(index, now);
            }
        }
    }
}
