use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::check::Checker;
use super::objects::Objects;
use super::wire::{self, PATCH_HEAD, PatchRows};
use super::{
    Event, EventKind, MAGIC, MAX_PATCHES, MAX_PRODUCER, MAX_RECORD, Patch, RecordingError, VERSION,
};

/// Writes a recording.
///
/// Each event is one write to the output, complete when [`write`](Self::write)
/// returns: over a `File` without a buffer nothing that was written is lost
/// when the program is killed. Holds what is shown, and a few objects that
/// were, to leave out rows that are as they were.
///
/// The same events make the same bytes (with the same version of the
/// compressor).
#[derive(Debug)]
pub struct RecordingWriter<W> {
    output: W,
    checker: Checker,
    objects: Objects,
    payload: Vec<u8>,
}

impl<W: Write> RecordingWriter<W> {
    /// Writes the head of the file. `producer` says what is recorded, for people:
    /// `QEMU 10.0.13, virtio-vga-gl`. At most 1024 bytes.
    pub fn new(mut output: W, producer: &str) -> Result<Self, RecordingError> {
        if producer.len() > MAX_PRODUCER {
            let bytes = producer.len();
            return Err(RecordingError::Producer { bytes });
        }
        let mut head = Vec::from(MAGIC);
        head.extend(VERSION.to_le_bytes());
        head.extend((producer.len() as u16).to_le_bytes());
        head.extend(producer.as_bytes());
        output.write_all(&head)?;
        Ok(Self {
            output,
            checker: Checker::default(),
            objects: Objects::default(),
            payload: Vec::new(),
        })
    }

    /// Writes one event. An event that is refused is not written, and others
    /// may follow; after an error of the output the file is of no more use
    /// than up to there.
    pub fn write(&mut self, event: &Event) -> Result<(), RecordingError> {
        let bytes = size_of_patches(&event.kind);
        if bytes > MAX_RECORD - (1 << 16) {
            return Err(RecordingError::TooLarge { bytes });
        }
        self.checker.accept(event)?;
        let patches = match &event.kind {
            EventKind::Scanout(scanout) => {
                self.objects.show(&scanout.objects);
                scanout.patches.as_slice()
            }
            EventKind::Update(update) => &update.patches,
            EventKind::Disable => {
                self.objects.hide();
                &[]
            }
            _ => &[],
        };
        let mut changed = Vec::with_capacity(patches.len());
        for patch in patches {
            let runs = self.objects.changed(patch, PATCH_HEAD);
            let rows = |&(first, rows): &(u32, u32)| PatchRows { patch, first, rows };
            changed.extend(runs.iter().map(rows));
            self.objects.apply(patch);
        }
        if changed.len() > MAX_PATCHES {
            // As they came: the checker has counted those.
            changed.clear();
            changed.extend(patches.iter().map(|patch| PatchRows {
                patch,
                first: 0,
                rows: patch.rows,
            }));
        }
        self.payload.clear();
        wire::write_event(&mut self.payload, event, &changed);
        self.write_payload()
    }

    /// Writes the end: the recording is `duration` long, not shorter than its
    /// events. Gives the output back. Without it, readers say that the
    /// recording is cut short.
    pub fn finish(mut self, duration: Duration) -> Result<W, RecordingError> {
        self.checker.time(duration)?;
        self.payload.clear();
        wire::write_end(&mut self.payload, duration);
        self.write_payload()?;
        self.output.flush()?;
        Ok(self.output)
    }

    /// Stops without an end: the recording is cut short. Gives the output back.
    pub fn into_output(self) -> W {
        self.output
    }

    /// Time of the last event.
    pub fn last_time(&self) -> Duration {
        self.checker.last()
    }

    fn write_payload(&mut self) -> Result<(), RecordingError> {
        let raw = self.payload.len();
        let mut record = vec![0; 8];
        let mut encoder = ZlibEncoder::new(record, Compression::default());
        encoder.write_all(&self.payload)?;
        record = encoder.finish()?;
        let packed = record.len() - 8;
        // Both are below MAX_RECORD and what it can become, which fit 32 bits.
        let lengths = [(packed as u32).to_le_bytes(), (raw as u32).to_le_bytes()];
        for (to, from) in record.iter_mut().zip(lengths.as_flattened()) {
            *to = *from;
        }
        self.output.write_all(&record)?;
        Ok(())
    }
}

/// An upper bound of what the event takes besides a few fixed fields.
fn size_of_patches(kind: &EventKind) -> u64 {
    let patches: &[Patch] = match kind {
        EventKind::Scanout(scanout) => &scanout.patches,
        EventKind::Update(update) => &update.patches,
        EventKind::CursorDefine(cursor) => return cursor.argb.len() as u64,
        EventKind::Disable | EventKind::MouseSet(_) => &[],
    };
    let size = |patch: &Patch| (patch.data.len() + PATCH_HEAD) as u64;
    patches.iter().map(size).fold(0, u64::saturating_add)
}
