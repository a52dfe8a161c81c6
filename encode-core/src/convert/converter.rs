use crate::color::{ChromaSite, ColorSpec};
use crate::format::Fourcc;
use crate::geometry::{Damage, Size};

use super::blocks::Blocks;
use super::kernel;
use super::planar::Repack;
use super::quantizer::Quantizer;
use super::unpack::Unpack;
use super::{ConvertError, PictureFormat, PictureLayout, PlaneView, Source};

/// What a conversion did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Converted {
    /// Coded luma samples written: damage grown to blocks, each counted once.
    pub pixels_converted: u64,
    /// True when the whole coded picture was written.
    pub full: bool,
}

/// Converts frames of one format and size into pictures of one layout.
///
/// Runs on the calling thread, never blocks, and allocates nothing after
/// [`new`](Self::new).
#[derive(Debug)]
pub struct Converter {
    fourcc: Fourcc,
    layout: PictureLayout,
    spec: ColorSpec,
    plan: Plan,
}

#[derive(Debug)]
enum Plan {
    Rgb(Box<Rgb>),
    Repack(Repack),
}

impl Converter {
    /// A converter of frames of `fourcc` and `size` into pictures of
    /// `layout`, whose samples then mean what `spec` says. For a Y'CbCr
    /// source `spec` describes the source, whose samples are kept as they are.
    ///
    /// # Errors
    /// [`ConvertError::Unsupported`] for a pair without a conversion,
    /// [`ConvertError::SizeMismatch`] when `size` is not what `layout` shows.
    pub fn new(
        fourcc: Fourcc,
        size: Size,
        layout: PictureLayout,
        spec: ColorSpec,
    ) -> Result<Self, ConvertError> {
        if size != layout.visible() {
            return Err(ConvertError::SizeMismatch {
                source_size: size,
                visible: layout.visible(),
            });
        }
        let plan = if let Some(unpack) = Unpack::of(fourcc) {
            Plan::Rgb(Box::new(Rgb::new(unpack, layout.format(), spec)))
        } else if let Some(repack) = Repack::of(fourcc, layout.format()) {
            Plan::Repack(repack)
        } else {
            return Err(ConvertError::Unsupported {
                source_format: fourcc,
                target: layout.format(),
            });
        };
        Ok(Self {
            fourcc,
            layout,
            spec,
            plan,
        })
    }

    /// True when frames of `fourcc` can become pictures of `format`.
    pub fn supports(fourcc: Fourcc, format: PictureFormat) -> bool {
        Unpack::of(fourcc).is_some() || Repack::of(fourcc, format).is_some()
    }

    /// The layout of the pictures.
    pub const fn layout(&self) -> &PictureLayout {
        &self.layout
    }

    /// What the samples of the pictures mean.
    pub const fn spec(&self) -> ColorSpec {
        self.spec
    }

    /// Brings `target` up to date where `damage` says that the source changed
    /// since `target` was last written: see [`DamageHistory`](super::age::DamageHistory).
    ///
    /// `damage` is in top-down picture coordinates even when the source is
    /// bottom-up. It is grown to blocks and to the reach of the chroma filter
    /// here; what lies outside the picture is ignored. The result is the same
    /// as of a full conversion, bit for bit, however the damage was split.
    /// Bytes between the end of a row and its stride are not written.
    ///
    /// # Errors
    /// Those of [`ConvertError`] on a frame or a buffer that does not fit;
    /// nothing has been written then.
    pub fn convert(
        &mut self,
        source: &Source<'_>,
        target: &mut [u8],
        damage: &Damage,
    ) -> Result<Converted, ConvertError> {
        let layout = self.layout;
        let visible = layout.visible();
        if source.fourcc != self.fourcc || source.size != visible {
            return Err(ConvertError::SourceChanged {
                seen_format: source.fourcc,
                seen_size: source.size,
                expected_format: self.fourcc,
                expected_size: visible,
            });
        }
        let reach = match &self.plan {
            Plan::Rgb(rgb) => rgb.reach(),
            Plan::Repack(_) => 0,
        };
        match &self.plan {
            Plan::Rgb(rgb) => rgb.check(source)?,
            Plan::Repack(repack) => repack.check(source)?,
        }
        let mut planes = layout.split_mut(target)?;
        let blocks = Blocks::new(damage, &layout, reach);
        let mut pixels_converted = 0;
        blocks.for_each_slab(|top, bottom, spans| {
            for &(left, right) in spans {
                pixels_converted += u64::from(right - left) * u64::from(bottom - top);
            }
            match &mut self.plan {
                Plan::Rgb(rgb) => rgb.slab(source, &layout, &mut planes, top, bottom, spans),
                Plan::Repack(repack) => {
                    repack.slab(source, &layout, &mut planes, top, bottom, spans);
                }
            }
        });
        Ok(Converted {
            pixels_converted,
            full: pixels_converted == layout.coded().area(),
        })
    }
}

/// Columns converted at a time: the scratch rows of two lines stay in the
/// first-level cache beside the pixels.
const STRIP: usize = 2048;

/// Room for the column left of the strip. A whole cache line of it, so that
/// the strip's own columns are written in aligned vectors.
const LEAD: usize = 32;

/// Components of a strip of a row, from column `LEAD` on; the one before is
/// the column left of the strip.
#[derive(Debug)]
#[repr(align(64))]
struct Strip {
    red: [u16; LEAD + STRIP],
    green: [u16; LEAD + STRIP],
    blue: [u16; LEAD + STRIP],
}

impl Strip {
    const EMPTY: Self = Self {
        red: [0; LEAD + STRIP],
        green: [0; LEAD + STRIP],
        blue: [0; LEAD + STRIP],
    };

    fn components(&self) -> [&[u16; LEAD + STRIP]; 3] {
        [&self.red, &self.green, &self.blue]
    }
}

#[derive(Debug)]
struct Rgb {
    unpack: Unpack,
    format: PictureFormat,
    site: ChromaSite,
    luma: Quantizer,
    chroma: [Quantizer; 2],
    rows: [Strip; 2],
    odd: [u16; STRIP / 2 + 1],
    sums: [[u16; STRIP / 2]; 3],
    pair: [[u8; STRIP / 2]; 2],
}

impl Rgb {
    fn new(unpack: Unpack, format: PictureFormat, spec: ColorSpec) -> Self {
        let peak = unpack.peak();
        let weight = match (format.is_subsampled(), spec.chroma_site) {
            (false, _) => 1,
            (true, ChromaSite::Center) => 4,
            (true, ChromaSite::Left) => 8,
        };
        Self {
            unpack,
            format,
            site: spec.chroma_site,
            luma: Quantizer::luma(spec, peak),
            chroma: Quantizer::chroma(spec, peak * weight),
            rows: [const { Strip::EMPTY }; 2],
            odd: [0; STRIP / 2 + 1],
            sums: [[0; STRIP / 2]; 3],
            pair: [[0; STRIP / 2]; 2],
        }
    }

    /// Columns right of a pixel where chroma depends on it.
    fn reach(&self) -> u32 {
        u32::from(self.format.is_subsampled() && self.site == ChromaSite::Left)
    }

    fn check(&self, source: &Source<'_>) -> Result<(), ConvertError> {
        let Some(plane) = source.planes.first() else {
            return Err(ConvertError::PlaneCount {
                format: source.fourcc,
                have: 0,
                need: 1,
            });
        };
        plane.check(
            0,
            source.size.width as usize * self.unpack.pixel_bytes(),
            source.size.height as usize,
        )
    }

    fn slab(
        &mut self,
        source: &Source<'_>,
        layout: &PictureLayout,
        planes: &mut [&mut [u8]; 3],
        top: u32,
        bottom: u32,
        spans: &[(u32, u32)],
    ) {
        let Some(&pixels) = source.planes.first() else {
            return;
        };
        for y in (top as usize..bottom as usize).step_by(2) {
            let lines = (bottom as usize - y).min(2);
            for &(left, right) in spans {
                for x in (left as usize..right as usize).step_by(STRIP) {
                    let columns = (right as usize - x).min(STRIP);
                    for line in 0..lines {
                        self.load(source, &pixels, line, y + line, x, columns);
                        self.write_full(layout, planes, line, y + line, x, columns);
                    }
                    if self.format.is_subsampled() {
                        self.write_subsampled(layout, planes, y, x, columns);
                    }
                }
            }
        }
    }

    /// Splits `columns` pixels of row `y` from column `x` on, and the one left of them.
    fn load(
        &mut self,
        source: &Source<'_>,
        pixels: &PlaneView<'_>,
        line: usize,
        y: usize,
        x: usize,
        columns: usize,
    ) {
        let Some(strip) = self.rows.get_mut(line) else {
            return;
        };
        let (width, height) = (source.size.width as usize, source.size.height as usize);
        let y = y.min(height - 1);
        let y = if source.bottom_up { height - 1 - y } else { y };
        let bytes = self.unpack.pixel_bytes();
        // What is visible of the strip, and the column left of it, or the edge.
        let first = x.min(width - 1);
        let count = (x + columns).min(width) - first;
        let before = x.saturating_sub(1).min(width - 1);
        let unpack = self.unpack;
        let [red, green, blue] = [&mut strip.red, &mut strip.green, &mut strip.blue];
        for (column, count, at) in [(before, 1, LEAD - 1), (first, count, LEAD)] {
            unpack.split(
                pixels.row(y, column * bytes, count * bytes),
                &mut red[at..],
                &mut green[at..],
                &mut blue[at..],
            );
        }
        for component in [red, green, blue] {
            let edge = component[LEAD + count - 1];
            component[LEAD + count..LEAD + columns].fill(edge);
        }
    }

    /// Luma of a loaded row, and chroma where it has every column.
    fn write_full(
        &mut self,
        layout: &PictureLayout,
        planes: &mut [&mut [u8]; 3],
        line: usize,
        y: usize,
        x: usize,
        columns: usize,
    ) {
        let Some(strip) = self.rows.get(line) else {
            return;
        };
        let [red, green, blue] = strip.components().map(|c| &c[LEAD..LEAD + columns]);
        let quantizers = [&self.luma, &self.chroma[0], &self.chroma[1]];
        let count = if self.format.is_subsampled() { 1 } else { 3 };
        for ((quantizer, bytes), plane) in quantizers
            .iter()
            .zip(planes)
            .zip(layout.planes())
            .take(count)
        {
            let out = row_mut(bytes, plane.stride, y, x, columns);
            kernel::quantize(quantizer, red, green, blue, out);
        }
    }

    /// Chroma of the two loaded rows.
    fn write_subsampled(
        &mut self,
        layout: &PictureLayout,
        planes: &mut [&mut [u8]; 3],
        y: usize,
        x: usize,
        columns: usize,
    ) {
        let pairs = columns / 2;
        let [upper, lower] = &self.rows;
        let odd = &mut self.odd[..=pairs];
        for ((upper, lower), sums) in upper
            .components()
            .into_iter()
            .zip(lower.components())
            .zip(&mut self.sums)
        {
            let span = LEAD - 1..LEAD + columns;
            let (upper, lower, sums) = (&upper[span.clone()], &lower[span], &mut sums[..pairs]);
            match self.site {
                ChromaSite::Left => kernel::fold_left(upper, lower, odd, sums),
                ChromaSite::Center => kernel::fold_center(upper, lower, odd, sums),
            }
        }
        let [red, green, blue] = &self.sums;
        let [red, green, blue] = [red, green, blue].map(|c| &c[..pairs]);
        for (quantizer, out) in self.chroma.iter().zip(&mut self.pair) {
            kernel::quantize(quantizer, red, green, blue, &mut out[..pairs]);
        }
        let [_, chroma, cr_plane] = planes;
        let stride = layout.planes().get(1).map_or(0, |p| p.stride);
        let [cb, cr] = &self.pair;
        if self.format == PictureFormat::Nv12 {
            let out = row_mut(chroma, stride, y / 2, x, columns);
            kernel::interleave(&cb[..pairs], &cr[..pairs], out);
        } else {
            row_mut(chroma, stride, y / 2, x / 2, pairs).copy_from_slice(&cb[..pairs]);
            row_mut(cr_plane, stride, y / 2, x / 2, pairs).copy_from_slice(&cr[..pairs]);
        }
    }
}

/// `columns` bytes of row `y` from `x` on. The layout's constructor and the
/// check of the buffer's length make them exist.
pub(super) fn row_mut(
    plane: &mut [u8],
    stride: usize,
    y: usize,
    x: usize,
    columns: usize,
) -> &mut [u8] {
    let at = y * stride + x;
    &mut plane[at..at + columns]
}
