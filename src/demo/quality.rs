//! The source drawn once more, and the decoded pictures held against it.

use scanout_core::convert::{Converter, PictureFormat, PictureLayout, PlaneView, Source, quality};
use scanout_core::encoder::{Chroma, StreamInfo};
use scanout_core::geometry::{Damage, Size};
use scanout_trace::desktop::{Desktop, Step};
use serde::Serialize;

use super::decode::DecodedShape;
use crate::failure::{Exit, Failure};

/// How near the decoded pictures are to the staged ones.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Quality {
    /// Frames compared.
    pub(super) frames: u64,
    /// Luma, over all frames, in dB; none where all were equal.
    pub(super) psnr_y_db: Option<f64>,
    /// Both chroma planes, over all frames.
    pub(super) psnr_chroma_db: Option<f64>,
    /// Luma of the worst frame.
    pub(super) worst_psnr_y_db: Option<f64>,
    pub(super) worst_frame: u64,
    /// Luma, mean over frames.
    pub(super) ssim_y: f64,
    /// Luma, of the worst frame.
    pub(super) worst_ssim_y: f64,
}

/// One frame's figures.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameQuality {
    pub(super) psnr_y_db: f64,
    pub(super) ssim_y: f64,
}

/// Draws the source again and compares.
pub(super) struct Judge {
    desktop: Desktop,
    converter: Converter,
    layout: PictureLayout,
    picture: Vec<u8>,
    /// What changed since the picture was converted last.
    missing: Damage,
    shape: DecodedShape,
    luma_error: u64,
    chroma_error: u64,
    ssim_sum: f64,
    quality: Quality,
}

impl Judge {
    /// A judge of `stream`, whose source was `desktop` before its first frame.
    pub(super) fn new(desktop: Desktop, stream: &StreamInfo) -> Result<Self, Failure> {
        let internal = |e| Failure::new(Exit::Internal, e);
        let format = match stream.chroma {
            Chroma::C444 => PictureFormat::I444,
            _ => PictureFormat::I420,
        };
        let size = desktop.size();
        let layout = PictureLayout::new(format, size).map_err(internal)?;
        let converter =
            Converter::new(Desktop::FOURCC, size, layout, stream.color).map_err(internal)?;
        let shape = DecodedShape::of(stream);
        if !shape.fits(&layout) {
            return Err(Failure::new(
                Exit::Verification,
                format_args!("the stream shows {}, the source is {size}", shape.size),
            ));
        }
        Ok(Self {
            desktop,
            converter,
            layout,
            picture: vec![0; layout.total_bytes()],
            missing: Damage::none(),
            shape,
            luma_error: 0,
            chroma_error: 0,
            ssim_sum: 0.0,
            quality: Quality {
                worst_ssim_y: 1.0,
                ..Quality::default()
            },
        })
    }

    /// Draws up to frame `number`. `each` sees every frame on the way.
    pub(super) fn advance(&mut self, number: u64, mut each: impl FnMut(&Step)) {
        while self.desktop.next_number() <= number {
            let step = self.desktop.next_frame();
            self.missing.unite(&step.damage);
            each(&step);
        }
    }

    /// The desktop as it was for the frame compared last.
    pub(super) fn desktop(&self) -> &Desktop {
        &self.desktop
    }

    /// Compares a decoded frame with the one drawn last.
    pub(super) fn compare(&mut self, number: u64, decoded: &[u8]) -> Result<FrameQuality, Failure> {
        let internal = |e| Failure::new(Exit::Internal, e);
        let size = self.layout.visible();
        let pixels = PlaneView::new(self.desktop.pixels(), self.desktop.stride());
        let source = Source::packed(Desktop::FOURCC, size, pixels);
        self.converter
            .convert(&source, &mut self.picture, &self.missing)
            .map_err(internal)?;
        self.missing.clear();
        let staged = self.layout.split(&self.picture).map_err(internal)?;
        let decoded = self.shape.planes(decoded);
        let chroma = if self.layout.format().is_subsampled() {
            Size::new(size.width.div_ceil(2), size.height.div_ceil(2))
        } else {
            size
        };
        let planes = || {
            let sizes = [size, chroma, chroma];
            let strides = self.layout.planes().iter().map(|plane| plane.stride);
            let staged = staged
                .iter()
                .zip(strides)
                .map(|(data, stride)| PlaneView::new(data, stride));
            let decoded = decoded
                .iter()
                .map(|(data, stride)| PlaneView::new(data, *stride));
            staged.zip(decoded).zip(sizes)
        };
        let mut errors = [0; 3];
        for (error, ((staged, decoded), size)) in errors.iter_mut().zip(planes()) {
            *error = quality::squared_error(staged, decoded, size).map_err(internal)?;
        }
        let mut ssim_y = 1.0;
        if let Some(((staged, decoded), size)) = planes().next() {
            ssim_y = quality::ssim(staged, decoded, size).map_err(internal)?;
        }
        let psnr_y_db = quality::psnr_of(errors[0], size.area());
        self.luma_error += errors[0];
        self.chroma_error += errors[1] + errors[2];
        self.ssim_sum += ssim_y;
        let total = &mut self.quality;
        total.frames += 1;
        total.worst_ssim_y = total.worst_ssim_y.min(ssim_y);
        if psnr_y_db < total.worst_psnr_y_db.unwrap_or(f64::INFINITY) {
            total.worst_psnr_y_db = Some(psnr_y_db);
            total.worst_frame = number;
        }
        let frames = total.frames;
        let finite = |psnr: f64| psnr.is_finite().then_some(psnr);
        total.psnr_y_db = finite(quality::psnr_of(self.luma_error, size.area() * frames));
        let samples = 2 * chroma.area() * frames;
        total.psnr_chroma_db = finite(quality::psnr_of(self.chroma_error, samples));
        total.ssim_y = self.ssim_sum / frames as f64;
        Ok(FrameQuality { psnr_y_db, ssim_y })
    }

    /// The figures over all frames so far.
    pub(super) fn quality(&self) -> &Quality {
        &self.quality
    }
}
