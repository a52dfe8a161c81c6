//! The bytes of objects as patches leave them: kept alike by who writes, to
//! leave out what did not change, and by who plays.

use super::{MAX_KEPT, MAX_KEPT_BYTES, Object, Patch};

/// Memory of one object.
#[derive(Clone, Debug)]
struct Memory {
    id: u32,
    bytes: Vec<u8>,
}

/// The objects that are shown, and some that were: which of them are kept is
/// part of the format.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects {
    /// Those of the scanout, in its order.
    shown: Vec<Memory>,
    /// Those of earlier ones, the last shown first.
    kept: Vec<Memory>,
}

impl Objects {
    /// Makes `objects` the ones that are shown: as they were where they are
    /// kept with the same size, else zero.
    pub(super) fn show(&mut self, objects: &[Object]) {
        let before = std::mem::take(&mut self.shown);
        self.kept.splice(0..0, before);
        for object in objects {
            let known = self.kept.iter().position(|kept| kept.id == object.id);
            let known = known.map(|at| self.kept.remove(at));
            // Bounded by what was checked; zeroed memory costs nothing until it is used.
            let bytes = match known {
                Some(kept) if kept.bytes.len() as u64 == object.size => kept.bytes,
                _ => vec![0; object.size as usize],
            };
            let id = object.id;
            self.shown.push(Memory { id, bytes });
        }
        let mut total = 0u64;
        let within = |kept: &&Memory| {
            total += kept.bytes.len() as u64;
            total <= MAX_KEPT_BYTES
        };
        let count = self.kept.iter().take(MAX_KEPT).take_while(within).count();
        self.kept.truncate(count);
    }

    /// Nothing is shown; what was is kept.
    pub(super) fn hide(&mut self) {
        self.show(&[]);
    }

    /// Bytes of an object that is shown.
    pub(super) fn bytes(&self, object: u8) -> Option<&[u8]> {
        let memory = self.shown.get(usize::from(object))?;
        Some(&memory.bytes)
    }

    /// Writes a patch, which was checked.
    pub(super) fn apply(&mut self, patch: &Patch) {
        let Some(memory) = self.shown.get_mut(usize::from(patch.object)) else {
            return;
        };
        let rows = patch.data.chunks_exact(patch.row_bytes.max(1) as usize);
        for (row, at) in rows.zip(0u64..) {
            let at = (patch.offset + at * u64::from(patch.stride)) as usize;
            if let Some(to) = memory.bytes.get_mut(at..at + row.len()) {
                to.copy_from_slice(row);
            }
        }
    }

    /// The runs of rows of a patch that differ from the bytes that are there:
    /// first row and number of rows. Fewer unchanged rows in a row than
    /// `worth` bytes do not end a run.
    pub(super) fn changed(&self, patch: &Patch, worth: usize) -> Vec<(u32, u32)> {
        let Some(memory) = self.shown.get(usize::from(patch.object)) else {
            return Vec::new();
        };
        let row_bytes = patch.row_bytes.max(1) as usize;
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for (row, index) in patch.data.chunks_exact(row_bytes).zip(0u32..) {
            let at = (patch.offset + u64::from(index) * u64::from(patch.stride)) as usize;
            if memory.bytes.get(at..at + row_bytes) == Some(row) {
                continue;
            }
            match runs.last_mut() {
                Some((first, rows)) if ((index - *first - *rows) as usize) * row_bytes <= worth => {
                    *rows = index - *first + 1;
                }
                _ => runs.push((index, 1)),
            }
        }
        runs
    }
}
