//! Source and decoded frames side by side, in a PNG file.

use scanout_core::color::{ColorSpec, Range};
use scanout_core::encoder::Chroma;
use scanout_core::geometry::Size;
use scanout_trace::contact_sheet::{SheetImage, SheetOptions, SheetRow, contact_sheet};
use scanout_trace::desktop::Desktop;

use super::quality::FrameQuality;
use crate::failure::{Exit, Failure};

/// Frames shown at most: two pictures of each are held.
const MAX_ROWS: usize = 8;

struct Row {
    label: String,
    source: Vec<u8>,
    decoded: Vec<u8>,
}

/// Collects frames for the sheet.
pub(super) struct Sheet {
    size: Size,
    rows: Vec<Row>,
}

impl Sheet {
    pub(super) fn new(size: Size) -> Self {
        Self {
            size,
            rows: Vec::new(),
        }
    }

    /// Adds the desktop's last frame and what was decoded of it.
    pub(super) fn add(
        &mut self,
        desktop: &Desktop,
        decoded: [(&[u8], usize); 3],
        chroma: Chroma,
        color: ColorSpec,
        what: &str,
        quality: FrameQuality,
    ) {
        if self.rows.len() >= MAX_ROWS {
            return;
        }
        self.rows.push(Row {
            label: format!(
                "{what}: luma PSNR {:.1} dB, SSIM {:.4}",
                quality.psnr_y_db, quality.ssim_y
            ),
            source: desktop.pixels().to_vec(),
            decoded: to_bgrx(decoded, self.size, chroma, color),
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The sheet as a PNG file.
    pub(super) fn png(&self) -> Result<Vec<u8>, Failure> {
        let image = |pixels| SheetImage {
            size: self.size,
            stride: self.size.width as usize * 4,
            pixels,
        };
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|row| SheetRow {
                label: &row.label,
                source: image(&row.source),
                decoded: image(&row.decoded),
            })
            .collect();
        contact_sheet(&rows, &SheetOptions::default()).map_err(|e| Failure::new(Exit::Internal, e))
    }
}

/// Y'CbCr planes as bytes B, G, R, X, chroma repeated: a viewer's simplest way.
fn to_bgrx(planes: [(&[u8], usize); 3], size: Size, chroma: Chroma, color: ColorSpec) -> Vec<u8> {
    let (kr, kb) = color.matrix.kr_kb();
    let (kr, kb) = (kr as f32 / 1e4, kb as f32 / 1e4);
    let kg = 1.0 - kr - kb;
    let (black, luma_gain, chroma_gain) = match color.range {
        Range::Limited => (16.0, 255.0 / 219.0, 255.0 / 224.0),
        Range::Full => (0.0, 1.0, 1.0),
    };
    let step = if chroma == Chroma::C444 { 1 } else { 2 };
    let [y_plane, cb_plane, cr_plane] = planes;
    let at = |(data, stride): (&[u8], usize), x: usize, y: usize| {
        f32::from(data.get(y * stride + x).copied().unwrap_or(0))
    };
    let mut out = Vec::with_capacity(size.area() as usize * 4);
    for y in 0..size.height as usize {
        for x in 0..size.width as usize {
            let luma = (at(y_plane, x, y) - black) * luma_gain;
            let cb = (at(cb_plane, x / step, y / step) - 128.0) * chroma_gain;
            let cr = (at(cr_plane, x / step, y / step) - 128.0) * chroma_gain;
            let red = luma + 2.0 * (1.0 - kr) * cr;
            let blue = luma + 2.0 * (1.0 - kb) * cb;
            let green = (luma - kr * red - kb * blue) / kg;
            // Casts of floats saturate.
            out.extend([blue, green, red].map(|value| value.round() as u8));
            out.push(0xff);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primary_colours_come_back() {
        let size = Size::new(2, 2);
        // BT.709 limited: red is Y 63, Cb 102, Cr 240.
        let planes: [(&[u8], usize); 3] = [(&[63; 4], 2), (&[102], 1), (&[240], 1)];
        let red = to_bgrx(planes, size, Chroma::C420, ColorSpec::DESKTOP);
        for pixel in red.chunks(4) {
            assert!(
                pixel[0] <= 2 && pixel[1] <= 2 && pixel[2] >= 253,
                "{pixel:?}"
            );
        }
        let planes: [(&[u8], usize); 3] = [(&[235; 4], 2), (&[128], 1), (&[128], 1)];
        let white = to_bgrx(planes, size, Chroma::C420, ColorSpec::DESKTOP);
        assert!(white.iter().all(|byte| *byte == 255), "{white:?}");
    }
}
