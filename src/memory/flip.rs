use scanout_core::format::FormatInfo;
use scanout_core::geometry::{Damage, Rect, Size};
use scanout_trace::source::{SourceFrame, SourcePlane};

/// Turns frames upside down, as they lie in a buffer whose first row is the
/// bottom of the picture.
#[derive(Debug, Default)]
pub(super) struct Flip {
    data: Vec<u8>,
    planes: Vec<SourcePlane>,
}

impl Flip {
    /// `frame` upside down, in which `damage` is turned too: what was never part
    /// of any damage is not there. `None` where the frame is shorter than it says.
    pub(super) fn turn<'a>(
        &'a mut self,
        format: &FormatInfo,
        frame: &SourceFrame<'_>,
    ) -> Option<SourceFrame<'a>> {
        let layout_is_new = self.planes != frame.planes || self.data.len() != frame.data.len();
        if layout_is_new {
            self.planes = frame.planes.to_vec();
            self.data.clear();
            self.data.resize(frame.data.len(), 0);
        }
        let all = Damage::full(frame.size);
        let damage = if layout_is_new { &all } else { &frame.damage };
        for (info, plane) in format.planes.iter().zip(frame.planes) {
            let v_sub = u32::from(info.v_sub);
            let rows = usize::try_from(info.rows(frame.size.height)).ok()?;
            let bytes = usize::try_from(info.row_bytes(frame.size.width)).ok()?;
            for rect in damage.rects() {
                let rect = rect.clip(frame.size);
                for row in rect.y / v_sub..rect.bottom().div_ceil(v_sub) {
                    let row = row as usize;
                    let turned = rows.checked_sub(row + 1)?;
                    let from = plane.offset + row * plane.stride;
                    let to = plane.offset + turned * plane.stride;
                    let source = frame.data.get(from..from + bytes)?;
                    self.data.get_mut(to..to + bytes)?.copy_from_slice(source);
                }
            }
        }
        Some(SourceFrame {
            index: frame.index,
            time: frame.time,
            fourcc: frame.fourcc,
            size: frame.size,
            data: &self.data,
            planes: &self.planes,
            damage: turned(&frame.damage, frame.size, format),
            segment: None,
        })
    }
}

/// The rows of `damage` counted from the other end. Of a subsampled format one
/// more sample at each end: rows of chroma are counted from their own last one,
/// which an odd height shifts by half a sample.
pub(super) fn turned(damage: &Damage, size: Size, format: &FormatInfo) -> Damage {
    let v_sub = format.planes.iter().map(|p| u32::from(p.v_sub)).max();
    let more = v_sub.filter(|sub| *sub > 1).unwrap_or(0);
    let mut out = Damage::none();
    for rect in damage.rects() {
        let rect = rect.clip(size);
        if rect.is_empty() {
            continue;
        }
        let top = (size.height - rect.bottom()).saturating_sub(more);
        let bottom = (size.height - rect.y).saturating_add(more);
        out.add(Rect::new(rect.x, top, rect.width, bottom - top).clip(size));
    }
    out
}
